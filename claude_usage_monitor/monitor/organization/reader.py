"""Reads one organization: the stored reports, and new ones when the request budget allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.backoff import (
    MIN_REPORT_INTERVAL,
    backoff_after,
    lengthened,
    report_wait,
)
from claude_usage_monitor.monitor.organization import schedule
from claude_usage_monitor.monitor.organization.admin_key import AdminKey
from claude_usage_monitor.monitor.organization.reports import Reports
from claude_usage_monitor.monitor.organization.schedule import ReportRequest
from claude_usage_monitor.monitor.organization.snapshot import (
    OrganizationSnapshot,
    failure_text,
    read_snapshot,
)
from claude_usage_monitor.monitor.organization.spend import spend_from_reports
from claude_usage_monitor.monitor.reader import Reader, delayed
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.state.ledger import Backoff, Granted, InFlight, Wait
from claude_usage_monitor.store.state.reports import COST_REPORTS
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

_MAX_READS_PER_HOUR = 60  # the API's documentation: "once per minute for sustained use"
_IN_FLIGHT_POLL_SECONDS = 0.05
_BUDGET_HINT = "This organization was read less than a minute ago, or 60 times in this hour."
_PUBLISH_EVERY = 12  # reports, during a long first read


class OrganizationReader(Reader):
    """Reads one organization through the stored state that all processes share.

    ``find_key`` returns the organization's key or raises UsageMonitorError; it is called for each
    read. ``own_email`` returns the user's address, to find the user's own row.
    """

    def __init__(
        self,
        find_key: Callable[[], AdminKey],
        services: Services,
        own_email: Callable[[], str | None],
    ) -> None:
        self._find_key = find_key
        self._connect = services.admin_client
        self._state = services.state
        self._budget = services.settings.monthly_budget
        self._interval = max(services.settings.interval, MIN_REPORT_INTERVAL)
        self._clock = services.clock
        self._random_fraction = services.random_fraction
        self._own_email = own_email
        self._jitter = self._random_fraction()
        self._client: HttpClient | None = None
        self._refresh_requested = False
        self._refused_key: str | None = None  # fingerprint of a key that is not sent again
        self._version: tuple[int, int] | None = None

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        """Return the organization's status, after requesting due reports if the budget allows it.

        ``publish`` is called with the stored figures before a request is sent, and with new ones as
        they arrive.
        """
        while True:
            snapshot = self._snapshot()
            status = self._status(snapshot, previous)
            if snapshot.key is None or snapshot.fingerprint == self._refused_key:
                return status
            due = schedule.requests_due(snapshot.stored, snapshot.now, self._cost_interval)
            if not due:
                return status
            permission = self._state.acquire(
                snapshot.fingerprint,
                snapshot.organization_id,
                self._clock(),
                _MAX_READS_PER_HOUR,
            )
            if isinstance(permission, Wait):
                # Another process may have stored new reports since the snapshot was read.
                return delayed(self.cached_status(previous), permission.until, _BUDGET_HINT)
            publish(status._replace(reading=True))
            if isinstance(permission, InFlight):
                self._wait_for_other_process(permission, previous, publish)
                continue  # the reports are stored now, or that process died
            self._jitter, self._refresh_requested = self._random_fraction(), False
            try:
                self._refresh(snapshot, snapshot.key, permission, due, previous, publish)
            finally:
                self._state.release(permission.request)  # also after Ctrl+C: others wait for it
            return self.cached_status(previous)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the organization's status without a request."""
        return self._status(self._snapshot(), previous)

    def request_refresh(self) -> None:
        """Request the costs again as soon as the last read is a minute old."""
        self._refresh_requested, self._refused_key = True, None

    def changed(self) -> bool:
        """Return whether another process has stored something since the last read."""
        return self._state.version() != self._version

    @property
    def _cost_interval(self) -> timedelta:
        return MIN_REPORT_INTERVAL if self._refresh_requested else self._interval

    def _snapshot(self) -> OrganizationSnapshot:
        self._version = self._state.version()
        now = self._clock()
        snapshot = read_snapshot(self._find_key, self._state, now)
        backoff = snapshot.backoff
        backing_off = backoff is not None and now < backoff.next_request_at
        if snapshot.is_refused and backing_off and not self._refresh_requested:
            self._refused_key = snapshot.fingerprint
        return snapshot

    def _status(self, snapshot: OrganizationSnapshot, previous: AccountStatus) -> AccountStatus:
        if snapshot.key is None:
            spend, profile = previous.spend, None  # show the last figures, which become stale
        else:
            spend = spend_from_reports(
                snapshot.stored, snapshot.now, self._budget, self._own_email()
            )
            profile = self._state.profile_of(snapshot.fingerprint)
        failures = failure_text(snapshot.stored.failures) if spend is not None else ""
        return AccountStatus(
            account=previous.account,
            spend=spend,
            profile=profile or previous.profile,
            credential_origin=snapshot.key.origin if snapshot.key else None,
            problem=snapshot.problem(spend),
            notice=" ".join(filter(None, (failures, self._state.notice))) or None,
            next_read_at=self._next_read_at(snapshot),
            interval=self._interval,
            clock_skew=snapshot.clock_skew,
        )

    def _next_read_at(self, snapshot: OrganizationSnapshot) -> datetime | None:
        if snapshot.key is None or snapshot.fingerprint == self._refused_key:
            return None
        backoff = snapshot.backoff
        if backoff is not None and backoff.problem is not None:
            return backoff.next_request_at
        due_at = schedule.next_due_at(snapshot.stored, snapshot.now, self._cost_interval)
        if due_at > snapshot.now and not self._refresh_requested:
            due_at += lengthened(self._interval, self._jitter) - self._interval
        due_at += snapshot.clock_skew
        return due_at if backoff is None else max(due_at, backoff.next_request_at)

    def _wait_for_other_process(
        self, in_flight: InFlight, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> None:
        """Wait while another process reads the organization; publish what it stores."""
        while self._state.in_flight(in_flight.request, self._clock()):
            if self.changed():
                publish(self.cached_status(previous))
            time.sleep(_IN_FLIGHT_POLL_SECONDS)

    def _refresh(  # noqa: PLR0913, PLR0917 - the state of one read
        self,
        snapshot: OrganizationSnapshot,
        key: AdminKey,
        granted: Granted,
        due: Sequence[ReportRequest],
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None],
    ) -> None:
        """Request the due reports, publish figures as they arrive, and store the back-off."""
        client = self._client = self._client or self._connect()
        now = self._clock()
        if snapshot.backoff is not None:
            client.clock_skew = snapshot.backoff.clock_skew
        reports = Reports(client, key.secret, self._state, now)

        def extend_lease() -> None:
            self._state.extend_lease(granted.request, self._clock())

        try:
            organization_id = reports.identify(snapshot.fingerprint)
            stored = reports.refresh(due, organization_id, extend_lease)
            for number, report in enumerate(stored, 1):
                if report in (*COST_REPORTS, "workspaces") or number % _PUBLISH_EVERY == 0:
                    publish(self.cached_status(previous))
        except UsageMonitorError as error:
            backoff = backoff_after(
                error, snapshot.backoff, self._clock(), report_wait, self._jitter
            )
        else:
            backoff = Backoff(now, now + lengthened(MIN_REPORT_INTERVAL, self._jitter))
        backoff = backoff._replace(requested_at=now, clock_skew=client.clock_skew)
        self._state.record_result(granted.request, snapshot.fingerprint, backoff)
