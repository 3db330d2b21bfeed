"""One organisation, read now: what is stored, and what the budget allows to ask."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import RateLimited, UsageMonitorError
from claude_usage_monitor.monitor.backoff import (
    MIN_REPORT_INTERVAL,
    backoff_after,
    lengthened,
    report_wait,
)
from claude_usage_monitor.monitor.organization import schedule
from claude_usage_monitor.monitor.organization.reports import Reports
from claude_usage_monitor.monitor.organization.schedule import ReportRequest
from claude_usage_monitor.monitor.organization.snapshot import (
    OrganizationSnapshot,
    Rhythm,
    Showing,
    read_snapshot,
)
from claude_usage_monitor.store.state.ledger import Backoff, Granted, InFlight, Wait
from claude_usage_monitor.store.state.reports import COST_REPORTS
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.organization.admin_key import AdminKey
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.settings import Settings
    from claude_usage_monitor.store.state.state_store import StateStore

_PER_HOUR = 60  # reads, one a minute: "once per minute for sustained use"
_GLANCE_SECONDS = 0.05
_SHOWN_EVERY = 12  # parts of a long first read, between two pictures of it


class OrganizationReader:
    """Reads one organisation, again and again, through the state that all processes share.

    ``key_of`` gives its key, asked each time (raises CredentialError); ``own_email`` the reader's
    address; ``random_fraction`` the share (0–1) of the jitter that waits are lengthened by.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its neighbours
        self,
        account: Account,
        key_of: Callable[[], AdminKey],
        connect: Callable[[], HttpClient],
        state: StateStore,
        settings: Settings,
        clock: Callable[[], datetime],
        random_fraction: Callable[[], float] = lambda: 0.0,
        own_email: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._showing = Showing(account, state, settings.monthly_budget, own_email)
        self._key_of = key_of
        self._connect = connect
        self._state = state
        self._clock = clock
        self._random_fraction = random_fraction
        self._interval = max(settings.interval, MIN_REPORT_INTERVAL)
        self._jitter = random_fraction()
        self._client: HttpClient | None = None
        self._wanted = False  # the user asked for a read that is not due yet
        self._refused: str | None = None  # the key that got 401: not sent again by itself
        self._version: tuple[int, int] | None = None

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        """Return the organisation's status, what is due asked for if the budget allows.

        ``publish`` is handed what is known before anybody is asked, and the figures as they come.
        """
        while True:
            snapshot = self._snapshot()
            status = self._status(snapshot, previous)
            if snapshot.key is None or snapshot.fingerprint == self._refused:
                return status
            due = schedule.requests_due(snapshot.stored, snapshot.now, self._rhythm.turn)
            if not due:
                return status
            now = self._clock()
            answer = self._state.acquire(
                snapshot.fingerprint, snapshot.organization, now, _PER_HOUR
            )
            if isinstance(answer, Wait):  # perhaps for what another process has just asked
                return _waiting(self.cached_status(previous), answer.until)
            if status.spend != previous.spend or previous.spend is None:
                publish(status)
            if isinstance(answer, InFlight):
                self._wait_for(answer, previous, publish)
                continue  # its answers are stored, or its process died and it is our turn
            self._jitter, self._wanted = self._random_fraction(), False
            try:
                self._ask(snapshot, answer, due, previous, publish)
            finally:
                self._state.release(answer.request)  # also when interrupted: nobody shall wait
            return self.cached_status(previous)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the organisation's status as far as it is known without asking anybody."""
        return self._status(self._snapshot(), previous)

    def request_refresh(self) -> None:
        """Ask for the figures of money as soon as a minute has passed since the last time."""
        self._wanted, self._refused = True, None

    def changed(self) -> bool:
        """Return whether another process has written what a look would show."""
        return self._state.version() != self._version

    @property
    def _rhythm(self) -> Rhythm:
        turn = MIN_REPORT_INTERVAL if self._wanted else self._interval
        return Rhythm(self._interval, turn, self._jitter)

    def _snapshot(self) -> OrganizationSnapshot:
        self._version = self._state.version()
        snapshot = read_snapshot(self._key_of, self._state, self._clock)
        resting = snapshot.backoff is not None and self._clock() < snapshot.backoff.next_request_at
        if snapshot.is_refused and resting and not self._wanted:
            self._refused = snapshot.fingerprint
        return snapshot

    def _status(self, snapshot: OrganizationSnapshot, previous: AccountStatus) -> AccountStatus:
        at_rest = snapshot.fingerprint == self._refused
        return self._showing.status(snapshot, previous, self._rhythm, at_rest=at_rest)

    def _wait_for(
        self, flying: InFlight, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> None:
        """Wait while another process reads, showing what it has found so far."""
        while self._state.in_flight(flying.request, self._clock()):
            if self.changed():
                publish(self.cached_status(previous))
            time.sleep(_GLANCE_SECONDS)

    def _ask(
        self,
        snapshot: OrganizationSnapshot,
        granted: Granted,
        due: list[ReportRequest],
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None],
    ) -> None:
        """Ask for what is due, show it as it comes, and settle what it met."""
        assert snapshot.key is not None  # noqa: S101 - a read was granted for it
        client = self._client = self._client or self._connect()
        began = self._clock()
        client.clock_skew = snapshot.backoff.clock_skew if snapshot.backoff else client.clock_skew
        reports = Reports(client, snapshot.key.secret, self._state, began)

        def extend_lease() -> None:
            self._state.extend_lease(granted.request, self._clock())

        try:
            organization = reports.identified(snapshot.fingerprint)
            for number, part in enumerate(reports.asked_for(due, organization, extend_lease), 1):
                if part in (*COST_REPORTS, "workspaces") or not number % _SHOWN_EVERY:
                    publish(self.cached_status(previous))
        except UsageMonitorError as error:
            now, before = self._clock(), snapshot.backoff
            backoff = backoff_after(error, before, now, report_wait, self._jitter)
        else:
            floor = lengthened(MIN_REPORT_INTERVAL, self._jitter)
            backoff = Backoff(began, began + floor)
        backoff = backoff._replace(requested_at=began, clock_skew=client.clock_skew)
        self._state.record_result(granted.request, snapshot.fingerprint, backoff)


def _waiting(status: AccountStatus, until: datetime) -> AccountStatus:
    """Return the status of a read that has to wait; without figures that is a problem."""
    if not status.has_figures and status.problem is None:
        hint = "This organisation was read less than a minute ago, or sixty times in this hour."
        problem = Problem(RateLimited.code, "The request budget is used up.", hint, until)
        status = dataclasses.replace(status, problem=problem)
    at = status.next_read_at
    return dataclasses.replace(status, next_read_at=max(until, at) if at else None)
