"""What can be known of the ``claude-code`` account without asking anybody: whose it is, and how."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    CredentialsNotFound,
    Forbidden,
    MissingScope,
    RateLimited,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.credentials import ENVIRONMENT, Credential, CredentialFinder
from claude_usage_monitor.monitor.subscription.pace_maker import PaceMakerBeside
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.identities import fingerprint_of
from claude_usage_monitor.usage.profile import Profile, plan_label
from claude_usage_monitor.usage.status import Account, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.store.state.ledger import Backoff
    from claude_usage_monitor.store.state.state_store import State
    from claude_usage_monitor.usage.throttling import Throttling

PLACE = "claude-code"
CLAUDE_CODE = Account(PLACE)
_OTHER_TOKEN = f"Set {credentials_file.TOKEN_VARIABLE} anew, or unset it."
_CLOCKS_APART = timedelta(seconds=90)


class LoginSnapshot(NamedTuple):
    """What can be known of an account without asking anybody.

    ``account`` is its uuid, or what stands in for it; ``problem`` is why ``credential`` cannot be
    used, ``notice`` why it is not the first choice; ``refreshable`` is whether we may get another
    token when this one's time is up. Of Claude Pace Maker: ``throttling``, when it asked for this
    account (``polled_at``, if we have not since), and why it may not (``held``).
    """

    account: str | None = None
    credential: Credential | None = None
    profile: Profile | None = None
    problem: UsageMonitorError | None = None
    notice: str | None = None
    refreshable: bool = False
    throttling: Throttling | None = None
    polled_at: datetime | None = None
    held: Problem | None = None

    @property
    def fingerprint(self) -> str | None:
        """The name of the credential's token."""
        return fingerprint_of(self.credential.token) if self.credential else None

    def may_be_sent(self, now: datetime) -> bool:
        """Return whether there is a token that is worth a request."""
        if self.credential is None or self.problem is not None:
            return False
        return not self.credential.expired(now)

    def counted_in(self, backoff: Backoff | None, floor: timedelta) -> Backoff | None:
        """Return the gate with Pace Maker's request and its back-off counted as our own."""
        if backoff is not None and self.polled_at is not None:
            next_request_at = max(backoff.next_request_at, self.polled_at + floor)
            backoff = backoff._replace(requested_at=self.polled_at, next_request_at=next_request_at)
        if backoff is not None and self.held is not None and self.held.retry_at is not None:
            backoff = backoff._replace(
                next_request_at=max(backoff.next_request_at, self.held.retry_at)
            )
        return backoff


