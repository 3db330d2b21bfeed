"""The invented past of the simulated account: weeks of office hours, some with a limit hit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from claude_usage_monitor.usage.limits.history import FIVE_HOUR, SEVEN_DAY, SessionsLeft
from claude_usage_monitor.usage.limits.history_view import (
    HistoryView,
    Level,
    Range,
    key_of,
    span_of,
)
from claude_usage_monitor.usage.limits.hours import HourTable, HourUse
from claude_usage_monitor.usage.limits.resets import Reading, WindowInstance, WindowTracker

_STEP = timedelta(minutes=10)
_DAYS = 60
_WORK_HOURS = ((8, 12, 2.6), (13, 18, 2.0))  # from, to, points in ten minutes
# The simulated present, on any day: a Wednesday in office hours, so that there is recent use.
_PRESENT = datetime(2026, 1, 7, 11, 20, tzinfo=UTC)
_WEEK_SHARE = 0.13  # weekly points for one point of a session


class _Past(NamedTuple):
    windows: list[WindowInstance]
    current: dict[str, WindowInstance]
    hours: dict[str, list[HourUse]]
    levels: dict[str, list[Level]]


def demo_history(shown: Range, now: datetime) -> HistoryView:
    """Return what the history view shows of the simulated account."""
    past = _past(now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0))
    key = key_of(shown, list(past.hours)) or FIVE_HOUR
    start, end = span_of(shown, past.current.get(key), now)
    return HistoryView(
        shown,
        key,
        past.hours,
        start,
        end,
        [level for level in past.levels[key] if start <= level.at <= end],
        [window for window in past.windows if window.key == key],
        past.hours[key],
        past.current.get(key),
        SessionsLeft(4.2, 5.7),
    )


@lru_cache(maxsize=1)
def _past(last: datetime) -> _Past:
    """Return the weeks before an instant; takes a tenth of a second."""
    tracker, hours = WindowTracker(), HourTable()
    closed: list[WindowInstance] = []
    levels: dict[str, list[Level]] = {FIVE_HOUR: [], SEVEN_DAY: []}
    used = {FIVE_HOUR: 0.0, SEVEN_DAY: 0.0}
    resets: dict[str, datetime | None] = {FIVE_HOUR: None, SEVEN_DAY: None}
    moment = last - _DAYS * timedelta(days=1)
    week_end = last + timedelta(days=3, hours=2)
    while moment < last:
        moment += _STEP
        resets[SEVEN_DAY] = week_end - ((week_end - moment) // timedelta(days=7)) * timedelta(
            days=7
        )
        readings = {}
        points = _points(_PRESENT + (moment - last)) if used[FIVE_HOUR] < 100 else 0.0
        for key, share in ((FIVE_HOUR, 1.0), (SEVEN_DAY, _WEEK_SHARE)):
            window = tracker.windows.get(key)
            if window is not None and moment >= window.resets_at:
                used[key] = 0.0
                if key == FIVE_HOUR:
                    resets[key] = None
            if points and resets[key] is None:
                resets[key] = moment + timedelta(hours=5)
            used[key] = min(100.0, used[key] + points * share)
            readings[key] = Reading(moment, used[key], resets[key], "demo")
            if last - moment < timedelta(days=8):
                levels[key].append(Level(moment, used[key], resets[key]))
        for step in tracker.add(readings):
            hours.add(step, moment)
            if step.closed is not None:
                closed.append(step.closed)
    windows = [*closed, *tracker.windows.values()]
    rows = {each: hours.rows(each) for each in used}
    return _Past(windows, tracker.windows, rows, levels)


def _points(moment: datetime) -> float:
    """Return what ten minutes use: more on some days and in some hours than in others."""
    if moment.weekday() > 4:
        return 0.0
    day = moment.toordinal()
    for first, end, points in _WORK_HOURS:
        if first <= moment.hour < end:
            wave = math.sin(day * 12.9898 + moment.hour * 78.233) * 43758.5453
            return round(points * (0.3 + 1.1 * (wave - math.floor(wave))), 1)
    return 0.0
