"""The login of a saved subscription account: our own, or Claude Code's."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    CredentialsExpired,
    SecretStoreUnavailable,
    Unauthorized,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.ownership import (
    LoginOwnership,
    Ownership,
    OwnershipCheck,
    refresh_problem,
)
from claude_usage_monitor.monitor.login.refresh import (
    EARLY,
    LoginRefresher,
    RefreshReason,
    error_from_refresh_state,
)
from claude_usage_monitor.monitor.login.stored import (
    CredentialStore,
    StoredCredentials,
    log_in_again,
    login_command,
)
from claude_usage_monitor.monitor.subscription.snapshot import (
    LoginSnapshot,
    identity_to_show,
    profile_of_login,
)
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import Account, Profile

_STORE_RETRY_INTERVAL = timedelta(seconds=30)  # between two reads of a locked keyring
_ORIGINS = {"keyring": "saved login (keyring)", "file": "saved login (encrypted file)"}


class SavedLogin:
    """The login of a saved account. Implements `LoginSource`."""

    def __init__(  # noqa: PLR0913, PLR0917 - its dependencies
        self,
        saved: SavedAccount,
        accounts: AccountStore,
        store: CredentialStore,
        ownership: LoginOwnership,
        refresher: LoginRefresher,
        state: StateStore,
    ) -> None:
        self._saved = saved
        self._accounts = accounts
        self._store = store
        self._ownership = ownership
        self._refresher = refresher
        self._state = state
        self._stored: StoredCredentials | None = None
        self._store_problem: SecretStoreUnavailable | None = None
        self._copied: str | None = None  # fingerprint of Claude Code's token that our copy matches

    @property
    def account(self) -> Account:
        """The account, with its current name."""
        saved = self._saved
        return Account(saved.name, saved.kind, saved.profile.email, saved_at=saved.saved_at)

    @property
    def login_hint(self) -> str | None:
        """What to do when the API refuses this login."""
        return None if self._saved.origin == "claude-code" else log_in_again(self._saved.name)

    def account_exists(self) -> bool:
        """Return whether the account still exists."""
        try:
            return self._accounts.get(self._saved.id) is not None
        except AccountsUnavailable:
            return True

    def store_profile(self, profile: Profile) -> None:
        """Store the profile that the API has sent, unless it is of another account.

        Claude Code may have been logged in to another account or organization meanwhile.
        """
        known = self._saved.profile
        same_account = known.account_uuid in (None, profile.account_uuid)
        same_organization = known.organization_uuid in (None, profile.organization_uuid)
        if profile != known and same_account and same_organization:
            with suppress(AccountsUnavailable):  # the state database has it, too
                self._accounts.store_profile(self._saved.id, profile)

    # --- the snapshot --------------------------------------------------------------------------

    def snapshot(self, now: datetime, *, force: bool = False) -> LoginSnapshot:
        """Return the login's snapshot. ``force`` reads its store again, even if it is cached."""
        try:
            account = self._accounts.get(self._saved.id)
            if account is None:
                message = f"The account {self._saved.name} was removed."
                return LoginSnapshot(problem=UnknownAccount(message, "Press Tab for the others."))
            self._saved = account
            logged_out: CredentialsExpired | None = None
            if account.origin == "claude-code":
                check = self._ownership.check(account, now, force=force)
                if check.credential is not None and _is_account(check, account):
                    self._update_copy(check.credential, now)
                    return self._claude_code_snapshot(check.credential, now)
                if check.ownership is Ownership.LOGGED_OUT:
                    logged_out = refresh_problem(account, check)
            stored = self._load(now, force=force)
            credential = Credential(stored.login(account.name), _ORIGINS[account.location])
            return self._own_snapshot(credential, stored, logged_out, now)
        except UsageMonitorError as error:
            profile = self._saved.profile
            return LoginSnapshot(profile.identity, profile=profile, problem=error)

    def _claude_code_snapshot(self, credential: Credential, now: datetime) -> LoginSnapshot:
        """Return the snapshot of Claude Code's own login, which only Claude Code refreshes."""
        profile = self._saved.profile
        identity = self._state.identity_of(credential.fingerprint)
        identity = identity_to_show(self._state, identity, profile.identity, now)
        profile = self._state.profile_of(credential.fingerprint) or profile
        expired = credential.expired(now)
        problem = CredentialsExpired(expired_at=credential.login.expires_at) if expired else None
        backoff = self._state.backoff_of(credential.fingerprint)
        return LoginSnapshot(identity, credential, profile, problem, backoff=backoff)

    def _own_snapshot(
        self,
        credential: Credential,
        stored: StoredCredentials,
        logged_out: CredentialsExpired | None,
        now: datetime,
    ) -> LoginSnapshot:
        """Return the snapshot of the stored login; ``logged_out`` if it must not be refreshed."""
        profile = self._saved.profile
        identity = self._state.identity_of(credential.fingerprint)
        if profile.identity is not None and identities.is_provisional(identity):
            # The token was refreshed, the account is the same.
            self._state.link_identity(credential.fingerprint, profile.identity)
            identity = profile.identity
        profile = self._state.profile_of(credential.fingerprint) or profile
        if profile.plan is None:
            profile = profile_of_login(credential)
        token = stored.refresh_token
        unwritten = self._store.pending_problem(self._saved.id)
        refreshable = token is not None and unwritten is None and logged_out is None
        backoff = self._state.backoff_of(credential.fingerprint)
        problem: UsageMonitorError | None = None
        refused = (
            backoff is not None
            and backoff.problem is not None
            and (backoff.problem.code in (Unauthorized.code, CredentialsExpired.code))
        )
        if credential.expired(now) or refused:
            problem = logged_out if credential.expired(now) else None
            if token is not None and problem is None:
                state = self._accounts.refresh_state(self._saved.id, token_fingerprint(token))
                if state.is_final or (credential.expired(now) and state.is_backing_off(now)):
                    problem, refreshable = error_from_refresh_state(state), False
            if problem is None and not refreshable and credential.expired(now):
                hint = log_in_again(self._saved.name)
                problem = CredentialsExpired(hint=hint, expired_at=credential.login.expires_at)
        return LoginSnapshot(
            identity, credential, profile, problem, unwritten, refreshable, backoff
        )

    def _load(self, now: datetime, *, force: bool) -> StoredCredentials:
        account, stored, problem = self._saved, self._stored, self._store_problem
        all_written = self._store.retry_pending(account.id)
        current = stored is not None and stored.generation >= account.generation
        if stored is not None and current and all_written and not force:
            return stored
        if problem is not None and not force and now < (problem.retry_at or now):
            raise problem
        try:
            self._stored = self._store.load(account)
        except SecretStoreUnavailable as error:
            problem = SecretStoreUnavailable(
                error.message,
                f"{error.hint} If the login is lost: `{login_command(account.name)}`.",
            )
            problem.retry_at = now + _STORE_RETRY_INTERVAL
            self._store_problem = problem
            raise problem from None
        self._store_problem = None
        return self._stored

    def _update_copy(self, live: Credential, now: datetime) -> None:
        """Update our copy of Claude Code's login: each refresh by Claude Code invalidates it.

        This waits until the API has confirmed the token's account: a file may name the previous
        login. Errors are ignored here; they appear when the copy is needed.
        """
        if live.fingerprint == self._copied:
            return
        profile = self._state.profile_of(live.fingerprint)
        if profile is None or profile.account_uuid != self._saved.profile.account_uuid:
            return
        self._copied = live.fingerprint
        with suppress(UsageMonitorError):
            credentials = self._ownership.live_credentials(self._saved, live.token, now)
            if credentials is not None:
                self._store.update_copy(self._saved, credentials)

    # --- the refresh ---------------------------------------------------------------------------

    def refresh(self, snapshot: LoginSnapshot, now: datetime, *, refused: bool) -> bool:
        """Refresh an expired or refused token if we may; return whether we did.

        Raises UsageMonitorError when this fails.
        """
        credential = snapshot.credential
        if credential is None or not snapshot.refreshable:
            return False
        expires_at = credential.login.expires_at
        if not refused and (expires_at is None or expires_at > now + EARLY):
            return False
        if not refused:
            reason = RefreshReason.EXPIRING
        elif self._state.profile_of(credential.fingerprint) is not None:
            reason = RefreshReason.REFUSED
        else:
            reason = RefreshReason.NEVER_ACCEPTED
        self._stored = self._refresher.refresh(self._saved, credential.fingerprint, reason)
        return True


def _is_account(check: OwnershipCheck, account: SavedAccount) -> bool:
    """Return whether Claude Code's figures are of this account and its organization."""
    known = {account.profile.organization_uuid, check.organization_id} - {None}
    return check.ownership is Ownership.SAME and len(known) <= 1
