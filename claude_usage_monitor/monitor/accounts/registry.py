"""Lists the accounts of this user, and determines the active one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    LoggedOut,
    LoginErased,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.monitor.accounts.readers import open_reader
from claude_usage_monitor.monitor.reader import Reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.claude_code.credentials_file import (
    ADMIN_KEY_VARIABLES,
    stored_admin_key,
)
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.store.state.identities import is_provisional, token_fingerprint
from claude_usage_monitor.suggestions import did_you_mean
from claude_usage_monitor.usage.status import CLAUDE_CODE, CONSOLE, Account, AccountStatus, name_key

if TYPE_CHECKING:  # takes 1 ms
    from claude_usage_monitor.store.accounts.saved_account import SavedAccount


class ListedAccount(NamedTuple):
    """An account in the list; ``key`` stays the same when the account is renamed."""

    key: str
    account: Account
    saved: SavedAccount | None = None


LISTED_CLAUDE_CODE = ListedAccount(CLAUDE_CODE.name, CLAUDE_CODE)
LISTED_CONSOLE = ListedAccount(CONSOLE.name, CONSOLE)


class AccountRegistry:
    """The accounts of this user: Claude Code's, the environment's, and the saved ones."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._readers: dict[str, Reader] = {}
        self._lock = threading.Lock()

    def all_accounts(self) -> tuple[ListedAccount, ...]:
        """Return every account, the active one first. Raises AccountsUnavailable."""
        store = self.services.existing_accounts
        saved = () if store is None else store.all()
        environ = self.services.environ
        listed = [LISTED_CLAUDE_CODE]
        listed += [ListedAccount(each.id, account_of(each), each) for each in saved]
        if any(environ.get(name, "").strip() for name in ADMIN_KEY_VARIABLES):
            listed.insert(1, LISTED_CONSOLE)
        elif stored_admin_key(environ) is not None:
            listed.append(LISTED_CONSOLE)
        self._forget_readers(each.key for each in listed)
        active = self._active_key(listed, None if store is None else store.active_key())
        listed = [
            each._replace(account=each.account._replace(active=each.key == active))
            for each in listed
        ]
        return tuple(sorted(listed, key=lambda each: not each.account.active))

    def _active_key(self, listed: Sequence[ListedAccount], chosen: str | None) -> str:
        """Return the key of the account that is shown when the user names none.

        This is the account chosen with `accounts use`. Without a choice it is Claude Code's
        account, or the first saved subscription if Claude Code has no login.
        """
        if chosen is not None:
            return chosen if chosen in {each.key for each in listed} else CLAUDE_CODE.name
        subscriptions = [each.key for each in listed if each.saved and each.saved.kind == "code"]
        if not subscriptions or self.has_claude_code():
            return CLAUDE_CODE.name
        return subscriptions[0]

    def has_claude_code(self) -> bool:
        """Return whether Claude Code has a login, usable or not.

        A login that Claude Code erased because it could not refresh it counts: the user lost it.
        """
        try:
            self.services.finder.find(self.services.clock())
        except (CredentialsNotFound, LoggedOut) as error:
            return isinstance(error, LoginErased)
        except UsageMonitorError:
            return True
        return True

    def find(self, name: object) -> ListedAccount:
        """Return the account with this name, ignoring case. Raises UnknownAccount."""
        listed = self.all_accounts()
        shown_name = clean(str(name))  # never echo a token that was given as a name
        for each in listed:
            if name_key(each.account.name) == name_key(shown_name):
                return each
        for each in listed:
            if name_key(shown_name) in map(name_key, self._names_on_screen(each)):
                return each
        names = [self.without_names(each.account.name) for each in listed]
        suggestion = did_you_mean(shown_name, names)
        raise UnknownAccount(
            f"There is no account {shown_name!r}{suggestion or '.'}",
            f"Known accounts: {', '.join(names)}.",
        )

    def without_names(self, text: str) -> str:
        """Return a text with placeholders for the names of accounts, if the user wants that."""
        if not self.services.settings.hide_names:
            return text
        # Takes 1 ms; only needed where names are hidden.
        from claude_usage_monitor.usage.privacy import without_names

        return without_names(text, (each.account.name for each in self.all_accounts()))

    def _names_on_screen(self, listed: ListedAccount) -> Iterator[str]:
        """Yield the names under which the dashboard shows an account beside the name it has."""
        if listed.key == CLAUDE_CODE.name:
            yield "Claude"
        if listed.account.kind == "console":
            if listed.saved is None:
                yield "Organization"
            status = self.reader(listed).cached_status(AccountStatus(listed.account))
            if status.profile is not None and status.profile.organization is not None:
                yield status.profile.organization

    def identity_of(self, listed: ListedAccount) -> str | None:
        """Return an account's identity; ``None`` until the API has confirmed it."""
        if listed.saved is not None:
            return listed.saved.profile.identity
        services = self.services
        try:
            if listed.account.kind == "console":
                # Takes 2 ms; only users with several accounts need it.
                from claude_usage_monitor.monitor.organization.admin_key import find_admin_key

                token = find_admin_key(services.environ).secret
            else:
                token = services.finder.find(services.clock()).token
        except UsageMonitorError:
            return None
        identity = services.state.identity_of(token_fingerprint(token))
        return None if is_provisional(identity) else identity

    def version(self) -> object:
        """Return a value that changes when an account is added, changed or removed."""
        store = self.services.existing_accounts
        return None if store is None else store.version()

    def reader(self, listed: ListedAccount) -> Reader:
        """Return the account's reader, always the same one."""
        with self._lock:
            if listed.key not in self._readers:
                self._readers[listed.key] = open_reader(self.services, listed.account, listed.saved)
            return self._readers[listed.key]

    def _forget_readers(self, listed: Iterable[str]) -> None:
        """Forget the readers of removed accounts: live mode may run for months."""
        with self._lock:
            for key in self._readers.keys() - set(listed):
                del self._readers[key]


def account_of(saved: SavedAccount) -> Account:
    """Return a saved account as the library and the outputs show it."""
    return Account(
        saved.name, saved.kind, saved.profile.email, active=False, saved_at=saved.saved_at
    )
