"""Window instances and hours of use, which every reading updates through the rules for resets.

A window's row is never deleted before its account, and its id is the only identity of the window.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import Any, NamedTuple
from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)
from claude_usage_monitor.usage.limits.history_view import Level
from claude_usage_monitor.usage.limits.hours import HourUse, hours_of
from claude_usage_monitor.usage.limits.reading_sources import Source
from claude_usage_monitor.usage.limits.resets import (
    Change,
    Increment,
    Reading,
    Step,
    Track,
    WindowInstance,
    WindowTracker,
)
from claude_usage_monitor.usage.limits.windows import UsageWindow

_WINDOW_COLUMNS = (
    "key, started_at, resets_at, first_seen, last_seen, utilization, peak, full_at,"
    " full_at_is_latest, full_since, full_until, blocked, watched, lowered, ended_at, ending,"
    " plan, id"
)
_WINDOW_MARKS = ", ".join("?" * len(WindowInstance._fields))
_MILLISECOND = timedelta(milliseconds=1)


class PlanChange(NamedTuple):
    """When an account's plan changed. ``factor`` is how much the percentages changed by."""

    at: datetime
    factor: float | None


def record(connection: sqlite3.Connection, identity: str, windows: Sequence[UsageWindow]) -> None:
    """Follow the windows of a reading, within the transaction of the caller."""
    tracker = WindowTracker(tracks(connection, identity))
    readings = {
        window.key: Reading(window.as_of, window.utilization, window.resets_at, window.source)
        for window in windows
    }
    before = tracker.windows
    plan = _plan(connection, identity)
    for step in tracker.add(readings, plan):
        store_step(connection, identity, tracker, step, readings[step.key].read_at)
        if step.change is Change.PLAN and step.window is not None:
            change = plan_change(before.get(step.key), step.window)
            store_plan_change(connection, identity, change)


def store_step(
    connection: sqlite3.Connection,
    identity: str,
    tracker: WindowTracker,
    step: Step,
    read_at: datetime,
) -> None:
    """Store what a reading changed: its windows, its hours, and what the rules remember."""
    if step.change is Change.DISCARDED:
        return
    if step.closed is not None:
        store_window(connection, identity, step.closed)
    track = tracker.tracks[step.key]
    window = track.window
    if window is not None and step.change is not Change.PENDING:
        window = store_window(connection, identity, window)
        track = tracker.tracks[step.key] = track._replace(window=window)
    store_track(connection, identity, step.key, track)
    for hour in hours_of(step, read_at):
        _add_hour(connection, identity, step.key, hour)


def store_window(
    connection: sqlite3.Connection, identity: str, window: WindowInstance
) -> WindowInstance:
    """Insert or update a window's row; return the window with its id."""
    values = _window_values(window)
    if window.id is not None:
        columns = _WINDOW_COLUMNS.removesuffix(", id")
        connection.execute(
            f"UPDATE window_instance SET (account, {columns}) = ({_WINDOW_MARKS}) WHERE id = ?",  # noqa: S608 - names of ours
            (identity, *values),
        )
        return window
    cursor = connection.execute(
        f"INSERT INTO window_instance (account, {_WINDOW_COLUMNS}) VALUES (?, {_WINDOW_MARKS})",  # noqa: S608 - names of ours
        (identity, *values),
    )
    return window._replace(id=cursor.lastrowid)


def store_track(connection: sqlite3.Connection, identity: str, key: str, track: Track) -> None:
    """Store what the rules remember of a key."""
    pending = track.pending
    connection.execute(
        "INSERT OR REPLACE INTO tracking VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            key,
            milliseconds(track.read_at),
            track.window.id if track.window else None,
            milliseconds(pending.read_at) if pending else None,
            pending.utilization if pending else None,
            optional_milliseconds(pending.resets_at) if pending else None,
            track.echo,
        ),
    )


