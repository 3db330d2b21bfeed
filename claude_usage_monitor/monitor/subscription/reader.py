"""One account, read now: what is stored, what is free, and what the budget allows to ask."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialError,
    RateLimited,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor import backoff
from claude_usage_monitor.monitor.gates import CREDENTIAL_CODES, RENEWED_FOR, gate_after
from claude_usage_monitor.monitor.subscription.claude_code_login import Look, profile_of_login
from claude_usage_monitor.store.state.ledger import Gate, Granted, InFlight, Wait
from claude_usage_monitor.usage.status import AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from claude_usage_monitor.monitor.subscription.claude_code_login import Onlooker
    from claude_usage_monitor.monitor.subscription.saved_login import SavedOnlooker
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.settings import Settings
    from claude_usage_monitor.store.state.state_store import State
    from claude_usage_monitor.usage.limits.windows import Usage
    from claude_usage_monitor.usage.profile import Profile
    from claude_usage_monitor.usage.status import Account

_FRESH = timedelta(seconds=30)  # what is younger is shown as "now"
_GLANCE_SECONDS = 0.05  # how often another process's request is looked after


class AccountReader:
    """Reads one account, again and again, through the state that all processes share.

    ``draw`` gives the share (0–1) of the jitter that waits are lengthened by.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its neighbours
        self,
        onlooker: Onlooker | SavedOnlooker,
        connect: Callable[[], HttpClient],
        state: State,
        settings: Settings,
        clock: Callable[[], datetime],
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._onlooker = onlooker
        self._connect = connect
        self._state = state
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()  # two callers of one account: the second finds it read
        self._chance = draw()
        self._client: HttpClient | None = None
        self._wanted = False  # the user asked for a read that the budget has not allowed yet
        self._asked_at: datetime | None = None
        self._account: str | None = None
        self._version: tuple[int, int] | None = None

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        """Return the account's status, its figures asked for if the budget allows.

        ``publish`` is handed what is known before anybody is asked, and the figures before the
        profile is. A second credential is tried when the first was refused and there is another.
        """
        with self._lock:
            return self._read(previous, publish)

    def _read(
        self, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> AccountStatus:
        tried: set[str | None] = set()
        while True:
            now = self._clock()
            look, status = self._ready(previous, now, publish, afresh=bool(tried))
            if look.fingerprint in tried or not look.may_be_sent(now):
                return status
            if look.polled_at is not None and now < (status.next_read_at or now):
                return status  # Claude Pace Maker has asked in our place
            answer = self._state.acquire(look.fingerprint or "", look.account or "", now)
            if isinstance(answer, Wait):
                # What kept us from asking may have been an answer that is stored since we looked.
                return self._waiting(self.look(previous), answer.until)
            if previous.usage is None or status.usage != previous.usage:
                publish(status)
            if isinstance(answer, InFlight):
                while self._state.in_flight(answer.request, self._clock()):
                    time.sleep(_GLANCE_SECONDS)
                continue  # its answer is stored, or its process died and it is our turn
            tried.add(look.fingerprint)
            try:
                again = self._ask(look, answer, now, status, publish)
            finally:
                self._state.close(answer.request)  # also when interrupted: nobody shall wait
            if not again:
                return self.look(previous)

    def want(self) -> None:
        """Ask as soon as the budget allows, not only when the interval is over.

        Right after a request there is nothing newer to be had: a key pressed twice asks once.
        """
        asked_at = self._asked_at
        self._wanted = asked_at is None or self._clock() - asked_at >= _FRESH

    def last_asked_at(self) -> datetime | None:
        """Return when this reader last made a request for usage."""
        return self._asked_at

    def look(self, previous: AccountStatus) -> AccountStatus:
        """Return the account's status as far as it is known without asking anybody."""
        return self._looked(previous, self._clock())[1]

    def changed(self) -> bool:
        """Return whether somebody else has written what a look would show."""
        return self._state.version(self._account) != self._version

    # --- renewing ------------------------------------------------------------------------------

    def _ready(
        self,
        previous: AccountStatus,
        now: datetime,
        publish: Callable[[AccountStatus], None],
        *,
        afresh: bool,
    ) -> tuple[Look, AccountStatus]:
        """Look the login up, and renew it if it is ours and its time has come."""
        look, status = self._looked(previous, now, afresh=afresh)
        gate = self._state.gate_of(look.fingerprint or "")
        problem = gate.problem if gate is not None else None
        refused = problem is not None and problem.code in RENEWED_FOR
        closed = gate is not None and now < gate.next_at and not refused
        if not look.renewable or closed:
            return look, status
        publish(status)
        try:
            if self._onlooker.renew(look, now, refused=refused):
                return self._looked(previous, now)
        except UsageMonitorError as error:
            if not refused and look.may_be_sent(now):
                return look, status  # it lasts a little longer
            problem = Problem.from_error(error)
            without = dataclasses.replace(status, problem=problem, next_read_at=problem.retry_at)
            return look._replace(problem=error), without
        return look, status

    def _looked(
        self, previous: AccountStatus, now: datetime, *, afresh: bool = False
    ) -> tuple[Look, AccountStatus]:
        look = self._onlooker.look(now, afresh=afresh)
        self._version = self._state.version(look.account)
        return look, self._status(look, now, previous)

    # --- the status of what is known -----------------------------------------------------------

    def _status(self, look: Look, now: datetime, previous: AccountStatus) -> AccountStatus:
        gate = self._state.gate_of(look.fingerprint) if look.fingerprint else None
        gate = look.counted_in(gate, self._settings.api_floor)
        ahead = gate.clock_ahead if gate else timedelta()
        self._account = look.account
        if isinstance(look.problem, UnknownAccount):
            return AccountStatus(
                self._named(previous, None), problem=Problem.from_error(look.problem)
            )
        if look.account is None:
            usage = previous.usage  # nobody is logged in: what was shown stays, with its age
        else:
            usage = self._state.newest(look.account, now - ahead)
        problem = gate.problem if gate else None
        if usage is None:
            problem = problem or look.held
        hint = self._onlooker.log_in_hint
        if problem is not None and problem.code in RENEWED_FOR and hint is not None:
            problem = dataclasses.replace(problem, hint=hint)
        if look.problem is not None:
            problem = Problem.from_error(look.problem)
        return AccountStatus(
            account=self._named(previous, look.profile),
            usage=usage,
            profile=look.profile or previous.profile,
            credential_origin=look.credential.origin if look.credential else None,
            problem=problem,
            notice=look.notice or self._state.notice,
            next_read_at=self._next_read(look, gate, usage, now),
            throttling=look.throttling,
            interval=self._settings.interval,
            clock_ahead=ahead,
        )

    def _named(self, previous: AccountStatus, profile: Profile | None) -> Account:
        account, active = self._onlooker.account, previous.account.active
        email = account.email or (profile.email if profile else None)
        return dataclasses.replace(account, email=email, active=active)

    def _next_read(
        self, look: Look, gate: Gate | None, usage: Usage | None, now: datetime
    ) -> datetime | None:
        if look.problem is not None:
            return look.problem.retry_at
        if gate is None:
            return now
        if gate.problem is not None:
            return None if gate.problem.code in CREDENTIAL_CODES else gate.next_at
        if self._wanted:
            return gate.next_at
        resets = [w.resets_at for w in usage.windows if w.resets_at] if usage else []
        regular = backoff.after_success(
            gate.asked_at,
            [at + gate.clock_ahead for at in resets],
            interval=self._settings.interval,
            floor=self._settings.api_floor,
            chance=self._chance,
        )
        return max(regular, gate.next_at)

    @staticmethod
    def _waiting(status: AccountStatus, until: datetime) -> AccountStatus:
        """Return the status of a request that has to wait; without figures that is a problem."""
        if status.usage is None and status.problem is None:
            hint = RateLimited.default_hint
            problem = Problem(RateLimited.code, "The request budget is used up.", hint, until)
            status = dataclasses.replace(status, problem=problem)
        if status.next_read_at is None:
            return status
        return dataclasses.replace(status, next_read_at=max(until, status.next_read_at))

    # --- asking --------------------------------------------------------------------------------

    def _ask(
        self,
        look: Look,
        granted: Granted,
        now: datetime,
        status: AccountStatus,
        publish: Callable[[AccountStatus], None],
    ) -> bool:
        """Make the granted request, keep what came of it, and close it in the ledger.

        Returns whether another credential may do better: this one was refused, or its 429 may be
        that of an expired token.
        """
        # Brings requests in, 100 ms: only a process that may ask pays for it.
        from claude_usage_monitor.sources.anthropic import oauth_api

        assert look.credential is not None  # noqa: S101 - a request was granted for it
        fingerprint, token = look.fingerprint or "", look.credential.token
        before = self._state.gate_of(fingerprint)
        self._chance, self._wanted, self._asked_at = self._draw(), False, now
        self._client = self._client or self._connect()
        try:
            usage = oauth_api.get_usage(self._client, token)
        except UsageMonitorError as error:
            ahead = self._client.clock_ahead
            gate = gate_after(error, before, now, ahead, chance=self._chance)
            self._state.settle(granted.request, fingerprint, gate)
            return isinstance(error, CredentialError | RateLimited)
        if not self._onlooker.is_kept():
            return False  # it was removed meanwhile
        if not self._state.in_flight(granted.request, self._clock()):
            return False  # this process was stopped for long: others have asked since
        if self._state.profile_of(fingerprint) is None:
            shown = dataclasses.replace(status, usage=usage, problem=None, next_read_at=None)
            publish(dataclasses.replace(shown, clock_ahead=self._client.clock_ahead))
            self._ask_profile(look, fingerprint)
        account = self._state.account_of(fingerprint)
        self._state.record(account, usage, "always", complete=True)
        floor = self._settings.api_floor * (1 + backoff.JITTER * self._chance)
        gate = Gate(now, now + floor, clock_ahead=self._client.clock_ahead)
        self._state.settle(granted.request, fingerprint, gate)
        return False

    def _ask_profile(self, look: Look, fingerprint: str) -> None:
        """Ask who the token belongs to: once, whatever comes of it."""
        from claude_usage_monitor.sources.anthropic import oauth_api

        assert look.credential is not None  # noqa: S101 - its token was just accepted
        assert self._client is not None  # noqa: S101 - by this client
        try:
            profile = oauth_api.get_profile(self._client, look.credential.token)
        except UsageMonitorError:
            # Whose it is stays unknown: who ~/.claude.json names may be the login before.
            profile = profile_of_login(look.credential)
        self._state.keep_profile(fingerprint, profile)
        if profile.identity:
            self._state.link(fingerprint, profile.identity)
            self._onlooker.learn(profile)
