"""Claude Code's own login: its account, and the usage that Claude Code has cached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    CredentialsNotFound,
    Forbidden,
    MissingScope,
    RateLimited,
)
from claude_usage_monitor.monitor.login.credentials import ENVIRONMENT, Credential, CredentialFinder
from claude_usage_monitor.monitor.subscription.pace_maker import PaceMakerMonitor
from claude_usage_monitor.monitor.subscription.snapshot import (
    LoginSnapshot,
    identity_to_show,
    profile_of_login,
)
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import CLAUDE_CODE, Account, Profile

_SET_TOKEN_AGAIN = f"Set {credentials_file.TOKEN_VARIABLE} to a new token, or unset it."
_MAX_CLOCK_DIFFERENCE = timedelta(seconds=90)


class ClaudeCodeLogin:
    """The login that Claude Code uses. Implements `LoginSource`."""

    def __init__(
        self, finder: CredentialFinder, state: StateStore, environ: Mapping[str, str]
    ) -> None:
        self._finder = finder
        self._state = state
        self._global_config = global_config.GlobalConfig(environ)
        self._pace_maker = PaceMakerMonitor(environ, state)
        self._recorded: tuple[str, datetime] | None = None  # identity and time of cached usage
        self._from_environment = False

    @property
    def account(self) -> Account:
        """The built-in account."""
        return CLAUDE_CODE

    @property
    def login_hint(self) -> str | None:
        """What to do when the API refuses the token from the environment."""
        return _SET_TOKEN_AGAIN if self._from_environment else None

    def refresh(self, snapshot: LoginSnapshot, now: datetime, *, refused: bool) -> bool:
        """Do nothing: only Claude Code refreshes its login, because refresh tokens work once."""
        del snapshot, now, refused
        return False

    def account_exists(self) -> bool:
        """Return ``True``: this account cannot be removed."""
        return True

    def store_profile(self, profile: Profile) -> None:
        """Do nothing: the state database already has it."""

    def snapshot(self, now: datetime, *, force: bool = False) -> LoginSnapshot:
        """Return the login's snapshot. ``force`` reads its store again, even if it is cached."""
        return self._pace_maker.with_pace_maker(self._login_snapshot(now, force=force), now)

    def _login_snapshot(self, now: datetime, *, force: bool) -> LoginSnapshot:
        try:
            credential = self._finder.find(now, force=force)
        except CredentialsNotFound as error:
            return LoginSnapshot(problem=error)
        except CredentialError as error:
            # There is a login, but it cannot be used: show the figures of its account.
            profile = self._global_config.read().profile
            identity = profile.identity if profile else None
            return LoginSnapshot(identity, profile=profile, problem=error)
        notice = None
        if credential.origin == ENVIRONMENT and self._lacks_scope(credential, now):
            stored = self._usable_stored_login(now)
            if stored is not None:
                credential = stored
                notice = (
                    f"{credentials_file.TOKEN_VARIABLE} may not read usage: using the stored login."
                )
        self._from_environment = credential.origin == ENVIRONMENT
        return self._identified(credential, now)._replace(notice=notice)

    def _lacks_scope(self, credential: Credential, now: datetime) -> bool:
        backoff = self._state.backoff_of(credential.fingerprint)
        return (
            backoff is not None
            and backoff.problem is not None
            and backoff.problem.code in (MissingScope.code, Forbidden.code)
            and backoff.next_request_at > now
        )

    def _usable_stored_login(self, now: datetime) -> Credential | None:
        try:
            stored = self._finder.find_stored(now)
        except CredentialError:
            return None
        return None if stored.expired(now) else stored

    def _identified(self, credential: Credential, now: datetime) -> LoginSnapshot:
        fingerprint = credential.fingerprint
        identity = self._state.identity_of(fingerprint)
        profile = self._state.profile_of(fingerprint)
        if credential.origin != ENVIRONMENT:
            config = self._global_config.read()
            configured = config.profile.identity if config.profile else None
            identity = identity_to_show(self._state, identity, configured, now)
            if not identities.is_provisional(identity):
                since = self._state.record_login(CLAUDE_CODE.name, identity, now)
                self._record_cached_usage(config, identity, since, now)
            if configured is not None and identities.may_be_same_identity(configured, identity):
                profile = profile or config.profile
        backoff = self._state.backoff_of(fingerprint)
        expires_at = credential.login.expires_at
        expired = _has_expired(credential, backoff, now)
        return LoginSnapshot(
            identity,
            credential,
            profile or profile_of_login(credential),
            CredentialsExpired(expired_at=expires_at) if expired else None,
            backoff=backoff,
        )

    def _record_cached_usage(
        self,
        config: global_config.ClaudeJson,
        identity: str,
        logged_in_since: datetime | None,
        now: datetime,
    ) -> None:
        """Store the usage that Claude Code has cached, if it is of this account and login."""
        usage, owner = config.usage, config.usage_account
        if usage is None or owner is None or not identities.may_be_same_identity(owner, identity):
            return
        if logged_in_since is not None and usage.as_of < logged_in_since:
            return
        if usage.as_of > now + _MAX_CLOCK_DIFFERENCE:
            return  # dated in the future: a clock was wrong
        if self._recorded != (identity, usage.as_of):
            self._recorded = (identity, usage.as_of)
            self._state.record_usage(identity, usage)


def _has_expired(credential: Credential, backoff: Backoff | None, now: datetime) -> bool:
    """Return whether the token has expired.

    The API also answers 429 to an expired token. So after a 429, this uses the API's clock if it is
    ahead of ours. Otherwise it does not: one wrong Date header would block a good token forever.
    """
    problem = backoff.problem if backoff else None
    if backoff is not None and problem is not None and problem.code == RateLimited.code:
        now += max(timedelta(), -backoff.clock_skew)
    return credential.expired(now)
