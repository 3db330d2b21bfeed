"""The settings, clock, stores and HTTP clients that all accounts of a process share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from claude_usage_monitor import __version__
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.sources.anthropic.api_url import base_url_from, token_base_url_from
from claude_usage_monitor.store.paths import (
    accounts_path,
    fallback_path,
    has_accounts,
    secrets_path,
    state_path,
)
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.state_store import StateStore

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.login.ownership import LoginOwnership
    from claude_usage_monitor.monitor.login.refresh import LoginRefresher
    from claude_usage_monitor.monitor.login.saved_logins import SavedLogins
    from claude_usage_monitor.monitor.login.stored import CredentialStore
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.secrets.secret_store import SecretStore


class Services:
    """The settings, the clock, the stores and the HTTP clients of one process.

    ``random_fraction`` returns a number from 0 to 1: the share of the maximum jitter to add.
    ``announce`` receives a notice before the first secret is written to the encrypted file.
    ``live`` means that the process runs for a long time. Raises InvalidSetting if the API's base
    URL is not allowed.
    """

    def __init__(  # noqa: PLR0913 - commands set different ones
        self,
        environ: Mapping[str, str],
        settings: Settings,
        clock: Callable[[], datetime],
        random_fraction: Callable[[], float] = lambda: 0.0,
        announce: Callable[[str], None] = lambda _: None,
        *,
        live: bool = False,
    ) -> None:
        self.environ = environ
        self.settings = settings
        self.clock = clock
        self.live = live
        self.random_fraction = random_fraction
        self.state = StateStore(state_path(environ), fallback=fallback_path(environ), live=live)
        self.finder = CredentialFinder(environ)
        self._announce = announce
        self._base_url = base_url_from(environ)
        self._accounts: AccountStore | None = None
        self._saved_logins: SavedLogins | None = None
        self._lock = threading.RLock()

    @property
    def accounts(self) -> AccountStore:
        """The accounts that the user added; imported and created on first use."""
        with self._lock:
            if self._accounts is None:
                # Takes 2 ms; only users with saved accounts need it.
                from claude_usage_monitor.store.accounts.account_store import AccountStore

                paths = accounts_path(self.environ), secrets_path(self.environ)
                self._accounts = AccountStore(*paths, self._announce)
            return self._accounts

    @property
    def existing_accounts(self) -> AccountStore | None:
        """The same; ``None`` if the user has never added an account."""
        return self.accounts if has_accounts(self.environ) else None

    @property
    def saved_logins(self) -> SavedLogins:
        """The stores that only saved accounts need, imported and created on first use."""
        with self._lock:
            if self._saved_logins is None:
                # Takes 4 ms; only users with saved accounts need it.
                from claude_usage_monitor.monitor.login.saved_logins import open_saved_logins

                self._saved_logins = open_saved_logins(
                    self.environ,
                    self.state,
                    self.accounts,
                    self.clock,
                    self.api_client,
                    self.token_client,
                    self._announce,
                )
            return self._saved_logins

    @property
    def secrets(self) -> SecretStore:
        """The store of the saved accounts' tokens and keys."""
        return self.saved_logins.secrets

    @property
    def credentials(self) -> CredentialStore:
        """The saved accounts' logins, and the locks on them."""
        return self.saved_logins.credentials

    @property
    def ownership(self) -> LoginOwnership:
        """Who owns a login that was imported from Claude Code."""
        return self.saved_logins.ownership

    @property
    def refresher(self) -> LoginRefresher:
        """The refresher of the saved accounts' logins."""
        return self.saved_logins.refresher

    def api_client(self) -> HttpClient:
        """Return a client of the API, with Claude Code's user agent unless another one is set."""
        # Imports shutil (2 ms): only needed when a request will be sent.
        from claude_usage_monitor.sources.claude_code.installation import installed_version

        user_agent = self.settings.user_agent or f"claude-code/{installed_version(self.environ)}"
        return self._client(self._base_url, user_agent)

    def admin_client(self) -> HttpClient:
        """Return a client of the Admin API, with our own user agent."""
        return self._client(self._base_url)

    def token_client(self) -> HttpClient:
        """Return a client of the token endpoint, with our own user agent."""
        return self._client(token_base_url_from(self.environ))

    def status_client(self, base_url: str) -> HttpClient:
        """Return a client of the status page at a URL, with our own user agent."""
        return self._client(base_url)

    def _client(
        self, base_url: str, user_agent: str = f"claude-usage-monitor/{__version__}"
    ) -> HttpClient:
        # Imports requests (70 ms): only needed when a request will be sent.
        from claude_usage_monitor.sources.http import HttpClient

        return HttpClient(base_url, user_agent, self.clock, self.environ)
