"""Claude Pace Maker's targets: how much of a window may be used by now.

These are its rules, not this package's pace: the five-hour target begins at 10 %, the seven-day
target does not rise on Saturdays and Sundays (in UTC) and begins with a preload.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.usage.limits.pace import elapsed_percent

FIVE_HOURS = timedelta(hours=5)
SEVEN_DAYS = timedelta(days=7)
DEFAULT_PRELOAD = timedelta(hours=12)

_FIVE_HOUR_PRELOAD = 10.0  # percent: half an hour of the window
_DAY = timedelta(days=1)
_SATURDAY = 5


def five_hour_target(resets_at: datetime, now: datetime) -> float:
    """Return the target in percent: proportional to the time, but 10 in the first half hour."""
    return max(_FIVE_HOUR_PRELOAD, elapsed_percent(resets_at, FIVE_HOURS, now))


def seven_day_target(resets_at: datetime, now: datetime, preload: timedelta) -> float:
    """Return the target in percent: the elapsed share of the window's weekday time.

    At least ``preload``, a span of weekday time, counts as elapsed.
    """
    start = resets_at - SEVEN_DAYS
    whole = weekday_time(start, resets_at)
    elapsed = weekday_time(start, min(now, resets_at))
    return min(100.0, max(preload, elapsed) / whole * 100.0)


def weekday_time(start: datetime, end: datetime) -> timedelta:
    """Return how much of a span of a few weeks is on Mondays to Fridays, in its own time zone."""
    total = timedelta()
    moment = start
    while moment < end:
        midnight = (moment + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(midnight, end)
        if moment.weekday() < _SATURDAY:
            total += until - moment
        moment = until
    return total
