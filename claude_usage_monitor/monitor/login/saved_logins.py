"""The stores that only saved accounts need: their secrets, their logins, and the refresher.

`Services` imports this module on first use, so that users without saved accounts do not wait for
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.monitor.login.ownership import LoginOwnership
from claude_usage_monitor.monitor.login.refresh import LoginRefresher
from claude_usage_monitor.monitor.login.stored import CredentialStore
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.paths import locks_path, secrets_path
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
from claude_usage_monitor.store.secrets.keyring_store import KeyringStore
from claude_usage_monitor.store.secrets.secret_store import SecretStore
from claude_usage_monitor.store.state.state_store import StateStore

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient


class SavedLogins(NamedTuple):
    """The stores of the saved accounts' secrets and logins, and the refresher."""

    secrets: SecretStore
    credentials: CredentialStore
    ownership: LoginOwnership
    refresher: LoginRefresher


def open_saved_logins(  # noqa: PLR0913, PLR0917 - what a refresh needs
    environ: Mapping[str, str],
    state: StateStore,
    accounts: AccountStore,
    clock: Callable[[], datetime],
    api_client: Callable[[], HttpClient],
    token_client: Callable[[], HttpClient],
    announce: Callable[[str], None],
) -> SavedLogins:
    """Return the stores. ``announce`` receives a notice before the encrypted file is created."""
    file = EncryptedFile(Path(secrets_path(environ)), accounts.exclusive_lock)
    secrets = SecretStore(KeyringStore(), file, announce)
    credentials = CredentialStore(accounts, secrets, clock, Path(locks_path(environ)))
    ownership = LoginOwnership(environ, state, api_client)
    refresher = LoginRefresher(accounts, credentials, ownership, token_client, clock)
    return SavedLogins(secrets, credentials, ownership, refresher)
