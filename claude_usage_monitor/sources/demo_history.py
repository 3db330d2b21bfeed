"""The invented past of the simulated account: weeks of office hours that end at its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.demo import demo_usage
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
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow

_STEP = timedelta(minutes=10)
_DAYS = 60
_LEVELS_SPAN = timedelta(days=8)
_WORK_HOURS = ((8, 13, 3.2), (14, 18, 2.2), (21, 23, 1.4))  # from, to, points in ten minutes
# The simulated time at which the demo begins, on any day: a Wednesday, three minutes before the
# session that began with the day's work ends.
_PRESENT = datetime(2026, 1, 7, 12, 57, tzinfo=UTC)
# Points of each limit for one point of a session, in past windows.
_SHARES = {FIVE_HOUR: 1.0, SEVEN_DAY: 0.13, "seven_day:fable": 0.14}


class _Past(NamedTuple):
    windows: list[WindowInstance]
    current: dict[str, WindowInstance]
    hours: dict[str, list[HourUse]]
    levels: dict[str, list[Level]]


class _Running(NamedTuple):
    """A window that runs when the demo begins."""

    key: str
    utilization: float
    began_at: datetime
    resets_at: datetime

    @classmethod
    def of(cls, window: UsageWindow, started: datetime) -> _Running:
        """Return a window of the demo's figures, all of which have a reset and a length."""
        resets_at = window.resets_at or started
        begin = resets_at - (window.length or timedelta())
        return cls(window.key, window.utilization or 0.0, begin, resets_at)

    def reset_after(self, moment: datetime) -> datetime:
        """Return when the window ends that begins at an instant, or a week's that runs then."""
        length = self.resets_at - self.began_at
        if self.key == FIVE_HOUR and moment <= self.began_at:
            return moment + length
        return self.resets_at - (self.resets_at - moment) // length * length


def demo_history(
    shown: Range, now: datetime, started: datetime, last: datetime, selected: str | None = None
) -> HistoryView:
    """Return what the history view shows of a demo that began at ``started``.

    It was read last at ``last``, at which the history ends with the figures of `demo_usage`.
    """
    past = _past(started, last.replace(second=0, microsecond=0))
    key = key_of(shown, list(past.hours), selected) or FIVE_HOUR
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


@lru_cache(maxsize=2)
def _past(started: datetime, last: datetime) -> _Past:
    """Return the weeks before an instant; takes a tenth of a second."""
    tracker, hours = WindowTracker(), HourTable()
    closed: list[WindowInstance] = []
    levels: dict[str, list[Level]] = {key: [] for key in _SHARES}
    for moment, readings in (*_before(started), *_since(started, last)):
        for key, reading in readings.items():
            if last - moment < _LEVELS_SPAN:
                levels[key].append(Level(moment, reading.utilization or 0.0, reading.resets_at))
        for step in tracker.add(readings):
            hours.add(step, moment)
            if step.closed is not None:
                closed.append(step.closed)
    windows = [*closed, *tracker.windows.values()]
    return _Past(windows, tracker.windows, {key: hours.rows(key) for key in _SHARES}, levels)


def _before(started: datetime) -> Iterator[tuple[datetime, Mapping[str, Reading]]]:
    """Yield the readings before the demo; each limit reaches the figure that the demo begins at."""
    moments = [started - number * _STEP for number in range(_DAYS * 144, 0, -1)]
    steps = [(moment, _points(_PRESENT + (moment - started))) for moment in moments]
    running = [_Running.of(window, started) for window in demo_usage(started, started).windows]
    shares = {
        each.key: each.utilization / sum(points for at, points in steps if at > each.began_at)
        for each in running
    }
    used = dict.fromkeys(_SHARES, 0.0)
    resets: dict[str, datetime | None] = dict.fromkeys(_SHARES)
    for moment, points in steps:
        for each in running:
            key, end = each.key, resets[each.key]
            if end is not None and moment >= end:
                used[key], resets[key] = 0.0, None
            if points and resets[key] is None:
                resets[key] = each.reset_after(moment)
            share = shares[key] if moment > each.began_at else _SHARES[key]
            used[key] = min(100.0, used[key] + points * share)
        is_charted = points and started - moment < _LEVELS_SPAN
        if is_charted or moment.minute % 30 < 10:  # fewer readings take less time
            yield moment, {key: Reading(moment, used[key], resets[key], "demo") for key in _SHARES}


def _since(started: datetime, last: datetime) -> Iterator[tuple[datetime, Mapping[str, Reading]]]:
    """Yield the demo's own figures until ``last``."""
    moment = started
    while moment < last:
        yield moment, _readings(demo_usage(moment, started))
        moment += _STEP
    yield max(started, last), _readings(demo_usage(max(started, last), started))


def _readings(usage: Usage) -> Mapping[str, Reading]:
    return {
        window.key: Reading(usage.as_of, window.utilization, window.resets_at, "demo")
        for window in usage.windows
    }


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
