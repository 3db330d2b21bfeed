"""The tables of state.db."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from claude_usage_monitor.store.database import NewerDatabase, transaction

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
_HISTORY_TABLES = """
    CREATE TABLE window_instance (  -- every window instance, never deleted before its account
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the identity of a window, never used again
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        resets_at INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        utilization REAL NOT NULL,  -- the highest since the last correction
        peak REAL NOT NULL,
        full_at INTEGER,            -- first at 100 %
        full_at_is_latest INTEGER NOT NULL,
        full_since INTEGER,
        full_until INTEGER,
        blocked INTEGER NOT NULL,   -- ms
        watched INTEGER NOT NULL,   -- ms
        lowered INTEGER NOT NULL,
        ended_at INTEGER,
        ending TEXT NOT NULL,       -- how it ended
        plan TEXT
    );
    CREATE INDEX window_by_start ON window_instance (account, key, started_at);
    CREATE TABLE tracking (         -- what the rules for resets remember of each key
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        window_id INTEGER,          -- of the running window
        pending_at INTEGER,         -- a reading that waits for a second one
        pending_utilization REAL,
        pending_resets_at INTEGER,
        echo REAL,                  -- the last figure of the window before
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID;
    CREATE TABLE plan_change (
        account TEXT NOT NULL,
        at INTEGER NOT NULL,
        factor REAL,                -- of the percentages, NULL if unknown
        PRIMARY KEY (account, at)
    ) WITHOUT ROWID;
    DROP INDEX hourly_by_time;
    ALTER TABLE hourly RENAME TO hourly_maximum;
    CREATE TABLE hourly (           -- the use of each hour, deleted after a year
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        hour INTEGER NOT NULL,      -- ms
        peak REAL,                  -- the highest figure read
        used REAL NOT NULL,         -- points
        blocked REAL NOT NULL,      -- seconds at 100 %
        watched REAL NOT NULL,      -- seconds
        reads INTEGER NOT NULL,     -- 0: not watched, or stored by a version that did not count
        PRIMARY KEY (account, key, hour)
    ) WITHOUT ROWID;
    CREATE INDEX hourly_by_time ON hourly (hour);
    INSERT INTO hourly
        SELECT account, key, hour, utilization,
            CASE
                WHEN previous IS NULL THEN 0
                WHEN utilization < previous - 2 THEN utilization
                WHEN key LIKE 'five_hour%' AND hour - previous_hour > 18000000 THEN utilization
                WHEN hour - previous_hour > 604800000 THEN utilization
                ELSE max(0, utilization - previous)
            END, 0, 0, 0
        FROM (
            SELECT *, lag(utilization) OVER each AS previous, lag(hour) OVER each AS previous_hour
            FROM hourly_maximum
            WINDOW each AS (PARTITION BY account, key ORDER BY hour)
        );
    DROP TABLE hourly_maximum;
"""

_FORECAST_TABLES = """
    CREATE TABLE forecast (         -- the newest forecast of each window
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        run_out_at INTEGER,         -- NULL: not before the reset, as the next two
        run_out_earliest INTEGER,
        run_out_latest INTEGER,
        probability REAL NOT NULL,
        expected_at_reset REAL NOT NULL,
        expected_low REAL NOT NULL,
        expected_high REAL NOT NULL,
        basis TEXT NOT NULL,
        made_at INTEGER NOT NULL,
        utilization REAL NOT NULL,
        resets_at INTEGER NOT NULL,
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID;
    CREATE TABLE forecast_log (     -- what was said of each window at 25, 50 and 75 % of its time
        account TEXT NOT NULL,
        window_id INTEGER NOT NULL,
        percent INTEGER NOT NULL,
        made_at INTEGER NOT NULL,
        run_out_earliest INTEGER,
        run_out_at INTEGER,
        run_out_latest INTEGER,
        probability REAL NOT NULL,
        PRIMARY KEY (window_id, percent)
    ) WITHOUT ROWID
"""


def _add_history(connection: sqlite3.Connection) -> None:
    """Create the tables of windows and hours, and fill them from the stored readings."""
    create_tables(connection, _HISTORY_TABLES)
    # Takes 2 ms; only needed once, for a file of an older version.
    from claude_usage_monitor.store.state.windows.merge import follow_stored_readings

    follow_stored_readings(connection)


# Each migration moves the schema to the next user_version. Only append to this list.
_MIGRATIONS: tuple[str | Callable[[sqlite3.Connection], None], ...] = (
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
    _add_history,
    "ALTER TABLE newest ADD COLUMN amounts TEXT",  # of a limit of money, as JSON
    _FORECAST_TABLES,
    """
    CREATE TABLE service_page (     -- one row: what the status page said, and when to ask again
        id INTEGER PRIMARY KEY,
        content TEXT,
        etag TEXT,
        as_of INTEGER,
        next_at INTEGER NOT NULL
    );
    CREATE TABLE limit_event (      -- limits hit that Claude Code's hook reported
        account TEXT NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (account, at)
    ) WITHOUT ROWID;
    CREATE TABLE alert (            -- the alerts that were sent, each once
        account TEXT NOT NULL,
        instance TEXT NOT NULL,     -- a window's id, or what else the alert is about
        rule TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (account, instance, rule)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE held_alert (       -- the alerts of quiet hours, until they end
        account TEXT NOT NULL,
        instance TEXT NOT NULL,
        rule TEXT NOT NULL,
        PRIMARY KEY (account, instance, rule)
    ) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date in one transaction. Raises NewerDatabase for a newer file."""
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise NewerDatabase
    if version == SCHEMA_VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        version = schema_version(connection)  # another process may have migrated it meanwhile
        for migration in _MIGRATIONS[version:]:
            if isinstance(migration, str):
                create_tables(connection, migration)
            else:
                migration(connection)
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
