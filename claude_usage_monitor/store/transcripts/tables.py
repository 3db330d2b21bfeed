"""The tables of transcripts.db, and the statements that read and merge their rows."""

from __future__ import annotations

import sqlite3

from claude_usage_monitor.store.database import NewerDatabase
from claude_usage_monitor.usage.attribution.messages import Tokens

_VERSION = 1

TABLES = """
    CREATE TABLE file (             -- how far each transcript was read
        path INTEGER PRIMARY KEY,   -- a hash
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,      -- when it was last listed, like mtime
        mtime INTEGER NOT NULL,     -- ns
        offset INTEGER NOT NULL,    -- the end of the last complete line that was read
        checksum INTEGER NOT NULL,  -- of the bytes before the offset
        account INTEGER NOT NULL,   -- that the file named last, 0 for none
        has_folder INTEGER NOT NULL,
        skipped INTEGER NOT NULL    -- lines that could not be read
    );
    CREATE TABLE name (             -- projects, models, subagents' types, accounts, roots
        id INTEGER PRIMARY KEY,
        text TEXT NOT NULL UNIQUE
    );
    CREATE TABLE session (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL UNIQUE,
        project INTEGER NOT NULL,
        from_main INTEGER NOT NULL, -- whether the project is that of the session's main file
        account INTEGER NOT NULL,   -- that the main file named last, 0 for none
        root INTEGER NOT NULL
    );
    CREATE TABLE owner (            -- what a session's messages in a file of some kind share
        id INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        agent INTEGER NOT NULL,
        forked INTEGER NOT NULL,
        account INTEGER NOT NULL,   -- 0: the transcript names none
        rank INTEGER NOT NULL,      -- the lowest one owns a copied message
        UNIQUE (session, kind, agent, forked, account)
    );
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,     -- a hash
        at INTEGER NOT NULL,        -- s since the epoch, of its first line
        owner INTEGER NOT NULL,
        model INTEGER NOT NULL,
        meter INTEGER NOT NULL,
        messages INTEGER NOT NULL,  -- 0 for an advisor's answer inside a message
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write_5m INTEGER NOT NULL,
        cache_write_1h INTEGER NOT NULL,
        searches INTEGER NOT NULL
    );
    CREATE TABLE ended_window (     -- as it was when its readings were still stored
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        resets_at INTEGER NOT NULL,
        utilization REAL NOT NULL,
        credits REAL NOT NULL,      -- what was used in it, by each weighting
        list_price REAL NOT NULL,
        rises TEXT NOT NULL,        -- JSON: the readings that were higher than all before
        PRIMARY KEY (account, key, started_at)
    ) WITHOUT ROWID;
    CREATE TABLE shown_use (        -- what used the running windows, for outputs that do not read
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        content TEXT NOT NULL,      -- JSON
        PRIMARY KEY (account, key)
    ) WITHOUT ROWID
"""
_COLUMNS = ("id", "at", *Tokens._fields, "owner", "model", "meter")
_MERGED = (
    "owner",
    "model",
    "meter",
    "messages",
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "searches",
)
UPSERT = f"""
    INSERT INTO message ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" for _ in _COLUMNS)})
    ON CONFLICT DO UPDATE SET at = min(at, excluded.at), output = max(output, excluded.output),
    ({", ".join(_MERGED)}) = (
        SELECT {", ".join(f"iif(is_better, excluded.{name}, message.{name})" for name in _MERGED)}
        FROM (
            SELECT new.rank < old.rank OR new.id = old.id AND excluded.output > message.output
                AS is_better
            FROM owner AS new, owner AS old
            WHERE new.id = excluded.owner AND old.id = message.owner))
"""  # noqa: S608 - constants
OWNERS = """
    SELECT owner.id, session.session, ifnull(project.text, ''), kind, ifnull(agent.text, ''),
        account.text, root.text
    FROM owner JOIN session ON session.id = owner.session
    LEFT JOIN name AS project ON project.id = session.project
    LEFT JOIN name AS agent ON agent.id = owner.agent
    LEFT JOIN name AS account ON account.id =
        iif(owner.account OR owner.kind = 0, owner.account, session.account)
    LEFT JOIN name AS root ON root.id = session.root
"""
REBUILDS = """
    SELECT at, owner, model, meter, cache_write_5m, cache_write_1h FROM (
        SELECT message.*, lag(input + cache_read + cache_write_5m + cache_write_1h)
            OVER (PARTITION BY owner ORDER BY at) AS previous
        FROM message JOIN owner ON owner.id = message.owner
        WHERE at >= ? AND at < ? AND kind = 0 AND messages = 1)
    WHERE cache_write_5m + cache_write_1h > ? AND cache_read < previous / 2
"""
# SQLite sorts the messages to group them. Sorting one integer instead of three columns saves a
# fifth of the time. Without the limit, SQLite would store the three columns for sorting, too.
USES = f"""
    SELECT min(begun), key, {", ".join(f"sum({name})" for name in Tokens._fields)} FROM (
        SELECT {{begun}} AS begun, (owner << 32) | (model << 2) | meter AS key,
            {", ".join(Tokens._fields)}
        FROM message WHERE at >= ? AND at < ? LIMIT -1)
    GROUP BY {{grouping}}
"""  # noqa: S608 - constants


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file. Raises NewerDatabase for a newer version's file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise NewerDatabase
    if version == 0:
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