class ClaudeCodeLogin:
    """Looks a login up and says whose it is; keeps what Claude Code itself has read."""

    def __init__(self, finder: CredentialFinder, state: State, environ: Mapping[str, str]) -> None:
        self._finder = finder
        self._state = state
        self._global_config = global_config.GlobalConfig(environ)
        self._pace_maker = PaceMakerBeside(environ, state, PLACE)
        self._taken_cached: tuple[str, datetime] | None = None
        self._by_variable = False

    @property
    def log_in_hint(self) -> str | None:
        """What to do when the API refuses this login, if not what errors say."""
        return _OTHER_TOKEN if self._by_variable else None

    @property
    def account(self) -> Account:
        """The account whose login this is."""
        return CLAUDE_CODE

    def refresh(self, snapshot: LoginSnapshot, now: datetime, *, refused: bool) -> bool:
        """Do nothing: Claude Code renews its login itself, and two would lose it."""
        del snapshot, now, refused
        return False

    def is_kept(self) -> bool:
        """Return that it is there for ever."""
        return True

    def learn(self, profile: Profile) -> None:
        """Do nothing: the state keeps it."""

    def snapshot(self, now: datetime, *, force: bool = False) -> LoginSnapshot:
        """Return what is known at ``now``; ``force`` reads the login's store anew."""
        return self._pace_maker.beside(self._snapshot(now, force=force), now)

    def _snapshot(self, now: datetime, *, force: bool) -> LoginSnapshot:
        try:
            credential = self._finder.find(now, force=force)
        except CredentialsNotFound as error:
            return LoginSnapshot(problem=error)
        except CredentialError as error:
            return self._without_login(error)
        notice = None
        self._by_variable = credential.origin == ENVIRONMENT
        if credential.origin == ENVIRONMENT and self._lacks_scope(credential, now):
            stored = self._usable_stored(now)
            if stored is not None:
                credential, self._by_variable = stored, False
                notice = (
                    f"{credentials_file.TOKEN_VARIABLE} may not read usage: using the stored login."
                )
        return self._identified(credential, now)._replace(notice=notice)

    def _without_login(self, error: CredentialError) -> LoginSnapshot:
        """Return whose figures to go on showing when there is a login that cannot be used."""
        known = self._global_config.read().profile
        return LoginSnapshot(known.identity if known else None, profile=known, problem=error)

    def _lacks_scope(self, credential: Credential, now: datetime) -> bool:
        backoff = self._state.backoff_of(fingerprint_of(credential.token))
        return (
            backoff is not None
            and backoff.problem is not None
            and backoff.problem.code in (MissingScope.code, Forbidden.code)
            and backoff.next_request_at > now
        )

    def _usable_stored(self, now: datetime) -> Credential | None:
        try:
            stored = self._finder.find_stored(now)
        except CredentialError:
            return None
        return None if stored.expired(now) else stored

    def _identified(self, credential: Credential, now: datetime) -> LoginSnapshot:
        fingerprint = fingerprint_of(credential.token)
        account = self._state.account_of(fingerprint)
        profile = self._state.profile_of(fingerprint)
        if credential.origin != ENVIRONMENT:
            known = self._global_config.read()
            named = known.profile.identity if known.profile else None
            account = account_named(self._state, account, named, now)
            if not identities.is_provisional(account):
                since = self._state.record_login(PLACE, account, now)
                self._take_cached_usage(known, account, since, now)
            if named is not None and identities.is_same(named, account):
                profile = profile or known.profile
        return LoginSnapshot(
            account,
            credential,
            profile or profile_of_login(credential),
            self._expiry(credential, fingerprint, now),
        )

    def _expiry(
        self, credential: Credential, fingerprint: str, now: datetime
    ) -> CredentialsExpired | None:
        """Return whether the token's time is up: by this clock, or by the API's after a 429.

        An expired token also gets 429. The API's clock alone keeps no token from being sent: one
        wrong date would, for good.
        """
        backoff = self._state.backoff_of(fingerprint)
        limited = (
            backoff is not None and backoff.problem and backoff.problem.code == RateLimited.code
        )
        behind = max(timedelta(), -backoff.clock_skew) if backoff and limited else timedelta()
        expired = credential.expired(now + behind)
        return CredentialsExpired(expired_at=credential.login.expires_at) if expired else None

    def _take_cached_usage(
        self,
        known: global_config.ClaudeJson,
        account: str,
        since: datetime | None,
        now: datetime,
    ) -> None:
        """Keep what Claude Code read itself, if it is this account's: read since this login."""
        whose = known.usage_account
        if known.usage is None or whose is None or not identities.is_same(whose, account):
            return
        if since is not None and known.usage.as_of < since:
            return
        if known.usage.as_of > now + _CLOCKS_APART:
            return  # read in the future: by a clock that was wrong
        if self._taken_cached != (account, known.usage.as_of):
            self._taken_cached = (account, known.usage.as_of)
            self._state.record(account, known.usage)


def account_named(state: State, account: str, named: str | None, now: datetime) -> str:
    """Return whose figures to show for a token whose account is not confirmed yet.

    Who ``~/.claude.json`` names, until the token's own first figures are there: that file may
    still name the login before.
    """
    if named is None or not identities.is_provisional(account):
        return account
    return account if state.newest(account, now) is not None else named


def profile_of_login(credential: Credential) -> Profile:
    """Return what the stored login itself tells: the plan, as of when the user logged in."""
    login = credential.login
    plan = plan_label(login.subscription_type, login.rate_limit_tier)
    return Profile(plan=plan, rate_limit_tier=login.rate_limit_tier)
