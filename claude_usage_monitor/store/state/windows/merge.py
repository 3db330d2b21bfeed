"""Readings that are stored later than they were read: an import, another identity's, a migration.

They are followed through the rules for resets together with the stored readings, in order of time.
Then each window and each hour is merged with its stored row. Merging the same readings again
changes nothing.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.columns import milliseconds, optional_milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.limits.hours import HourTable, HourUse
from claude_usage_monitor.usage.limits.resets import (
    SAME_RESET,
    Change,
    Reading,
    Track,
    WindowInstance,
    WindowTracker,
)

_RETENTION = timedelta(days=8)  # readings before that are followed, but not stored

KeyedReading = tuple[str, Reading]
TimedReading = tuple[tuple[int, str], Reading]
"""A reading with its time in milliseconds and its key."""


class Imported(NamedTuple):
    """What an import changed."""

    readings: int
    new_readings: int
    windows: int
    new_windows: int


class _Replay(NamedTuple):
    """What a series of readings tells: windows, hours, plan changes, the state after the last."""

    windows: list[WindowInstance]
    hours: Mapping[str, list[HourUse]]
    plan_changes: list[history.PlanChange]
    tracks: Mapping[str, Track]


def import_readings(
    connection: sqlite3.Connection,
    identity: str,
    readings: Iterable[KeyedReading],
    *,
    dry_run: bool = False,
) -> Imported:
    """Merge readings in any order into an account's history; with ``dry_run``, change nothing."""
    with transaction(connection):
        connection.execute("SAVEPOINT before")
        imported = _merge_readings(connection, identity, readings)
        if dry_run:
            connection.execute("ROLLBACK TO before")
    return imported


def merge_accounts(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Merge the readings of every account of another database, within the caller's transaction."""
    for identity in _identities(source):
        readings = (
            (key, reading)
            for key in _keys(source, identity)
            for reading in history.iterate_readings(source, identity, key)
        )
        _merge_readings(target, identity, readings)


def follow_stored_readings(connection: sqlite3.Connection) -> None:
    """Fill the tables of windows and hours from the stored readings."""
    for identity in _identities(connection):
        _merge_readings(connection, identity, ())


def merge_history(connection: sqlite3.Connection, source: str, target: str) -> None:
    """Merge an identity's history into another's, within the caller's transaction."""
    hours = {
        key: history.hours(connection, source, key) for key in history.keys(connection, source)
    }
    replay = _Replay(
        list(reversed(history.windows(connection, source))),
        hours,
        history.plan_changes(connection, source),
        history.tracks(connection, source),
    )
    _merge(connection, target, replay)


def _identities(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT account FROM reading").fetchall()
    return [str(account) for (account,) in rows]


def _keys(connection: sqlite3.Connection, identity: str) -> list[str]:
    rows = connection.execute("SELECT DISTINCT key FROM reading WHERE account = ?", (identity,))
    return [str(key) for (key,) in rows.fetchall()]


def _merge_readings(
    connection: sqlite3.Connection, identity: str, imported: Iterable[KeyedReading]
) -> Imported:
    added = _by_time(imported)
    new = dict(added)
    newest = max((at for at, _ in added), default=0)
    rows = connection.execute("SELECT read_at, key FROM reading WHERE account = ?", (identity,))
    for at, key in rows:
        new.pop((at, key), None)
        newest = max(newest, at)
    stored = (_in_order(connection, identity, key) for key in _keys(connection, identity))
    replay = _replay(heapq.merge(sorted(new.items()), *stored))
    new_windows = _merge(connection, identity, replay)
    oldest = newest - _RETENTION // timedelta(milliseconds=1)
    connection.executemany(
        "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                identity,
                key,
                at,
                reading.utilization,
                optional_milliseconds(reading.resets_at),
                reading.source,
            )
            for (at, key), reading in new.items()
            if at >= oldest
        ],
    )
    return Imported(len(added), len(new), len(replay.windows), new_windows)


def _in_order(connection: sqlite3.Connection, identity: str, key: str) -> Iterator[TimedReading]:
    """Yield the stored readings of a key in order of time, without loading them all at once."""
    for reading in history.iterate_readings(connection, identity, key):
        yield (milliseconds(reading.read_at), key), reading


