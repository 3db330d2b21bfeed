"""The tables of accounts.db."""

from __future__ import annotations

import sqlite3

from claude_usage_monitor.store.database import NewerDatabase, UnusableDatabase, transaction

SCHEMA_VERSION = 1
_TABLES = """
CREATE TABLE account (
    id TEXT PRIMARY KEY,            -- random; the secret is stored under it
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,    -- the name without its case
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    saved_at INTEGER NOT NULL,      -- ms since the epoch, like every instant here
    profile TEXT NOT NULL,          -- JSON: the profile that the API last returned
    home TEXT NOT NULL,             -- JSON: the variables that locate the Claude Code it is from
    place TEXT NOT NULL,            -- where its secret is stored
    generation INTEGER NOT NULL     -- of its secret: it grows with each refresh
);
CREATE TABLE active (one INTEGER PRIMARY KEY CHECK (one = 1), account TEXT NOT NULL);
CREATE TABLE renewal (              -- what came of sending a refresh token, until it is replaced
    account TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,      -- of the refresh token
    unanswered INTEGER NOT NULL,    -- how often it was sent without a response
    failures INTEGER NOT NULL,
    next_at INTEGER,                -- not before; NULL: never again
    code TEXT,                      -- NULL while a response is expected
    message TEXT,                   -- the process that expects it, or what went wrong
    hint TEXT
);
CREATE TABLE spent (                -- refresh tokens that were used up: sending one ends its login
    fingerprint TEXT PRIMARY KEY
);
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file. Raises UnusableDatabase for a file that is not ours."""
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise NewerDatabase
    if version == SCHEMA_VERSION:
        return
    with transaction(connection):
        if _version(connection) == SCHEMA_VERSION:
            return  # another process was faster
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise UnusableDatabase("it is another program's")
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
