"""Our logins as they are stored; one that no place takes is held in memory until one does."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    GrantEnded,
    SecretStoreUnavailable,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.stored_credentials import Pair, content_of, pair_of
from claude_usage_monitor.store.accounts.saved_account import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.accounts.saved_account import SavedAccount
    from claude_usage_monitor.store.secrets.secret_store import SecretStore

_SAVE_AGAIN = timedelta(seconds=30)
_LOG_IN = "Log in again: `claude-usage-monitor accounts add {name} --login --replace`."


class _Held(NamedTuple):
    """A pair that is stored nowhere: what it came of, when storing it was last tried, and why."""

    saved: SavedAccount
    pair: Pair
    spent: str | None
    tried_at: datetime
    words: str


class Safekeeping:
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
        self._held: dict[str, _Held] = {}
        self._guard = threading.Lock()

    def kept(self, saved: SavedAccount) -> Pair:
        """Return the account's login: the held one, unless another has been stored since.

        Raises NoCredentials, SecretStoreUnavailable.
        """
        held = self._held.get(saved.id)
        if held is not None and saved.generation <= held.saved.generation:
            return held.pair
        with self._guard:
            self._held.pop(saved.id, None)
        found = self._secrets.read(saved.id, known=saved.place)
        return pair_of(found.content, found.generation)

    def unsaved(self, account: str) -> str | None:
        """Return why this process alone has the account's login; ``None`` if it is stored."""
        held = self._held.get(account)
        return held.words if held is not None else None

    def require_room(self, saved: SavedAccount, pair: Pair) -> SavedAccount:
        """Store the present login once more: where that fails a new one could not be stored either.

        Returns the account as it is now. Raises SecretStoreUnavailable, AccountsUnavailable.
        """
        kept = self._secrets.write(saved.id, content_of(pair))
        self._accounts.keep_secret_place(saved.id, kept.place, kept.generation)
        return saved._replace(place=kept.place, generation=kept.generation)

    def store(self, saved: SavedAccount, pair: Pair, spent: str | None) -> Pair:
        """Store a new pair before it is used; if no place takes it, hold it.

        ``spent`` is the fingerprint of the refresh token that it was given for, if that is used up.
        """
        try:
            kept = self._secrets.write(saved.id, content_of(pair))
        except (SecretStoreUnavailable, AccountsUnavailable) as error:
            words = f"The renewed login of {saved.name} could not be stored: {error.message}"
            with self._guard:
                self._held[saved.id] = _Held(saved, pair, spent, self._clock(), words)
            hint = f"{error.hint} If the process that has it is gone: {log_in_again(saved.name)}"
            ended = Renewal(spent or "", 1, 0, None, GrantEnded.code, words, hint)
            with suppress(AccountsUnavailable):
                self._accounts.keep_renewal(saved.id, ended)  # nobody sends the old one again
            return pair
        with self._guard:
            self._held.pop(saved.id, None)
        with suppress(AccountsUnavailable):  # it is stored: the list only helps to find it
            self._accounts.keep_secret_place(saved.id, kept.place, kept.generation)
            self._accounts.note_renewed(saved.id, spent)
        return pair._replace(generation=kept.generation)

    def save_again(self, account: str, *, at_once: bool = False) -> bool:
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
            self.store(held.saved, held.pair, held.spent)
        return account not in self._held

    def save_all(self) -> bool:
        """Try to store what is held; returns whether nothing is."""
        for account in list(self._held):
            self.save_again(account, at_once=True)
        return not self._held


def log_in_again(name: str) -> str:
    """Return what to do when a login of ours has ended."""
    return _LOG_IN.format(name=name if name.isalnum() else f"'{name}'")
