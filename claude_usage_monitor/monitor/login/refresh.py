"""Refreshes our own logins: in one process at a time, and without losing a new login.

A refresh token works once; sending it twice ends the login. So a refresh holds a lock that all
processes share, reads the stored login again, records the attempt before the token is sent, and
stores the new login before it is used.

One gap remains: the process is killed, or the response is lost, after the server has issued new
tokens and before they are stored. The old token is then sent once more. If the server rejects it,
the user has to log in again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    NoCredentials,
    RefreshTokenRevoked,
    ServiceError,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
    error_of,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.backoff import usage_wait
from claude_usage_monitor.monitor.login.ownership import LoginOwnership
from claude_usage_monitor.monitor.login.shutdown import run_critical, shutting_down
from claude_usage_monitor.monitor.login.stored import (
    CredentialStore,
    StoredCredentials,
    log_in_again,
)
from claude_usage_monitor.sources.anthropic.oauth_login import credentials_of, refresh_grant
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.processes import is_alive, this_process
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

EARLY = timedelta(minutes=5)  # refresh an access token this long before it expires
_MAX_UNANSWERED = 2  # times that our own refresh token may be sent without a response
_MAX_UNANSWERED_COPY = 1  # Claude Code may have the same token: a second use would log it out
_RESPONSE_TIMEOUT = timedelta(seconds=30)  # the HTTP client waits 20
_LOST = "the response to its refresh was lost"


class RefreshReason(Enum):
    """Why a login is refreshed."""

    EXPIRING = auto()  # the access token has expired, or soon will
    REFUSED = auto()  # the API refuses an access token that it has accepted before
    NEVER_ACCEPTED = auto()  # the API refuses an access token that it has never accepted


# The minimum time between two refreshes of a login. If the API refuses a token that the server has
# just issued, the next token is unlikely to be better.
_COOLDOWNS = {
    RefreshReason.EXPIRING: timedelta(minutes=5),
    RefreshReason.REFUSED: timedelta(minutes=5),
    RefreshReason.NEVER_ACCEPTED: timedelta(hours=1),
}


class LoginRefresher:
    """Refreshes the logins of saved accounts."""

    def __init__(
        self,
        accounts: AccountStore,
        store: CredentialStore,
        ownership: LoginOwnership,
        connect: Callable[[], HttpClient],
        clock: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._ownership = ownership
        self._connect = connect
        self._clock = clock

    def refresh(
        self, saved: SavedAccount, access_fingerprint: str, reason: RefreshReason
    ) -> StoredCredentials:
        """Return the account's login, with an access token other than the one with the fingerprint.

        Another process may have refreshed it meanwhile. A refresh that has started is finished even
        if the caller is interrupted. Raises CredentialError when the login cannot be refreshed,
        ServiceError when it cannot be refreshed now.
        """
        work = partial(self._refresh, saved, access_fingerprint, reason)
        return run_critical(work, saved.name)

    def _refresh(
        self, saved: SavedAccount, access_fingerprint: str, reason: RefreshReason
    ) -> StoredCredentials:
        with self._store.lock(saved):
            account = self._accounts.get(saved.id)
            if account is None:
                raise NoCredentials(
                    f"The account {saved.name} was removed.",
                    "`claude-usage-monitor accounts list` shows the others.",
                )
            stored = self._store.load(account)
            if token_fingerprint(stored.login(account.name).token) != access_fingerprint:
                return stored  # another process has refreshed it
            token = stored.refresh_token
            if token is None:
                raise CredentialsExpired(hint=log_in_again(account.name))
            self._require_cooldown(account, stored, reason)
            self._ownership.require_ours(account, token, self._clock())
            state = self._accounts.refresh_state(account.id, token_fingerprint(token))
            self._require_sendable(account, state)
            self._store.ensure_writable(account, stored)
            refreshed = self._send(account, stored, token, state)
            # The server may return the same refresh token.
            used_up = state.fingerprint if refreshed.refresh_token != token else None
            return self._store.store_refreshed(account, refreshed, used_up)

    # --- checks before sending -----------------------------------------------------------------

    def _require_cooldown(
        self, account: SavedAccount, stored: StoredCredentials, reason: RefreshReason
    ) -> None:
        """Raise CredentialError if the login was refreshed too recently."""
        now, refreshed_at, cooldown = self._clock(), stored.refreshed_at, _COOLDOWNS[reason]
        if refreshed_at is None or not now - cooldown < refreshed_at <= now:
            return
        error: CredentialError
        if reason is RefreshReason.EXPIRING:
            error = CredentialsExpired(
                f"The login of {account.name} was just refreshed and has expired already.",
                "Check this computer's clock.",
            )
        else:
            error = Unauthorized(
                f"The API refuses the login of {account.name}, although it was just refreshed.",
                log_in_again(account.name),
            )
        error.retry_at = refreshed_at + cooldown
        raise error

    def _require_sendable(self, account: SavedAccount, state: RefreshState) -> None:
        """Raise UsageMonitorError if the refresh token must not be sent, or not yet."""
        if state.used_up:
            raise self._no_longer_valid(account, state, "another copy of it was refreshed")
        if state.is_in_flight(self._clock()) and is_alive(state.sent_by):
            # Our lock does not exclude it: it is of another account, or the lock file was deleted.
            raise self._store.busy(account.name)
        if state.is_backing_off(self._clock()):
            raise error_from_refresh_state(state)
        if state.unanswered >= _max_unanswered(account):
            raise self._no_longer_valid(account, state, _LOST)

    # --- sending -------------------------------------------------------------------------------

    def _send(
        self, account: SavedAccount, stored: StoredCredentials, token: Secret, state: RefreshState
    ) -> StoredCredentials:
        """Exchange the refresh token. On failure, store when to try again, or that it is final."""

        def record_attempt() -> None:
            """Record the attempt when the connection is established, before the token is sent."""
            if shutting_down.is_set():
                raise self._store.busy(account.name)
            attempt = RefreshState(
                state.fingerprint,
                state.unanswered + 1,
                state.failures,
                self._clock() + _RESPONSE_TIMEOUT,
                sent_by=this_process(),
            )
            with self._accounts.exclusive_lock():
                # It differs if a process that our lock does not exclude sends the token now.
                if self._accounts.refresh_state(account.id, state.fingerprint) != state:
                    raise self._store.busy(account.name)
                self._accounts.store_refresh_state(account.id, attempt)

        try:
            grant = refresh_grant(self._connect(), token, record_attempt)
        except RefreshTokenRevoked:
            reason = "the server rejects its refresh token"
            raise self._no_longer_valid(account, state, reason) from None
        except (ServiceError, Unauthorized) as error:
            raise self._failed(account, state, error) from None
        now = self._clock()
        credentials = credentials_of(grant, now, stored.credentials)
        return StoredCredentials(credentials, stored.generation, now)

    def _failed(
        self, account: SavedAccount, state: RefreshState, error: ServiceError | Unauthorized
    ) -> UsageMonitorError:
        """Store when to try again. Without a response, the server may have used the token."""
        now, failures, unanswered = self._clock(), state.failures + 1, state.unanswered
        if isinstance(error, Unreachable | UnexpectedResponse) and error.sent:
            unanswered += 1
        if unanswered >= _max_unanswered(account):
            return self._no_longer_valid(account, state._replace(unanswered=unanswered), _LOST)
        retry_at = now + usage_wait(error, failures, jitter=0.0)
        text = error.code, error.message, error.hint
        self._accounts.store_refresh_state(
            account.id, RefreshState(state.fingerprint, unanswered, failures, retry_at, *text)
        )
        error.retry_at = retry_at
        return error

    def _no_longer_valid(
        self, account: SavedAccount, state: RefreshState, reason: str
    ) -> RefreshTokenRevoked:
        """Store that the refresh token must never be sent again; return the error for it."""
        error = RefreshTokenRevoked(
            f"The login of {account.name} is no longer valid: {reason}.",
            log_in_again(account.name),
        )
        text = error.code, error.message, error.hint
        final = RefreshState(state.fingerprint, state.unanswered, state.failures, None, *text)
        self._accounts.store_refresh_state(account.id, final)
        return error


def _max_unanswered(account: SavedAccount) -> int:
    return _MAX_UNANSWERED_COPY if account.origin == "claude-code" else _MAX_UNANSWERED


def error_from_refresh_state(state: RefreshState) -> UsageMonitorError:
    """Return the error that was stored for a refresh token."""
    if state.is_final:
        return RefreshTokenRevoked(state.message, state.hint)
    error = error_of(state.code or "error", state.message, state.hint)
    error.retry_at = state.next_request_at
    return error