def plan_change(before: WindowInstance | None, after: WindowInstance) -> PlanChange:
    """Return the change of plan that a window shows, with its factor if the figure changed."""
    factor = None
    if before is not None and before.utilization >= 1 and before.resets_at == after.resets_at:
        factor = after.utilization / before.utilization
    return PlanChange(after.last_seen, factor)


def store_plan_change(connection: sqlite3.Connection, identity: str, change: PlanChange) -> None:
    """Store a change of plan; the windows that it changes at once are one change."""
    connection.execute(
        "INSERT OR IGNORE INTO plan_change VALUES (?, ?, ?)",
        (identity, milliseconds(change.at), change.factor),
    )


def windows(
    connection: sqlite3.Connection,
    identity: str,
    since: datetime | None = None,
    key: str | None = None,
) -> tuple[WindowInstance, ...]:
    """Return the windows that ended after ``since`` or have not ended, newest first."""
    rows = connection.execute(
        f"SELECT {_WINDOW_COLUMNS} FROM window_instance"  # noqa: S608 - a constant
        " WHERE account = ?1 AND (?2 IS NULL OR key = ?2)"
        " AND (?3 IS NULL OR coalesce(ended_at, resets_at) > ?3) ORDER BY started_at DESC, id DESC",
        (identity, key, optional_milliseconds(since)),
    )
    return tuple(_window(row) for row in rows)


def current_windows(connection: sqlite3.Connection, identity: str) -> dict[str, WindowInstance]:
    """Return the current window of each key; it may have passed its reset since."""
    return WindowTracker(tracks(connection, identity)).windows


def hours(
    connection: sqlite3.Connection, identity: str, key: str, since: datetime | None = None
) -> list[HourUse]:
    """Return the hours of a key that begin at ``since`` or later, oldest first."""
    rows = connection.execute(
        "SELECT hour, used, blocked, watched, reads, peak FROM hourly"
        " WHERE account = ? AND key = ? AND hour >= ? ORDER BY hour",
        (identity, key, 0 if since is None else milliseconds(since)),
    )
    return [HourUse(instant(row[0]), *row[1:]) for row in rows]


def readings(
    connection: sqlite3.Connection, identity: str, key: str, since: datetime | None = None
) -> list[Reading]:
    """Return the readings of a key that are still stored, oldest first."""
    return list(iterate_readings(connection, identity, key, since))


def iterate_readings(
    connection: sqlite3.Connection, identity: str, key: str, since: datetime | None = None
) -> Iterator[Reading]:
    """Yield the readings of `readings` one by one; eight days in a list need 2 MiB."""
    rows = connection.execute(
        "SELECT read_at, utilization, resets_at, source FROM reading"
        " WHERE account = ? AND key = ? AND read_at >= ? ORDER BY read_at",
        (identity, key, 0 if since is None else milliseconds(since)),
    )
    return (_reading(*row) for row in rows)


