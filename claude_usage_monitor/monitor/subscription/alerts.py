"""Which alerts of a subscription this process sends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from claude_usage_monitor.store.state import alerts as store
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.alerts import (
    Alert,
    AlertRules,
    AlertSettings,
    is_quiet,
    marked_limits,
)
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import AccountStatus

_RESETS_SINCE = timedelta(hours=1)  # an older reset is not alerted


class AccountAlerts:
    """The alerts of one subscription. ``identity`` returns that of its stored figures."""

    def __init__(
        self,
        state: StateStore,
        identity: Callable[[], str | None],
        settings: AlertSettings,
        clock_style: ClockStyle,
    ) -> None:
        self._state = state
        self._identity = identity
        self._settings = settings
        self._clock_style = clock_style
        self._rules = AlertRules(settings)
        self.marked: frozenset[str] = frozenset()  # see `AccountStatus.alerts`

    def due(self, status: AccountStatus, now: datetime) -> list[Alert]:
        """Return the alerts to send now.

        In quiet hours they are stored; one alert at their end says which of them still hold.
        """
        identity = self._identity()
        if identity is None:
            return []
        api_now = status.api_time(now)
        since = api_now - _RESETS_SINCE
        current = self._state.run(history.current_windows, identity)
        ended = [
            window.at(api_now)
            for window in self._state.run(history.windows, identity, since)
            if window.at(api_now).end != "open"
        ]
        holding = self._rules.alerts(status, current, ended, now, self._clock_style)
        if not status.stale(now):  # old figures do not say that an alert is over
            self.marked = marked_limits(holding)
        stored = status.usage is not None and all(
            window.key in current
            for window in status.usage.at(api_now).windows
            if window.utilization
        )  # new figures are shown before they are stored
        has_figures = stored and not status.stale(now)
        quiet = is_quiet(self._settings.quiet, now, self._clock_style)
        claimed = self._state.run(
            store.claim, identity, holding, now, quiet=quiet, with_figures=has_figures
        )
        if quiet:
            return []
        held = self._state.run(store.release, identity, holding, with_figures=has_figures)
        return [*held, *claimed]
