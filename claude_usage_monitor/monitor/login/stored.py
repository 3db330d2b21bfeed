"""The logins of saved accounts, as this program stores them.

A refreshed login that cannot be stored stays in memory as a pending write, and is retried.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    CredentialsExpired,
    NoCredentials,
    PartialCredentials,
    RefreshTokenRevoked,
    SecretStoreUnavailable,
    UsageMonitorError,
)
from claude_usage_monitor.files import require_own_file
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.login import shutdown
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.text import clean, is_token
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.locks import LockTimeout, is_locked, locked
from claude_usage_monitor.store.secrets.secret_store import SecretStore
from claude_usage_monitor.usage.secret import Secret

LOCK_TIMEOUT = 20.0  # seconds; a refresh takes one, but its process may have been stopped
BUSY_INTERVAL = timedelta(seconds=5)  # until a login that another process refreshes is read again
_PENDING_WRITE_INTERVAL = timedelta(seconds=30)
_PROVIDE_CREDENTIALS = "Provide the content of `~/.claude/.credentials.json`, or use --login."
_OTHER_LOGINS = "mcpOAuth", "anthropicConsole"  # Claude Code stores these in the same object


class StoredCredentials(NamedTuple):
    """Credentials as JSON in Claude Code's format; ``generation`` counts the writes of the secret.

    A refreshed login that is not stored yet has the generation of the login that it replaces.
    ``refreshed_at`` is when this program last refreshed the login; ``None`` if it never has.
    """

    credentials: Mapping[str, object]
    generation: int = 0
    refreshed_at: datetime | None = None

    @classmethod
    def from_secret(cls, content: Mapping[str, object], generation: int) -> StoredCredentials:
        """Return the login in the content of the secret store."""
        credentials = values.json_object(content.get("credentials")) or {}
        return cls(credentials, generation, values.instant(content.get("renewed_at")))

    def as_secret(self) -> dict[str, object]:
        """Return the content for the secret store."""
        at = self.refreshed_at.isoformat() if self.refreshed_at is not None else None
        return {"credentials": self.credentials, "renewed_at": at}

    def login(self, name: str) -> credentials_file.Login:
        """Return the login of the account with this name. Raises NoCredentials if there is none."""
        blob = dict(self.credentials)
        return credentials_file.login_from_json(blob, f"the saved login of {name}")

    @property
    def refresh_token(self) -> Secret | None:
        """The refresh token; ``None`` if the login was added without one."""
        login = values.json_object(self.credentials.get("claudeAiOauth")) or {}
        token = login.get("refreshToken")
        return Secret(token) if isinstance(token, str) and is_token(token) else None


def parse_credentials(content: bytes, source: str) -> dict[str, object]:
    """Return the credentials in JSON: Claude Code's whole object, or the login alone.

    Raises NoCredentials; its message names the ``source`` and never quotes the content.
    """
    shown = clean(source)
    try:
        document = values.json_object(values.parse_json(content))
    except ValueError:
        document = None
    if document is None:
        raise PartialCredentials(
            f"{shown} contains no credentials: it is not a JSON object.",
            _PROVIDE_CREDENTIALS,
        )
    if "claudeAiOauth" not in document and "accessToken" in document:
        document = {"claudeAiOauth": document}
    try:
        credentials_file.login_from_json(document, shown)
    except NoCredentials as error:
        error.hint = _PROVIDE_CREDENTIALS  # its own says how to mend Claude Code's file
        raise
    return {key: value for key, value in document.items() if key not in _OTHER_LOGINS}


class PendingWrite(NamedTuple):
    """A refreshed login that could not be stored yet.

    ``used_up`` is the fingerprint of the refresh token that the server exchanged for it.
    """

    account: SavedAccount
    stored: StoredCredentials
    used_up: str | None
    tried_at: datetime
    problem: str


class CredentialStore:
    """The stored logins of all saved accounts, and the locks on them in the folder ``locks``."""

    def __init__(
        self,
        accounts: AccountStore,
        secrets: SecretStore,
        clock: Callable[[], datetime],
        locks: Path,
    ) -> None:
        self._accounts = accounts
        self._secrets = secrets
        self._clock = clock
        self._locks = locks
        self._pending: dict[str, PendingWrite] = {}

    # --- locks ---------------------------------------------------------------------------------

    @contextmanager
    def lock(self, account: SavedAccount) -> Iterator[None]:
        """Prevent other processes from refreshing, replacing or removing an account's login.

        Raises CredentialsExpired if another process does not release the lock in time (a lock is
        never overridden), and AccountsUnavailable if locks cannot be created.
        """
        with ExitStack() as stack:
            try:
                path = self._lock_file(account)
                stack.enter_context(locked(path, LOCK_TIMEOUT, shutdown.shutting_down))
            except LockTimeout:
                raise self.busy(account.name) from None
            except OSError as error:
                raise AccountsUnavailable(
                    f"{self._locks} cannot be used ({error.strerror}), so no login is refreshed.",
                    "Free disk space, or give yourself access.",
                ) from None
            yield

    def locked_files(self, accounts: Iterable[SavedAccount]) -> list[Path]:
        """Return the lock files of these accounts that a process has locked."""
        locked_files = []
        for account in accounts:
            path = self._lock_file(account)
            with suppress(OSError):
                require_own_file(path)
                if is_locked(path):
                    locked_files.append(path)
        return locked_files

    def _lock_file(self, account: SavedAccount) -> Path:
        return self._locks / f"{account.id}.lock"

    def busy(self, name: str) -> CredentialsExpired:
        """Return the error for a login that another process is refreshing."""
        error = CredentialsExpired(
            f"Another process is refreshing the login of {name}.",
            "This screen updates when it is done.",
        )
        error.retry_at = self._clock() + BUSY_INTERVAL
        return error

    # --- the stored login ----------------------------------------------------------------------

    def load(self, account: SavedAccount) -> StoredCredentials:
        """Return an account's login: the pending one, unless a newer one has been stored since.

        Raises NoCredentials, SecretStoreUnavailable.
        """
        pending = self._pending.get(account.id)
        if pending is not None:
            if account.generation <= pending.account.generation:
                return pending.stored
            self._pending.pop(account.id, None)
        secret = self._secrets.read(account.id, location=account.location)
        return StoredCredentials.from_secret(secret.content, secret.generation)

    def ensure_writable(self, account: SavedAccount, stored: StoredCredentials) -> None:
        """Write the stored login again: if that fails, a refreshed one could not be stored either.

        Raises SecretStoreUnavailable, AccountsUnavailable.
        """
        self._secrets.write(account.id, stored.as_secret())

    def update_copy(self, account: SavedAccount, credentials: Mapping[str, object]) -> None:
        """Replace our copy of Claude Code's login with the login that Claude Code has refreshed.

        Raises UsageMonitorError when it cannot be stored.
        """
        refreshed = StoredCredentials(credentials)
        with self.lock(account):
            current = self._accounts.get(account.id)
            if current is None or current.origin != "claude-code":
                return
            token = refreshed.refresh_token
            if token is None or token == self.load(current).refresh_token:
                return
            secret = self._secrets.write(account.id, refreshed.as_secret())
            self._accounts.store_secret_location(account.id, secret.location, secret.generation)

    def store_refreshed(
        self, account: SavedAccount, stored: StoredCredentials, used_up: str | None
    ) -> StoredCredentials:
        """Store a refreshed login before it is used. If that fails, it becomes pending.

        ``used_up`` is the fingerprint of the refresh token that was exchanged for it; ``None`` if
        that one stays valid.
        """
        try:
            secret = self._secrets.write(account.id, stored.as_secret())
        except (SecretStoreUnavailable, AccountsUnavailable) as error:
            self._add_pending(account, stored, used_up, error)
            return stored
        self._pending.pop(account.id, None)
        with suppress(AccountsUnavailable):  # the login is stored; the list only helps to find it
            self._accounts.record_refresh(account.id, secret.location, secret.generation, used_up)
        return stored._replace(generation=secret.generation)

    # --- pending writes ------------------------------------------------------------------------

    def pending_problem(self, account_id: str) -> str | None:
        """Return why an account's login is not stored yet; ``None`` if it is stored."""
        pending = self._pending.get(account_id)
        return pending.problem if pending is not None else None

    def retry_pending(self, account_id: str, *, at_once: bool = False) -> bool:
        """Try to store a pending login if a retry is due; return whether none is pending now."""
        pending = self._pending.get(account_id)
        if pending is None:
            return True
        if not at_once and self._clock() - pending.tried_at < _PENDING_WRITE_INTERVAL:
            return False
        with suppress(UsageMonitorError), self.lock(pending.account):
            pending = self._pending.get(account_id)  # another thread may have stored it meanwhile
            if pending is None:
                return True
            current = self._accounts.get(account_id)
            if current is None or current.generation > pending.account.generation:
                self._pending.pop(account_id, None)  # the account was removed, or logged in again
            else:
                self.store_refreshed(pending.account, pending.stored, pending.used_up)
        return account_id not in self._pending

    def store_pending(self) -> list[str]:
        """Try to store every pending login; return the names of the accounts that remain."""
        for account_id in list(self._pending):
            self.retry_pending(account_id, at_once=True)
        return [pending.account.name for pending in list(self._pending.values())]

    def _add_pending(
        self,
        account: SavedAccount,
        stored: StoredCredentials,
        used_up: str | None,
        error: UsageMonitorError,
    ) -> None:
        problem = f"The refreshed login of {account.name} could not be stored: {error.message}"
        self._pending[account.id] = PendingWrite(account, stored, used_up, self._clock(), problem)
        shutdown.register(self)
        if used_up is None:
            return
        # Other processes have only the token that is used up: they must not send it again.
        hint = f"{error.hint} If the process that has it was killed: {log_in_again(account.name)}"
        state = RefreshState(used_up, 1, 0, None, RefreshTokenRevoked.code, problem, hint)
        with suppress(AccountsUnavailable):
            self._accounts.store_refresh_state(account.id, state)


def log_in_again(name: str) -> str:
    """Return the hint for a saved login that is no longer valid."""
    return f"Log in again: `{login_command(name)}`."


def login_command(name: str) -> str:
    """Return the command that replaces a saved login with a new one."""
    return f"claude-usage-monitor accounts add {shlex.quote(name)} --login --replace"
