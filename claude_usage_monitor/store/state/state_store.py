"""state.db for the rest of the program: every operation succeeds, even if the disk fails.

On a full disk, with a damaged file or without permissions the operations continue in memory with
what could be read, the file is tried again every minute, and `StateStore.notice` says so.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from claude_usage_monitor.files import StrPath
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.store.database import (
    BUSY_TIMEOUT,
    inode_of,
    is_busy,
    locked_folder,
    reason_for,
    remedy_for,
)
from claude_usage_monitor.store.state import identities, ledger, readings
from claude_usage_monitor.store.state.spare_ledger import SpareLedger
from claude_usage_monitor.store.state.state_file import (
    StateFile,
    copy_current_rows,
    copy_from_unwritable_file,
    copy_history,
    is_damage,
    is_writable,
    not_stored,
    open_in_memory,
    open_state_file,
    replace_damaged_file,
    try_write,
)
from claude_usage_monitor.usage.limits.windows import Usage

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, TypeVar

    _P = ParamSpec("_P")
    _R = TypeVar("_R")
    _Operation = Callable[Concatenate[sqlite3.Connection, _P], _R]

_RETRY_INTERVAL = 60.0  # seconds between two attempts to use the file again
_LOCKED_WAIT = timedelta(seconds=30)
# Errors from reading a row that another version or another program has written.
_UNREADABLE_ROW = (ValueError, TypeError, KeyError, OverflowError, AttributeError)


def _in_ledger(operation: _Operation[_P, _R]) -> Callable[Concatenate[StateStore, _P], _R]:
    """Return a method of StateStore that runs an operation on its request ledger."""

    def method(self: StateStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self._run_in_ledger(operation, *args, **kwargs)

    return method


def _in_state(operation: _Operation[_P, _R]) -> Callable[Concatenate[StateStore, _P], _R]:
    """Return a method of StateStore that runs an operation on its database."""

    def method(self: StateStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.run(operation, *args, **kwargs)

    return method


class StateStore:
    """The readings, identities, reports and requests of all processes of this user.

    Any thread may use it. A write waits ``timeout`` seconds for another process; ``fallback`` is
    the file that all processes use where ``path`` cannot be used. ``live`` is whether this process
    runs for long: it may send a request an hour where no file can be written.
    """

    def __init__(
        self,
        path: StrPath,
        timeout: float = BUSY_TIMEOUT,
        fallback: StrPath | None = None,
        *,
        live: bool = False,
    ) -> None:
        self._path = os.fspath(path)
        self._timeout = timeout
        self._is_locked = False
        self._lock = threading.RLock()  # one connection serves all threads
        self._recorded: dict[str, int] = {}  # readings recorded by this process, by identity
        self._file = open_state_file(path, timeout, fallback)
        self._file_tried_at = time.monotonic()
        if self._file.path != self._path:
            copy_from_unwritable_file(path, self._file.connection)
        self._spare_ledger = SpareLedger(path, fallback, live=live)
        if self._file.path is None:
            self._spare_ledger.open(self._file.connection)

    # The operations, each with the parameters of the function behind its `connection`.
    latest_usage = _in_state(readings.latest_usage)

    identity_of = _in_state(identities.identity_of)
    link_identity = _in_state(identities.link_identity)
    profile_of = _in_state(identities.profile_of)
    store_profile = _in_state(identities.store_profile)
    email_of = _in_state(identities.email_of)
    record_login = _in_state(identities.record_login)
    last_login = _in_state(identities.last_login)
    delete_account_data = _in_state(identities.delete_account_data)

    backoff_of = _in_ledger(ledger.backoff_of)
    set_account_backoff = _in_ledger(ledger.set_account_backoff)
    in_flight = _in_ledger(ledger.in_flight)
    extend_lease = _in_ledger(ledger.extend_lease)
    record_result = _in_ledger(ledger.record_result)
    release = _in_ledger(ledger.release)
    requests_in_last_hour = _in_ledger(ledger.requests_in_last_hour)

    def record_usage(self, identity: str, usage: Usage) -> None:
        """Store a reading. See `readings.record_usage`."""
        self._recorded[identity] = self._recorded.get(identity, 0) + 1
        self.run(readings.record_usage, identity, usage)

    def acquire(
        self,
        fingerprint: str,
        identity: str,
        now: datetime,
        max_per_hour: int = ledger.MAX_REQUESTS_PER_HOUR,
    ) -> ledger.Granted | ledger.InFlight | ledger.Wait:
        """Decide as `ledger.acquire` does; grant no request while the file is locked."""
        request = fingerprint, identity, now, max_per_hour
        with self._lock:
            self._return_to_file()
            for _ in range(2):  # the second time in a new file, which replaces a damaged one
                if self._file.path is None:
                    break
                try:
                    # A process that cannot write this file may decide now, in the spare ledger.
                    with locked_folder(os.path.dirname(self._path)):
                        if ledger.refusal(self._file.connection, *request) is None:
                            self._spare_ledger.prepare(self._file.connection, self._file.path, now)
                        return ledger.acquire(self._file.connection, *request)
                except (sqlite3.Error, *_UNREADABLE_ROW) as error:
                    self._replace_database(error)
            if self._is_locked:
                return ledger.Wait(now + _LOCKED_WAIT)
            return self._spare_ledger.acquire(*request)

    def version(self, identity: str | None = None) -> tuple[int, int]:
        """Return a value that changes when other processes write, or this one for an identity."""
        (others,) = self.run(
            lambda connection: connection.execute("PRAGMA data_version").fetchone()
        )
        return int(others), self._recorded.get(identity or "", 0)

    @property
    def notice(self) -> str | None:
        """The notice for the user about the file; ``None`` when all is well."""
        notice = self._file.notice
        if self._file.path is None and self._spare_ledger.notice is not None:
            notice = f"{notice} {self._spare_ledger.notice}"
        return notice

    @property
    def remedy(self) -> str:
        """What to do about the notice; empty if nothing has to be done."""
        return self._file.remedy

    def try_write(self) -> None:
        """Write without a change, so that `notice` also describes a file that is only readable."""
        self.run(try_write)

    def run(self, operation: _Operation[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run an operation on the database; if that fails, once more on what replaces it."""
        with self._lock:
            self._return_to_file()
            try:
                return operation(self._file.connection, *args, **kwargs)
            except (sqlite3.Error, *_UNREADABLE_ROW) as error:
                self._replace_database(error)
                return operation(self._file.connection, *args, **kwargs)

    def _run_in_ledger(
        self, operation: _Operation[_P, _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        with self._lock:
            result = self.run(operation, *args, **kwargs)
            if self._file.path is not None:
                return result
            # The database in memory, which replaces a file that failed, is no ledger for others.
            return self._spare_ledger.run(operation, *args, **kwargs)

    def _replace_database(self, error: Exception) -> None:
        """Continue in a new file if the current one is damaged, else in memory."""
        failed, self._is_locked = self._file, is_busy(error)
        damaged = isinstance(error, _UNREADABLE_ROW) or is_damage(error, failed.connection)
        if damaged and failed.path is not None:
            failed.connection.close()
            self._file = replace_damaged_file(failed.path, self._timeout, failed.inode)
        else:
            notice = not_stored(self._path, reason_for(error))
            self._file = open_in_memory(notice, remedy_for(error))
            if not damaged:
                copy_current_rows(failed.connection, self._file.connection)
            with suppress(sqlite3.Error):
                failed.connection.close()
        if self._file.path is None:
            self._spare_ledger.open(self._file.connection)
        self._file_tried_at = time.monotonic()

    def _return_to_file(self) -> None:
        """Use the file again if it can be used, once a minute."""
        if self._file.path is not None and inode_of(self._file.path) != self._file.inode:
            self._leave_replaced_file()
        elif (
            self._file.path == self._path
            or time.monotonic() - self._file_tried_at < _RETRY_INTERVAL
        ):
            return
        self._file_tried_at = time.monotonic()
        reopened = open_state_file(self._path, self._timeout)
        if reopened.path is None or not is_writable(reopened.connection):
            if self._file.path is None and reopened.notice is not None:
                self._file = self._file._replace(notice=reopened.notice, remedy=reopened.remedy)
            reopened.connection.close()
            return
        try:
            copy_history(self._file.connection, reopened.connection)
            self._continue_in(reopened)
        except sqlite3.Error:  # the disk is full again: everything stays in memory
            reopened.connection.close()
            return
        self._is_locked = False
        self._spare_ledger.close()

    def _leave_replaced_file(self) -> None:
        """Continue in memory since our file was deleted, renamed or replaced.

        This comes before the new file is opened, because both would use one log.
        """
        self._continue_in(open_in_memory(not_stored(self._path, "it was deleted or replaced")))
        self._spare_ledger.open(self._file.connection)

    def _continue_in(self, file: StateFile) -> None:
        """Use another database, with the current rows of the previous one.

        Raises sqlite3.Error if it cannot be written.
        """
        copy_current_rows(self._file.connection, file.connection)
        with suppress(sqlite3.Error):
            self._file.connection.close()
        self._file = file
