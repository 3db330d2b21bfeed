"""The library: figures of one account or of all, and the accounts themselves.

Each function is one call into its neighbours; what they may raise is told there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Sequence

from claude_usage_monitor.errors import error_of
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.monitor.live.parallel import read_all
from claude_usage_monitor.monitor.reader import DisplayedAccount
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import CLAUDE_CODE, Account, AccountStatus, Problem

LOGIN_SECONDS = 120.0


def get_usage() -> Usage:
    """Return the limits of the account Claude Code is logged in as.

    Asked now if the request budget that all processes share allows it, else as last read: every
    window says when (``as_of``). Raises CredentialError when a login is needed, ServiceError when
    no figures could be had, and there are none from before.
    """
    status = claude_code_reader(_services()).read(AccountStatus(CLAUDE_CODE))
    if status.usage is None:
        problem = status.problem or Problem("error", "There are no figures yet.", "")
        raise error_of(problem.code, problem.message, problem.hint)
    return status.usage


def authorize(timeout: float = LOGIN_SECONDS, *, browser: bool = True) -> str:
    """Log in with the browser (PKCE) and return the credentials as JSON. Nothing is stored.

    The address to open is told on standard error; where no browser can be opened, or without
    ``browser``, the code it shows is read from standard input. ``timeout`` is in seconds. Raises
    LoginFailed when it came to nothing, ServiceError when the token endpoint did not answer.
    """
    return json.dumps(_log_in(_services(), timeout, browser=browser))


class UsageClient:
    """The accounts of this user and their figures, as the command has them.

    The same files, the same request budget. Methods may be called from any thread. Where secrets
    go to the encrypted file for want of a keyring, a UserWarning says so first.
    """

    def __init__(self) -> None:
        self._registry = AccountRegistry(_services())

    def save_account(
        self, name: str, credentials_json: str | None = None, *, replace: bool = False
    ) -> Account:
        """Add an account: what Claude Code is logged in as, or raw credentials.

        The former stays Claude Code's to renew; the latter are ours from then on. Raises
        InvalidName, NoCredentials, CredentialError when the API refuses them.
        """
        if credentials_json is None:
            return _told(add.add_from_claude_code(self._registry, name, replace=replace))
        content = credentials_json.encode(errors="surrogatepass")  # then it is no JSON
        place = "credentials_json"
        return _told(add.add_credentials(self._registry, name, content, place, replace=replace))

    def authenticate(
        self, name: str, timeout: float = LOGIN_SECONDS, *, replace: bool = False
    ) -> Account:
        """Add an account by a login in the browser. Raises as `authorize` does, and InvalidName."""
        manage.account_to_replace(self._registry, name, "code", replace=replace)
        credentials = _log_in(self._registry.services, timeout, browser=True)
        return _told(add.add_login(self._registry, name, credentials, replace=replace))

    def save_admin_account(self, name: str, key: str, *, replace: bool = False) -> Account:
        """Add an organisation by its Admin API key. Raises InvalidName, NoCredentials."""
        return _told(add.add_admin_key(self._registry, name, key, replace=replace))

    def list_accounts(self) -> tuple[Account, ...]:
        """Return every account, the active one first; ``claude-code`` is always among them."""
        return tuple(self._with_email(entry) for entry in self._registry.all_accounts())

    def switch_account(self, name: str) -> None:
        """Make an account the active one. Raises UnknownAccount."""
        manage.use(self._registry, name)

    def rename_account(self, name: str, new_name: str) -> None:
        """Give an account another name. Raises UnknownAccount, InvalidName."""
        manage.rename(self._registry, name, new_name)

    def delete_account(self, name: str) -> None:
        """Delete an account and its login. Raises UnknownAccount, SecretStoreUnavailable."""
        for warning in manage.remove(self._registry, name):
            warnings.warn(warning, stacklevel=2)

    def get_account_usage(self, name: str) -> AccountStatus:
        """Return an account's figures, read now if the request budget allows.

        What keeps them away is the status's ``problem``. Raises UnknownAccount.
        """
        return self._read([self._registry.find(name)])[0]

    def get_all_accounts_usage(self) -> tuple[AccountStatus, ...]:
        """Return the figures of every account, read in parallel, the active one first.

        One account's failure is its own ``problem`` and keeps no other waiting.
        """
        return self._read(selected(self._registry, (), "auto", every=True))

    def get_system_token(self) -> str:
        """Return the OAuth access token that Claude Code holds. Raises NoCredentials.

        It is Claude Code's: never renew it, and keep it out of logs and files.
        """
        return self._registry.services.finder.find_stored(utc_now()).token.reveal()

    def _with_email(self, entry: ListedAccount) -> Account:
        if entry.key != CLAUDE_CODE.name:
            return entry.account
        profile = GlobalConfig(self._registry.services.environ).read().profile
        return dataclasses.replace(entry.account, email=profile.email if profile else None)

    def _read(self, entries: Sequence[ListedAccount]) -> tuple[AccountStatus, ...]:
        current = [DisplayedAccount(e.key, e.account, self._registry.reader(e)) for e in entries]
        return read_all(current, self._registry.services.settings.interval)


def _services() -> Services:
    settings, _ = load_settings(config_path(os.environ))
    return Services(
        os.environ, settings, utc_now, announce=lambda words: warnings.warn(words, stacklevel=2)
    )


def _log_in(services: Services, timeout: float, *, browser: bool) -> dict[str, object]:
    import sys

    from claude_usage_monitor.monitor.login.browser import Prompter, log_in

    def ask() -> str | None:
        return sys.stdin.readline() or None if sys.stdin is not None else None

    prompter = Prompter(lambda words: print(words, file=sys.stderr), ask)
    client, environ = services.token_client(), services.environ
    return log_in(client, environ, prompter, browser=browser, timeout=timeout, clock=services.clock)


def _told(added: add.Added) -> Account:
    for note in added.notes:
        warnings.warn(note, stacklevel=3)
    return added.account
