"""Decides which accounts to show, and follows what the user selects on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.errors import AccountsUnavailable, UsageMonitorError
from claude_usage_monitor.monitor.accounts.registry import (
    LISTED_CLAUDE_CODE,
    LISTED_CONSOLE,
    AccountRegistry,
    ListedAccount,
)
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts
from claude_usage_monitor.store.settings import Mode


class SelectedAccounts(DisplayedAccounts):
    """The accounts on the screen: those that the command line selects, or another one after Tab.

    They follow renames and removals. Raises UnknownAccount, and AccountsUnavailable if the list
    cannot be read and the user named accounts or selected every account.
    """

    def __init__(
        self, registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
    ) -> None:
        self.warning: str | None = None
        """Why accounts are missing: their list cannot be read, or some are the same login."""
        self.services = registry.services
        self._registry = registry
        self._mode: Mode = mode
        self._every = every
        try:
            self._shown = selected(registry, names, mode, every=every)
        except AccountsUnavailable as error:
            if names or every:
                raise
            self.warning = f"{error.message} {error.hint}"
            self._shown = _of_mode(registry, (LISTED_CLAUDE_CODE,), mode, every=False)
        if every and not names:
            listed = registry.all_accounts()
            notes = _without_duplicates(
                registry, [e for e in listed if mode in ("auto", e.account.kind)]
            )[1]
            self.warning = " ".join(notes) or None
        self._named_keys = tuple(listed.key for listed in self._shown) if names else ()
        self._single_key: str | None = None  # of the account that `show_next` selected

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the accounts to show now; a removed account stays while it is the only one."""
        self._shown = self._accounts_to_show() or self._shown
        return tuple(
            DisplayedAccount(each.key, each.account, self._registry.reader(each))
            for each in self._shown
        )

    def show_next(self) -> None:
        """Show the next account; after the last one, show the selected ones again."""
        try:
            every = selected(self._registry, (), self._mode, every=True)
        except UsageMonitorError:  # the list cannot be read at the moment
            every = self._shown
        selection = [each.key for each in self._selection()]
        views = [None, *(each.key for each in every if [each.key] != selection)]
        position = views.index(self._single_key) if self._single_key in views else 0
        self._single_key = views[(position + 1) % len(views)]
        if self._single_key is None and not selection:
            self._single_key = views[1]  # the selected accounts were removed

    def position(self) -> tuple[int, int] | None:
        """Return which of all accounts is the only one on the screen, and how many there are."""
        if len(self._shown) != 1:
            return None
        try:
            keys = [each.key for each in selected(self._registry, (), self._mode, every=True)]
        except UsageMonitorError:  # the list cannot be read at the moment
            return None
        key = self._shown[0].key
        return (keys.index(key) + 1, len(keys)) if key in keys and len(keys) > 1 else None

    def version(self) -> object:
        """Return a value that changes when `current` may return other accounts."""
        try:
            return self._registry.version()
        except UsageMonitorError:
            return None

    def _accounts_to_show(self) -> tuple[ListedAccount, ...]:
        if self._single_key is None:
            return self._selection()
        try:
            return tuple(e for e in self._registry.all_accounts() if e.key == self._single_key)
        except UsageMonitorError:
            return ()

    def _selection(self) -> tuple[ListedAccount, ...]:
        """Return the selected accounts with their current names; none if the list is unreadable."""
        try:
            if not self._named_keys:
                return selected(self._registry, (), self._mode, every=self._every)
            by_key = {each.key: each for each in self._registry.all_accounts()}
        except UsageMonitorError:
            return ()
        return tuple(by_key[key] for key in self._named_keys if key in by_key)


def selected(
    registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
) -> tuple[ListedAccount, ...]:
    """Return the accounts to show: the named ones, every one, or the active one.

    In mode ``auto``, an organization is shown after the active subscription. Raises UnknownAccount,
    and AccountsUnavailable when the list of accounts cannot be read.
    """
    if names:
        named = [registry.find(name) for name in names]
        return tuple({listed.key: listed for listed in named}.values())
    return _of_mode(registry, registry.all_accounts(), mode, every=every)


def _of_mode(
    registry: AccountRegistry, listed: tuple[ListedAccount, ...], mode: Mode, *, every: bool
) -> tuple[ListedAccount, ...]:
    if mode != "auto":
        listed = tuple(each for each in listed if each.account.kind == mode)
    if not listed:
        # The organization's status says how to add a key, and shows figures once there is one.
        return (LISTED_CONSOLE,)
    if every:
        return _without_duplicates(registry, _without_logged_out(registry, listed))[0]
    organizations = [each for each in listed if each.account.kind == "console"]
    first = listed[0]
    if not first.account.active:  # the active account is of the other kind
        first = organizations[0] if organizations else _without_logged_out(registry, listed)[0]
    if not organizations or mode != "auto" or first.account.kind == "console":
        return (first,)
    return _without_logged_out(registry, (first, organizations[0]))


def _without_duplicates(
    registry: AccountRegistry, listed: Sequence[ListedAccount]
) -> tuple[tuple[ListedAccount, ...], tuple[str, ...]]:
    """Leave out accounts that are the same login, or the same organization, as an earlier one.

    Returns the others, and a note about each that was left out.
    """
    shown: dict[str, ListedAccount] = {}
    notes = []
    for each in listed:
        identity = registry.identity_of(each) or each.key
        first = shown.setdefault(identity, each)
        if first is not each:
            same = "the same organization" if each.account.kind == "console" else "the same login"
            notes.append(f"{each.account.name} is {same} as {first.account.name}: shown once.")
    return tuple(shown.values()), tuple(notes)


def _without_logged_out(
    registry: AccountRegistry, listed: tuple[ListedAccount, ...]
) -> tuple[ListedAccount, ...]:
    """Leave out Claude Code's account while it is logged out, unless no other is left."""
    key = LISTED_CLAUDE_CODE.key
    with_login = [each for each in listed if each.key != key or registry.has_claude_code()]
    return tuple(with_login) or listed
