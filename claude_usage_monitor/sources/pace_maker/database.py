"""Claude Pace Maker's usage.db, an SQLite database that another program uses: read only.

We open it so that SQLite neither creates nor changes a file beside it: as immutable if there is
no write-ahead log, otherwise with its shared memory read-only. It waits for locks only briefly.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from claude_usage_monitor.files import open_regular_file
from claude_usage_monitor.sources.pace_maker.folder import file_gap_reason
from claude_usage_monitor.sources.pace_maker.rows import (
    DATABASE,
    ERRORS,
    Rows,
    read_tables,
    reason_for,
)
from claude_usage_monitor.usage.throttling import Gap, GapReason

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)  # in the header: the format's versions for writing and for reading
_WITHOUT_LOG = b"\1\1"  # these versions mean a rollback journal instead of a write-ahead log
_IMMUTABLE = "immutable=1"
_LOCK_TIMEOUT = 0.05  # seconds
_READ_TIMEOUT = 0.25  # seconds; most databases take 2 ms, one without indexes may take longer
_STEPS_PER_CHECK = 20_000  # of SQLite's virtual machine, between two checks of the time
_ATTEMPTS = 3
_MAX_VALUE_BYTES = 4 << 20


class Unreadable(Exception):
    """Raised when nothing in the database can be read; ``gap`` says why."""

    def __init__(self, reason: GapReason) -> None:
        self.gap = Gap(DATABASE, reason)
        super().__init__(str(self.gap))


def read_rows(path: Path, now: datetime) -> Rows:
    """Return the rows of the database. Raises Unreadable.

    Retries a few times if another process changes the database during a read.
    """
    for _ in range(_ATTEMPTS):
        before = signature(path)
        try:
            rows, is_consistent = _read_once(path, now)
        except Unreadable:
            if before == signature(path):
                raise
            continue
        if is_consistent or before == signature(path):
            return rows
    raise Unreadable(GapReason.CHANGING)


def signature(path: Path) -> tuple[object, ...]:
    """Return a value that changes when the database or one of its journals changes."""
    return tuple(stamp(f"{path}{suffix}") for suffix in ("", "-wal", "-journal"))


def stamp(path: Path | str) -> tuple[int, int, int] | None:
    """Return a value that changes when a file is written or replaced; ``None`` without a file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_once(path: Path, now: datetime) -> tuple[Rows, bool]:
    """Return the rows, and whether they are consistent even if another process is writing."""
    gaps: tuple[Gap, ...] = ()
    reason = GapReason.UNREADABLE
    for mode in _open_modes(path):
        try:
            with closing(_open(path, mode)) as connection:
                return read_tables(connection, now, gaps), mode != _IMMUTABLE
        except ERRORS as error:
            reason = reason_for(error)
        gaps = (Gap(DATABASE, GapReason.NEWEST_CHANGES),)  # the next mode ignores the log
    raise Unreadable(reason)


def _open_modes(path: Path) -> tuple[str, ...]:
    """Return the ways to open the database that change no file, best first. Raises Unreadable."""
    header = _read_header(path)
    if not header:
        raise Unreadable(GapReason.EMPTY)
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise Unreadable(GapReason.NOT_A_DATABASE)
    log = stamp(f"{path}-wal")
    if log is not None and log[1] > 0:
        return "mode=ro&readonly_shm=1", _IMMUTABLE
    if log is None and header[_VERSIONS] == _WITHOUT_LOG:
        return ("mode=ro",)  # readers take a lock and create no file
    return (_IMMUTABLE,)


def _read_header(path: Path) -> bytes:
    try:
        with open_regular_file(path) as file:
            return file.read(_HEADER_BYTES)
    except OSError as error:
        raise Unreadable(file_gap_reason(error)) from None


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{mode}",
        uri=True,
        timeout=_LOCK_TIMEOUT,
        isolation_level=None,
    )
    deadline = time.monotonic() + _READ_TIMEOUT
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_PER_CHECK)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")  # one snapshot for all queries
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except ERRORS:
        connection.close()
        raise
    return connection
