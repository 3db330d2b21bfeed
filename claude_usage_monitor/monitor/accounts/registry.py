"""Which accounts there are, which of them to show, and a reader for each."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.sources.anthropic.api_url import base_url_from
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.store.paths import (
    accounts_path,
    fallback_path,
    locks_path,
    secrets_path,
    state_path,
)
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import CLAUDE_CODE, CONSOLE, Account

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.login.ownership import LoginOwnership
    from claude_usage_monitor.monitor.login.refresh import LoginRefresher
    from claude_usage_monitor.monitor.organization.admin_key import AdminKey
    from claude_usage_monitor.monitor.organization.reader import OrganizationReader
    from claude_usage_monitor.monitor.reader import Reader
    from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
    from claude_usage_monitor.monitor.subscription.saved_login import SavedLogin
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.accounts.account_store import AccountStore
    from claude_usage_monitor.store.accounts.saved_account import SavedAccount
    from claude_usage_monitor.store.secrets.secret_store import SecretStore
    from claude_usage_monitor.store.settings import Settings

BUILT_IN = (CLAUDE_CODE.name, CONSOLE.name)


class ListedAccount(NamedTuple):
    """An account in the list; ``key`` stays the same when it is renamed."""

    key: str
    account: Account
    saved: SavedAccount | None = None


CONSOLE_ENTRY = ListedAccount(CONSOLE.name, CONSOLE)


class AccountRegistry:
    """The accounts of this user: Claude Code's, the environment's, and those that were added.

    ``announce`` is told before a secret goes to the encrypted file for the first time.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        settings: Settings,
        clock: Callable[[], datetime],
        random_fraction: Callable[[], float] = lambda: 0.0,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.environ = environ
        self.settings = settings
        self.clock = clock
        self._random_fraction = random_fraction
        self._announce = announce
        self._base_url = base_url_from(environ)
        self.notice: str | None = None
        """Why saved accounts are not there, when they cannot be read."""
        self.state = StateStore(state_path(environ), fallback=fallback_path(environ))
        self._list_path = accounts_path(environ)
        self._accounts: AccountStore | None = None
        self.finder = CredentialFinder(environ, sys.platform)
        self._secrets: SecretStore | None = None
        self._refresher: LoginRefresher | None = None
        self._readers: dict[str, Reader] = {}
        self._lock = threading.RLock()  # over what is made on demand

    # --- which there are -----------------------------------------------------------------------

    def entries(self) -> tuple[ListedAccount, ...]:
        """Return every account, the active one first. Raises AccountsUnavailable."""
        saved = self.accounts.all() if self._has_list() else ()
        found = [ListedAccount(CLAUDE_CODE.name, CLAUDE_CODE)]
        named = any(
            self.environ.get(name, "").strip() for name in credentials_file.ADMIN_KEY_VARIABLES
        )
        stored = not named and credentials_file.stored_admin_key(self.environ) is not None
        found += [CONSOLE_ENTRY] if named else []
        found += [ListedAccount(each.id, account_of(each), each) for each in saved]
        found += [CONSOLE_ENTRY] if stored else []
        active = self._active(saved)
        entries = [
            entry._replace(account=_activated(entry.account, active=entry.key == active))
            for entry in found
        ]
        return tuple(sorted(entries, key=lambda entry: not entry.account.active))

    def _active(self, saved: Sequence[SavedAccount]) -> str:
        """Return the key of the account that is shown when none is named.

        The chosen one; before any is, Claude Code's, or the first added where that has no login.
        """
        chosen = self.accounts.active() if self._has_list() else None
        known = {each.id for each in saved}
        if chosen is not None:
            return chosen if chosen == CLAUDE_CODE.name or chosen in known else CLAUDE_CODE.name
        codes = [each.id for each in saved if each.kind == "code"]
        return CLAUDE_CODE.name if not codes or self.has_claude_code() else codes[0]

    def has_claude_code(self) -> bool:
        """Return whether Claude Code has a login, or has one that cannot be used."""
        try:
            self.finder.find(self.clock())
        except CredentialsNotFound:
            return False
        except UsageMonitorError:
            return True
        return True

    def named(self, name: str) -> ListedAccount:
        """Return the account of a name, case aside. Raises UnknownAccount."""
        from claude_usage_monitor.store.accounts.saved_account import folded

        entries = self.entries()
        for entry in entries:
            if folded(entry.account.name) == folded(clean(name)):
                return entry
        known = ", ".join(entry.account.name for entry in entries)
        raise UnknownAccount(f"There is no account {name!r}.", f"Known accounts: {known}.")

    def version(self) -> object:
        """Return what changes when an account was added, changed or removed."""
        return self.accounts.version() if self._has_list() else None

    def _has_list(self) -> bool:
        """Return whether an account was ever added, or that cannot be told; costs a stat."""
        if self._accounts is not None:
            return True
        try:
            self._list_path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def claude_code(self) -> SubscriptionReader:
        """Return a reader of what Claude Code is logged in as."""
        from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader

        login_source = ClaudeCodeLogin(self.finder, self.state, self.environ)
        return SubscriptionReader(
            login_source, self.connect, self.state, self.settings, self.clock, self._random_fraction
        )

    # --- readers -------------------------------------------------------------------------------

    def reader(self, entry: ListedAccount) -> Reader:
        """Return the account's reader, the same one each time."""
        with self._lock:
            if entry.key not in self._readers:
                self._readers[entry.key] = self._open(entry)
            return self._readers[entry.key]

    def _open(self, entry: ListedAccount) -> Reader:
        if entry.account.kind == "console":
            return self._organization(entry)
        if entry.saved is None:
            return self.claude_code()
        from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader

        login_source = self._login_source(entry.saved)
        return SubscriptionReader(
            login_source, self.connect, self.state, self.settings, self.clock, self._random_fraction
        )

    def organization(self) -> OrganizationReader:
        """Return a reader of the organisation whose key is there without being saved."""
        return self._organization(CONSOLE_ENTRY)

    def _organization(self, entry: ListedAccount) -> OrganizationReader:
        from claude_usage_monitor.monitor.organization.reader import OrganizationReader, known_email
        from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig

        config = GlobalConfig(self.environ)
        return OrganizationReader(
            entry.account,
            lambda: self._admin_key(entry.saved),
            self.connect_to_admin,
            self.state,
            self.settings,
            self.clock,
            self._random_fraction,
            lambda: known_email(self.settings, self.state, config),
        )

    def _admin_key(self, saved: SavedAccount | None) -> AdminKey:
        """Return an organisation's key. Raises CredentialError."""
        from claude_usage_monitor.monitor.organization.admin_key import AdminKey, require_admin_key
        from claude_usage_monitor.sources.anthropic.admin_api import checked_admin_key

        if saved is None:
            return require_admin_key(self.environ)
        current = self.accounts.get(saved.id)
        if current is None:
            raise UnknownAccount(f"The account {saved.name} was removed.", "")
        kept = self.secrets.read(current.id, known=current.place)
        key = checked_admin_key(str(kept.content.get("admin_key", "")))
        return AdminKey(key, f"the saved account {current.name}")

    def _login_source(self, saved: SavedAccount) -> SavedLogin:
        from claude_usage_monitor.monitor.subscription.saved_login import SavedLogin

        return SavedLogin(saved, self.accounts, self.refresher, self.state, self.login_ownership)

    def login_ownership(self, home: Mapping[str, str]) -> LoginOwnership:
        """Return what tells whose an account is to renew that was saved from Claude Code."""
        from claude_usage_monitor.monitor.login.ownership import LoginOwnership

        return LoginOwnership(self.environ, home, self.state, self._ask_profile)

    def _ask_profile(self, token: Secret) -> Profile | None:
        from claude_usage_monitor.sources.anthropic import oauth_api

        return oauth_api.get_profile(self.connect(), token)

    # --- what they are made of -----------------------------------------------------------------

    def connect(self) -> HttpClient:
        """Return a client of the API."""
        # Brings requests in, 100 ms, only when a request is to be made.
        from claude_usage_monitor.sources.http import HttpClient

        found = self.settings.user_agent
        user_agent = found or f"claude-code/{credentials_file.installed_version(self.environ)}"
        return HttpClient(self._base_url, user_agent, self.clock, self.environ)

    def connect_to_admin(self) -> HttpClient:
        """Return a client of the Admin API, which is told who we are."""
        return self._client(self._base_url)

    def connect_to_login(self) -> HttpClient:
        """Return a client of the token endpoint, which is told who we are."""
        from claude_usage_monitor.sources.anthropic.api_url import token_base_url_from

        return self._client(token_base_url_from(self.environ))

    def _client(self, url: str) -> HttpClient:
        from claude_usage_monitor import __version__
        from claude_usage_monitor.sources.http import HttpClient

        return HttpClient(url, f"claude-usage-monitor/{__version__}", self.clock, self.environ)

    @property
    def accounts(self) -> AccountStore:
        """The list of the accounts that were added."""
        with self._lock:
            if self._accounts is None:
                # 3 ms that only those with several accounts pay.
                from claude_usage_monitor.store.accounts.account_store import AccountStore

                self._accounts = AccountStore(self._list_path)
            return self._accounts

    @property
    def secrets(self) -> SecretStore:
        """The places where secrets are kept."""
        with self._lock:
            if self._secrets is None:
                from claude_usage_monitor.store.secrets.encrypted_file import SecretsFile
                from claude_usage_monitor.store.secrets.keyring_store import KeyringPlace
                from claude_usage_monitor.store.secrets.secret_store import SecretStore

                path = secrets_path(self.environ)
                file = SecretsFile(path, exclusively=self.accounts.exclusively)
                self._secrets = SecretStore(KeyringPlace(), file, self._announce)
            return self._secrets

    @property
    def refresher(self) -> LoginRefresher:
        """What renews our own logins."""
        with self._lock:
            if self._refresher is None:
                from claude_usage_monitor.monitor.login.refresh import LoginRefresher

                locks = locks_path(self.environ)
                self._refresher = LoginRefresher(
                    self.accounts, self.secrets, self.connect_to_login, self.clock, locks
                )
            return self._refresher


def account_of(saved: SavedAccount) -> Account:
    """Return a saved account as all faces see it."""
    return Account(
        saved.name, saved.kind, saved.profile.email, active=False, saved_at=saved.saved_at
    )


def _activated(account: Account, *, active: bool) -> Account:
    return Account(account.name, account.kind, account.email, active, account.saved_at)
