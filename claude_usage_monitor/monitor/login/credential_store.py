"""Our logins as they are stored; one that no place takes is held in memory until one does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    RefreshTokenRevoked,
    SecretStoreUnavailable,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.stored_credentials import (
    StoredCredentials,
    credentials_from_secret,
    secret_from_credentials,
)
from claude_usage_monitor.store.accounts.saved_account import RefreshState, SavedAccount

if TYPE_CHECKING:
    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.secrets.secret_store import SecretStore

_SAVE_AGAIN = timedelta(seconds=30)
_LOG_IN = "Log in again: `claude-usage-monitor accounts add {name} --login --replace`."


class PendingWrite(NamedTuple):
    """A pair that is stored nowhere: what it came of, when storing it was last tried, and why."""

    saved: SavedAccount
    stored: StoredCredentials
    spent: str | None
    tried_at: datetime
    words: str


class CredentialStore:
    """Where the logins of saved accounts are. ``lock`` keeps other processes from an account."""

    def __init__(
        self,
        accounts: AccountStore,
        secrets: SecretStore,
        clock: Callable[[], datetime],
        lock: Callable[[SavedAccount], AbstractContextManager[None]],
    ) -> None:
        self._accounts = accounts
        self._secrets = secrets
        self._clock = clock
        self._lock = lock
        self._held: dict[str, PendingWrite] = {}
        self._guard = threading.Lock()

    def kept(self, saved: SavedAccount) -> StoredCredentials:
        """Return the account's login: the held one, unless another has been stored since.

        Raises NoCredentials, SecretStoreUnavailable.
        """
        held = self._held.get(saved.id)
        if held is not None and saved.generation <= held.saved.generation:
            return held.stored
        with self._guard:
            self._held.pop(saved.id, None)
        found = self._secrets.read(saved.id, location=saved.location)
        return credentials_from_secret(found.content, found.generation)

    def pending_reason(self, account: str) -> str | None:
        """Return why this process alone has the account's login; ``None`` if it is stored."""
        held = self._held.get(account)
        return held.words if held is not None else None

    def ensure_writable(self, saved: SavedAccount, stored: StoredCredentials) -> SavedAccount:
        """Store the present login once more: where that fails a new one could not be stored either.

        Returns the account as it is now. Raises SecretStoreUnavailable, AccountsUnavailable.
        """
        kept = self._secrets.write(saved.id, secret_from_credentials(stored))
        self._accounts.store_secret_location(saved.id, kept.location, kept.generation)
        return saved._replace(location=kept.location, generation=kept.generation)

    def store(
        self, saved: SavedAccount, stored: StoredCredentials, spent: str | None
    ) -> StoredCredentials:
        """Store a new pair before it is used; if no place takes it, hold it.

        ``spent`` is the fingerprint of the refresh token that it was given for, if that is used up.
        """
        try:
            kept = self._secrets.write(saved.id, secret_from_credentials(stored))
        except (SecretStoreUnavailable, AccountsUnavailable) as error:
            words = f"The renewed login of {saved.name} could not be stored: {error.message}"
            with self._guard:
                self._held[saved.id] = PendingWrite(saved, stored, spent, self._clock(), words)
            hint = f"{error.hint} If the process that has it is gone: {log_in_again(saved.name)}"
            ended = RefreshState(spent or "", 1, 0, None, RefreshTokenRevoked.code, words, hint)
            with suppress(AccountsUnavailable):
                self._accounts.store_refresh_state(
                    saved.id, ended
                )  # nobody sends the old one again
            return stored
        with self._guard:
            self._held.pop(saved.id, None)
        with suppress(AccountsUnavailable):  # it is stored: the list only helps to find it
            self._accounts.store_secret_location(saved.id, kept.location, kept.generation)
            self._accounts.record_refresh(saved.id, spent)
        return stored._replace(generation=kept.generation)

    def retry_pending(self, account: str, *, at_once: bool = False) -> bool:
        """Try to store a pair that is held, if it is time; returns whether none is."""
        held = self._held.get(account)
        if held is None:
            return True
        if not at_once and self._clock() - held.tried_at < _SAVE_AGAIN:
            return False
        with suppress(UsageMonitorError), self._lock(held.saved):
            current = self._accounts.get(account)
            if current is None or current.generation > held.saved.generation:
                with self._guard:
                    self._held.pop(account, None)  # it was removed, or logged in anew
                return True
            self.store(held.saved, held.stored, held.spent)
        return account not in self._held

    def store_pending(self) -> bool:
        """Try to store what is held; returns whether nothing is."""
        for account in list(self._held):
            self.retry_pending(account, at_once=True)
        return not self._held


def log_in_again(name: str) -> str:
    """Return what to do when a login of ours has ended."""
    return _LOG_IN.format(name=name if name.isalnum() else f"'{name}'")
