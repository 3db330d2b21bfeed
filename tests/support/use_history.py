"""A history of use that grows with each reading, for back-tests and tests of the estimator.

The program builds its histories from stored hours and readings; these follow a life step by step.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from claude_usage_monitor.usage.forecast.estimate import Forecaster
from claude_usage_monitor.usage.forecast.past_use import DETAIL_SPAN, HOUR, MAX_HOURS, UseHistory

_TRIM_AFTER = 2000  # points of the line: trimming it for every reading would take too long


class GrowingHistory(UseHistory):
    """A `UseHistory` that adds hours and line together, and forgets what is too old."""

    def add_use(self, start: float, end: float, points: float) -> None:
        """Add points that were used between two instants, evenly; uses come in order of time."""
        if self.began is None:
            self.began = start
        self.add_detail(start, end, points)
        for hour, share in _shares(start, end) if points > 0 else ():
            self._points[hour] = self._points.get(hour, 0.0) + points * share

    def add_blocked(self, start: float, end: float) -> None:
        """Add a span in which the limit was full; one that overlaps the last extends it."""
        start = max(start, self._blocked_spans[-1][1]) if self._blocked_spans else start
        self.add_blocked_detail(start, end)
        for hour, share in _shares(start, end) if start < end else ():
            self._blocked[hour] = self._blocked.get(hour, 0.0) + (end - start) * share

    def rescale(self, factor: float) -> None:
        """Multiply all points: a new plan has another allowance."""
        self._points = {hour: points * factor for hour, points in self._points.items()}
        self._totals = array("d", (total * factor for total in self._totals))

    def _append(self, instant: float, total: float) -> None:
        super()._append(instant, total)
        if len(self._times) > _TRIM_AFTER and self._times[0] < instant - 2 * DETAIL_SPAN:
            first = bisect_left(self._times, instant - DETAIL_SPAN)
            del self._times[:first], self._totals[:first]
            oldest = int(instant // HOUR) - MAX_HOURS
            for hours in (self._points, self._blocked):
                for hour in [hour for hour in hours if hour < oldest]:
                    del hours[hour]
            self._blocked_spans = [
                span for span in self._blocked_spans if span[1] > instant - DETAIL_SPAN
            ]


def history_of(forecaster: Forecaster, key: str) -> GrowingHistory:
    """Return a forecaster's history of a limit; a new one is empty."""
    history = forecaster.histories.setdefault(key, GrowingHistory())
    assert isinstance(history, GrowingHistory)
    return history


def _shares(start: float, end: float) -> Iterator[tuple[int, float]]:
    """Yield the number of each hour between two instants, and its share of the time between."""
    first, last = int(start // HOUR), int(end // HOUR)
    if first == last or end <= start:
        yield last, 1.0
        return
    for hour in range(first, last + 1):
        yield hour, (min((hour + 1) * HOUR, end) - max(hour * HOUR, start)) / (end - start)
