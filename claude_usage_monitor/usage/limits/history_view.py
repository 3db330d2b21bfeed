"""What the history view draws: the levels, windows and hours of one key in one range of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from claude_usage_monitor.usage.limits.history import FIVE_HOUR, SEVEN_DAY, SessionsLeft
from claude_usage_monitor.usage.limits.hours import HourUse
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.resets import WindowInstance

SPARK_HOURS = 168  # hours of a sparkline: the last week
HEAT_DAYS = 56
_DAY = timedelta(days=1)


class Range(StrEnum):
    """What the view shows; ``←`` and ``→`` change it."""

    DAY = "24 hours"
    WEEK = "7 days"
    MONTH = "30 days"
    YEAR = "a year"
    HEAT = "hours of the week"

    def step(self, by: int) -> Range:
        """Return the range ``by`` places later, at most the last one."""
        ranges = list(Range)
        return ranges[min(max(ranges.index(self) + by, 0), len(ranges) - 1)]


class Level(NamedTuple):
    """The highest utilization of one window in a short span of time that begins at ``at``."""

    at: datetime
    utilization: float
    resets_at: datetime | None


class HistoryView(NamedTuple):
    """The data of the view for one range.

    ``use`` has the last hours of every key. ``levels``, ``windows`` and ``hours`` are those of
    ``key``, as far as the range needs them; ``current`` is its running window, ``forecast`` that
    window's.
    """

    range: Range
    key: str
    use: Mapping[str, Sequence[HourUse]]
    start: datetime
    end: datetime
    levels: Sequence[Level] = ()
    windows: Sequence[WindowInstance] = ()
    hours: Sequence[HourUse] = ()
    current: WindowInstance | None = None
    sessions_left: SessionsLeft | None = None
    forecast: Forecast | None = None

    def key_after(self, by: int) -> str:
        """Return the key ``by`` places after the one that is shown; the first follows the last."""
        keys = list(self.use)
        return keys[(keys.index(self.key) + by) % len(keys)]


@runtime_checkable
class HasHistory(Protocol):
    """A reader of an account that has windows, and so a history."""

    def history_view(
        self, shown: Range, now: datetime, selected: str | None = None
    ) -> HistoryView | None:
        """Return what the history view shows; None if nothing was ever read.

        ``selected`` is the key of the window to show, if the user has selected one.
        """
        ...


def key_of(shown: Range, keys: Sequence[str], selected: str | None = None) -> str | None:
    """Return the key that a range shows: the selected one, else sessions by the hour, or weeks."""
    first, second = (FIVE_HOUR, SEVEN_DAY)
    if shown in (Range.WEEK, Range.YEAR):
        first, second = second, first
    return next((key for key in (selected, first, second, *keys) if key in keys), None)


def span_of(
    shown: Range, current: WindowInstance | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a range; the running week is shown as a whole."""
    if shown is Range.DAY:
        return now - _DAY * 0.75, now + _DAY * 0.25
    if shown is Range.WEEK and current is not None and current.resets_at > now:
        return current.resets_at - 7 * _DAY, current.resets_at
    days = {Range.WEEK: 7, Range.MONTH: 30, Range.YEAR: 364, Range.HEAT: HEAT_DAYS}[shown]
    return now - days * _DAY, now


def columns_of_levels(view: HistoryView, count: int) -> list[float | None]:
    """Return the highest level in each of ``count`` columns; None where nothing is known.

    Between two readings of one window that hardly differ, the level is known.
    """
    columns: list[float | None] = [None] * count
    before: tuple[int, Level] | None = None
    for level in sorted(view.levels):
        column = _column(view, level.at, count)
        if column is None:
            continue
        if before is not None and _is_known_between(before[1], level):
            for number in range(before[0] + 1, column):
                columns[number] = before[1].utilization
        is_new_window = before is not None and not _is_same_window(before[1], level)
        if is_new_window or columns[column] is None:
            columns[column] = level.utilization
        else:
            columns[column] = max(columns[column] or 0.0, level.utilization)
        before = column, level
    return columns


def _column(view: HistoryView, at: datetime, count: int) -> int | None:
    share = (at - view.start) / (view.end - view.start)
    return min(int(share * count), count - 1) if 0 <= share <= 1 else None


def _is_same_window(one: Level, other: Level) -> bool:
    if one.resets_at is None or other.resets_at is None:
        return one.resets_at == other.resets_at
    return abs(one.resets_at - other.resets_at) <= timedelta(minutes=10)


def _is_known_between(one: Level, other: Level) -> bool:
    return _is_same_window(one, other) and abs(other.utilization - one.utilization) <= 3.0


class Peak(NamedTuple):
    """The highest utilization of the windows in one column, and how many of them were full."""

    utilization: float | None
    hits: int


def columns_of_windows(view: HistoryView, count: int) -> list[Peak]:
    """Return the windows' peaks in each of ``count`` columns of equal time."""
    peaks: list[Peak] = [Peak(None, 0)] * count
    for window in view.windows:
        column = _column(view, max(window.started_at, view.start), count)
        if column is not None:
            peak, hits = peaks[column]
            hits += window.full_at is not None
            peaks[column] = Peak(max(peak or 0.0, window.peak), hits)
    return peaks


class HeatMap(NamedTuple):
    """The mean points per hour of each hour of the week, Monday first, in a time zone."""

    means: tuple[tuple[float, ...], ...]

    @property
    def highest(self) -> float:
        """The highest mean of all hours."""
        return max(max(day) for day in self.means)

    @property
    def busiest(self) -> tuple[int, int] | None:
        """The weekday and the hour with the highest mean; None without any use."""
        if self.highest <= 0:
            return None
        return next(
            (day, hour)
            for day, means in enumerate(self.means)
            for hour, mean in enumerate(means)
            if mean == self.highest
        )


def heat_map(hours: Sequence[HourUse], zone: tzinfo | None) -> HeatMap:
    """Return the mean use of each hour of the week, over the weeks since the first hour."""
    sums = [[0.0] * 24 for _ in range(7)]
    if hours:
        weeks = max(1.0, (hours[-1].hour - hours[0].hour) / (7 * _DAY))
        for row in hours:
            local = row.hour.astimezone(zone)
            sums[local.weekday()][local.hour] += row.used / weeks
    return HeatMap(tuple(tuple(day) for day in sums))


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def busiest_text(heat: HeatMap, *, short: bool = False) -> str | None:
    """Return the hour of the week with the highest mean use in words; ``None`` without any use."""
    if heat.busiest is None:
        return None
    day, hour = heat.busiest
    points = f"{heat.highest:.0f} points an hour"
    if short:
        return f"{_WEEKDAYS[day][:3]} {hour:02d}:00 {points}"
    return f"busiest: {_WEEKDAYS[day]} {hour:02d}:00, {points}"
