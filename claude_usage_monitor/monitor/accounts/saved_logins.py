"""What only saved accounts need: their secrets, their logins, and the refresh of these.

`Services` imports this module on first use, so that users without saved accounts do not wait for
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UnknownAccount
from claude_usage_monitor.monitor.login.ownership import LoginOwnership
from claude_usage_monitor.monitor.login.refresh import LoginRefresher
from claude_usage_monitor.monitor.login.stored import CredentialStore
from claude_usage_monitor.monitor.organization.admin_key import AdminKey
from claude_usage_monitor.monitor.subscription.saved_login import SavedLogin
from claude_usage_monitor.sources.anthropic.admin_api import checked_admin_key
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.paths import locks_path, secrets_path
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
from claude_usage_monitor.store.secrets.keyring_store import KeyringStore
from claude_usage_monitor.store.secrets.secret_store import SecretStore
from claude_usage_monitor.store.state.state_store import StateStore

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient


class SavedLogins:
    """The logins of the saved accounts, and the secrets of all saved accounts."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a refresh needs
        self,
        environ: Mapping[str, str],
        state: StateStore,
        accounts: AccountStore,
        clock: Callable[[], datetime],
        api_client: Callable[[], HttpClient],
        token_client: Callable[[], HttpClient],
        announce: Callable[[str], None],
    ) -> None:
        self._state = state
        self._accounts = accounts
        file = EncryptedFile(secrets_path(environ), accounts.exclusively)
        self.secrets = SecretStore(KeyringStore(), file, announce)
        self.credentials = CredentialStore(accounts, self.secrets, clock, locks_path(environ))
        self.ownership = LoginOwnership(environ, state, api_client)
        self.refresher = LoginRefresher(
            accounts, self.credentials, self.ownership, token_client, clock
        )

    def login_source(self, saved: SavedAccount) -> SavedLogin:
        """Return the login of a saved subscription."""
        return SavedLogin(
            saved, self._accounts, self.credentials, self.ownership, self.refresher, self._state
        )

    def admin_key(self, saved: SavedAccount) -> AdminKey:
        """Return the key of a saved organization. Raises CredentialError, UnknownAccount."""
        current = self._accounts.get(saved.id)
        if current is None:
            raise UnknownAccount(
                f"The account {saved.name} was removed.", "Press Tab for the others."
            )
        stored = self.secrets.read(current.id, location=current.location)
        key = checked_admin_key(str(stored.content.get("admin_key", "")))
        return AdminKey(key, f"the saved account {current.name}")