def levels(
    connection: sqlite3.Connection,
    identity: str,
    key: str,
    since: datetime,
    bucket: timedelta,
) -> list[Level]:
    """Return the highest utilization of each window in each span of ``bucket`` length."""
    rows = connection.execute(
        "SELECT min(read_at), max(utilization), max(resets_at) FROM reading"
        " WHERE account = ? AND key = ? AND read_at >= ? AND utilization IS NOT NULL"
        # A reset lies on a 10-minute mark and wobbles by a second: half of that apart is the same.
        " GROUP BY read_at / ?, (resets_at + 300000) / 600000 ORDER BY 1",
        (identity, key, milliseconds(since), bucket // _MILLISECOND),
    )
    return [Level(instant(at), utilization, optional_instant(end)) for at, utilization, end in rows]


def increments(
    connection: sqlite3.Connection, identity: str, key: str, since: datetime
) -> list[Increment]:
    """Return the use between the stored readings of a key, oldest first."""
    tracker = WindowTracker()
    steps = (
        step
        for reading in iterate_readings(connection, identity, key, since)
        for step in tracker.add({key: reading})
    )
    return [step.increment for step in steps if step.increment is not None]


def keys(connection: sqlite3.Connection, identity: str) -> list[str]:
    """Return the keys that have a history."""
    rows = connection.execute(
        "SELECT DISTINCT key FROM tracking WHERE account = ? ORDER BY key", (identity,)
    )
    return [str(key) for (key,) in rows]


def plan_changes(connection: sqlite3.Connection, identity: str) -> list[PlanChange]:
    """Return the changes of plan, oldest first."""
    rows = connection.execute(
        "SELECT at, factor FROM plan_change WHERE account = ? ORDER BY at", (identity,)
    )
    return [PlanChange(instant(at), factor) for at, factor in rows]


def tracks(connection: sqlite3.Connection, identity: str) -> dict[str, Track]:
    """Return what the rules remember of each key."""
    columns = ", ".join(f"window_instance.{name}" for name in _WINDOW_COLUMNS.split(", "))
    rows = connection.execute(
        "SELECT tracking.key, read_at, pending_at, pending_utilization, pending_resets_at, echo,"  # noqa: S608 - names of ours
        f" {columns} FROM tracking"
        " LEFT JOIN window_instance ON window_instance.id = tracking.window_id"
        " WHERE tracking.account = ?",
        (identity,),
    ).fetchall()
    found = {}
    for key, read_at, pending_at, utilization, resets_at, echo, *window in rows:
        pending = None
        if pending_at is not None:
            pending = _reading(pending_at, utilization, resets_at, "api")
        current = None if window[0] is None else _window(window)
        found[str(key)] = Track(instant(read_at), current, pending, echo)
    return found


def _plan(connection: sqlite3.Connection, identity: str) -> str | None:
    row = connection.execute(
        "SELECT coalesce(json_extract(profile, '$.rate_limit_tier'),"
        " json_extract(profile, '$.plan'))"
        " FROM identity WHERE account = ? AND profile IS NOT NULL ORDER BY rowid DESC LIMIT 1",
        (identity,),
    ).fetchone()
    return str(row[0]) if row and row[0] else None


def _add_hour(connection: sqlite3.Connection, identity: str, key: str, hour: HourUse) -> None:
    connection.execute(
        "INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " peak = max(coalesce(peak, excluded.peak), coalesce(excluded.peak, peak)),"
        " used = used + excluded.used, blocked = blocked + excluded.blocked,"
        " watched = watched + excluded.watched, reads = reads + excluded.reads",
        hour_values(identity, key, hour),
    )


def hour_values(identity: str, key: str, hour: HourUse) -> tuple[object, ...]:
    """Return the columns of an hour's row."""
    at = milliseconds(hour.hour)
    seconds = hour.blocked_seconds, hour.watched_seconds
    return (identity, key, at, hour.peak, hour.used, *seconds, hour.reads)


def _reading(
    read_at: int, utilization: float | None, resets_at: int | None, source: Source
) -> Reading:
    return Reading(instant(read_at), utilization, optional_instant(resets_at), source)


def _window_values(window: WindowInstance) -> tuple[object, ...]:
    return tuple(_column(value) for value in window)


def _column(value: object) -> object:
    if isinstance(value, datetime):
        return milliseconds(value)
    return value // _MILLISECOND if isinstance(value, timedelta) else value


def _window(row: Sequence[Any]) -> WindowInstance:
    (
        key, started_at, resets_at, first_seen, last_seen, utilization, peak, full_at, is_latest,
        full_since, full_until, blocked, watched, lowered, ended_at, end, plan, row_id,
    ) = row  # fmt: skip
    return WindowInstance(
        key,
        instant(started_at),
        instant(resets_at),
        instant(first_seen),
        instant(last_seen),
        utilization,
        peak,
        optional_instant(full_at),
        bool(is_latest),
        optional_instant(full_since),
        optional_instant(full_until),
        blocked * _MILLISECOND,
        watched * _MILLISECOND,
        bool(lowered),
        optional_instant(ended_at),
        end,
        plan,
        row_id,
    )
