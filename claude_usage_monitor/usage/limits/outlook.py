"""Whether a window lasts until its reset or runs out before, as text.

Every output that says this calls `outlook`, so that all of them say the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from claude_usage_monitor.usage.durations import (
    ClockStyle,
    clock_phrase,
    clock_time,
    countdown,
)
from claude_usage_monitor.usage.limits.pace import FULL
from claude_usage_monitor.usage.limits.windows import UsageWindow, percent_text

_MIN_ELAPSED_PERCENT = 1.0  # of a window's time: before that an average rate predicts nothing


class Outlook(NamedTuple):
    """How a window ends: its limit is reached, it runs out before its reset, or it lasts.

    ``runs_out_at`` is when it runs out; ``expected`` its utilization at the reset, in percent,
    if it lasts.
    """

    kind: Literal["reached", "runs_out", "lasts"]
    runs_out_at: datetime | None = None
    expected: float | None = None


def outlook(window: UsageWindow, now: datetime) -> Outlook | None:
    """Return how a window ends if it is used as on average so far; ``None`` if unknown."""
    utilization, elapsed = window.at(now).utilization, window.time_elapsed_percent(now)
    if utilization is not None and utilization >= FULL:
        return Outlook("reached")
    if utilization is None or elapsed is None or elapsed < _MIN_ELAPSED_PERCENT:
        return None
    full_at = window.full_at(now)
    if full_at is None:
        return Outlook("lasts", expected=min(utilization * FULL / elapsed, FULL))
    return Outlook("runs_out", full_at) if window.pace(now) == "over" else None


def outlook_texts(outlook: Outlook, now: datetime, clock: ClockStyle) -> tuple[str, ...]:
    """Return an outlook in words, from the longest text to the shortest."""
    if outlook.kind == "reached":
        return ("limit reached",)
    if outlook.runs_out_at is not None:
        at = clock_time(outlook.runs_out_at, now, clock)
        left = countdown(outlook.runs_out_at - now)
        return f"runs out in {left}, {at}", f"runs out {at}", f"out {at}"
    if not outlook.expected:
        return ("lasts until the reset", "lasts")
    expected = f"about {percent_text(outlook.expected)} %"
    return f"lasts until the reset, {expected}", f"lasts, {expected}", "lasts"


def outlook_phrase(outlook: Outlook, now: datetime, clock: ClockStyle) -> str:
    """Return an outlook in words without signs, for speech and logs."""
    if outlook.kind == "reached":
        return "limit reached"
    if outlook.runs_out_at is not None:
        return f"runs out {clock_phrase(outlook.runs_out_at, now, clock)}"
    if not outlook.expected:
        return "lasts until the reset"
    return f"lasts until the reset with about {percent_text(outlook.expected)} percent used"


def pace_texts(window: UsageWindow, now: datetime) -> tuple[str, ...]:
    """Return how a window compares with an even pace, the longest text first; maybe nothing."""
    delta, pace = window.pace_delta(now), window.pace(now)
    utilization = window.at(now).utilization
    if delta is None or pace is None or (utilization is not None and utilization >= FULL):
        return ()
    if pace == "on":
        return ("on an even pace", "on pace")
    points = max(1, round(abs(delta)))
    side, relation = ("ahead", "ahead of") if pace == "over" else ("behind", "behind")
    count = f"{points} point{'' if points == 1 else 's'}"
    return f"{count} {relation} an even pace", f"{count} {side}"
