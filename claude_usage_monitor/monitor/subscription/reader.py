"""One account, read now: what is stored, what is free, and what the budget allows to ask."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    Unauthorized,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.backoff import (
    backoff_after,
    lengthened,
    next_regular_read,
    usage_wait,
)
from claude_usage_monitor.monitor.subscription.snapshot import (
    LoginSnapshot,
    LoginSource,
    profile_of_login,
)
from claude_usage_monitor.store.state.ledger import Backoff, Granted, InFlight, Wait
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.settings import Settings
    from claude_usage_monitor.store.state.state_store import StateStore

_FRESH = timedelta(seconds=30)  # what is younger is shown as "now"
# Another access token may not have these problems.
_REFRESHABLE_PROBLEMS = frozenset((Unauthorized.code, CredentialsExpired.code))
# The API will not accept the login again until the user has done something.
_LOGIN_PROBLEMS = _REFRESHABLE_PROBLEMS | {MissingScope.code, Forbidden.code}
_GLANCE_SECONDS = 0.05  # how often another process's request is looked after


class SubscriptionReader:
    """Reads one account, again and again, through the state that all processes share.

    ``random_fraction`` gives the share (0–1) of the jitter that waits are lengthened by.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its neighbours
        self,
        login_source: LoginSource,
        connect: Callable[[], HttpClient],
        state: StateStore,
        settings: Settings,
        clock: Callable[[], datetime],
        random_fraction: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._login_source = login_source
        self._connect = connect
        self._state = state
        self._settings = settings
        self._clock = clock
        self._random_fraction = random_fraction
        self._lock = threading.Lock()  # two callers of one account: the second finds it read
        self._jitter = random_fraction()
        self._client: HttpClient | None = None
        self._wanted = False  # the user asked for a read that the budget has not allowed yet
        self._requested_at: datetime | None = None
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
            snapshot, status = self._ready(previous, now, publish, force=bool(tried))
            if snapshot.fingerprint in tried or not snapshot.usable(now):
                return status
            if snapshot.pace_maker_polled_at is not None and now < (status.next_read_at or now):
                return status  # Claude Pace Maker has asked in our place
            answer = self._state.acquire(snapshot.fingerprint or "", snapshot.identity or "", now)
            if isinstance(answer, Wait):
                # What kept us from asking may have been an answer that is stored since we looked.
                return self._waiting(self.cached_status(previous), answer.until)
            if previous.usage is None or status.usage != previous.usage:
                publish(status)
            if isinstance(answer, InFlight):
                while self._state.in_flight(answer.request, self._clock()):
                    time.sleep(_GLANCE_SECONDS)
                continue  # its answer is stored, or its process died and it is our turn
            tried.add(snapshot.fingerprint)
            try:
                again = self._ask(snapshot, answer, now, status, publish)
            finally:
                self._state.release(answer.request)  # also when interrupted: nobody shall wait
            if not again:
                return self.cached_status(previous)

    def request_refresh(self) -> None:
        """Ask as soon as the budget allows, not only when the interval is over.

        Right after a request there is nothing newer to be had: a key pressed twice asks once.
        """
        requested_at = self._requested_at
        self._wanted = requested_at is None or self._clock() - requested_at >= _FRESH

    def last_request_at(self) -> datetime | None:
        """Return when this reader last made a request for usage."""
        return self._requested_at

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the account's status as far as it is known without asking anybody."""
        return self._snapshot_and_status(previous, self._clock())[1]

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
        force: bool,
    ) -> tuple[LoginSnapshot, AccountStatus]:
        """Look the login up, and renew it if it is ours and its time has come."""
        snapshot, status = self._snapshot_and_status(previous, now, force=force)
        backoff = self._state.backoff_of(snapshot.fingerprint or "")
        problem = backoff.problem if backoff is not None else None
        refused = problem is not None and problem.code in _REFRESHABLE_PROBLEMS
        closed = backoff is not None and now < backoff.next_request_at and not refused
        if not snapshot.refreshable or closed:
            return snapshot, status
        publish(status)
        try:
            if self._login_source.refresh(snapshot, now, refused=refused):
                return self._snapshot_and_status(previous, now)
        except UsageMonitorError as error:
            if not refused and snapshot.usable(now):
                return snapshot, status  # it lasts a little longer
            problem = Problem.from_error(error)
            without = dataclasses.replace(status, problem=problem, next_read_at=problem.retry_at)
            return snapshot._replace(problem=error), without
        return snapshot, status

    def _snapshot_and_status(
        self, previous: AccountStatus, now: datetime, *, force: bool = False
    ) -> tuple[LoginSnapshot, AccountStatus]:
        snapshot = self._login_source.snapshot(now, force=force)
        self._version = self._state.version(snapshot.identity)
        return snapshot, self._status(snapshot, now, previous)

    # --- the status of what is known -----------------------------------------------------------

    def _status(
        self, snapshot: LoginSnapshot, now: datetime, previous: AccountStatus
    ) -> AccountStatus:
        backoff = self._state.backoff_of(snapshot.fingerprint) if snapshot.fingerprint else None
        backoff = snapshot.extended_backoff(backoff, self._settings.api_floor)
        ahead = backoff.clock_skew if backoff else timedelta()
        self._account = snapshot.identity
        if isinstance(snapshot.problem, UnknownAccount):
            return AccountStatus(
                self._named(previous, None), problem=Problem.from_error(snapshot.problem)
            )
        if snapshot.identity is None:
            usage = previous.usage  # nobody is logged in: what was shown stays, with its age
        else:
            usage = self._state.latest_usage(snapshot.identity, now - ahead)
        problem = backoff.problem if backoff else None
        if usage is None:
            problem = problem or snapshot.pace_maker_problem
        hint = self._login_source.login_hint
        if problem is not None and problem.code in _REFRESHABLE_PROBLEMS and hint is not None:
            problem = dataclasses.replace(problem, hint=hint)
        if snapshot.problem is not None:
            problem = Problem.from_error(snapshot.problem)
        return AccountStatus(
            account=self._named(previous, snapshot.profile),
            usage=usage,
            profile=snapshot.profile or previous.profile,
            credential_origin=snapshot.credential.origin if snapshot.credential else None,
            problem=problem,
            notice=snapshot.notice or self._state.notice,
            next_read_at=self._next_read(snapshot, backoff, usage, now),
            throttling=snapshot.throttling,
            interval=self._settings.interval,
            clock_skew=ahead,
        )

    def _named(self, previous: AccountStatus, profile: Profile | None) -> Account:
        account, active = self._login_source.account, previous.account.active
        email = account.email or (profile.email if profile else None)
        return dataclasses.replace(account, email=email, active=active)

    def _next_read(
        self, snapshot: LoginSnapshot, backoff: Backoff | None, usage: Usage | None, now: datetime
    ) -> datetime | None:
        if snapshot.problem is not None:
            return snapshot.problem.retry_at
        if backoff is None:
            return now
        if backoff.problem is not None:
            return None if backoff.problem.code in _LOGIN_PROBLEMS else backoff.next_request_at
        if self._wanted:
            return backoff.next_request_at
        resets = [w.resets_at for w in usage.windows if w.resets_at] if usage else []
        regular = next_regular_read(
            backoff.requested_at,
            [at + backoff.clock_skew for at in resets],
            interval=self._settings.interval,
            floor=self._settings.api_floor,
            jitter=self._jitter,
        )
        return max(regular, backoff.next_request_at)

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
        snapshot: LoginSnapshot,
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

        assert snapshot.credential is not None  # noqa: S101 - a request was granted for it
        fingerprint, token = snapshot.fingerprint or "", snapshot.credential.token
        before = self._state.backoff_of(fingerprint)
        self._jitter, self._wanted, self._requested_at = self._random_fraction(), False, now
        self._client = self._client or self._connect()
        try:
            usage = oauth_api.get_usage(self._client, token)
        except UsageMonitorError as error:
            backoff = backoff_after(error, before, now, usage_wait, self._jitter)
            backoff = backoff._replace(clock_skew=self._client.clock_skew)
            self._state.record_result(granted.request, fingerprint, backoff)
            return isinstance(error, CredentialError | RateLimited)
        if not self._login_source.account_exists():
            return False  # it was removed meanwhile
        if not self._state.in_flight(granted.request, self._clock()):
            return False  # this process was stopped for long: others have asked since
        if self._state.profile_of(fingerprint) is None:
            shown = dataclasses.replace(status, usage=usage, problem=None, next_read_at=None)
            publish(dataclasses.replace(shown, clock_skew=self._client.clock_skew))
            self._ask_profile(snapshot, fingerprint)
        account = self._state.identity_of(fingerprint)
        self._state.record_usage(account, usage)
        floor = lengthened(self._settings.api_floor, self._jitter)
        backoff = Backoff(now, now + floor, clock_skew=self._client.clock_skew)
        self._state.record_result(granted.request, fingerprint, backoff)
        return False

    def _ask_profile(self, snapshot: LoginSnapshot, fingerprint: str) -> None:
        """Ask who the token belongs to: once, whatever comes of it."""
        from claude_usage_monitor.sources.anthropic import oauth_api

        assert snapshot.credential is not None  # noqa: S101 - its token was just accepted
        assert self._client is not None  # noqa: S101 - by this client
        try:
            profile = oauth_api.get_profile(self._client, snapshot.credential.token)
        except UsageMonitorError:
            # Whose it is stays unknown: who ~/.claude.json names may be the login before.
            profile = profile_of_login(snapshot.credential)
        self._state.store_profile(fingerprint, profile)
        if profile.identity:
            self._state.link_identity(fingerprint, profile.identity)
            self._login_source.store_profile(profile)
