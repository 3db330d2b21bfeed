"""Use by the hour: points used, time at 100 %, time that was watched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.limits.resets import Change, Span, Step

HOUR = timedelta(hours=1)


class HourUse(NamedTuple):
    """One hour (of UTC) of one window key.

    ``used`` is in points; ``peak`` is the highest figure read, None if none was. ``reads`` is 0 for
    an hour without readings: its points come from readings before and after it.
    """

    hour: datetime
    used: float = 0.0
    blocked_seconds: float = 0.0
    watched_seconds: float = 0.0
    reads: int = 0
    peak: float | None = None

    def plus(self, other: HourUse) -> HourUse:
        """Return the sum of two parts of one hour."""
        peaks = [each.peak for each in (self, other) if each.peak is not None]
        return HourUse(
            self.hour,
            self.used + other.used,
            self.blocked_seconds + other.blocked_seconds,
            self.watched_seconds + other.watched_seconds,
            self.reads + other.reads,
            max(peaks, default=None),
        )


class HourTable:
    """The hours of an account's windows, summed from the steps of a `WindowTracker`."""

    def __init__(self) -> None:
        self._hours: dict[str, dict[datetime, HourUse]] = {}

    def add(self, step: Step, read_at: datetime) -> None:
        """Add what a reading changed."""
        if step.change is Change.DISCARDED:
            return
        for hour in hours_of(step, read_at):
            rows = self._hours.setdefault(step.key, {})
            stored = rows.get(hour.hour)
            rows[hour.hour] = hour if stored is None else stored.plus(hour)

    def rows(self, key: str) -> list[HourUse]:
        """Return the hours of a key that have any use, time or reading, oldest first."""
        rows = self._hours.get(key, {})
        return [rows[hour] for hour in sorted(rows)]


def hours_of(step: Step, read_at: datetime) -> list[HourUse]:
    """Return what a step adds to each hour; use is spread evenly over the time between readings."""
    parts: list[HourUse] = []
    if step.change is not Change.PENDING:
        peak = step.window.utilization if step.window else 0.0
        parts.append(HourUse(hour_at(read_at), reads=1, peak=peak))
    if step.increment is not None:
        began_at, ended_at, points = step.increment
        if began_at >= ended_at:
            parts.append(HourUse(hour_at(ended_at), used=points))
        else:
            total = ended_at - began_at
            parts += [
                HourUse(hour, used=points * (span / total))
                for hour, span in _split((began_at, ended_at))
            ]
    if step.blocked is not None:
        parts += [
            HourUse(hour, blocked_seconds=span.total_seconds())
            for hour, span in _split(step.blocked)
        ]
    if step.watched is not None:
        parts += [
            HourUse(hour, watched_seconds=span.total_seconds())
            for hour, span in _split(step.watched)
        ]
    return _summed(parts)


def hour_at(moment: datetime) -> datetime:
    """Return the beginning of the hour (of UTC) that an instant lies in."""
    return datetime.fromtimestamp(moment.timestamp() // 3600 * 3600, UTC)


def _split(span: Span) -> Iterator[tuple[datetime, timedelta]]:
    """Yield the hours of a span, with the time that the span takes in each."""
    began_at, ended_at = span
    hour = hour_at(began_at)
    while hour < ended_at:
        yield hour, min(ended_at, hour + HOUR) - max(began_at, hour)
        hour += HOUR


def _summed(parts: list[HourUse]) -> list[HourUse]:
    hours: dict[datetime, HourUse] = {}
    for part in parts:
        stored = hours.get(part.hour)
        hours[part.hour] = part if stored is None else stored.plus(part)
    return list(hours.values())
