"""The accounts on the screen: the ones that the user selected, or another one after each Tab."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.errors import AccountsUnavailable, UsageMonitorError
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.accounts.selection import (
    selected,
    selected_without_list,
    without_duplicates,
)
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts
from claude_usage_monitor.store.settings import Mode


class SelectedAccounts(DisplayedAccounts):
    """The accounts that the command line selects, updated after renames and removals.

    Raises UnknownAccount. Raises AccountsUnavailable if the list cannot be read and the user named
    accounts or selected every account.
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
            self._shown = selected_without_list(registry, mode)
        if every and not names:
            listed = registry.all_accounts()
            notes = without_duplicates(
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
