"""Checks the accounts for alerts after every change, and sends the ones that are due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.alerts import channels
from claude_usage_monitor.monitor.reader import Reader, unwrapped
from claude_usage_monitor.monitor.subscription.alerts import AccountAlerts
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.store.paths import fallback_path, state_path
from claude_usage_monitor.store.state import alerts as store
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.alerts import (
    INCIDENT_OPENED,
    Alert,
    AlertSettings,
    budget_alert,
    is_quiet,
    login_alert,
    marked_limits,
    service_alerts,
)
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.service import ServiceStatus
from claude_usage_monitor.usage.status import AccountStatus

_CHECK_INTERVAL = timedelta(minutes=1)
_SERVICE = "service"  # instead of an account's identity


class Alerting:
    """The alerts of all displayed accounts."""

    def __init__(
        self,
        settings: AlertSettings,
        environ: Mapping[str, str],
        clock_style: ClockStyle,
        hide_names: Callable[[Sequence[AccountStatus]], Sequence[AccountStatus]],
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._clock_style = clock_style
        self._hide_names = hide_names
        self._state = StateStore(state_path(environ), fallback=fallback_path(environ), live=True)
        self._by_reader: dict[Reader, AccountAlerts] = {}
        self._checked: tuple[Sequence[AccountStatus], datetime] | None = None
        self._marked: dict[str, frozenset[str]] = {}  # by the account's name
        self._has_changed_title = False

    def check(
        self, statuses: Sequence[AccountStatus], readers: Sequence[Reader], now: datetime
    ) -> list[Alert]:
        """Send the alerts that are due, and return them.

        Checks after every change, and every minute, because quiet hours and windows end.
        """
        seen, checked_at = self._checked or (None, now)
        if seen == statuses and now - checked_at < _CHECK_INTERVAL:
            return []
        self._checked = statuses, now
        sent: list[Alert] = []
        shown = self._hide_names(statuses)
        for status, shown_status, reader in zip(statuses, shown, readers, strict=False):
            problem, name = shown_status.problem, shown_status.account.name
            due = self._due(status._replace(problem=problem), reader, now)
            sent += [alert._replace(account=name) for alert in due]
        sent += self._due_of_service(next((s.service for s in statuses if s.service), None), now)
        if sent and "title" in self._settings.channels and not self._has_changed_title:
            self._has_changed_title = True
            output.terminal(channels.SAVE_TITLE)
        for alert in sent:
            channels.send(alert, self._settings, self._environ)
        return sent

    def restore_title(self) -> None:
        """Restore the title that the terminal had before the first alert."""
        if self._has_changed_title:
            output.terminal(channels.RESTORE_TITLE)

    def marked(self, statuses: Sequence[AccountStatus]) -> tuple[AccountStatus, ...]:
        """Return the statuses with the limits that have unfinished alerts."""
        none: frozenset[str] = frozenset()
        return tuple(
            status._replace(alerts=self._marked.get(status.account.name, none))
            for status in statuses
        )

    def _due(self, status: AccountStatus, reader: Reader, now: datetime) -> list[Alert]:
        reader = unwrapped(reader)
        if isinstance(reader, SubscriptionReader):
            alerts = self._by_reader.get(reader)
            if alerts is None:
                alerts = self._by_reader[reader] = AccountAlerts(
                    self._state, reader.identity, self._settings, self._clock_style
                )
            due = alerts.due(status, now)
            self._marked[status.account.name] = alerts.marked
            return due
        return self._due_of_organization(status, now)

    def _due_of_organization(self, status: AccountStatus, now: datetime) -> list[Alert]:
        identity, has_figures = f"account {status.account.name}", status.spend is not None
        login = login_alert(status, self._settings, now)
        if login is not None and not has_figures:
            # It counts as the last episode, because nothing says that there were figures since.
            sent = self._state.run(store.instances, identity, login.rule)
            login = login._replace(instance=max(sent, default=login.instance))
        found = (login, budget_alert(status, self._settings, now))
        holding = [alert for alert in found if alert is not None]
        self._marked[status.account.name] = marked_limits(holding)
        return self._claim(identity, holding, now, with_figures=has_figures)

    def _due_of_service(self, service: ServiceStatus | None, now: datetime) -> list[Alert]:
        if service is None or service.stale(now) or "service" not in self._settings.events:
            return []
        opened = self._state.run(store.instances, _SERVICE, INCIDENT_OPENED)
        return self._claim(_SERVICE, service_alerts(service, opened, now), now)

    def _claim(
        self, identity: str, holding: Sequence[Alert], now: datetime, *, with_figures: bool = True
    ) -> list[Alert]:
        """Return the alerts to send now, of those that hold."""
        quiet = is_quiet(self._settings.quiet, now, self._clock_style)
        claimed = self._state.run(
            store.claim, identity, holding, now, quiet=quiet, with_figures=with_figures
        )
        if quiet:
            return []
        held = self._state.run(store.release, identity, holding, with_figures=with_figures)
        return [*held, *claimed]
