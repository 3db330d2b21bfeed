"""One line for a prompt: ``5h 78% 2h11m · 7d 35% · ▸Fable 94% 3d2h``, fitted to its width.

With its own small table of colours: Rich takes longer to load than a prompt may wait.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import age, countdown
from claude_usage_monitor.usage.limits.windows import Severity, UsageWindow, percent_text
from claude_usage_monitor.usage.status import AccountStatus

_COLORS = {
    Severity.NORMAL: "32",
    Severity.ELEVATED: "33",
    Severity.HIGH: "38;5;208",
    Severity.EXHAUSTED: "1;31",
}
_DIM = "2"
_ALARM = "31"
EMPTY = "no figures yet"


class LineStyle(NamedTuple):
    """How the line is written: in how many cells, in colour or not, in ASCII or not."""

    width: int = 80
    color: bool = True
    ascii: bool = False


class _Part(NamedTuple):
    text: str
    color: str = ""


def statusline(status: AccountStatus, now: datetime, style: LineStyle) -> str:
    """Return the line. What has no room goes: countdowns first, then the least urgent windows."""
    now = status.api_time(now)
    windows = status.usage.at(now).windows if status.usage else ()
    trailer = _trailer(status, now)
    separator = " - " if style.ascii else " · "
    parts: list[_Part] = []
    for count, spans in _fitting_orders(len(windows)):
        kept = _most_urgent(windows, count)
        parts = [_window(window, now, style, spans=spans) for window in kept] + trailer
        if len(separator.join(part.text for part in parts)) <= style.width:
            break
    shown = parts or [_Part(EMPTY, _DIM)]
    line = separator.join(_painted(part, style) for part in shown)
    return line.encode("ascii", "replace").decode() if style.ascii else line


def _fitting_orders(windows: int) -> list[tuple[int, int]]:
    """Return what to try: all windows with fewer and fewer countdowns, then fewer windows."""
    return [(windows, 2), (windows, 1), (windows, 0)] + [(n, 0) for n in range(windows - 1, 0, -1)]


def _most_urgent(windows: tuple[UsageWindow, ...], count: int) -> list[UsageWindow]:
    ranked = sorted(windows, key=lambda w: (not w.binding, -(w.utilization or 0.0)))
    kept = {window.key for window in ranked[:count]}
    return [window for window in windows if window.key in kept]


def _window(window: UsageWindow, now: datetime, style: LineStyle, *, spans: int) -> _Part:
    mark = (">" if style.ascii else "▸") if window.binding else ""
    words = [mark + window.short_label]
    dash = "-" if style.ascii else "—"
    idle = window.state(now) == "idle" and not window.utilization
    unknown = window.utilization is None or idle
    words.append(
        dash if window.utilization is None or idle else f"{percent_text(window.utilization)}%"
    )
    left = window.time_until_reset(now)
    wanted = window.binding or (spans == 2 and window.key == "five_hour")
    if spans and wanted and left is not None and left.total_seconds() > 0:
        words.append(countdown(left, compact=True))
    severity = window.severity
    return _Part(" ".join(words), _DIM if unknown or severity is None else _COLORS[severity])


def _trailer(status: AccountStatus, now: datetime) -> list[_Part]:
    """Return what is wrong and how old held-over figures are."""
    parts = []
    figures_age = now - status.usage.as_of if status.usage is not None else None
    if status.usage is not None and status.usage.windows:
        figures_age = now - max(window.as_of for window in status.usage.windows)
    if (
        figures_age is not None
        and status.stale(now + status.clock_skew)
        and age(figures_age) != "now"
    ):
        parts.append(_Part(f"{age(figures_age)} old", _DIM))
    if status.problem is not None:
        parts.append(_Part(problem_text.short(status.problem, now + status.clock_skew), _ALARM))
    if status.usage is None:
        parts.insert(0, _Part(EMPTY, _DIM))
    return parts


def _painted(part: _Part, style: LineStyle) -> str:
    return f"\x1b[{part.color}m{part.text}\x1b[0m" if style.color and part.color else part.text
