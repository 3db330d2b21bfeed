"""The request ledger for the time when state.db cannot be written.

On a full disk SQLite cannot even update a row of a normal database, because its journal needs
space. The spare ledger is a database with its journal in memory and with free pages, allocated
while there was space, so that all processes still share one request budget. A process that is
killed during a write may damage it, unlike state.db, which is why it is used only instead of it.

Where a spare ledger is impossible too, each process has a ledger in memory: then a short-lived
command sends no request, and a live process at most one an hour.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta

from claude_usage_monitor.errors import RateLimited
from claude_usage_monitor.files import StrPath, create_private_file, require_private_folder
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.store.database import (
    Mode,
    connect,
    inode_of,
    is_corrupt,
    locked_folder,
    transaction,
)
from claude_usage_monitor.store.processes import this_process
from claude_usage_monitor.store.state import ledger
from claude_usage_monitor.store.state.schema import (
    LEDGER_CHANGE,
    LEDGER_TABLES,
    create_tables,
    schema_version,
)
from claude_usage_monitor.usage.status import Problem

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, TypeVar

    _P = ParamSpec("_P")
    _R = TypeVar("_R")

FILE_NAME = "spare-ledger.db"
_RESERVED_BYTES = 512 * 1024  # for 2,000 requests, which four accounts send in a day
_VERSION = 2  # the schema version of a file that has its free pages and the present columns
# The second where the files beside state.db, which it is read with, do not fit on the disk.
_READ_MODES: tuple[Mode, ...] = ("rw", "ro&immutable=1")
_MAX_REQUESTS_ALONE = 1  # an hour
_RETRY_ALONE = timedelta(minutes=1)


class SpareLedger:
    """The ledger that all processes share while state.db cannot be written, else one in memory.

    It is a file in the folder of ``path`` (state.db's) or, where it cannot be there, in that of
    ``fallback``. ``live`` is whether this process runs for long. One thread at a time may use it.
    """

    def __init__(self, path: StrPath, fallback: StrPath | None, *, live: bool) -> None:
        self._path = os.fspath(path)
        self._fallback = None if fallback is None else os.fspath(fallback)
        self._live = live
        databases = [self._path] if self._fallback is None else [self._path, self._fallback]
        self._files = [*databases, *map(_beside, databases)]
        self._shared_path = self._path
        self._shared_inode: int | None = None
        self._shared: sqlite3.Connection | None = None
        self._alone: sqlite3.Connection | None = None  # lasts as long as the process

    @property
    def notice(self) -> str | None:
        """The notice for the user while this ledger is in use."""
        if self._shared is None and self._live:
            return "Requests cannot be counted with those of other processes: one an hour is sent."
        return None

    def open(self, previous: sqlite3.Connection) -> None:
        """Start using this ledger, with the content of the one that was used before."""
        self.close()
        # Without the lock, it might delete another process's new file.
        with locked_folder(os.path.dirname(self._path)):
            for path in self._spare_files():
                with suppress(OSError, sqlite3.Error):
                    self._shared, self._shared_path = _open_file(path), path
                    self._shared_inode = inode_of(path)
                    ledger.copy_ledger(previous, self._shared)
                    return
        self._continue_alone(previous)

    def close(self) -> None:
        """Stop using the shared file."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def run(
        self,
        operation: Callable[Concatenate[sqlite3.Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        """Run any operation of the ledger except `acquire`."""
        self._follow_replaced_file()
        if self._shared is not None:
            try:
                return operation(self._shared, *args, **kwargs)
            except sqlite3.Error:
                self._continue_alone(self._shared)
        return operation(self._own_ledger(), *args, **kwargs)

    def acquire(
        self, fingerprint: str, identity: str, now: datetime, max_per_hour: int
    ) -> ledger.Granted | ledger.InFlight | ledger.Wait:
        """Decide whether a request may be sent now. See `ledger.acquire`."""
        self._follow_replaced_file()
        if self._shared is not None:
            try:
                # A process that can write state.db may decide now, in that file.
                with locked_folder(os.path.dirname(self._path)):
                    self._copy_others(self._shared, self._shared_path, now)
                    return ledger.acquire(self._shared, fingerprint, identity, now, max_per_hour)
            except sqlite3.Error:
                self._continue_alone(self._shared)
        if self._live:
            own = self._own_ledger()
            return ledger.acquire(own, fingerprint, identity, now, _MAX_REQUESTS_ALONE)
        problem = Problem(
            RateLimited.code,
            f"No request was sent: {self._path} cannot be written, so it could not be counted.",
            "Free space, or set CLAUDE_USAGE_MONITOR_HOME to a folder that you can write to.",
            now + _RETRY_ALONE,
        )
        return ledger.refuse(self._own_ledger(), fingerprint, problem, now)

    def prepare(self, connection: sqlite3.Connection, path: str, now: datetime) -> None:
        """Copy requests that were sent while a file was unusable to its ledger.

        Also create the spare ledger beside it, because later there may be no space for one.
        """
        with suppress(OSError, sqlite3.Error):
            _open_file(_beside(path)).close()
        self._copy_others(connection, path, now)
        if self._alone is not None:
            ledger.copy_ledger(self._alone, connection, now)

    def _copy_others(self, connection: sqlite3.Connection, path: str, now: datetime) -> None:
        """Copy the other files' entries to a ledger. Raises sqlite3.Error if it takes none."""
        for other in self._files:
            if other != path:
                with closing(_read_file(other, now)) as parts:
                    for entries in parts:
                        ledger.add_entries(connection, entries)

    def _follow_replaced_file(self) -> None:
        """Use the file that other processes use since ours was deleted or replaced."""
        if self._shared is not None and inode_of(self._shared_path) != self._shared_inode:
            deleted, self._shared = self._shared, None
            with closing(deleted):
                self.open(deleted)

    def _continue_alone(self, previous: sqlite3.Connection) -> None:
        """Use a ledger in memory from now on, with the readable rows of the previous one."""
        with suppress(sqlite3.Error):
            # A process without a shared ledger ignores the requests of others.
            ledger.copy_ledger(previous, self._own_ledger(), process=this_process())
        self.close()

    def _own_ledger(self) -> sqlite3.Connection:
        if self._alone is None:
            self._alone = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            create_tables(self._alone, LEDGER_TABLES)
            self._alone.execute(LEDGER_CHANGE)
        return self._alone

    def _spare_files(self) -> Iterator[str]:
        yield _beside(self._path)
        if self._fallback is not None:
            with suppress(OSError):
                require_private_folder(os.path.dirname(self._fallback))
                yield _beside(self._fallback)


def _beside(database: str) -> str:
    """Return the path of the spare ledger beside a database."""
    return os.path.join(os.path.dirname(database), FILE_NAME)


def _open_file(path: StrPath) -> sqlite3.Connection:
    """Open a spare ledger, and create it if there is space. Raises OSError or sqlite3.Error."""
    create_private_file(path)
    connection = connect(path)
    try:
        if schema_version(connection) < _VERSION:
            _create_content(connection)
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = OFF")
    except sqlite3.Error as error:
        connection.close()
        _delete_if_damaged(path, error)
        raise
    else:
        return connection


def _read_file(path: str, now: datetime) -> Generator[ledger.Entries]:
    """Yield the entries of a ledger's file, as far as it can be read."""
    with suppress(OSError):  # usually there is no such file
        for mode in _READ_MODES:
            try:
                with closing(connect(path, mode=mode)) as source:
                    yield from ledger.read_entries(source, now)
                    return
            except sqlite3.Error as error:
                if os.path.basename(path) == FILE_NAME:
                    _delete_if_damaged(path, error)


def _delete_if_damaged(path: StrPath, error: sqlite3.Error) -> None:
    """Delete a spare ledger if its content is damaged; the next request creates a new one."""
    if is_corrupt(error):
        os.unlink(path)


def _create_content(connection: sqlite3.Connection) -> None:
    """Create the tables, and let the file grow so that it has free pages from then on."""
    connection.execute("PRAGMA auto_vacuum = NONE")  # or SQLite might return the pages to the disk
    with transaction(connection):
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            create_tables(connection, LEDGER_TABLES)
            connection.execute("CREATE TABLE reserve AS SELECT zeroblob(?)", (_RESERVED_BYTES,))
    with transaction(connection):  # a second one: pages freed in the first would not be written
        connection.execute("DROP TABLE IF EXISTS reserve")
        columns = connection.execute("SELECT name FROM pragma_table_info('gate')").fetchall()
        if ("retry_after",) not in columns:
            connection.execute(LEDGER_CHANGE)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
