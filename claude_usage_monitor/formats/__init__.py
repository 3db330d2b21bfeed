"""The table of output formats: statuses and the time in, text out.

A new format is one module here with a function ``render``, and one row in the table. The table
imports no format: `load_format` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple, Protocol, cast
from claude_usage_monitor.suggestions import did_you_mean

if TYPE_CHECKING:  # --help needs the table only, not the 5 ms of datetime
    from datetime import datetime

    from claude_usage_monitor.formats.options import FormatOptions
    from claude_usage_monitor.usage.status import AccountStatus


class Format(NamedTuple):
    """A row of the table: its module defines ``function``, a `Render`.

    ``target`` is the name in `targets.TARGETS` of the syntax that it writes.
    """

    name: str
    module: str
    help: str
    function: str = "render"
    target: str = "plain"


_LINE = f"{__name__}.statusline"
_BARS = f"{__name__}.bars"

PRESETS = (  # the names of ``--format``
    Format("plain", _LINE, "one line for each account"),
    Format("ansi", _LINE, "with ANSI colors", target="ansi"),
    Format("tmux", _LINE, "tmux's status line", target="tmux"),
    Format("zsh", _LINE, "a zsh prompt", target="zsh"),
    Format("pango", _LINE, "Pango markup", target="pango"),
    Format("polybar", _LINE, "a custom/script of Polybar", target="polybar"),
    Format("screen", _LINE, "a backtick of GNU Screen", target="screen"),
    Format("waybar", _BARS, "a custom module of Waybar", "waybar", "pango"),
    Format("i3blocks", _BARS, "a block of i3blocks with format=json", "i3blocks"),
    Format("i3status-rust", _BARS, "a custom block with json = true", "i3status_rust", "pango"),
    Format("xbar", _BARS, "a menu of xbar or SwiftBar", "xbar"),
    Format("prometheus", f"{__name__}.prometheus", "metrics for Prometheus"),
)
FORMATS = (
    Format("json", f"{__name__}.json_document", "one JSON document"),
    Format("json-line", f"{__name__}.json_document", "the same on one line", "render_on_one_line"),
    Format("statusline", _LINE, "one line for each account", target="ansi"),
    *PRESETS,
)


class Render(Protocol):
    """The signature of a format's ``render``."""

    def __call__(
        self,
        statuses: Sequence[AccountStatus],
        now: datetime,
        options: FormatOptions,
        error: UsageMonitorError | None = None,
    ) -> str:
        """Return the text for all statuses, or for the error that prevented reading any."""


def load_format(name: str) -> Render:
    """Import a format of the table and return its function, which writes for the row's target."""
    row = next(row for row in FORMATS if row.name == name)
    function = cast("Render", getattr(import_module(row.module), row.function))

    def render(
        statuses: Sequence[AccountStatus],
        now: datetime,
        options: FormatOptions,
        error: UsageMonitorError | None = None,
    ) -> str:
        return function(statuses, now, options._replace(target=row.target), error)

    return render


def format_named(name: str) -> Render:
    """Return the preset with a name, or the template. Raises InvalidSetting if it is neither."""
    if "{" in name:
        # Takes 8 ms, and presets do not need it.
        from claude_usage_monitor.formats.template import parse_template

        return parse_template(name).render
    names = [row.name for row in PRESETS]
    if name in names:
        return load_format(name)
    raise InvalidSetting(
        f"There is no format {name!r}{did_you_mean(name, names) or '.'}",
        f"Formats: {', '.join(names)}; or a template with fields in braces.",
    )
