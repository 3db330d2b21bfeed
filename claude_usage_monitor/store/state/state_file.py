"""Open state.db, or if that fails, a file elsewhere or a database in memory.

Opening never fails: a damaged file is renamed and a new one created, a newer version's file is left
alone, and where nothing can be written a database in memory ends with the process.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress

from claude_usage_monitor.files import StrPath, create_private_file, require_private_folder
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.database import (
    BUSY_TIMEOUT,
    Mode,
    UnusableDatabase,
    batches,
    connect,
    inode_of,
    is_busy,
    is_corrupt,
    locked_folder,
    reason_for,
    remedy_for,
    result_code,
    transaction,
)
from claude_usage_monitor.store.state.ledger import copy_ledger
from claude_usage_monitor.store.state.schema import (
    SCHEMA_VERSION,
    has_all_columns,
    migrate,
    schema_version,
)

# The tables that are copied, with the condition under which a row replaces another.
_CURRENT_TABLES = {
    "newest": "excluded.as_of > as_of",
    "complete": "excluded.as_of > as_of",
    "spend_part": "excluded.read_at > read_at",
    "spend_trouble": "excluded.met_at > met_at",
    "identity": None,
    "login": None,
    "forecast": "excluded.made_at > made_at",
    "alert": None,
    "held_alert": None,
}
_BUSY_INTERVAL = 0.02  # seconds
# SQLite's page cache would grow with the history to 2,000 KiB in every process.
_MAX_CACHE_KIB = 400
_MAX_LOG_BYTES = 400 * 1024  # of the write-ahead log: reading it takes about 1 ms
_READ_MODES: tuple[Mode, ...] = ("ro", "ro&immutable=1")


class StateFile(NamedTuple):
    """An open database with our tables.

    ``path`` is ``None`` for a database in memory. ``notice`` tells the user what happened to
    state.db: why another database is used instead, or that a damaged file was replaced. ``remedy``
    is what to do about it, empty if there is nothing to do.
    """

    connection: sqlite3.Connection
    path: str | None = None
    notice: str | None = None
    inode: int | None = None
    remedy: str = ""


class DamagedFile(Exception):
    """Raised for a file with content or tables that are not ours."""


def open_state_file(
    path: StrPath, timeout: float = BUSY_TIMEOUT, fallback: StrPath | None = None
) -> StateFile:
    """Open state.db, created, migrated or replaced as needed. Never fails.

    A write waits ``timeout`` seconds for another process. Where ``path`` cannot be used, all
    processes share the file ``fallback``, so that they still share one request budget.
    """
    path = os.fspath(path)
    inode = inode_of(path)
    try:
        return _open(path, timeout)
    except DamagedFile:
        return replace_damaged_file(path, timeout, inode)
    except (sqlite3.Error, OSError, UnusableDatabase) as error:
        reason, remedy = reason_for(error), remedy_for(error)
    if fallback is not None:
        with suppress(sqlite3.Error, OSError, UnusableDatabase, DamagedFile):
            fallback = os.fspath(fallback)
            require_private_folder(os.path.dirname(fallback))
            notice = f"{path} cannot be used ({reason}): {fallback} is used instead."
            return _open(fallback, timeout)._replace(notice=notice, remedy=remedy)
    return open_in_memory(not_stored(path, reason), remedy)


def open_in_memory(notice: str | None = None, remedy: str = "") -> StateFile:
    """Open a database that ends with the process."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection)
    return StateFile(connection, notice=notice, remedy=remedy)


def replace_damaged_file(path: str, timeout: float, inode: int | None) -> StateFile:
    """Rename a damaged file, never delete it, and create a new one with what is left of the ledger.

    ``inode`` is the damaged file's: if it has changed, another process has replaced it.
    """
    renamed = f"{path}.damaged-{time.time_ns() // 1_000_000}"
    try:
        with locked_folder(os.path.dirname(path)):  # or a second process would rename the new file
            if inode_of(path) == inode:
                for suffix in ("", "-wal", "-shm"):
                    if os.path.exists(path + suffix):
                        os.replace(path + suffix, renamed + suffix)
        new_name = os.path.basename(renamed)
        notice = f"{path} was damaged. It is now {new_name}, and a new file was begun."
        file = _open(path, timeout)
        # Opened so that SQLite neither changes the damaged file nor creates others beside it.
        mode: Mode = "ro" if os.path.exists(f"{renamed}-wal") else "ro&immutable=1"
        with suppress(sqlite3.Error, OSError), closing(connect(renamed, mode=mode)) as damaged:
            copy_ledger(damaged, file.connection)
        return file._replace(notice=notice)
    except (sqlite3.Error, OSError, UnusableDatabase, DamagedFile) as error:
        notice = not_stored(path, f"it is damaged; {reason_for(error)}")
        return open_in_memory(notice, remedy_for(error))


