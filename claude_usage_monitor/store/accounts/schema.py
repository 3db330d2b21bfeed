"""The tables of accounts.db."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.store.database import transaction

if TYPE_CHECKING:
    import sqlite3

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE account (
    id TEXT PRIMARY KEY,            -- random; the secret is kept under it
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,    -- the name, case aside
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    saved_at INTEGER NOT NULL,      -- ms since the epoch, as every instant here
    profile TEXT NOT NULL,          -- JSON: who it is, as last told
    home TEXT NOT NULL,             -- JSON: where the Claude Code was that it was saved from
    place TEXT NOT NULL,            -- where its secret is kept
    generation INTEGER NOT NULL     -- the secret's: it grows with each renewal
);
CREATE TABLE active (one INTEGER PRIMARY KEY CHECK (one = 1), account TEXT NOT NULL);
CREATE TABLE renewal (              -- what came of sending a refresh token, until it is replaced
    account TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,      -- of the refresh token
    unanswered INTEGER NOT NULL,    -- how often it was sent without an answer
    failures INTEGER NOT NULL,
    next_at INTEGER,                -- not before; NULL: never again
    code TEXT,
    message TEXT,
    hint TEXT
);
CREATE TABLE spent (                -- refresh tokens that were used up: sending one ends its login
    fingerprint TEXT PRIMARY KEY
);
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date in one transaction, once, whoever else tries the same.

    Raises ValueError when the file has other tables than ours.
    """
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise ValueError("it is another program's")
        if version < SCHEMA_VERSION:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
