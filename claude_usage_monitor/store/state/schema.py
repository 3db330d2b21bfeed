"""The tables of state.db."""

from __future__ import annotations

import sqlite3

from claude_usage_monitor.store.database import UnusableDatabase, transaction

LEDGER_TABLES = """
    CREATE TABLE request (          -- the ledger: the requests for usage of the last day
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        account TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        answered INTEGER NOT NULL DEFAULT 0,
        process TEXT NOT NULL
    );
    CREATE TABLE gate (             -- when a token (or an identity) may send its next request
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
"""
LEDGER_CHANGE = "ALTER TABLE gate ADD COLUMN retry_after INTEGER"  # ms that a 429 asked to wait
# Each migration moves the schema to the next user_version. Only append to this list.
_MIGRATIONS = (
    LEDGER_TABLES
    + """
    CREATE TABLE reading (          -- every figure read, a row each, deleted after eight days
        account TEXT NOT NULL,      -- an identity, in every table
        key TEXT NOT NULL,
        read_at INTEGER NOT NULL,   -- ms since the epoch, like every instant here
        utilization REAL,
        resets_at INTEGER,
        source TEXT NOT NULL,
        PRIMARY KEY (account, key, read_at)
    ) WITHOUT ROWID;
    CREATE INDEX reading_by_time ON reading (read_at);
    CREATE TABLE hourly (           -- the highest figure of each hour, deleted after a year
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        hour INTEGER NOT NULL,      -- ms
        utilization REAL NOT NULL,
        PRIMARY KEY (account, key, hour)
    ) WITHOUT ROWID;
    CREATE INDEX hourly_by_time ON hourly (hour);
    CREATE TABLE newest (           -- the newest figure of each window, which outputs show
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
    CREATE TABLE complete (         -- the last reading that reported every window of an account
        account TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        money TEXT NOT NULL         -- extra usage and credit pools, as JSON
    ) WITHOUT ROWID;
    CREATE TABLE identity (         -- which identity a token belongs to, by its fingerprint
        fingerprint TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        profile TEXT                -- JSON, NULL before it was requested
    );
    CREATE TABLE login (            -- which identity a program is logged in as
        place TEXT PRIMARY KEY,     -- the program
        account TEXT NOT NULL,
        since INTEGER               -- NULL: since before the first observation
    ) WITHOUT ROWID;
    CREATE INDEX request_by_time ON request (asked_at);
    """,
    """
    CREATE TABLE spend_part (       -- an organization's reports, each as it was last read
        account TEXT NOT NULL,
        month TEXT NOT NULL,        -- its first day, or empty for a list of names
        part TEXT NOT NULL,         -- which report
        read_at INTEGER NOT NULL,
        content TEXT NOT NULL,      -- JSON, amounts as exact text
        PRIMARY KEY (account, month, part)
    );
    CREATE TABLE spend_trouble (    -- why the last request for a report failed
        account TEXT NOT NULL,
        call TEXT NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        met_at INTEGER NOT NULL,
        PRIMARY KEY (account, call)
    ) WITHOUT ROWID;
    """,
    LEDGER_CHANGE,
)
SCHEMA_VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date in one transaction. Raises UnusableDatabase for a newer file."""
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise UnusableDatabase("a newer version of this program wrote it")
    if version == SCHEMA_VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        version = schema_version(connection)  # another process may have migrated it meanwhile
        for migration in _MIGRATIONS[version:]:
            create_tables(connection, migration)
        connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")


def create_tables(connection: sqlite3.Connection, statements: str) -> None:
    """Execute statements one by one, within the transaction of the caller."""
    for statement in statements.split(";"):
        connection.execute(statement)


def schema_version(connection: sqlite3.Connection) -> int:
    """Return how many migrations a file has had."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def has_all_columns(connection: sqlite3.Connection) -> bool:
    """Return whether the file has our tables with all of their columns."""
    ours = sqlite3.connect(":memory:", isolation_level=None)
    migrate(ours)
    complete = _columns(ours) <= _columns(connection)
    ours.close()
    return complete


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "SELECT item.name, part.name FROM sqlite_master AS item,"
            " pragma_table_info(item.name) AS part"
        )
    )
