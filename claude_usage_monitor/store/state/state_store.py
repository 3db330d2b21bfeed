"""What we keep, through one door that never fails: a disk that does is replaced by memory.

A full disk, a file that turns bad, permissions taken away: what is known goes on in memory, the
file is tried again every minute, and `notice` says so.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from claude_usage_monitor.store.database import (
    BUSY_SECONDS,
    SCHEMA_VERSION,
    Database,
    carry,
    in_memory,
    is_busy,
    is_damage,
    open_database,
    without_damaged,
)
from claude_usage_monitor.store.state import identities, ledger, readings
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import Problem

if TYPE_CHECKING:
    from claude_usage_monitor.store.state import reports

_P = ParamSpec("_P")
_R = TypeVar("_R")

_RETRY_SECONDS = 60.0
_LOCKED_WAIT = timedelta(seconds=30)
# What a row of another version, or of another program, makes of us: it is damage like any other.
_ODD_CONTENT = (ValueError, TypeError, KeyError, OverflowError, AttributeError)


class StateStore:
    """Readings, identities and the request ledger of all processes of this user."""

    def __init__(
        self, path: Path, patience: float = BUSY_SECONDS, fallback: Path | None = None
    ) -> None:
        self._path = path
        self._patience = patience
        self._fallback = fallback
        self._locked = False
        self._lock = threading.RLock()  # one connection serves all threads of this process
        self._recorded: dict[str, int] = {}
        self._database = open_database(path, patience, fallback)
        self._fell_back_at = time.monotonic()
        if self._database.path != path:
            self._carry_from_unwritable()

    @property
    def notice(self) -> str | None:
        """What to tell the user about the place; ``None`` when all is well."""
        return self._database.notice

    def version(self, account: str | None = None) -> tuple[int, int]:
        """Return what changes when another process has written, or this one of the account."""
        theirs = self._try(lambda connection: Database(connection, None).data_version())
        return theirs, self._recorded.get(account or "", 0)

    def _try(
        self,
        operation: Callable[Concatenate[sqlite3.Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        with self._lock:
            self._come_back()
            try:
                return operation(self._database.connection, *args, **kwargs)
            except (sqlite3.Error, *_ODD_CONTENT) as error:
                self._fall_back(error)
                return operation(self._database.connection, *args, **kwargs)

    def _fall_back(self, error: Exception) -> None:
        """Go on elsewhere: in a new file if this one is damaged, else in memory."""
        broken, self._locked = self._database, is_busy(error)
        if broken.connection.in_transaction:
            broken.connection.execute("ROLLBACK")
        odd = isinstance(error, _ODD_CONTENT)
        if broken.path is not None and (odd or is_damage(error)):
            broken.close()
            self._database = without_damaged(broken.path, self._patience, broken.inode)
        else:
            self._database = in_memory(f"{self._path} cannot be used ({error}): nothing is kept.")
            carry(broken.connection, self._database.connection)
            with suppress(sqlite3.Error):
                broken.close()
        self._fell_back_at = time.monotonic()

    def _carry_from_unwritable(self) -> None:
        """Take over what can be read from a file of ours that cannot be written."""
        try:
            readable = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True)
            (version,) = readable.execute("PRAGMA user_version").fetchone()
            if version == SCHEMA_VERSION:
                carry(readable, self._database.connection)
            readable.close()
        except sqlite3.Error:
            return  # there is none

    def _come_back(self) -> None:
        if self._database.path == self._path:
            return
        if time.monotonic() - self._fell_back_at < _RETRY_SECONDS:
            return
        self._fell_back_at = time.monotonic()
        again = open_database(self._path, self._patience, None)
        if again.path is not None:
            self._database, self._locked = again, False

    # --- readings ------------------------------------------------------------------------------

    def record_usage(self, account: str, usage: Usage) -> None:
        """Store a reading. See `readings.record_usage`."""
        self._recorded[account] = self._recorded.get(account, 0) + 1
        self._try(readings.record_usage, account, usage)

    def latest_usage(self, account: str, now: datetime) -> Usage | None:
        """Return the newest figure of each window. See `readings.latest_usage`."""
        return self._try(readings.latest_usage, account, now)

    # --- identities ----------------------------------------------------------------------------

    def identity_of(self, fingerprint: str) -> str:
        """Return whose a token is. See `identities.identity_of`."""
        return self._try(identities.identity_of, fingerprint)

    def link_identity(self, fingerprint: str, account: str) -> None:
        """Keep whose a token is. See `identities.link_identity`."""
        self._try(identities.link_identity, fingerprint, account)

    def profile_of(self, fingerprint: str) -> Profile | None:
        """Return the profile that was asked for with a token."""
        return self._try(identities.profile_of, fingerprint)

    def store_profile(self, fingerprint: str, profile: Profile) -> None:
        """Keep the profile that was asked for with a token."""
        self._try(identities.store_profile, fingerprint, profile)

    def email_of(self, account: str) -> str | None:
        """Return the e-mail address of an account's profile, if it was asked for."""
        return self._try(identities.email_of, account)

    def record_login(self, place: str, account: str, now: datetime) -> datetime | None:
        """Keep who a place is logged in as; returns since when. See `identities.record_login`."""
        return self._try(identities.record_login, place, account, now)

    def last_login(self, place: str) -> tuple[str, datetime | None] | None:
        """Return who a place was last seen logged in as, and since when."""
        return self._try(identities.last_login, place)

    def delete_account_data(self, account: str) -> None:
        """Delete what is kept of an account's figures. See `identities.delete_account_data`."""
        self._try(identities.delete_account_data, account)

    # --- an organisation's reports -------------------------------------------------------------

    def record_report(
        self,
        account: str,
        month: date,
        part: str,
        content: reports.ReportContent,
        read_at: datetime,
    ) -> None:
        """Keep a part of an organisation's reports. See `reports.record_report`."""
        # Brings decimal in, for those alone who have an organisation.
        from claude_usage_monitor.store.state import reports

        self._try(reports.record_report, account, month, part, content, read_at)

    def record_report_failure(
        self, account: str, call: str, trouble: reports.ReportFailure | None
    ) -> None:
        """Keep what a call met, or that it met nothing."""
        from claude_usage_monitor.store.state import reports

        self._try(reports.record_report_failure, account, call, trouble)

    def stored_reports(self, account: str, month: date) -> reports.StoredReports:
        """Return what is kept of an organisation's month. See `reports.stored_reports`."""
        from claude_usage_monitor.store.state import reports

        return self._try(reports.stored_reports, account, month)

    # --- the ledger ----------------------------------------------------------------------------

    def acquire(
        self,
        fingerprint: str,
        account: str,
        now: datetime,
        per_hour: int = ledger.MAX_REQUESTS_PER_HOUR,
    ) -> ledger.Granted | ledger.InFlight | ledger.Wait:
        """Ask for a request. See `ledger.acquire`. While the ledger is locked there is none."""
        found = self._try(ledger.acquire, fingerprint, account, now, per_hour)
        return ledger.Wait(now + _LOCKED_WAIT) if self._locked else found

    def record_result(self, request: int, fingerprint: str, backoff: ledger.Backoff) -> None:
        """Close a granted request. See `ledger.record_result`."""
        self._try(ledger.record_result, request, fingerprint, backoff)

    def backoff_of(self, fingerprint: str) -> ledger.Backoff | None:
        """Return what a token has met. See `ledger.backoff_of`."""
        return self._try(ledger.backoff_of, fingerprint)

    def set_account_backoff(self, account: str, problem: Problem | None, now: datetime) -> None:
        """Let no token of an account ask for a while. See `ledger.set_account_backoff`."""
        self._try(ledger.set_account_backoff, account, problem, now)

    def release(self, request: int) -> None:
        """Close a granted request that met nothing."""
        self._try(ledger.release, request)

    def extend_lease(self, request: int, now: datetime) -> None:
        """Begin a granted request's lease anew. See `ledger.extend_lease`."""
        self._try(ledger.extend_lease, request, now)

    def in_flight(self, request: int, now: datetime) -> bool:
        """Return whether a request still waits for its answer."""
        return self._try(ledger.in_flight, request, now)

    def requests_in_last_hour(self, account: str, now: datetime) -> int:
        """Return how many requests the account has in the trailing hour."""
        return self._try(ledger.requests_in_last_hour, account, now)
