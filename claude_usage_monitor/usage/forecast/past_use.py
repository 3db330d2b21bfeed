"""What a forecast knows of the past: how much was used when, and how much is usual when.

Instants are seconds since the epoch, use is in points (percent of the limit).
"""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from math import exp2

HOUR = 3600.0
DAY = 86_400.0
MAX_HOURS = 56 * 24  # older weeks hardly count (the weight of a use halves every 28 days)
DETAIL_SPAN = 9 * DAY  # past days are compared for eight days, each with an hour around it

HOURS_OF_WEEK = 168

_PROFILE_HALF_LIFE = 28 * DAY
_LEVEL_HALF_LIFE = 4 * DAY
_LEVEL_HOURS = 20 * 24  # older hours count less than 3 % of the newest for the level
_CLASS_WEIGHT = 3.0  # hours that the mean of all working days (weekend days) counts as
_OVERALL_WEIGHT = 0.5  # hours that the overall mean counts as
_TYPICAL_HOURS = 72.0  # hours that the typical rate counts as
# What is usual, compared with a working day's daytime, before the user's own week is known.
_TYPICAL_WEEKEND = 0.6
_TYPICAL_NIGHT = 0.3
_NIGHT = range(1, 8)  # hours
_MIN_HOURS = 1 / 6  # a rate is not judged by less time than ten minutes


