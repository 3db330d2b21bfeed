"""Claude Pace Maker's usage.db, a foreign SQLite database in use: read without a trace.

Opened so that nothing beside it is made or changed: as immutable when it has no write-ahead log,
else with its shared memory read only. Locks are not waited for.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from claude_usage_monitor.sources.pace_maker import rows
from claude_usage_monitor.sources.pace_maker.rows import Rows

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)  # in the header: to write and to read it
_OLD_FASHIONED = b"\1\1"  # anything else has a write-ahead log when it is in use
_IMMUTABLE = "immutable=1"
_LOCK_SECONDS = 0.05
_MOST_SECONDS = 0.25  # for a foreign schema without indexes; a healthy one needs 2 ms
_STEPS = 20_000  # of SQLite's machine between two looks at the clock
_TRIES = 3
_LONGEST_VALUE = 4 << 20


class Unreadable(Exception):
    """Raised when a database gives nothing at all; its text says why, in words."""


def read_rows(path: Path, now: datetime) -> Rows:
    """Return what the database holds. Raises Unreadable; a part that fails is a gap.

    What another process changed in the midst of it is read anew, a few times.
    """
    for _ in range(_TRIES):
        before = signature(path)
        try:
            rows, consistent = _read_once(path, now)
        except Unreadable:
            if before == signature(path):
                raise
            continue
        if consistent or before == signature(path):
            return rows
    raise Unreadable("usage.db is being written all the time")


def signature(path: Path) -> tuple[object, ...]:
    """Return what changes when the file, or the log beside it, is written to: three stats."""
    return tuple(stamp(f"{path}{suffix}") for suffix in ("", "-wal", "-journal"))


def stamp(path: Path | str) -> tuple[int, int, int] | None:
    """Return what changes when a file is written to or replaced; ``None`` if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of the price of Path.stat
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _logged(path: Path) -> bool:
    """Return whether there is a log: then a reader has a snapshot of its own."""
    log = stamp(f"{path}-wal")
    return log is not None and log[1] > 0


def _read_once(path: Path, now: datetime) -> tuple[Rows, bool]:
    """Return the rows, and whether they are of one instant whoever else writes."""
    modes = _modes(path)
    gaps: list[str] = []
    error: Exception | None = None
    for mode in modes:
        try:
            with closing(_open(path, mode)) as connection:
                return rows.rows_of(connection, now, gaps), mode != _IMMUTABLE
        except rows.ERRORS as found:
            error = found
        gaps = [*gaps, "usage.db: its newest changes (in the -wal file) cannot be read"]
    raise Unreadable(f"usage.db {rows.reason_of(error)}")


def _modes(path: Path) -> tuple[str, ...]:
    """Return the ways to open it that leave no trace, best first. Raises Unreadable."""
    header = _header(path)
    if not header:
        raise Unreadable("usage.db is empty")
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise Unreadable("usage.db is not a database")
    if _logged(path):
        return "mode=ro&readonly_shm=1", _IMMUTABLE
    if header[_VERSIONS] == _OLD_FASHIONED and stamp(f"{path}-wal") is None:
        return ("mode=ro",)  # readers take a lock and make no file
    return (_IMMUTABLE,)


def _header(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("usage.db is not a regular file")
            return os.read(descriptor, _HEADER_BYTES)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise Unreadable("usage.db is not there yet") from None
    except OSError as error:
        raise Unreadable(f"usage.db cannot be read: {error.strerror}") from None


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{mode}",
        uri=True,
        timeout=_LOCK_SECONDS,
        isolation_level=None,
    )
    deadline = time.monotonic() + _MOST_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")  # one snapshot for all of it
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except rows.ERRORS:
        connection.close()
        raise
    return connection
