"""What can be known of a saved subscription account: by its own login, or Claude Code's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    CredentialError,
    CredentialsExpired,
    SecretStoreUnavailable,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.credential_store import log_in_again
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.refresh import (
    EARLY,
    LoginRefresher,
    error_from_refresh_state,
)
from claude_usage_monitor.monitor.login.stored_credentials import StoredCredentials
from claude_usage_monitor.monitor.subscription.snapshot import (
    LoginSnapshot,
    identity_to_show,
    profile_of_login,
)
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Account

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.login.ownership import LoginOwnership, Verdict
    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.state.state_store import StateStore

_SHUT_REST = timedelta(seconds=30)  # between two tries of a keyring that is shut
_ORIGINS = {"keyring": "saved login (keyring)", "file": "saved login (encrypted file)"}


class SavedLogin:
    """Looks a saved account's login up and renews it.

    ``grant_of`` tells of an account that was saved from Claude Code whose it is to renew.
    """

    def __init__(
        self,
        saved: SavedAccount,
        accounts: AccountStore,
        refresher: LoginRefresher,
        state: StateStore,
        grant_of: Callable[[Mapping[str, str]], LoginOwnership],
    ) -> None:
        self._saved = saved
        self._accounts = accounts
        self._refresher = refresher
        self._state = state
        self._grant_of = grant_of
        self._shared: LoginOwnership | None = None
        self._followed: str | None = None  # Claude Code's token that our copy was last compared to
        self._stored_credentials: StoredCredentials | None = None
        self._given_up: str | None = None  # a refused token that no other can be had for
        self._shut: tuple[SecretStoreUnavailable, datetime] | None = None

    @property
    def account(self) -> Account:
        """The account, by its present name."""
        saved = self._saved
        return Account(saved.name, saved.kind, saved.profile.email, saved_at=saved.saved_at)

    def snapshot(self, now: datetime, *, force: bool = False) -> LoginSnapshot:
        """Return what is known at ``now``; ``force`` reads the login's store anew."""
        try:
            saved = self._current()
            if self._shared is not None:
                verdict = self._shared.verdict(saved.profile.account_uuid, now, force=force)
                if verdict.whose == "same" and _same_organization(saved, verdict):
                    self._follow(saved, verdict, now)
                    return self._live(saved, verdict, now)
            stored = self._kept(saved, now, force=force)
            credential = Credential(stored.login(saved.name), _ORIGINS[saved.location])
            snapshot = self._known(LoginSnapshot(credential=credential))
            return self._with_expiry(snapshot, credential, stored, now)
        except UsageMonitorError as error:
            return self._known(LoginSnapshot(problem=error))

    def refresh(self, snapshot: LoginSnapshot, now: datetime, *, refused: bool) -> bool:
        """Get another token if this one's time is up or it was refused; returns whether there is.

        Raises UsageMonitorError when there is none to be had, or not now.
        """
        credential = snapshot.credential
        if credential is None or not snapshot.refreshable:
            return False
        expires_at = credential.login.expires_at
        if not refused and (expires_at is None or expires_at > now + EARLY):
            return False
        seen = snapshot.fingerprint or ""
        if refused and seen == self._given_up:
            return False
        try:
            self._stored_credentials = self._refresher.refresh(
                self._saved,
                seen,
                refused=refused,
                accepted=self._state.profile_of(seen) is not None,
                require_ours=lambda saved, token: self._require_ours(saved, token, now),
            )
        except CredentialError as error:
            if error.retry_at is None:
                self._given_up = seen
            raise
        return True

    @property
    def login_hint(self) -> str | None:
        """What to do when the API refuses this login."""
        shared = self._shared is not None
        return None if shared else log_in_again(self._saved.name)

    def account_exists(self) -> bool:
        """Return whether the account was not removed meanwhile."""
        try:
            return self._accounts.get(self._saved.id) is not None
        except AccountsUnavailable:
            return True

    def store_profile(self, profile: Profile) -> None:
        """Keep who the account is, as the API told."""
        known = self._saved.profile
        # Claude Code's may be another's by now, or of another organisation.
        same = known.account_uuid in (None, profile.account_uuid)
        same = same and known.organization_uuid in (None, profile.organization_uuid)
        if same and profile.account_uuid is not None and profile != known:
            with suppress(AccountsUnavailable):  # the state has it too
                self._accounts.store_profile(self._saved.id, profile)

    # --- whose it is ---------------------------------------------------------------------------

    def _current(self) -> SavedAccount:
        found = self._accounts.get(self._saved.id)
        if found is None:
            self._stored_credentials = None
            name = self._saved.name
            raise UnknownAccount(f"The account {name} was removed.", "Press Tab for the others.")
        if found.origin != "claude-code":
            self._shared = None
        elif self._shared is None or found.home != self._saved.home:
            self._shared = self._grant_of(found.home)
        self._saved = found
        return found

    def _follow(self, saved: SavedAccount, verdict: Verdict, now: datetime) -> None:
        """Keep our copy what Claude Code holds: it renews its login, and ours would be used up.

        Once the API has said that the token is this account's: a file that names it may be late.
        Only a help for when Claude Code is somebody else's: what goes wrong is said then.
        """
        credential = verdict.credential
        fingerprint = token_fingerprint(credential.token) if credential else ""
        if fingerprint == self._followed or self._shared is None:
            return
        told = self._state.profile_of(fingerprint)
        if told is None or told.account_uuid != saved.profile.account_uuid:
            return
        self._followed = fingerprint
        with suppress(UsageMonitorError):
            content = self._shared.content(saved.profile.account_uuid, now)
            if content is not None:
                self._refresher.follow(saved, content)

    def _known(self, snapshot: LoginSnapshot) -> LoginSnapshot:
        """Add whose the figures are, as far as that was ever told."""
        profile, account = self._saved.profile, self._saved.profile.identity
        fingerprint = snapshot.fingerprint
        if isinstance(snapshot.problem, UnknownAccount):
            return snapshot  # nothing of it is shown any more
        if snapshot.credential is None or fingerprint is None:
            return snapshot._replace(identity=account, profile=profile)
        if account is not None and identities.is_provisional(self._state.identity_of(fingerprint)):
            self._state.link_identity(fingerprint, account)  # a renewed token is the same account's
        told = self._state.profile_of(fingerprint) or profile
        if told.plan is None:
            told = profile_of_login(snapshot.credential)
        return snapshot._replace(identity=self._state.identity_of(fingerprint), profile=told)

    def _kept(self, saved: SavedAccount, now: datetime, *, force: bool) -> StoredCredentials:
        known = self._stored_credentials
        held = not self._refresher.logins.retry_pending(saved.id)
        if known is not None and known.generation >= saved.generation and not (force or held):
            return known
        if self._shut is not None and now - self._shut[1] < _SHUT_REST and not force:
            raise self._shut[0]
        try:
            self._stored_credentials = self._refresher.logins.kept(saved)
        except SecretStoreUnavailable as error:
            self._shut, error.retry_at = (error, now), now + _SHUT_REST
            again = log_in_again(saved.name)
            if again not in error.hint:
                error.hint = f"{error.hint} Where it is gone for good: {again}"
            raise
        self._shut = None
        return self._stored_credentials

    # --- whether it can be used ----------------------------------------------------------------

    def _live(self, saved: SavedAccount, verdict: Verdict, now: datetime) -> LoginSnapshot:
        """Return Claude Code's own token of the same account: it renews that, not we."""
        credential = verdict.credential
        assert credential is not None  # noqa: S101 - the same account's is there
        fingerprint = token_fingerprint(credential.token)
        whose = identity_to_show(
            self._state, self._state.identity_of(fingerprint), saved.profile.identity, now
        )
        profile = self._state.profile_of(fingerprint) or saved.profile
        expired = credential.expired(now)
        problem = CredentialsExpired(expired_at=credential.login.expires_at) if expired else None
        return LoginSnapshot(whose, credential, profile, problem)

    def _with_expiry(
        self,
        snapshot: LoginSnapshot,
        credential: Credential,
        stored: StoredCredentials,
        now: datetime,
    ) -> LoginSnapshot:
        expires_at = credential.login.expires_at
        refresh_state = self._accounts.refresh_state(self._saved.id)
        token = stored.refresh_token
        if (
            token is None
            or refresh_state is None
            or refresh_state.fingerprint != token_fingerprint(token)
        ):
            refresh_state = None
        stopped = (
            refresh_state is not None
            and refresh_state.code is not None
            and refresh_state.holds(now)
        )
        ended = stopped and refresh_state is not None and refresh_state.next_request_at is None
        held = self._refresher.logins.pending_reason(self._saved.id)
        refreshable = token is not None and not ended and held is None
        snapshot = snapshot._replace(refreshable=refreshable, notice=held)
        if not credential.expired(now):
            return snapshot
        if refresh_state is not None and stopped:
            return snapshot._replace(
                problem=error_from_refresh_state(refresh_state), refreshable=False
            )
        if refreshable:
            return snapshot
        hint = log_in_again(self._saved.name)
        return snapshot._replace(problem=CredentialsExpired(hint=hint, expired_at=expires_at))

    def _require_ours(self, saved: SavedAccount, token: Secret, now: datetime) -> None:
        """Raise unless the refresh token is ours to send: Claude Code may hold the same."""
        grant = self._grant_of(saved.home)
        if grant.holds(token, now):
            raise CredentialsExpired  # whatever its account is called there
        if saved.origin != "claude-code":
            return
        verdict = grant.verdict(saved.profile.account_uuid, now, force=True, asking=True)
        if verdict.whose in ("other", "nobody"):
            return
        if verdict.whose == "same":
            raise CredentialsExpired
        raise CredentialsExpired(
            "The saved login has expired, and whether Claude Code still uses it cannot be told.",
            "Open Claude Code once (`claude`), or "
            + log_in_again(saved.name).replace("Log", "log", 1),
        )


def _same_organization(saved: SavedAccount, verdict: Verdict) -> bool:
    """Return whether the live token's figures are this account's: organisations have their own."""
    ours, theirs = saved.profile.organization_uuid, verdict.organization
    return ours is None or theirs is None or ours == theirs
