"""Our SQLite files: private to this user, written in transactions, errors by code."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from claude_usage_monitor.files import NotARegularFile, NotPrivate, StrPath, require_own_file
from claude_usage_monitor.light_typing import Literal

if sys.platform != "win32":
    import fcntl

BUSY_TIMEOUT = 5.0  # seconds to wait for another process's write, which takes milliseconds
_BATCH_ROWS = 100
_LOCK_INTERVAL = 0.005  # seconds between two attempts to lock a folder

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk is full or reports an error",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_CORRUPT: "its content is damaged",
    sqlite3.SQLITE_NOTADB: "it is not a database",
}


_FREE_SPACE = "Free space."
_GIVE_ACCESS = "Give yourself access to it."
_MAKE_WRITABLE = "Make it writable, or name another folder in CLAUDE_USAGE_MONITOR_HOME."
_REMEDIES = {
    sqlite3.SQLITE_FULL: _FREE_SPACE,
    sqlite3.SQLITE_IOERR: f"{_FREE_SPACE} If there is enough, check the disk.",
    sqlite3.SQLITE_READONLY: _MAKE_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _GIVE_ACCESS,
    sqlite3.SQLITE_BUSY: "Try again in a moment.",
}
MOVE_AWAY = "Move the file away."


class UnusableDatabase(Exception):
    """Raised for a file that we must not change: a newer version's, or another program's."""


class NewerDatabase(UnusableDatabase):
    """Raised for a file that a newer version of this program has changed."""

    def __init__(self) -> None:
        super().__init__("a newer version of this program wrote it")


Mode = Literal["rw", "ro", "ro&immutable=1"]


def connect(path: StrPath, timeout: float = BUSY_TIMEOUT, mode: Mode = "rw") -> sqlite3.Connection:
    """Open an existing database file that any thread may use; each statement commits.

    An immutable file is read without the files beside it, which SQLite cannot create on a full
    disk: no other process may have it open. Raises OSError unless it is a regular file of this
    user that no other user can write.
    """
    require_own_file(path)
    # `urllib.parse.quote` would do, but importing it takes 2 ms.
    quoted = os.fspath(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    return sqlite3.connect(
        f"file:{quoted}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all of the block's writes, or none; other writers wait meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield


def batches(rows: sqlite3.Cursor) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows of a query some at a time: thousands at once would take a megabyte."""
    while batch := rows.fetchmany(_BATCH_ROWS):
        yield batch


def result_code(error: Exception) -> int | None:
    """Return SQLite's primary result code, ``None`` for an error that is not SQLite's."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(error: Exception) -> bool:
    """Return whether another process did not release its lock in time."""
    return result_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_corrupt(error: Exception) -> bool:
    """Return whether an error means that the file is not a valid database."""
    return result_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def reason_for(error: Exception) -> str:
    """Return why a database cannot be used, in a few words."""
    if isinstance(error, OSError):
        if error.errno == errno.EROFS:
            return "the file system is read-only"
        return error.strerror or type(error).__name__
    return _REASONS.get(result_code(error) or sqlite3.SQLITE_OK) or str(error)


def remedy_for(error: Exception) -> str:
    """Return what makes a database usable again: `MOVE_AWAY` if nothing else does."""
    if isinstance(error, NewerDatabase):
        return "Update this program."
    if isinstance(error, NotPrivate):
        return "Run the command above."
    if isinstance(error, OSError) and not isinstance(error, NotARegularFile):
        remedies = {errno.ENOSPC: _FREE_SPACE, errno.EROFS: _MAKE_WRITABLE}
        return remedies.get(error.errno or 0, _GIVE_ACCESS)
    return _REMEDIES.get(result_code(error) or sqlite3.SQLITE_OK, MOVE_AWAY)


def inode_of(path: StrPath) -> int | None:
    """Return a file's inode, which changes when it is replaced; ``None`` if there is no file."""
    try:
        return os.stat(path).st_ino
    except (OSError, ValueError):
        return None


@contextmanager
def locked_folder(folder: StrPath) -> Iterator[None]:
    """Run the block in one process at a time, for decisions that concern several files in a folder.

    This needs no space on a disk. Where the folder cannot be locked, or a stopped process holds the
    lock for longer than `BUSY_TIMEOUT`, the block runs all the same.
    """
    descriptor = None
    with suppress(OSError):
        descriptor = _open_and_lock(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)  # which also releases the lock


def _open_and_lock(folder: StrPath) -> int | None:
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    deadline = time.monotonic() + BUSY_TIMEOUT
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(_LOCK_INTERVAL)
    return descriptor
