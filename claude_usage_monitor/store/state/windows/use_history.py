"""The use of each limit as forecasts need it, from the stored hours, windows and readings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime

from claude_usage_monitor.store.columns import milliseconds
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.forecast.estimate import LONGER_KEY
from claude_usage_monitor.usage.forecast.past_use import (
    DAY,
    DETAIL_SPAN,
    HOUR,
    MAX_HOURS,
    UseHistory,
)
from claude_usage_monitor.usage.limits.resets import ROUNDING, SAME_RESET
from claude_usage_monitor.usage.limits.windows import length_of

_Scale = Callable[[float], float]
_SAME_RESET_MS = SAME_RESET.total_seconds() * 1000


def use_histories(
    connection: sqlite3.Connection, identity: str, now: datetime
) -> dict[str, UseHistory]:
    """Return the use of each limit of an account, by key."""
    began, scale = _plans(connection, identity)
    since = max(began, (int(now.timestamp() // HOUR) - MAX_HOURS) * HOUR)
    blocked_with = _blocked_hours(connection, identity, since)
    found = {}
    for key in history.keys(connection, identity):
        use = found[key] = UseHistory()
        for hour, points, blocked in _hours(connection, identity, key, since):
            if key != LONGER_KEY:  # nothing is used of the others while the week is full
                blocked = min(HOUR, blocked + blocked_with.get(hour, 0.0))  # noqa: PLW2901 - the hour's own, and the week's
            use.add_hour(hour, points * scale(hour), blocked)
        length = length_of(key)
        if length is not None and length.total_seconds() <= DAY:
            detail_since = max(since, now.timestamp() - DETAIL_SPAN)
            for start, end, points in _uses(connection, identity, key, detail_since):
                use.add_detail(start, end, points * scale(end))
            for start, end in _blocked_spans(connection, identity, key, detail_since, now):
                use.add_blocked_detail(start, end)
    return found


def _plans(connection: sqlite3.Connection, identity: str) -> tuple[float, _Scale]:
    """Return since when the use is comparable, and the factor for the use at an instant.

    Each change of plan changes the points that the same work uses. Where the factor is unknown, the
    history begins with the change.
    """
    changes = history.plan_changes(connection, identity)
    began = max((each.at.timestamp() for each in changes if not each.factor), default=0.0)
    factors = [(each.at.timestamp(), each.factor) for each in changes if each.factor]

    def scale(at: float) -> float:
        product = 1.0
        for changed_at, factor in factors:
            if at < changed_at:
                product *= factor
        return product

    return began, scale


def _hours(
    connection: sqlite3.Connection, identity: str, key: str, since: float
) -> Iterator[tuple[float, float, float]]:
    """Yield the start, the points and the seconds at 100 % of each hour."""
    rows = connection.execute(
        "SELECT hour / 1000.0, used, blocked FROM hourly"
        " WHERE account = ? AND key = ? AND hour >= ? ORDER BY hour",
        (identity, key, since * 1000),
    )
    yield from rows


def _blocked_hours(
    connection: sqlite3.Connection, identity: str, since: float
) -> dict[float, float]:
    hours = _hours(connection, identity, LONGER_KEY, since)
    return {hour: blocked for hour, _, blocked in hours if blocked}


def _uses(
    connection: sqlite3.Connection, identity: str, key: str, since: float
) -> Iterator[tuple[float, float, float]]:
    """Yield the start, the end and the points of each use between two stored readings.

    A figure above the peak that the rules for resets accepted is a wrong reading.
    """
    windows = connection.execute(
        "SELECT started_at, resets_at, peak FROM window_instance"
        " WHERE account = ? AND key = ? AND resets_at > ? ORDER BY started_at",
        (identity, key, since * 1000),
    ).fetchall()
    readings = connection.execute(
        "SELECT read_at, utilization, resets_at FROM reading WHERE account = ? AND key = ?"
        " AND read_at >= ? AND utilization IS NOT NULL ORDER BY read_at",
        (identity, key, since * 1000),
    )
    index, highest, last = -1, 0.0, None
    for read_at, utilization, resets_at in readings:
        while index + 1 < len(windows) and windows[index + 1][0] <= read_at:
            index, highest = index + 1, 0.0
        start, points = read_at if last is None else last, 0.0
        if index >= 0 and resets_at is not None:
            started_at, window_resets_at, peak = windows[index]
            is_of_window = abs(resets_at - window_resets_at) <= _SAME_RESET_MS
            if is_of_window and highest < utilization <= peak + ROUNDING:
                start = started_at if last is None else max(last, started_at)
                points, highest = utilization - highest, utilization
        yield start / 1000, read_at / 1000, points
        last = read_at


def _blocked_spans(
    connection: sqlite3.Connection, identity: str, key: str, since: float, now: datetime
) -> list[tuple[float, float]]:
    """Return when this limit or the weekly one was full, in seconds, in order of time."""
    rows = connection.execute(
        "SELECT full_at / 1000.0, min(coalesce(full_until, ended_at, resets_at), ?1) / 1000.0"
        " FROM window_instance WHERE account = ?2 AND key IN (?3, ?4)"
        " AND full_at IS NOT NULL AND resets_at > ?5 ORDER BY full_at",
        (milliseconds(now), identity, key, LONGER_KEY, since * 1000),
    )
    return rows.fetchall()
