"""The rows that we use from Claude Pace Maker's database, in any version of its schema.

A table or column that is missing or unreadable is a gap; the others are still read. No query names
the table ``secrets``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple, TypeAlias
from claude_usage_monitor.usage.throttling import Gap, GapReason

Row: TypeAlias = dict[str, object]

DATABASE = "usage.db"
ERRORS = (sqlite3.Error, UnicodeError, OverflowError)
"""The errors of a query in a damaged database, including those for damaged text."""

_MAX_BLOCKAGES = 1000
_BLOCKAGE_PERIOD = timedelta(hours=1)
_SNAPSHOT_COLUMNS = (
    "timestamp",
    "five_hour_util",
    "five_hour_resets_at",
    "seven_day_util",
    "seven_day_resets_at",
)
_COLUMNS = {
    "api_cache": (*_SNAPSHOT_COLUMNS, "raw_response"),
    "usage_snapshots": _SNAPSHOT_COLUMNS,
    "pacing_decisions": ("timestamp", "should_throttle", "delay_seconds"),
    "fallback_state_v2": ("state", "resets_at_5h", "resets_at_7d"),
    "backoff_state": ("consecutive_429s", "backoff_until"),
    "blockage_events": ("category", "timestamp"),
}
_REASONS = {
    sqlite3.SQLITE_BUSY: GapReason.LOCKED,
    sqlite3.SQLITE_LOCKED: GapReason.LOCKED,
    sqlite3.SQLITE_CANTOPEN: GapReason.IN_USE,
    sqlite3.SQLITE_READONLY: GapReason.IN_USE,
    sqlite3.SQLITE_INTERRUPT: GapReason.TOO_SLOW,
    sqlite3.SQLITE_CORRUPT: GapReason.DAMAGED,
    sqlite3.SQLITE_NOTADB: GapReason.DAMAGED,
}


class Rows(NamedTuple):
    """The last row of each table, with unchanged values, and the unreadable parts as gaps.

    ``snapshot`` is the row of ``api_cache``, or else of the older ``usage_snapshots``.
    ``blockage_events`` are the last hour's: category and epoch.
    """

    api_cache: Row
    pacing_decisions: Row
    fallback_state: Row
    backoff_state: Row
    snapshot: Row
    blockage_events: tuple[tuple[object, object], ...] = ()
    gaps: tuple[Gap, ...] = ()


def read_tables(connection: sqlite3.Connection, now: datetime, gaps: Iterable[Gap]) -> Rows:
    """Return the rows of an open database; their gaps follow the given ones. Never raises."""
    tables = _Tables(connection)
    api_cache = tables.last_row("api_cache")
    rows = Rows(
        api_cache=api_cache,
        pacing_decisions=tables.last_row("pacing_decisions"),
        fallback_state=tables.last_row("fallback_state_v2"),
        backoff_state=tables.last_row("backoff_state"),
        snapshot=api_cache or tables.last_row("usage_snapshots", optional=True),
        blockage_events=tables.blockage_events((now - _BLOCKAGE_PERIOD).timestamp()),
    )
    return rows._replace(gaps=(*gaps, *tables.gaps))


def reason_for(error: Exception) -> GapReason:
    """Return the reason for the gap that an SQLite error causes."""
    if isinstance(error, UnicodeError):
        return GapReason.DAMAGED
    extended_code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return _REASONS.get(extended_code & 0xFF, GapReason.UNREADABLE)


class _Tables:
    """Reads the tables of an open database, and collects failures in ``gaps``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.gaps: list[Gap] = []

    def last_row(self, table: str, *, optional: bool = False) -> Row:
        """Return the last row of a table, as far as its columns exist."""
        try:
            columns = self._existing_columns(table, optional=optional)
            if not columns:
                return {}
            row = self._connection.execute(
                f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - names of this module
            ).fetchone()
        except ERRORS as error:
            self.gaps.append(Gap(table, reason_for(error)))
            return {}
        return dict(zip(columns, row, strict=True)) if row else {}

    def blockage_events(self, since: float) -> tuple[tuple[object, object], ...]:
        """Return category and epoch of the events since an epoch, among the newest rows."""
        table = "blockage_events"
        try:
            if len(self._existing_columns(table)) < len(_COLUMNS[table]):
                return ()
            events = self._connection.execute(
                "SELECT category, timestamp FROM (SELECT category, timestamp FROM blockage_events"
                " ORDER BY rowid DESC LIMIT ?) WHERE timestamp >= ?",
                (_MAX_BLOCKAGES, since),
            ).fetchall()
        except ERRORS as error:
            self.gaps.append(Gap(table, reason_for(error)))
            return ()
        if len(events) == _MAX_BLOCKAGES:
            self.gaps.append(Gap(table, GapReason.TOO_MANY_ROWS))
        return tuple(events)

    def _existing_columns(self, table: str, *, optional: bool = False) -> list[str]:
        """Return the columns that exist; unless ``optional``, the missing ones are a gap."""
        existing = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        missing = tuple(column for column in _COLUMNS[table] if column not in existing)
        if missing and not optional:
            if existing:
                self.gaps.append(Gap(table, GapReason.MISSING_COLUMNS, missing))
            else:
                self.gaps.append(Gap(table, GapReason.MISSING_TABLE))
        return [column for column in _COLUMNS[table] if column in existing]