def not_stored(path: str, reason: str) -> str:
    """Return the notice for a database in memory."""
    return f"{path} cannot be used ({reason}): nothing is stored for now."


def copy_from_unwritable_file(path: StrPath, target: sqlite3.Connection) -> None:
    """Copy the current rows of an unwritable file, if it can be read."""
    for mode in _READ_MODES:
        with suppress(sqlite3.Error, OSError), closing(connect(path, mode=mode)) as source:
            if schema_version(source) == SCHEMA_VERSION:
                copy_current_rows(source, target)
            return


def copy_current_rows(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all readable tables except the history. Newer rows in the target stay.

    Raises sqlite3.Error if the target cannot be written.
    """
    for table, condition in _CURRENT_TABLES.items():
        for names, rows in _content(source, table):
            with transaction(target):
                target.executemany(_insertion(table, names, condition), rows)
    with suppress(sqlite3.Error):
        copy_ledger(source, target)


def _content(
    source: sqlite3.Connection, table: str
) -> Iterator[tuple[list[str], list[tuple[object, ...]]]]:
    """Yield the names of a table's columns with rows of it, as far as they can be read."""
    with suppress(sqlite3.Error):
        rows = source.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name of ours
        names = [column[0] for column in rows.description]
        for batch in batches(rows):
            yield names, batch


def _insertion(table: str, names: list[str], condition: str | None) -> str:
    """Return the statement that inserts a row; it may replace one under the condition."""
    update = "NOTHING"
    if condition is not None:
        values = ", ".join(f"excluded.{name}" for name in names)
        update = f"UPDATE SET ({', '.join(names)}) = ({values}) WHERE {condition}"
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO {update}"  # noqa: S608 - names of ours


def copy_history(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the readings; a database in memory has only those of this process.

    Raises sqlite3.Error if not all of them could be copied.
    """
    # Takes 2 ms; only needed when a file can be used again.
    from claude_usage_monitor.store.state.windows import merge

    with transaction(target):
        merge.merge_accounts(source, target)


def try_write(connection: sqlite3.Connection) -> None:
    """Write without a change, because a full disk shows only on an attempt.

    Raises sqlite3.Error if that fails.
    """
    with transaction(connection):
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def is_writable(connection: sqlite3.Connection) -> bool:
    """Return whether a write succeeds."""
    try:
        try_write(connection)
    except sqlite3.Error:
        return False
    return True


def is_damage(error: Exception, connection: sqlite3.Connection) -> bool:
    """Return whether an error means that a file's content or tables are not ours."""
    if result_code(error) == sqlite3.SQLITE_ERROR:  # also of a bug in a statement of ours
        return not has_all_columns(connection)
    return is_corrupt(error)


def _open(path: str, timeout: float) -> StateFile:
    create_private_file(path)
    connection = connect(path, timeout)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_MAX_CACHE_KIB}")  # negative: in KiB
        _migrate(connection, timeout)
        _empty_long_log(connection, path, timeout)
    except sqlite3.Error as error:
        damaged = is_damage(error, connection)
        connection.close()
        if damaged:
            raise DamagedFile from error
        raise
    except UnusableDatabase:
        connection.close()
        raise
    return StateFile(connection, path, None, inode_of(path))


def _empty_long_log(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """Write a long write-ahead log to the file, without waiting for other processes.

    The first process to open the file reads the whole log. SQLite does not empty it if each
    process, such as a status line, writes once and ends.
    """
    try:
        if os.path.getsize(f"{path}-wal") <= _MAX_LOG_BYTES:
            return
    except OSError:
        return  # no log
    connection.execute("PRAGMA busy_timeout = 0")
    with suppress(sqlite3.Error):  # a full disk: the log stays
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # syncs while others can write
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")


def _migrate(connection: sqlite3.Connection, timeout: float) -> None:
    """Bring the tables up to date; wait where SQLite does not, while others switch to WAL."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return migrate(connection)
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(_BUSY_INTERVAL)
