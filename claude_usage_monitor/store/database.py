"""state.db: one SQLite file that all processes of this user share, or memory where that fails.

Opening never fails: a damaged file is set aside, a newer one is left alone, and without a place to
write everything works from memory. What happened is said in `Database.notice`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

BUSY_SECONDS = 5.0  # writers hold the lock for milliseconds
_DAMAGED = (
    "file is not a database",
    "malformed",
    "encrypted",
    "no such table",
    "no such column",
    "already exists",
    "columns but",
)
_BUSY = ("locked", "busy")
_CARRIED = (  # all but the history
    "newest", "complete", "identity", "login", "request", "gate", "spend_part", "spend_trouble",
)  # fmt: skip

# Each migration takes the schema from one user_version to the next; only ever add at the end.
_MIGRATIONS = (
    """
    CREATE TABLE reading (          -- every figure read, in long form, thinned after eight days
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        read_at INTEGER NOT NULL,   -- ms since the epoch, as every instant here
        utilization REAL,
        resets_at INTEGER,
        source TEXT NOT NULL,
        PRIMARY KEY (account, key, read_at)
    ) WITHOUT ROWID;
    CREATE INDEX reading_by_time ON reading (read_at);
    CREATE TABLE hourly (           -- the highest figure of an hour, kept for a year
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        hour INTEGER NOT NULL,      -- ms
        utilization REAL NOT NULL,
        PRIMARY KEY (account, key, hour)
    ) WITHOUT ROWID;
    CREATE INDEX hourly_by_time ON hourly (hour);
    CREATE TABLE newest (           -- the newest figure of each window: what faces show
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        label TEXT NOT NULL,
        model TEXT,
        utilization REAL,
        resets_at INTEGER,
        is_active INTEGER NOT NULL,
        source TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID;
    CREATE TABLE complete (         -- the last reading of a whole account
        account TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        money TEXT NOT NULL         -- extra usage and credit pools, as JSON
    ) WITHOUT ROWID;
    CREATE TABLE identity (         -- whose a token is: never the token, a fingerprint
        fingerprint TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        profile TEXT                -- JSON, NULL until it was asked for
    );
    CREATE TABLE login (            -- since when Claude Code has been logged in as whom
        place TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        since INTEGER               -- NULL: as long as is known
    ) WITHOUT ROWID;
    CREATE TABLE request (          -- the ledger: every request for usage of the last hour
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        account TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        answered INTEGER NOT NULL DEFAULT 0,
        process TEXT NOT NULL
    );
    CREATE INDEX request_by_time ON request (asked_at);
    CREATE TABLE gate (             -- what keeps a token from asking, and until when
        fingerprint TEXT PRIMARY KEY,
        asked_at INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        clock_ahead INTEGER NOT NULL,
        code TEXT,
        message TEXT,
        hint TEXT,
        since INTEGER,
        rate_limits INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE spend_part (       -- an organisation's reports, each as it was last read
        account TEXT NOT NULL,
        month TEXT NOT NULL,        -- its first day, or empty for a list of names
        part TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        content TEXT NOT NULL,      -- JSON, amounts as exact text
        PRIMARY KEY (account, month, part)
    );
    CREATE TABLE spend_trouble (    -- what keeps a single call from its answer
        account TEXT NOT NULL,
        call TEXT NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        met_at INTEGER NOT NULL,
        PRIMARY KEY (account, call)
    ) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION = len(_MIGRATIONS)


class Database(NamedTuple):
    """An open database; ``notice`` says when it is not the file it should be."""

    connection: sqlite3.Connection
    path: Path | None
    notice: str | None = None
    inode: int | None = None

    def data_version(self) -> int:
        """Return a number that changes when another process has written."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Close it; what was committed is kept."""
        self.connection.close()


def is_damage(error: Exception) -> bool:
    """Return whether an error says that a file's content is not what it should be."""
    return any(words in str(error) for words in _DAMAGED)


def is_busy(error: Exception) -> bool:
    """Return whether an error says that another process holds the file."""
    return isinstance(error, sqlite3.Error) and any(words in str(error) for words in _BUSY)


def open_database(
    path: Path, patience: float = BUSY_SECONDS, fallback: Path | None = None
) -> Database:
    """Open state.db, made, migrated and repaired as needed. Never fails.

    ``patience`` is how many seconds a write waits for another process's. ``fallback`` serves all
    processes where ``path`` cannot be used, so that they still share one budget; else memory does.
    """
    inode = inode_of(path)
    try:
        return _open_file(path, patience)
    except _Newer:
        reason = "it was written by a newer version: left alone"
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return without_damaged(path, patience, inode)
        reason = str(error)
    except OSError as error:
        reason = error.strerror or "no such place is possible"
    if fallback is not None:
        with suppress(sqlite3.Error, OSError, _Newer):
            _require_private(fallback.parent)
            database = _open_file(fallback, patience)
            notice = f"{path} cannot be used ({reason}): kept in {fallback} for now."
            return database._replace(notice=notice)
    return in_memory(f"{path} cannot be used ({reason}): nothing is kept.")


class _Newer(Exception):
    """Raised for a file of a later schema."""


def _require_private(folder: Path) -> None:
    """Make a folder in a place that others write to too; one that is not ours alone is refused."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not stat.S_ISDIR(found.st_mode) or not ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(f"{folder} is not ours alone")


def carry(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy what can be read of all but the history."""
    for table in _CARRIED:
        with suppress(sqlite3.Error):
            for row in source.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608
                marks = ", ".join("?" * len(row))
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608


def in_memory(notice: str | None = None) -> Database:
    """Open a database that ends with the process."""
    connection = _connect(":memory:")
    _migrate(connection)
    return Database(connection, None, notice)


def _open_file(path: Path, patience: float) -> Database:
    for folder in reversed(path.parents):
        if not folder.exists():  # each by itself: parents=True would take the umask's mode
            folder.mkdir(mode=0o700, exist_ok=True)
    # Made by us and not by SQLite, whose own mode would be the umask's; -wal and -shm inherit it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    connection = _connect(str(path), patience)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise _Newer  # noqa: TRY301 - closed below like any other failure
        if version < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection)
    except (sqlite3.Error, _Newer):
        connection.close()
        raise
    return Database(connection, path, None, inode_of(path))


def _connect(name: str, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, timeout=patience, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of what is done meanwhile, or nothing of it; other writers wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date in one transaction, once, whoever else tries the same."""
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in migration.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")


def without_damaged(path: Path, patience: float, inode: int | None) -> Database:
    """Set a damaged file aside, never delete it, and begin anew.

    ``inode`` is the damaged file's: if another stands there, another process was quicker.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    try:
        if inode_of(path) == inode:
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.replace(aside.with_name(aside.name + suffix))
        database = _open_file(path, patience)
    except (sqlite3.Error, OSError, _Newer):
        return in_memory(f"{path} is damaged and cannot be set aside: nothing is kept.")
    return database._replace(notice=f"{path} was damaged: set aside as {aside.name}, begun anew.")


def inode_of(path: Path) -> int | None:
    """Return what tells a file from another in its place; ``None`` if there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None
