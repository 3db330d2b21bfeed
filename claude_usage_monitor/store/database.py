"""state.db: one SQLite file that all processes of this user share, or memory where that fails.

Opening never fails: a damaged file is set aside, a newer one is left alone, and without a place to
write everything works from memory. What happened is said in `Database.notice`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

BUSY_SECONDS = 5.0  # writers hold the lock for milliseconds
_DAMAGED = ("file is not a database", "malformed", "encrypted")

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
)
SCHEMA_VERSION = len(_MIGRATIONS)


class Database(NamedTuple):
    """An open database; ``notice`` says when it is not the file it should be."""

    connection: sqlite3.Connection
    path: Path | None
    notice: str | None = None

    def data_version(self) -> int:
        """Return a number that changes when another process has written."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Close it; what was committed is kept."""
        self.connection.close()


def open_database(path: Path, patience: float = BUSY_SECONDS) -> Database:
    """Open state.db, made, migrated and repaired as needed. Never fails: memory serves instead.

    ``patience`` is how many seconds a write waits for another process's.
    """
    try:
        return _open_file(path, patience)
    except sqlite3.DatabaseError as error:
        if not any(words in str(error) for words in _DAMAGED):
            return in_memory(f"{path} cannot be used ({error}): nothing is kept.")
        return _without_damaged(path, patience)
    except OSError as error:
        return in_memory(f"{path} cannot be used ({error.strerror}): nothing is kept.")


def in_memory(notice: str | None = None) -> Database:
    """Open a database that ends with the process."""
    connection = _connect(":memory:")
    _migrate(connection)
    return Database(connection, None, notice)


def _open_file(path: Path, patience: float) -> Database:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made by us and not by SQLite, whose own mode would be the umask's; -wal and -shm inherit it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    connection = _connect(str(path), patience)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            connection.close()
            return in_memory(f"{path} was written by a newer version: left alone, nothing is kept.")
        if version < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return Database(connection, path)


def _connect(name: str, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, timeout=patience, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date in one transaction, once, whoever else tries the same."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in migration.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _without_damaged(path: Path, patience: float) -> Database:
    """Set a damaged file aside, never delete it, and begin anew."""
    with suppress(sqlite3.Error, OSError):
        return _open_file(path, patience)  # another process was quicker
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        database = _open_file(path, patience)
    except (sqlite3.Error, OSError):
        return in_memory(f"{path} is damaged and cannot be set aside: nothing is kept.")
    return database._replace(notice=f"{path} was damaged: set aside as {aside.name}, begun anew.")
