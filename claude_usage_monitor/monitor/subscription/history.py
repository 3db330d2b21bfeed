"""The stored history of an account: its past windows, its readings, and imports into it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.monitor.reader import require_window
from claude_usage_monitor.store.state.identities import WITHOUT_LOGIN
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history, merge
from claude_usage_monitor.usage.limits.history import (
    FIVE_HOUR,
    SEVEN_DAY,
    History,
    SessionsLeft,
    history_of,
    sessions_left,
)
from claude_usage_monitor.usage.limits.history_view import (
    SPARK_HOURS,
    HistoryView,
    Range,
    key_of,
    span_of,
)
from claude_usage_monitor.usage.limits.hours import HOUR
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import rank_for_display

_MAX_COLUMNS = 192  # of a chart of readings: finer than any view is wide
_RATES_FROM = timedelta(days=28)  # what a session costs is measured over this time


class AccountHistory:
    """The history of one subscription, in the database that all processes share."""

    def __init__(self, state: StateStore, identity: str | None, account_name: str) -> None:
        self._state = state
        last_login = state.last_login(account_name)
        self._identity = identity or (last_login[0] if last_login else WITHOUT_LOGIN)

    def require_key(self, key: str) -> None:
        """Raise InvalidSetting unless this account has, or may have, windows of this key."""
        require_window(key, list(dict.fromkeys((FIVE_HOUR, SEVEN_DAY, *self.window_keys()))))

    def summary(self, now: datetime, since: datetime, key: str | None = None) -> History:
        """Return the windows since an instant, of one key or of all, with what they add up to."""
        windows = self._state.run(history.windows, self._identity, since, key)
        hours = {
            each: self._state.run(history.hours, self._identity, each, since)
            for each in (self.window_keys() if key is None else [key])
        }
        return history_of(windows, hours, since, now, self._sessions_left(now))

    def readings(self, since: datetime, key: str | None = None) -> list[tuple[str, Reading]]:
        """Return the stored readings since an instant with their keys, oldest first."""
        readings = [
            (each, reading)
            for each in (self.window_keys() if key is None else [key])
            for reading in self._state.run(history.readings, self._identity, each, since)
        ]
        return sorted(readings, key=lambda keyed: keyed[1].read_at)

    def view(self, shown: Range, now: datetime, selected: str | None = None) -> HistoryView | None:
        """Return what the history view shows, of the selected window if there is one.

        Return ``None`` if nothing was ever read.
        """
        keys = self.window_keys()
        key = key_of(shown, keys, selected)
        if key is None:
            return None
        run, identity = self._state.run, self._identity
        current = run(history.current_windows, identity).get(key)
        start, end = span_of(shown, current, now)
        recent = now - SPARK_HOURS * HOUR
        view = HistoryView(
            shown,
            key,
            {each: run(history.hours, identity, each, recent) for each in keys},
            start,
            end,
            current=current,
            sessions_left=self._sessions_left(now),
        )
        if shown in (Range.DAY, Range.WEEK):
            bucket = (end - start) / _MAX_COLUMNS
            return view._replace(levels=run(history.levels, identity, key, start, bucket))
        if shown is Range.HEAT:
            return view._replace(hours=run(history.hours, identity, key, start))
        return view._replace(windows=run(history.windows, identity, start, key))

    def import_readings(
        self, readings: Iterable[tuple[str, Reading]], *, dry_run: bool
    ) -> merge.Imported:
        """Merge readings into the history, through the rules for live ones."""
        return self._state.run(
            merge.import_readings, self._identity, list(readings), dry_run=dry_run
        )

    def window_keys(self) -> list[str]:
        """Return the keys of the windows that were ever read, in the order of displays."""
        return sorted(self._state.run(history.keys, self._identity), key=rank_for_display)

    def _sessions_left(self, now: datetime) -> SessionsLeft | None:
        changes = self._state.run(history.plan_changes, self._identity)
        since = max([now - _RATES_FROM, *(change.at for change in changes if change.at <= now)])
        return sessions_left(
            self._state.run(history.windows, self._identity, since, FIVE_HOUR),
            self._state.run(history.hours, self._identity, SEVEN_DAY, since),
            self._state.run(history.current_windows, self._identity).get(SEVEN_DAY),
            now,
        )
