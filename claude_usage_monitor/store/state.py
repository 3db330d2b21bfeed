"""What we keep, through one door that never fails: a disk that does is replaced by memory.

A full disk, a file that turns bad, permissions taken away: what is known goes on in memory, the
file is tried again every minute, and `notice` says so.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from claude_usage_monitor.store import budget, identities, readings
from claude_usage_monitor.store.database import BUSY_SECONDS, Database, in_memory, open_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from pathlib import Path

    from claude_usage_monitor.usage.profile import Profile
    from claude_usage_monitor.usage.windows import Usage

_P = ParamSpec("_P")
_R = TypeVar("_R")

_RETRY_SECONDS = 60.0
_CARRIED = ("newest", "complete", "identity", "login", "request", "gate")  # all but the history


class State:
    """Readings, identities and the request ledger of all processes of this user."""

    def __init__(self, path: Path, patience: float = BUSY_SECONDS) -> None:
        self._path = path
        self._patience = patience
        self._database = open_database(path, patience)
        self._fell_back_at = time.monotonic()

    @property
    def notice(self) -> str | None:
        """What to tell the user about the place; ``None`` when all is well."""
        return self._database.notice

    def version(self) -> int:
        """Return a number that changes when another process has written."""
        return self._try(lambda connection: Database(connection, None).data_version())

    def _try(
        self,
        operation: Callable[Concatenate[sqlite3.Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        self._come_back()
        try:
            return operation(self._database.connection, *args, **kwargs)
        except sqlite3.Error as error:
            self._fall_back(error)
            return operation(self._database.connection, *args, **kwargs)

    def _fall_back(self, error: sqlite3.Error) -> None:
        """Go on in memory, with what can still be read from the file."""
        memory = in_memory(f"{self._path} cannot be used ({error}): nothing is kept.")
        broken = self._database
        for table in _CARRIED:
            try:
                rows = broken.connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            except sqlite3.Error:
                continue
            for row in rows:
                marks = ", ".join("?" * len(row))
                memory.connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608
        with suppress(sqlite3.Error):
            broken.close()
        self._database, self._fell_back_at = memory, time.monotonic()

    def _come_back(self) -> None:
        if self._database.path is not None:
            return
        if time.monotonic() - self._fell_back_at < _RETRY_SECONDS:
            return
        self._fell_back_at = time.monotonic()
        again = open_database(self._path, self._patience)
        if again.path is not None:
            self._database = again

    # --- readings ------------------------------------------------------------------------------

    def record(self, account: str, usage: Usage, newer: readings.Newer, *, complete: bool) -> None:
        """Keep a reading. See `readings.record`."""
        self._try(readings.record, account, usage, newer, complete=complete)

    def newest(self, account: str, now: datetime) -> Usage | None:
        """Return the newest figure of each window. See `readings.newest`."""
        return self._try(readings.newest, account, now)

    # --- identities ----------------------------------------------------------------------------

    def account_of(self, fingerprint: str) -> str:
        """Return whose a token is. See `identities.account_of`."""
        return self._try(identities.account_of, fingerprint)

    def link(self, fingerprint: str, account: str) -> None:
        """Keep whose a token is. See `identities.link`."""
        self._try(identities.link, fingerprint, account)

    def profile_of(self, fingerprint: str) -> Profile | None:
        """Return the profile that was asked for with a token."""
        return self._try(identities.profile_of, fingerprint)

    def keep_profile(self, fingerprint: str, profile: Profile) -> None:
        """Keep the profile that was asked for with a token."""
        self._try(identities.keep_profile, fingerprint, profile)

    def note_login(self, place: str, account: str, now: datetime) -> datetime | None:
        """Keep who a place is logged in as; returns since when. See `identities.note_login`."""
        return self._try(identities.note_login, place, account, now)

    def logged_in(self, place: str) -> tuple[str, datetime | None] | None:
        """Return who a place was last seen logged in as, and since when."""
        return self._try(identities.logged_in, place)

    # --- the ledger ----------------------------------------------------------------------------

    def acquire(
        self, fingerprint: str, account: str, now: datetime, floor: timedelta
    ) -> budget.Granted | budget.InFlight | budget.Wait:
        """Ask for a request. See `budget.acquire`."""
        return self._try(budget.acquire, fingerprint, account, now, floor)

    def settle(self, request: int, fingerprint: str, gate: budget.Gate) -> None:
        """Close a granted request. See `budget.settle`."""
        self._try(budget.settle, request, fingerprint, gate)

    def gate_of(self, fingerprint: str) -> budget.Gate | None:
        """Return what a token has met. See `budget.gate_of`."""
        return self._try(budget.gate_of, fingerprint)

    def in_flight(self, request: int) -> bool:
        """Return whether a request still waits for its answer."""
        return self._try(budget.in_flight, request)

    def requests_in_last_hour(self, account: str, now: datetime) -> int:
        """Return how many requests the account has in the trailing hour."""
        return self._try(budget.requests_in_last_hour, account, now)
