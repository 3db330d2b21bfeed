"""The statuses that live mode shows, and what it does with each change: alerts, transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.monitor.accounts.selection import SelectedAccounts
from claude_usage_monitor.monitor.attribution.worker import UseWorker
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.monitor.reader import DisplayedAccounts
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:  # see _alerting
    from claude_usage_monitor.cli.alerts.alerting import Alerting


class ShownStatuses(NamedTuple):
    """The statuses to show: the poller's, with the progress of transcripts and the alerts."""

    poller: Poller
    use_worker: UseWorker | None
    alerting: Alerting | None
    hide_names: Callable[[Sequence[AccountStatus]], Sequence[AccountStatus]]

    def current(self) -> tuple[AccountStatus, ...]:
        """Return the statuses to show now."""
        return tuple(self.hide_names(self.with_names()))

    def with_names(self) -> tuple[AccountStatus, ...]:
        """Return the same without placeholders for names, in the same order."""
        statuses = self.poller.statuses
        if self.use_worker is not None:
            statuses = self.use_worker.shown(statuses)
        if self.alerting is not None:
            statuses = self.alerting.marked(statuses)
        return statuses

    def send_alerts(self, now: datetime) -> None:
        """Send the alerts that are due."""
        if self.alerting is not None:
            self.alerting.check(self.poller.statuses, self.poller.readers, now)

    def restore_title(self) -> None:
        """Restore the terminal's title if an alert has changed it."""
        if self.alerting is not None:
            self.alerting.restore_title()

    def start_worker(self) -> None:
        """Start to read transcripts once `announced` was called."""
        if self.use_worker is not None:
            self.use_worker.start()

    def announced(self) -> None:
        """Let transcripts be read: the user was shown the notice."""
        if self.use_worker is not None:
            self.use_worker.announced()


def shown_statuses(
    poller: Poller,
    accounts: DisplayedAccounts,
    request: DashboardRequest,
    clock: ClockStyle,
    redraw: Callable[[], None],
) -> ShownStatuses:
    """Return the statuses of a poller; ``redraw`` is called when transcripts were read."""
    use_worker = None
    # The demo has no transcripts, and sends no alerts.
    if isinstance(accounts, SelectedAccounts) and request.settings.transcripts:
        services = accounts.services
        use_worker = UseWorker(services, lambda: poller.statuses, poller.use_cached, redraw)
    return ShownStatuses(poller, use_worker, _alerting(request, clock), request.shown)


def _alerting(request: DashboardRequest, clock: ClockStyle) -> Alerting | None:
    """Return the alerts, if the user has turned them on."""
    settings = request.settings.alerts
    if settings is None or not settings.enabled or request.demo:
        return None
    # Takes 12 ms (subprocess); only needed with alerts.
    from claude_usage_monitor.cli.alerts.alerting import Alerting

    return Alerting(settings, request.environ, clock, request.shown)
