"""One line for a prompt: ``5h 78% 2h11m · 7d 35% · ▸Fable 94% 3d2h``, fitted to its width.

It has its own small table of colors, because importing Rich takes longer than a prompt may take.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import age, countdown
from claude_usage_monitor.usage.limits.windows import (
    Severity,
    UsageWindow,
    percent_text,
    severity_of,
)
from claude_usage_monitor.usage.status import AccountStatus, Problem

NO_FIGURES = "no figures yet"
NO_LIMITS = "no limits"

_COLORS = {  # parameters of the SGR escape sequence
    Severity.NORMAL: "32",
    Severity.ELEVATED: "33",
    Severity.HIGH: "38;5;208",
    Severity.EXHAUSTED: "1;31",
}
_DIM = "2"
_RED = "31"


class _Part(NamedTuple):
    text: str
    color: str


def render(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return a line for each account, or one for the error that prevented reading any."""
    if error is not None:
        text = problem_text.short(Problem.from_error(error), now)
        return _joined([_Part(text, _RED)], options)
    return "\n".join(statusline(status, now, options) for status in statuses)


def statusline(status: AccountStatus, now: datetime, options: FormatOptions) -> str:
    """Return an account's line. A narrow line drops countdowns first, then windows."""
    api_now = status.api_time(now)
    windows = status.usage.at(api_now).windows if status.usage else ()
    trailer = _trailer(status, now)
    parts = trailer
    for shown, countdown_keys in _candidates(windows):
        parts = [_window(w, api_now, options, countdown_keys) for w in shown] + trailer
        if len(_separator(options).join(part.text for part in parts)) <= options.width:
            break
    return _joined(parts, options)


def _candidates(
    windows: Sequence[UsageWindow],
) -> Iterator[tuple[Sequence[UsageWindow], set[str]]]:
    """Yield windows to show, and the keys of those with a countdown; the richest first."""
    if not windows:
        return
    binding = {window.key for window in windows if window.binding}
    urgent = {w.key for w in windows if w.severity in {Severity.HIGH, Severity.EXHAUSTED}}
    for countdown_keys in (urgent | binding | {"five_hour"}, binding, set[str]()):
        yield windows, countdown_keys
    ranked = sorted(windows, key=lambda w: (not w.binding, -(w.utilization or 0.0)))
    for count in range(len(windows) - 1, 0, -1):
        most_urgent = {window.key for window in ranked[:count]}
        yield [window for window in windows if window.key in most_urgent], set()


def _window(
    window: UsageWindow,
    now: datetime,
    options: FormatOptions,
    countdown_keys: Container[str],
) -> _Part:
    mark = (">" if options.ascii else "▸") if window.binding else ""
    percent, color = "-" if options.ascii else "—", _DIM
    idle = window.state(now) == "idle" and not window.utilization
    if window.utilization is not None and not idle:
        percent = f"{percent_text(window.utilization)}%"
        color = _COLORS[severity_of(window.utilization)]
    text = f"{mark}{window.short_label} {percent}"
    left = window.time_until_reset(now)
    if window.key in countdown_keys and left is not None and left.total_seconds() > 0:
        text += f" {countdown(left, compact=True)}"
    return _Part(text, color)


def _trailer(status: AccountStatus, now: datetime) -> list[_Part]:
    """Return the age of old figures, the problem, or that there are no figures or limits."""
    usage = status.usage
    parts = []
    if usage is None:
        parts.append(_Part(NO_FIGURES, _DIM))
    else:
        if not usage.windows:
            parts.append(_Part(NO_LIMITS, _DIM))
        as_of = max((window.as_of for window in usage.windows), default=usage.as_of)
        old = age(status.api_time(now) - as_of)
        if status.stale(now) and old != "now":
            parts.append(_Part(f"{old} old", _DIM))
    if status.problem is not None:
        parts.append(_Part(problem_text.short(status.problem, now), _RED))
    return parts


def _separator(options: FormatOptions) -> str:
    return " - " if options.ascii else " · "


def _joined(parts: Sequence[_Part], options: FormatOptions) -> str:
    line = _separator(options).join(
        f"\x1b[{part.color}m{part.text}\x1b[0m" if options.color else part.text for part in parts
    )
    return line.encode("ascii", "replace").decode() if options.ascii else line
