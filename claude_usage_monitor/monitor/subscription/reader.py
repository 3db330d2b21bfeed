"""Reads one subscription account: the stored figures, and new ones if the request budget allows."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

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
from claude_usage_monitor.light_typing import TYPE_CHECKING, Literal, TypeAlias
from claude_usage_monitor.monitor.backoff import (
    backoff_after,
    lengthened,
    next_regular_read,
    usage_wait,
)
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.shutdown import shutting_down
from claude_usage_monitor.monitor.reader import Reader, delayed
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription.snapshot import (
    LoginSnapshot,
    LoginSource,
    profile_of_login,
)
from claude_usage_monitor.store.paths import transcripts_path
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.ledger import Backoff, Granted, InFlight, Wait
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, Profile

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.subscription.history import AccountHistory
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.usage.attribution.shown import WindowUse
    from claude_usage_monitor.usage.limits.history_view import HistoryView, Range

_IN_FLIGHT_POLL_SECONDS = 0.05
_MAX_SNAPSHOTS = 3  # of the stored state, if other processes write meanwhile
_REFRESH_COOLDOWN = timedelta(seconds=30)  # newer figures are shown as "now"
# Problems that another access token may solve.
_REFRESHABLE = frozenset((Unauthorized.code, CredentialsExpired.code))
# Problems that last until the user logs in, or another program refreshes the login.
_LOGIN_NEEDED = _REFRESHABLE | {MissingScope.code, Forbidden.code}

_Outcome: TypeAlias = Literal["done", "refused", "late"]
"""The outcome of a request for usage. Done: figures, or a problem that another credential cannot
solve. Refused: another credential may help; an expired token may also get a 429. Late: this process
was suspended, and others may have stored newer figures since."""


class SubscriptionReader(Reader):
    """Reads one subscription account through the stored state that all processes share."""

    def __init__(self, login_source: LoginSource, services: Services) -> None:
        self._login_source = login_source
        self._connect = services.api_client
        self._state = services.state
        self._settings = services.settings
        self._is_live = services.live
        self._clock = services.clock
        reads_transcripts = services.settings.transcripts
        self._transcripts = transcripts_path(services.environ) if reads_transcripts else None
        self._random_fraction = services.random_fraction
        self._jitter = self._random_fraction()
        self._lock = threading.Lock()  # a second thread waits, and then finds new figures
        self._client: HttpClient | None = None
        self._refresh_requested = False
        self._requested_at: datetime | None = None
        self._identity: str | None = None
        self._version: tuple[int, int] | None = None

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        """Return the account's status, after requesting its usage if the budget allows it.

        ``publish`` is called with the stored figures before a request is sent, and with new ones
        before the profile is requested if they are certainly of the shown account. If the API
        refuses a credential, tries the next one if there is one.
        """
        with self._lock:
            status = self._read(previous, publish)
            if previous.usage is None and self._needs_forecasts(status):
                publish(status)  # the first figures do not wait for the forecasts
            return self._with_forecasts(status)

    def _read(
        self, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> AccountStatus:
        tried: set[str] = set()
        while True:
            now = self._clock()
            snapshot, status = self._refreshed_login(previous, now, publish, force=bool(tried))
            credential = snapshot.credential
            if credential is None or not snapshot.usable(now) or credential.fingerprint in tried:
                return status
            if snapshot.pace_maker_polled_at is not None and now < (status.next_read_at or now):
                return status  # Claude Pace Maker's figures are fresh enough
            if shutting_down.is_set():
                return status  # the process is ending and sends no more requests
            permission = self._state.acquire(credential.fingerprint, snapshot.identity or "", now)
            if isinstance(permission, Wait):
                # Another process may have stored new figures, or this computer's clock may have
                # been set back, which shortens a stored wait.
                if self._has_changed_since(snapshot, credential):
                    status = self._cached_status(previous)
                return delayed(status, permission.until, RateLimited.default_hint)
            publish(status._replace(reading=True))
            if isinstance(permission, InFlight):
                self._wait_for(permission)
                continue  # the figures are stored now, or that process died
            try:
                outcome = self._request_usage(credential, permission, now, status, publish)
            finally:
                self._state.release(permission.request)  # also after Ctrl+C: others wait for it
            if outcome == "done":
                return self._cached_status(previous)
            if outcome == "refused":
                tried.add(credential.fingerprint)

    def _wait_for(self, other: InFlight) -> None:
        while self._state.in_flight(other.request, self._clock()):
            time.sleep(_IN_FLIGHT_POLL_SECONDS)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the account's status without a request."""
        status = self._cached_status(previous)
        return self._with_forecasts(status) if self._is_live else status

    def _cached_status(self, previous: AccountStatus) -> AccountStatus:
        return self._snapshot_and_status(previous, self._clock())[1]

    def identity(self) -> str | None:
        """Return the identity of this account's stored figures; ``None`` before its first login."""
        return self._identity or self._login_source.snapshot(self._clock()).identity

    def history_view(
        self, shown: Range, now: datetime, selected: str | None = None
    ) -> HistoryView | None:
        """Return what the history view shows; ``None`` if nothing was ever read."""
        return self.history().view(shown, now, selected)

    def history(self) -> AccountHistory:
        """Return the account's stored history."""
        # Takes 4 ms; only needed when the user opens the view, or names an unusual window.
        from claude_usage_monitor.monitor.subscription.history import AccountHistory

        identity = self._identity or self.identity()
        return AccountHistory(self._state, identity, self._login_source.account.name)

    def request_refresh(self) -> None:
        """Request usage as soon as the budget allows, unless the last request was just now."""
        last = self._requested_at
        self._refresh_requested = last is None or self._clock() - last >= _REFRESH_COOLDOWN

    def changed(self) -> bool:
        """Return whether another process has stored something since the last read."""
        return self._state.version(self._identity) != self._version

    def _has_changed_since(self, snapshot: LoginSnapshot, credential: Credential) -> bool:
        backoff = self._state.backoff_of(credential.fingerprint)
        return self.changed() or backoff != snapshot.backoff

    def last_request_at(self) -> datetime | None:
        """Return when this reader last sent a request for usage."""
        return self._requested_at

    def _needs_forecasts(self, status: AccountStatus) -> bool:
        """Return whether a figure is newer than its forecast."""
        if status.usage is None or self._identity is None or not self._settings.forecast:
            return False
        now = status.api_time(self._clock())
        return any(window.needs_forecast(now) for window in status.usage.windows)

    def _with_forecasts(self, status: AccountStatus) -> AccountStatus:
        """Return the status with a forecast for each figure that is newer than its forecast."""
        if not self._needs_forecasts(status) or status.usage is None or self._identity is None:
            return status
        # Takes 5 ms; `--json` and `--once` show stored forecasts without it.
        from claude_usage_monitor.monitor.subscription import forecasts

        now = status.api_time(self._clock())
        usage = forecasts.with_new_forecasts(
            self._state, self._identity, status.usage, now, self._settings.timezone
        )
        return status._replace(usage=usage)

    # --- the stored status ----------------------------------------------------------------------

    def _refreshed_login(
        self,
        previous: AccountStatus,
        now: datetime,
        publish: Callable[[AccountStatus], None],
        *,
        force: bool,
    ) -> tuple[LoginSnapshot, AccountStatus]:
        """Return the login and the status, after refreshing the login if we may and it is due."""
        snapshot, status = self._snapshot_and_status(previous, now, force=force)
        if not snapshot.refreshable:
            return snapshot, status
        backoff = snapshot.backoff
        refused = _has_problem(backoff, _REFRESHABLE)
        if backoff is not None and now < backoff.next_request_at and not refused:
            return snapshot, status
        publish(status)
        try:
            if not self._login_source.refresh(snapshot, now, refused=refused):
                return snapshot, status
        except UsageMonitorError as error:
            if not refused and snapshot.usable(now):
                return snapshot, status  # the token has not expired yet
            followed, new_status = self._snapshot_and_status(previous, now)
            if followed.credential != snapshot.credential and followed.usable(now):
                return followed, new_status  # the API has confirmed Claude Code's renewed login
            problem = Problem.from_error(error)
            failed = status._replace(problem=problem, next_read_at=problem.retry_at)
            return snapshot._replace(problem=error), failed
        return self._snapshot_and_status(previous, now)

    def _snapshot_and_status(
        self, previous: AccountStatus, now: datetime, *, force: bool = False
    ) -> tuple[LoginSnapshot, AccountStatus]:
        for _ in range(_MAX_SNAPSHOTS):
            before, _own = self._state.version()
            snapshot = self._login_source.snapshot(now, force=force)
            self._identity = snapshot.identity
            self._version = self._state.version(snapshot.identity)
            status = self._status(snapshot, now, previous)
            if self._state.version()[0] == before:
                break  # else it may combine this login with the figures of the previous one
        return snapshot, status

    def _status(
        self, snapshot: LoginSnapshot, now: datetime, previous: AccountStatus
    ) -> AccountStatus:
        if isinstance(snapshot.problem, UnknownAccount):
            problem = Problem.from_error(snapshot.problem)
            return AccountStatus(self._account(previous, None), problem=problem)
        backoff = snapshot.extended_backoff(self._settings.api_floor)
        clock_skew = backoff.clock_skew if backoff else timedelta()
        if snapshot.identity is None:
            usage = previous.usage  # without a login, show the last figures, which become stale
        else:
            usage = self._state.latest_usage(snapshot.identity, now - clock_skew)
            if usage is not None and not self._settings.forecast:
                usage = usage.with_forecasts({}, now - clock_skew)
        return AccountStatus(
            account=self._account(previous, snapshot.profile),
            usage=usage,
            profile=snapshot.profile or previous.profile,
            credential_origin=snapshot.credential.origin if snapshot.credential else None,
            problem=self._problem(snapshot, backoff, usage),
            notice=snapshot.notice or self._state.notice,
            next_read_at=self._next_read_at(snapshot, backoff, usage, now),
            throttling=snapshot.throttling,
            interval=self._settings.interval,
            clock_skew=clock_skew,
            identity=snapshot.identity,
            use=self._use(snapshot.identity, usage, now - clock_skew),
        )

    def _use(
        self, identity: str | None, usage: Usage | None, now: datetime
    ) -> tuple[WindowUse, ...]:
        """Return what used the running windows, as far as transcripts were read."""
        path = self._transcripts
        if path is None or identity is None or usage is None or not os.path.exists(path):
            return ()
        # Takes 2 ms; only users who have begun to read transcripts need it.
        from claude_usage_monitor.store.transcripts.shown_use import read_shown

        shown = read_shown(path, identity)
        found = (
            shown[window.key].at(window.utilization, window.resets_at, now)
            for window in usage.windows
            if window.key in shown
            and window.utilization is not None
            and window.resets_at is not None
        )
        return tuple(use for use in found if use is not None)

    def _account(self, previous: AccountStatus, profile: Profile | None) -> Account:
        account = self._login_source.account
        email = account.email or (profile.email if profile else None)
        return account._replace(email=email, active=previous.account.active)

    def _problem(
        self, snapshot: LoginSnapshot, backoff: Backoff | None, usage: Usage | None
    ) -> Problem | None:
        """Return why there are no new figures: the login's problem, else that of the last request.

        A back-off of Claude Pace Maker is only a problem if there are no figures at all.
        """
        if snapshot.problem is not None:
            return Problem.from_error(snapshot.problem)
        problem = backoff.problem if backoff else None
        hint = self._login_source.login_hint
        if problem is not None and problem.code in _REFRESHABLE and hint is not None:
            return problem._replace(hint=hint)
        return problem or (snapshot.pace_maker_problem if usage is None else None)

    def _next_read_at(
        self, snapshot: LoginSnapshot, backoff: Backoff | None, usage: Usage | None, now: datetime
    ) -> datetime | None:
        if snapshot.problem is not None:
            return snapshot.problem.retry_at
        if backoff is None:
            return now
        if backoff.problem is not None:
            return None if _has_problem(backoff, _LOGIN_NEEDED) else backoff.next_request_at
        if self._refresh_requested:
            return backoff.next_request_at
        resets = [window.resets_at for window in usage.windows] if usage else []
        regular = next_regular_read(
            backoff.requested_at,
            [resets_at + backoff.clock_skew for resets_at in resets if resets_at],
            interval=self._settings.interval,
            floor=self._settings.api_floor,
            jitter=self._jitter,
        )
        return max(regular, backoff.next_request_at)

    # --- requests -------------------------------------------------------------------------------

    def _request_usage(
        self,
        credential: Credential,
        granted: Granted,
        now: datetime,
        status: AccountStatus,
        publish: Callable[[AccountStatus], None],
    ) -> _Outcome:
        """Send the granted request and store its result."""
        # Takes 2 ms, which `--json` saves when it shows stored figures.
        from claude_usage_monitor.sources.anthropic import oauth_api

        fingerprint = credential.fingerprint
        previous_backoff = self._state.backoff_of(fingerprint)
        self._jitter, self._refresh_requested = self._random_fraction(), False
        self._requested_at = now
        self._client = self._client or self._connect()
        try:
            usage = oauth_api.get_usage(
                self._client, credential.token, saved_resets=self._settings.saved_resets
            )
        except UsageMonitorError as error:
            answered_at = self._clock()  # the API's wait starts with its answer
            backoff = backoff_after(error, previous_backoff, answered_at, usage_wait, self._jitter)
            backoff = backoff._replace(requested_at=now, clock_skew=self._client.clock_skew)
            self._state.record_result(granted.request, fingerprint, backoff)
            refused = isinstance(error, CredentialError | RateLimited)
            return "refused" if refused else "done"
        if not self._login_source.account_exists():
            return "done"
        if not self._state.in_flight(granted.request, self._clock()):
            return "late"
        if self._state.profile_of(fingerprint) is None:
            if not self._may_be_of_another_account(fingerprint, status.profile):
                skew = self._client.clock_skew
                publish(
                    status._replace(usage=usage, problem=None, next_read_at=None, clock_skew=skew)
                )
            self._store_profile(credential, partial(oauth_api.get_profile, self._client))
        self._state.record_usage(self._state.identity_of(fingerprint), usage)
        next_request_at = now + lengthened(self._settings.api_floor, self._jitter)
        backoff = Backoff(now, next_request_at, clock_skew=self._client.clock_skew)
        self._state.record_result(granted.request, fingerprint, backoff)
        return "done"

    def _may_be_of_another_account(self, fingerprint: str, shown: Profile | None) -> bool:
        """Return whether a token may be of another account than the shown one.

        ``~/.claude.json`` may name the previous login until the API has confirmed the token's.
        """
        is_named = shown is not None and shown.identity is not None
        return is_named and identities.is_provisional(self._state.identity_of(fingerprint))

    def _store_profile(
        self, credential: Credential, get_profile: Callable[[Secret], Profile]
    ) -> None:
        """Request the profile of a token, once, and store it whether or not this succeeds."""
        try:
            profile = get_profile(credential.token)
        except UsageMonitorError:
            # The token's identity stays provisional: ~/.claude.json may name the previous login.
            profile = profile_of_login(credential)
        self._state.store_profile(credential.fingerprint, profile)
        if profile.identity:
            self._state.link_identity(credential.fingerprint, profile.identity)
            self._login_source.store_profile(profile)


def _has_problem(backoff: Backoff | None, codes: frozenset[str]) -> bool:
    return backoff is not None and backoff.problem is not None and backoff.problem.code in codes