class UseHistory:
    """The use of one limit: by the hour for weeks, as a line over time for the last days.

    Uses and spans are added in order of time. ``began`` is the first instant of which the use is
    known, ``None`` before any.
    """

    def __init__(self) -> None:
        self.began: float | None = None
        self._points: dict[int, float] = {}  # by number of the hour since the epoch
        self._blocked: dict[int, float] = {}  # seconds at 100 %
        self._blocked_spans: list[tuple[float, float]] = []
        # The line: total use at instants, which rises evenly from one to the next.
        self._times = array("d")
        self._totals = array("d")

    # --- what was used ---------------------------------------------------------------------------

    def add_detail(self, start: float, end: float, points: float) -> None:
        """Add points that were used between two instants, evenly, to the line."""
        total = self._totals[-1] if self._totals else 0.0
        if not self._times or start > self._times[-1]:
            self._append(start, total)
        self._append(max(end, self._times[-1]), total + points)

    def add_blocked_detail(self, start: float, end: float) -> None:
        """Add a span in which the limit was full; one that overlaps the last extends it."""
        spans = self._blocked_spans
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif start < end:
            spans.append((start, end))

    def add_hour(self, start: float, points: float, blocked: float) -> None:
        """Add an hour: the points used in it, and its seconds at 100 %."""
        hour = int(start // HOUR)
        if self.began is None or start < self.began:
            self.began = start
        # Most hours have neither, and an entry takes 100 bytes.
        if points:
            self._points[hour] = self._points.get(hour, 0.0) + points
        if blocked:
            self._blocked[hour] = self._blocked.get(hour, 0.0) + blocked

    def _append(self, instant: float, total: float) -> None:
        self._times.append(instant)
        self._totals.append(total)

    # --- questions -------------------------------------------------------------------------------

    def hours(self, now: float, most: int = MAX_HOURS) -> Iterator[tuple[int, float, float]]:
        """Yield the number, points and open share (0–1) of each hour up to now, oldest first.

        The open share is the part of the hour that is known, past, and not at 100 %.
        """
        if self.began is None:
            return
        last = int(now // HOUR)
        for hour in range(max(int(self.began // HOUR), last - most), last + 1):
            start, end = max(hour * HOUR, self.began), min((hour + 1) * HOUR, now)
            known = max(0.0, end - start - self._blocked.get(hour, 0.0))
            yield hour, self._points.get(hour, 0.0), known / HOUR

    def points_in_hour(self, hour: int) -> float:
        """Return the points used in an hour, given its number."""
        return self._points.get(hour, 0.0)

    def blocked_in_hour(self, hour: int) -> float:
        """Return the seconds at 100 % in an hour, given its number."""
        return self._blocked.get(hour, 0.0)

    @property
    def detail_began(self) -> float | None:
        """The first instant of the line; ``None`` without one."""
        return self._times[0] if self._times else None

    def total_at(self, instant: float) -> float:
        """Return the points used from the beginning of the line to an instant."""
        times, totals = self._times, self._totals
        after = bisect_right(times, instant)
        if after == 0:
            return 0.0
        if after == len(times):
            return totals[-1]
        start, end = times[after - 1], times[after]
        share = (instant - start) / (end - start)
        return totals[after - 1] + (totals[after] - totals[after - 1]) * share

    def instant_of_total(self, total: float) -> float | None:
        """Return when the line reached a total; ``None`` if it never did."""
        times, totals = self._times, self._totals
        at = bisect_left(totals, total)
        if at == len(totals):
            return None
        if at == 0 or totals[at] == totals[at - 1]:
            return times[at]
        share = (total - totals[at - 1]) / (totals[at] - totals[at - 1])
        return times[at - 1] + (times[at] - times[at - 1]) * share

    def uses_since(self, instant: float) -> Iterator[tuple[float, float, float]]:
        """Yield start, end and points of the line's pieces since an instant."""
        times, totals = self._times, self._totals
        for index in range(max(1, bisect_right(times, instant)), len(times)):
            start, end = times[index - 1], times[index]
            points = totals[index] - totals[index - 1]
            if points > 0 and end > start:
                begun = max(start, instant)
                yield begun, end, points * (end - begun) / (end - start)

    def first_blocked(self, start: float, end: float) -> float | None:
        """Return when the limit was first full between two instants; ``None`` if it was not."""
        after = bisect_right(self._blocked_spans, start, key=operator.itemgetter(1))
        if after == len(self._blocked_spans) or self._blocked_spans[after][0] >= end:
            return None
        return max(start, self._blocked_spans[after][0])


def hour_of_week(instant: float, zone: tzinfo | None) -> int:
    """Return the local hour of the week, Monday 0:00 first."""
    local = datetime.fromtimestamp(instant, zone)
    return local.weekday() * 24 + local.hour


_TYPICAL_SHAPE = tuple(
    (_TYPICAL_WEEKEND if day >= 5 else 1.0) * (_TYPICAL_NIGHT if hour in _NIGHT else 1.0)
    for day in range(7)
    for hour in range(24)
)


def _shape(points: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the points per hour for each hour of the week.

    Hours with little history follow the same hour of the other working (weekend) days, and those
    follow the typical week.
    """
    typical_hours = sum(map(operator.mul, weights, _TYPICAL_SHAPE))
    overall = sum(points) / max(typical_hours, _MIN_HOURS)
    rates = [0.0] * HOURS_OF_WEEK
    for days in (range(5), range(5, 7)):
        for hour in range(24):
            slots = [day * 24 + hour for day in days]
            usual = overall * _TYPICAL_SHAPE[slots[0]]
            class_points = sum(points[slot] for slot in slots) + _OVERALL_WEIGHT * usual
            class_weight = sum(weights[slot] for slot in slots) + _OVERALL_WEIGHT
            class_rate = class_points / class_weight
            for slot in slots:
                rates[slot] = (points[slot] + _CLASS_WEIGHT * class_rate) / (
                    weights[slot] + _CLASS_WEIGHT
                )
    return rates


class UseProfile:
    """The usual points per hour for each hour of the week, and the level of the last days.

    It is built for an hour and serves until the hour is over; ``history_hours`` is how much history
    it has, where older hours count less. ``typical_rate`` is what users use in a mean hour, in
    points: it counts while there is little history.
    """

    def __init__(
        self,
        history: UseHistory,
        now: float,
        zone: tzinfo | None,
        level_points: float,
        typical_rate: float,
    ) -> None:
        self.hour = int(now // HOUR)
        self.rates = [0.0] * HOURS_OF_WEEK
        self.history_hours = 0.0
        self.zone = zone
        self._level_points = level_points
        self._typical_rate = typical_rate
        self._used = self._expected = 0.0
        self._build(history, now)

    def _build(self, history: UseHistory, now: float) -> None:
        points = [0.0] * HOURS_OF_WEEK
        weights = [0.0] * HOURS_OF_WEEK
        recent = []
        for hour, used, known in history.hours(now):
            slot = hour_of_week((hour + 0.5) * HOUR, self.zone)
            age = now - (hour + 0.5) * HOUR
            weight = exp2(-max(0.0, age) / _PROFILE_HALF_LIFE)
            if known > 0:
                points[slot] += weight * used
                weights[slot] += weight * known
            if self.hour - _LEVEL_HOURS <= hour < self.hour:
                recent.append((age, slot, used, known))
        self.history_hours = sum(weights)
        self._rates(points, weights)
        for age, slot, used, known in recent:
            weight = exp2(-age / _LEVEL_HALF_LIFE)
            self._used += weight * used
            self._expected += weight * known * self.rates[slot]
        self._built_at = now

    def _rates(self, points: list[float], weights: list[float]) -> None:
        """Set the rates: the user's week, at a level between theirs and a typical user's."""
        hours = max(self.history_hours, _MIN_HOURS)
        used = sum(points)
        mean = (used + _TYPICAL_HOURS * self._typical_rate) / (hours + _TYPICAL_HOURS)
        own_mean = used / hours
        if own_mean:
            self.rates = [mean * rate / own_mean for rate in _shape(points, weights)]
        else:
            self.rates = [mean * rate for rate in _TYPICAL_SHAPE]

    def rate_at(self, instant: float) -> float:
        """Return the usual points per hour at an instant."""
        return self.rates[hour_of_week(instant, self.zone)]

    def level(self, history: UseHistory, now: float) -> float:
        """Return how busy the last days were, compared with what is usual (1.0)."""
        decay = exp2(-(now - self._built_at) / _LEVEL_HALF_LIFE)
        hour = int(now // HOUR)
        known = max(0.0, now - hour * HOUR - history.blocked_in_hour(hour)) / HOUR
        used = decay * self._used + history.points_in_hour(hour)
        expected = decay * self._expected + known * self.rate_at(now)
        return (used + self._level_points) / (expected + self._level_points)

    def use_after(self, now: float, ends: Sequence[float], blocked: float) -> list[float]:
        """Return the usual points from now to each of some ends, in seconds after now.

        Nothing is used in the first ``blocked`` seconds.
        """
        totals = []
        total = 0.0
        instant = now + max(0.0, blocked)
        rate = self.rate_at(instant)
        next_hour = (instant // HOUR + 1) * HOUR
        for after in ends:
            end = now + after
            while end >= next_hour:
                total += rate * (next_hour - instant) / HOUR
                instant = next_hour
                next_hour += HOUR
                rate = self.rate_at(instant)
            if end > instant:
                total += rate * (end - instant) / HOUR
                instant = end
            totals.append(total)
        return totals
