"""The view of what used a window, which the key ``w`` shows instead of the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from claude_usage_monitor.render import frame
from claude_usage_monitor.render.layout import fitting_text, indent_lines, wrap
from claude_usage_monitor.render.limits.lines import MIN_DETAILED_WIDTH
from claude_usage_monitor.render.panels.use import use_lines
from claude_usage_monitor.render.theme import ASCII, FAINT, RenderOptions
from claude_usage_monitor.usage.attribution.shown import error_text
from claude_usage_monitor.usage.durations import clock_time, countdown
from claude_usage_monitor.usage.status import AccountStatus

_MAX_WIDTH = 100
_NOTHING = (
    "What used your limits is not known yet. It is read from Claude Code's transcripts on this"
    " computer, unless `transcripts = false` is in config.toml."
)
_KEYS = ("← → window · w or Esc goes back", "← → window · w back", "w back")
_ASCII_KEYS = ("arrows: window, w or Esc goes back", "arrows: window, w back", "w back")
_KEYS_OF_ONE = ("w or Esc goes back", "w goes back", "w back")
_MIN_FRAMED_HEIGHT = 4  # lines
_MIN_PROJECTS = 3  # shown before the error and the reset


def use_view(
    statuses: Sequence[AccountStatus],
    number: int,
    now: datetime,
    size: tuple[int, int],
    options: RenderOptions,
) -> list[Text]:
    """Return the lines for one window; ``number`` counts the windows of all shown accounts."""
    width, height = min(size[0], _MAX_WIDTH), size[1]
    framed = width >= frame.MIN_WIDTH and height >= _MIN_FRAMED_HEIGHT
    inner = width - frame.SIDES if framed else width
    rows = max(1, height - 2 if framed else height)
    windows = [(status, use) for status in statuses for use in status.use]
    progress = next((s.use_progress for s in statuses if s.use_progress is not None), None)
    title = "Use"
    if windows:
        status, use = windows[number % len(windows)]
        reset = clock_time(use.resets_at, status.api_time(now), options.clock)
        left = countdown(use.resets_at - status.api_time(now))
        details = [
            f"resets {reset}, in {left}",
            f"{error_text(use.plus_minus)}, {use.basis}"
            if use.elsewhere is not None
            else use.basis,
        ]
        indent = 2 if inner >= MIN_DETAILED_WIDTH else 0
        below = [line for text in details for line in wrap(text, inner - indent, options, FAINT)]
        projects = max(rows - len(below) - 3, min(_MIN_PROJECTS, rows - 2), 1)
        body = use_lines(use, inner, projects, options) + indent_lines(below, indent)
        title = f"Use · {number % len(windows) + 1} of {len(windows)}"
    else:
        body = wrap(_NOTHING, inner, options, "")
    if progress is not None:
        body += wrap(f"reading transcripts {progress:.0%}", inner, options, FAINT)
    body = body[:rows]
    if not framed:
        return body
    top = frame.top_border(options.text(title), "", width, options)
    keys = _ASCII_KEYS if options.glyphs is ASCII else _KEYS
    keys = keys if len(windows) > 1 else _KEYS_OF_ONE
    bottom = frame.bottom_border(fitting_text(keys, width - frame.MARGIN), "", width, options)
    return frame.add_border(frame.beside_marks(body, width), top, bottom, width, options)