def _by_time(readings: Iterable[KeyedReading]) -> dict[tuple[int, str], Reading]:
    return {(milliseconds(reading.read_at), key): reading for key, reading in readings}


def _replay(readings: Iterable[TimedReading]) -> _Replay:
    """Follow readings that are in order of time."""
    tracker, hours = WindowTracker(), HourTable()
    closed: list[WindowInstance] = []
    plan_changes: list[history.PlanChange] = []
    for _, of_one_time in groupby(readings, key=lambda timed: timed[0][0]):
        of_one_read = {key: reading for (_, key), reading in of_one_time}
        before = tracker.windows
        for step in tracker.add(of_one_read):
            hours.add(step, of_one_read[step.key].read_at)
            if step.closed is not None:
                closed.append(step.closed)
            if step.change is Change.PLAN and step.window is not None:
                plan_changes.append(history.plan_change(before.get(step.key), step.window))
    rows = {key: hours.rows(key) for key in tracker.tracks}
    windows = [*closed, *tracker.windows.values()]
    return _Replay(windows, rows, plan_changes, tracker.tracks)


def _merge(connection: sqlite3.Connection, identity: str, replay: _Replay) -> int:
    """Merge a replay into the stored rows; return how many windows are new."""
    began = min((window.started_at for window in replay.windows), default=None)
    stored = list(history.windows(connection, identity, began and began - SAME_RESET))
    rows: dict[tuple[str, datetime], WindowInstance] = {}
    new = 0
    for window in replay.windows:
        match = next((each for each in stored if _is_same(each, window)), None)
        if match is None:
            new += 1
            row = window
        else:
            stored.remove(match)
            row = merged(match, window)
        rows[window.key, window.started_at] = history.store_window(connection, identity, row)
    current = history.tracks(connection, identity)
    for key, track in replay.tracks.items():
        if key not in current or track.read_at >= current[key].read_at:
            window_now = track.window and rows[key, track.window.started_at]
            history.store_track(connection, identity, key, track._replace(window=window_now))
    for key, hours in replay.hours.items():
        connection.executemany(
            "INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " (peak, used, blocked, watched, reads) = (excluded.peak, excluded.used,"
            " excluded.blocked, excluded.watched, excluded.reads) WHERE excluded.reads >= reads",
            (history.hour_values(identity, key, hour) for hour in hours),
        )
    for change in replay.plan_changes:
        history.store_plan_change(connection, identity, change)
    return new


def _is_same(stored: WindowInstance, window: WindowInstance) -> bool:
    """Return whether two rows describe parts of one window."""
    if stored.key != window.key or abs(stored.resets_at - window.resets_at) > SAME_RESET:
        return False
    return not (_precedes(stored, window) or _precedes(window, stored))


def _precedes(one: WindowInstance, other: WindowInstance) -> bool:
    """Return whether a window ended early and the other one, with the same reset, followed it."""
    ended_early = one.end == "early" and one.ended_at is not None
    if ended_early and one.ended_at is not None and other.first_seen >= one.ended_at:
        return True
    return one.last_seen < other.started_at


def merged(stored: WindowInstance, window: WindowInstance) -> WindowInstance:
    """Return the row of a window of which two parts are known."""
    older, newer = sorted((stored, window), key=lambda each: each.last_seen)
    early = next((each for each in (newer, older) if each.end == "early"), newer)
    are_apart = older.last_seen < newer.first_seen
    full = min(
        (each for each in (older, newer) if each.full_at is not None),
        key=lambda each: each.full_at or each.resets_at,
        default=newer,
    )
    since = [each.full_since for each in (older, newer) if each.full_since is not None]
    return newer._replace(
        id=stored.id,
        started_at=max(older.started_at, newer.started_at),
        first_seen=min(older.first_seen, newer.first_seen),
        peak=max(older.peak, newer.peak),
        full_at=full.full_at,
        full_at_is_latest=full.full_at_is_latest,
        full_since=min(since) if newer.full_since is not None else None,
        full_until=newer.full_until or older.full_until,
        blocked=max(older.blocked, newer.blocked),
        watched=older.watched + newer.watched if are_apart else max(older.watched, newer.watched),
        lowered=older.lowered or newer.lowered,
        ended_at=early.ended_at,
        end=early.end,
        plan=newer.plan or older.plan,
    )
