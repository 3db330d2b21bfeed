"""One organisation, read now: what is stored, and what the budget allows to ask."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import CredentialError, RateLimited, UsageMonitorError
from claude_usage_monitor.monitor import backoff
from claude_usage_monitor.monitor.organization import requests
from claude_usage_monitor.monitor.organization.reports import Reports
from claude_usage_monitor.monitor.organization.snapshot import (
    OrganizationLook,
    Rhythm,
    Showing,
    look_at,
)
from claude_usage_monitor.monitor.subscription.claude_code_login import PLACE
from claude_usage_monitor.store.state.ledger import Gate, InFlight, Wait
from claude_usage_monitor.store.state.spend import COSTS
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from claude_usage_monitor.monitor.organization.admin_key import AdminKey
    from claude_usage_monitor.monitor.organization.requests import Errand
    from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.settings import Settings
    from claude_usage_monitor.store.state.ledger import Granted
    from claude_usage_monitor.store.state.state_store import State

CONSOLE = Account("console", "console")

_PER_HOUR = 60  # reads, one a minute: "once per minute for sustained use"
_REFUSED_FOR = timedelta(minutes=15)
_GLANCE_SECONDS = 0.05
_SHOWN_EVERY = 12  # parts of a long first read, between two pictures of it


def known_email(settings: Settings, state: State, config: GlobalConfig) -> str | None:
    """Return the reader's own e-mail address: set, the login's, or what Claude Code says.

    Never guessed: without one of these nobody's row is "you".
    """
    if settings.email:
        return settings.email
    login = state.logged_in(PLACE)
    asked = state.email_of(login[0]) if login else None
    if asked is not None:
        return asked
    profile = config.read().profile
    return profile.email if profile else None


class OrganizationReader:
    """Reads one organisation, again and again, through the state that all processes share.

    ``key_of`` gives its key, asked each time (raises CredentialError); ``own_email`` the reader's
    address; ``draw`` the share (0–1) of the jitter that waits are lengthened by.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its neighbours
        self,
        account: Account,
        key_of: Callable[[], AdminKey],
        connect: Callable[[], HttpClient],
        state: State,
        settings: Settings,
        clock: Callable[[], datetime],
        draw: Callable[[], float] = lambda: 0.0,
        own_email: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._showing = Showing(account, state, settings.monthly_budget, own_email)
        self._key_of = key_of
        self._connect = connect
        self._state = state
        self._clock = clock
        self._draw = draw
        self._interval = max(settings.interval, backoff.LEAST_REPORTS)
        self._chance = draw()
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
            look = self._look()
            status = self._status(look, previous)
            if look.key is None or look.fingerprint == self._refused:
                return status
            due = requests.errands_due(look.stored, look.now, self._rhythm.turn)
            if not due:
                return status
            now = self._clock()
            answer = self._state.acquire(look.fingerprint, look.organization, now, _PER_HOUR)
            if isinstance(answer, Wait):  # perhaps for what another process has just asked
                return _waiting(self.look(previous), answer.until)
            if status.spend != previous.spend or previous.spend is None:
                publish(status)
            if isinstance(answer, InFlight):
                self._wait_for(answer, previous, publish)
                continue  # its answers are stored, or its process died and it is our turn
            self._chance, self._wanted = self._draw(), False
            try:
                self._ask(look, answer, due, previous, publish)
            finally:
                self._state.close(answer.request)  # also when interrupted: nobody shall wait
            return self.look(previous)

    def look(self, previous: AccountStatus) -> AccountStatus:
        """Return the organisation's status as far as it is known without asking anybody."""
        return self._status(self._look(), previous)

    def want(self) -> None:
        """Ask for the figures of money as soon as a minute has passed since the last time."""
        self._wanted, self._refused = True, None

    def changed(self) -> bool:
        """Return whether another process has written what a look would show."""
        return self._state.version() != self._version

    @property
    def _rhythm(self) -> Rhythm:
        turn = backoff.LEAST_REPORTS if self._wanted else self._interval
        return Rhythm(self._interval, turn, self._chance)

    def _look(self) -> OrganizationLook:
        self._version = self._state.version()
        look = look_at(self._key_of, self._state, self._clock)
        resting = look.gate is not None and self._clock() < look.gate.next_at
        if look.is_refused and resting and not self._wanted:
            self._refused = look.fingerprint
        return look

    def _status(self, look: OrganizationLook, previous: AccountStatus) -> AccountStatus:
        at_rest = look.fingerprint == self._refused
        return self._showing.status(look, previous, self._rhythm, at_rest=at_rest)

    def _wait_for(
        self, flying: InFlight, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> None:
        """Wait while another process reads, showing what it has found so far."""
        while self._state.in_flight(flying.request, self._clock()):
            if self.changed():
                publish(self.look(previous))
            time.sleep(_GLANCE_SECONDS)

    def _ask(
        self,
        look: OrganizationLook,
        granted: Granted,
        due: list[Errand],
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None],
    ) -> None:
        """Ask for what is due, show it as it comes, and settle what it met."""
        assert look.key is not None  # noqa: S101 - a read was granted for it
        client = self._client = self._client or self._connect()
        began = self._clock()
        client.clock_ahead = look.gate.clock_ahead if look.gate else client.clock_ahead
        reports = Reports(client, look.key.secret, self._state, began)

        def renew() -> None:
            self._state.renew(granted.request, self._clock())

        try:
            organization = reports.identified(look.fingerprint)
            for number, part in enumerate(reports.asked_for(due, organization, renew), 1):
                if part in (*COSTS, "workspaces") or not number % _SHOWN_EVERY:
                    publish(self.look(previous))
        except UsageMonitorError as error:
            gate = self._gate_after(error, look.gate, began)
        else:
            floor = backoff.LEAST_REPORTS * (1 + backoff.JITTER * self._chance)
            gate = Gate(began, began + floor, clock_ahead=client.clock_ahead)
        self._state.settle(granted.request, look.fingerprint, gate)

    def _gate_after(self, error: UsageMonitorError, before: Gate | None, began: datetime) -> Gate:
        ahead = self._client.clock_ahead if self._client else timedelta()
        rate_limits = failures = 0
        if isinstance(error, RateLimited):
            rate_limits = (before.rate_limits if before else 0) + 1
            next_at = backoff.after_report_rate_limit(
                self._clock(), error.retry_after, rate_limits, chance=self._chance
            )
        elif isinstance(error, CredentialError):
            next_at = began + _REFUSED_FOR
        else:
            failures = (before.failures if before else 0) + 1
            next_at = backoff.after_error(began, failures, chance=self._chance)
            next_at = max(next_at, began + backoff.LEAST_REPORTS)
        return Gate(began, next_at, Problem.from_error(error), rate_limits, failures, ahead)


def _waiting(status: AccountStatus, until: datetime) -> AccountStatus:
    """Return the status of a read that has to wait; without figures that is a problem."""
    if not status.has_figures and status.problem is None:
        hint = "This organisation was read less than a minute ago, or sixty times in this hour."
        problem = Problem(RateLimited.code, "The request budget is used up.", hint, until)
        status = dataclasses.replace(status, problem=problem)
    at = status.next_read_at
    return dataclasses.replace(status, next_read_at=max(until, at) if at else None)
