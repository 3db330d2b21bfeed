"""Renewing our own logins: once, by one process, and never with a loss that could be avoided.

A refresh token is single-use, and using one twice ends the login for good. So a renewal runs under
a lock of the kernel's that all processes share, reads the store anew under it, notes that the token
is being sent before it is, and stores the new pair before anybody uses it.

One instant remains: when the process is killed, or its answer lost, after the server has sent the
new pair and before it is stored. The old token is then sent once more; that it is refused ends in
"log in again", nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    CredentialError,
    CredentialsExpired,
    NoCredentials,
    RateLimited,
    RefreshTokenRevoked,
    ServiceError,
    Unauthorized,
    UsageMonitorError,
    error_of,
)
from claude_usage_monitor.monitor.backoff import error_wait, rate_limit_wait
from claude_usage_monitor.monitor.login.credential_store import CredentialStore, log_in_again
from claude_usage_monitor.monitor.login.shutdown import CriticalTask, register, shutting_down
from claude_usage_monitor.monitor.login.stored_credentials import StoredCredentials
from claude_usage_monitor.store.accounts.saved_account import RefreshState, SavedAccount
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.secrets.secret_store import SecretStore

EARLY = timedelta(minutes=5)  # left of a token when it is renewed
BUSY_RETRY = timedelta(seconds=5)
_LOCK_SECONDS = 20.0  # for another process's renewal; one takes a second, a stopped one for ever
UNANSWERED = 2  # how often a token of our own may be sent without an answer
_LOCK_SLICE = 0.2  # seconds; in between a process that is leaving looks up
_REST = timedelta(minutes=5)  # least time between two renewals of a login,
_REST_AFTER_REFUSAL = timedelta(hours=1)  # and where the API refuses what it has just given


class LoginRefresher:
    """Renews the logins of saved accounts, each under its own lock."""

    def __init__(
        self,
        accounts: AccountStore,
        secrets: SecretStore,
        connect: Callable[[], HttpClient],
        clock: Callable[[], datetime],
        locks: Path,
    ) -> None:
        self._accounts = accounts
        self._connect = connect
        self._clock = clock
        self._locks = locks
        self.logins = CredentialStore(accounts, secrets, clock, self.lock)
        register(self.logins)

    def refresh(
        self,
        saved: SavedAccount,
        seen: str,
        *,
        refused: bool,
        accepted: bool = False,
        require_ours: Callable[[SavedAccount, Secret], None] = lambda *_: None,
    ) -> StoredCredentials:
        """Return a pair with another access token than the one whose fingerprint was ``seen``.

        Another process's, if it was quicker. ``refused`` is whether the API refused the seen one,
        ``accepted`` whether it had accepted it before, ``require_ours`` raises unless the token is
        ours to send. What has begun is finished, also when the caller is interrupted. Raises
        CredentialError when it cannot be renewed, ServiceError when it could not now.
        """
        return CriticalTask(
            lambda: self._refresh_locked(saved, seen, refused, accepted, require_ours)
        ).result()

    def _refresh_locked(
        self,
        saved: SavedAccount,
        seen: str,
        refused: bool,  # noqa: FBT001 - as above
        accepted: bool,  # noqa: FBT001
        require_ours: Callable[[SavedAccount, Secret], None],
    ) -> StoredCredentials:
        with self.lock(saved):
            current = self._accounts.get(saved.id)
            if current is None:
                raise removed(saved.name)
            stored = self.logins.kept(current)
            if token_fingerprint(stored.login(current.name).token) != seen:
                return stored
            token = stored.refresh_token
            if token is None:
                raise CredentialsExpired(hint=log_in_again(current.name))
            self._require_rest(current, stored, refused=refused, accepted=accepted)
            require_ours(current, token)
            with self._held(token_fingerprint(token), current.name):  # two accounts may have it
                most = 1 if current.origin == "claude-code" else UNANSWERED
                known = self._may_send(current, token_fingerprint(token), most)
                current = self.logins.ensure_writable(current, stored)
                return self._send_refresh(current, stored, token, known, most)

    def _require_rest(
        self, saved: SavedAccount, stored: StoredCredentials, *, refused: bool, accepted: bool
    ) -> None:
        """Raise when this token is itself so new that another would fare no better."""
        now, refreshed_at = self._clock(), stored.refreshed_at
        rest = _REST_AFTER_REFUSAL if refused and not accepted else _REST
        if refreshed_at is None or not now - rest < refreshed_at <= now:
            return
        error: CredentialError = Unauthorized(
            f"The API refuses the login of {saved.name}, though it was just renewed.",
            log_in_again(saved.name),
        )
        if not refused:
            error = CredentialsExpired(
                f"The login of {saved.name} was just renewed and has expired already.",
                "Is this computer's clock right?",
            )
        error.retry_at = refreshed_at + rest
        raise error

    def follow(self, saved: SavedAccount, credentials: Mapping[str, object]) -> None:
        """Keep Claude Code's renewed login in place of our copy of the last one."""
        theirs = StoredCredentials(credentials, 0).refresh_token
        with self.lock(saved):
            current = self._accounts.get(saved.id)
            if current is None or current.origin != "claude-code" or theirs is None:
                return
            if self.logins.kept(current).refresh_token == theirs:
                return
            self.logins.ensure_writable(current, StoredCredentials(credentials, 0))

    def lock(self, saved: SavedAccount) -> AbstractContextManager[None]:
        """Keep every other process from renewing, or removing, the account meanwhile.

        Raises CredentialsExpired when another one has it for long: it is never overridden.
        """
        return self._held(saved.id, saved.name)

    @contextmanager
    def _held(self, what: str, name: str) -> Iterator[None]:
        """Hold the kernel's lock on an account or a token; raises as `lock` does."""
        # Brings asyncio in, 50 ms: only a process that renews pays for it.
        from filelock import FileLock, Timeout

        try:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._locks / f"{what}.lock", _LOCK_SLICE, mode=0o600)
            deadline = time.monotonic() + _LOCK_SECONDS
            while not lock.is_locked:
                with suppress(Timeout):
                    lock.acquire()
                    break
                if shutting_down.is_set() or time.monotonic() > deadline:
                    raise self._busy(name)
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or "no locks there"
            raise AccountsUnavailable(
                f"{self._locks} cannot be used ({reason}): nothing is renewed.",
                "Free space, or give yourself access.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _busy(self, name: str) -> CredentialsExpired:
        busy = CredentialsExpired(
            f"Another process is renewing the login of {name}.",
            "This screen follows when it is done.",
        )
        busy.retry_at = self._clock() + BUSY_RETRY
        return busy

    def _may_send(self, saved: SavedAccount, fingerprint: str, most: int) -> RefreshState:
        """Return what came of the token so far. Raises when it must not be sent (now)."""
        known = self._accounts.refresh_state(saved.id)
        if known is None or known.fingerprint != fingerprint:
            known = RefreshState(fingerprint)
        if self._accounts.is_spent(fingerprint):
            words = f"The login of {saved.name} has ended: a copy of it was renewed."
            raise self._ended(saved, known, RefreshTokenRevoked(words, log_in_again(saved.name)))
        if known.code is not None and known.holds(self._clock()):
            raise error_from_refresh_state(known)
        if known.unanswered >= most:
            raise self._ended(saved, known, _lost(saved.name))
        return known

    def _send_refresh(
        self,
        saved: SavedAccount,
        stored: StoredCredentials,
        token: Secret,
        known: RefreshState,
        most: int,
    ) -> StoredCredentials:
        # Brings requests in, 100 ms.
        from claude_usage_monitor.sources.anthropic import oauth_login

        sending = known._replace(unanswered=known.unanswered + 1, code=None, next_request_at=None)

        def note() -> None:
            if shutting_down.is_set():
                raise self._busy(saved.name)  # nothing was sent, and nothing is
            self._accounts.store_refresh_state(saved.id, sending)

        try:
            grant = oauth_login.refresh_grant(self._connect(), token, note)
        except RefreshTokenRevoked:
            words = f"The login of {saved.name} has ended: it is not renewed any more."
            raise self._ended(
                saved, known, RefreshTokenRevoked(words, log_in_again(saved.name))
            ) from None
        except ServiceError as error:
            raise self._failed(saved, known, error, most) from None
        now = self._clock()
        credentials = oauth_login.credentials_of(grant, now, stored.credentials)
        fresh = StoredCredentials(credentials, stored.generation + 1, now)
        used_up = fresh.refresh_token != token  # the endpoint may leave it as it is
        return self.logins.store(saved, fresh, known.fingerprint if used_up else None)

    # --- what came of it -----------------------------------------------------------------------

    def _failed(
        self, saved: SavedAccount, known: RefreshState, error: UsageMonitorError, most: int
    ) -> UsageMonitorError:
        """Keep when to try again; without an answer, the token may have been used."""
        now, failures = self._clock(), known.failures + 1
        count = known.unanswered + (1 if getattr(error, "sent", False) else 0)
        if count >= most:
            return self._ended(saved, known._replace(unanswered=count), _lost(saved.name))
        if isinstance(error, RateLimited):
            next_request_at = now + rate_limit_wait(error.retry_after, failures)
        else:
            next_request_at = now + error_wait(failures)
        words = error.code, error.message, error.hint
        self._accounts.store_refresh_state(
            saved.id, RefreshState(known.fingerprint, count, failures, next_request_at, *words)
        )
        error.retry_at = next_request_at
        return error

    def _ended(
        self, saved: SavedAccount, known: RefreshState, error: RefreshTokenRevoked
    ) -> RefreshTokenRevoked:
        """Keep that the token is never sent again."""
        words = error.code, error.message, error.hint
        self._accounts.store_refresh_state(
            saved.id,
            RefreshState(known.fingerprint, known.unanswered, known.failures, None, *words),
        )
        return error


def removed(name: str) -> NoCredentials:
    """Return the error for an account that is not there any more."""
    return NoCredentials(
        f"The account {name} was removed.", "`claude-usage-monitor accounts list` shows the others."
    )


def error_from_refresh_state(refresh_state: RefreshState) -> UsageMonitorError:
    """Return why a token was not renewed."""
    if refresh_state.next_request_at is None:
        return RefreshTokenRevoked(refresh_state.message, refresh_state.hint)
    error = error_of(refresh_state.code or "error", refresh_state.message, refresh_state.hint)
    error.retry_at = refresh_state.next_request_at
    return error


def _lost(name: str) -> RefreshTokenRevoked:
    return RefreshTokenRevoked(
        f"The login of {name} has ended: an answer to its renewal was lost.", log_in_again(name)
    )
