"""What the terminal at hand can show, and how this user writes the time."""

from __future__ import annotations

import locale
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from claude_usage_monitor.render.theme import ASCII, UNICODE, RenderOptions
from claude_usage_monitor.usage.durations import ClockStyle

if TYPE_CHECKING:
    from claude_usage_monitor.cli.options import Options
    from claude_usage_monitor.store.settings import Settings

DEFAULT_WIDTH = 80

_GLYPHS = "".join((*UNICODE.corners, "─│━╌┃▸·—…"))
_POSIX_ZONE = re.compile(r":?(?:<[^>]+>|[A-Za-z]{3,})[-+]?\d.*")
_UTC_NAMES = frozenset(("UTC", "GMT", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/GMT"))


class _Console(Console):
    """A console that leaves it to its caller what a reader that has gone means."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - called while BrokenPipeError is handled


def open_console(
    options: Options, settings: Settings, environ: Mapping[str, str], *, live: bool
) -> tuple[Console, RenderOptions]:
    """Return the console to draw on and the look that it can show."""
    stdout = sys.stdout
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="replace")  # a name in another script is no reason to fail
    color = _color(options, settings)
    console = _Console(
        file=stdout,
        no_color=None if color == "auto" else color == "never",
        force_terminal=True if color == "always" else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ=_for_rich(environ),
    )
    plain = settings.ascii if options.ascii is None else options.ascii
    render_options = RenderOptions(
        glyphs=ASCII if plain or not _encodes(stdout) else UNICODE,
        color=console.color_system is not None and not console.no_color,
        clock=clock_style(environ),
        live=live,
    )
    return console, render_options


def _for_rich(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Rich may go by: what is empty is unset, and the size is ours."""
    own = ("COLUMNS", "LINES")
    return {name: value for name, value in environ.items() if value and name not in own}


def _color(options: Options, settings: Settings) -> str:
    return "never" if options.no_color else settings.color


def _encodes(stream: TextIO) -> bool:
    try:
        _GLYPHS.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width_of_output(environ: Mapping[str, str]) -> int:
    """Return how wide a frame may be: the terminal's own width, else ``COLUMNS``, else 80."""
    size = terminal_size()
    if size is not None:
        return size[0]
    columns = environ.get("COLUMNS", "")
    counts = columns.isascii() and columns.isdigit() and int(columns) > 0
    return int(columns) if counts else DEFAULT_WIDTH


def terminal_size() -> tuple[int, int] | None:
    """Return the columns and rows of the terminal that stdout is; ``None`` if it is none."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # closed, it is None
        return None
    return (size.columns or DEFAULT_WIDTH, size.lines or 24)


def clock_style(environ: Mapping[str, str]) -> ClockStyle:
    """Return how this user's locale and zone write the time."""
    try:
        locale.setlocale(locale.LC_TIME, "")
        time_format = locale.nl_langinfo(locale.T_FMT)
    except (locale.Error, AttributeError):  # Windows has no langinfo
        time_format = ""
    twelve_hour = any(code in time_format for code in ("%r", "%I", "%p"))
    return ClockStyle(None, twelve_hour, "UTC" if _zone_unknown(environ) else "")


def _zone_unknown(environ: Mapping[str, str]) -> bool:
    """Return whether ``TZ`` names no zone: then the C library silently takes UTC."""
    zone = environ.get("TZ", "")
    if not zone or zone in _UTC_NAMES or _POSIX_ZONE.fullmatch(zone):
        return False
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone.removeprefix(":"))
    except (ValueError, OSError, LookupError):
        return True
    return False
