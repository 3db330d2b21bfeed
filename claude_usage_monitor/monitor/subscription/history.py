"""The stored history of an account: its past windows, its readings, and imports into it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.store.state import history, merge
from claude_usage_monitor.store.state.identities import WITHOUT_LOGIN
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.limits.history import (
    SEVEN_DAY,
    History,
    SessionsLeft,
    history_of,
    sessions_left,
)
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import rank_for_display

_RATES_FROM = timedelta(days=28)  # what a session costs is measured over this time


class AccountHistory:
    """The history of one subscription, in the database that all processes share."""

    def __init__(self, state: StateStore, reader: SubscriptionReader, key: str) -> None:
        self._state = state
        last_login = state.last_login(key)
        self._identity = reader.identity() or (last_login[0] if last_login else WITHOUT_LOGIN)

    def summary(self, now: datetime, since: datetime, key: str | None = None) -> History:
        """Return the windows since an instant, of one key or of all, with what they add up to."""
        windows = self._state.run(history.windows, self._identity, since, key)
        hours = {
            each: self._state.run(history.hours, self._identity, each, since)
            for each in self._keys(key)
        }
        return history_of(windows, hours, since, now, self._sessions_left(now))

    def readings(self, since: datetime, key: str | None = None) -> list[tuple[str, Reading]]:
        """Return the stored readings since an instant with their keys, oldest first."""
        readings = [
            (each, reading)
            for each in self._keys(key)
            for reading in self._state.run(history.readings, self._identity, each, since)
        ]
        return sorted(readings, key=lambda keyed: keyed[1].read_at)

    def import_readings(
        self, readings: Iterable[tuple[str, Reading]], *, dry_run: bool
    ) -> merge.Imported:
        """Merge readings into the history, through the rules for live ones."""
        return self._state.run(
            merge.import_readings, self._identity, list(readings), dry_run=dry_run
        )

    def _keys(self, key: str | None) -> list[str]:
        if key is not None:
            return [key]
        keys = self._state.run(history.keys, self._identity)
        return sorted(keys, key=rank_for_display)

    def _sessions_left(self, now: datetime) -> SessionsLeft | None:
        changes = self._state.run(history.plan_changes, self._identity)
        since = max([now - _RATES_FROM, *(change.at for change in changes if change.at <= now)])
        return sessions_left(
            self._state.run(history.windows, self._identity, since),
            self._state.run(history.hours, self._identity, SEVEN_DAY, since),
            self._state.run(history.current_windows, self._identity).get(SEVEN_DAY),
            now,
        )
