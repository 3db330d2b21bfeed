"""The accounts on the screen: the ones that the user selected, or another one after each Tab."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.errors import AccountsUnavailable, UsageMonitorError
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.accounts.selection import selected, selected_without_list
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts
from claude_usage_monitor.store.settings import Mode


class SelectedAccounts(DisplayedAccounts):
    """The accounts that the command line selects, followed through renames and removals.

    Raises UnknownAccount, and AccountsUnavailable when accounts are named or every account is
    selected and their list cannot be read.
    """

    def __init__(
        self, registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
    ) -> None:
        self.warning: str | None = None
        """Why saved accounts are missing, if their list cannot be read."""
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
        self._named_keys = tuple(listed.key for listed in self._shown) if names else ()
        self._single_key: str | None = None  # of the account that `show_next` went to

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the accounts to show now; a removed account stays while it is the only one."""
        self._shown = self._wanted() or self._shown
        return tuple(
            DisplayedAccount(each.key, each.account, self._registry.reader(each))
            for each in self._shown
        )

    def show_next(self) -> None:
        """Go on to the next account; after the last one, back to the selected ones."""
        try:
            every = selected(self._registry, (), self._mode, every=True)
        except UsageMonitorError:  # the list cannot be read at the moment
            every = self._shown
        selection = [each.key for each in self._selection()]
        views = [None, *(each.key for each in every if [each.key] != selection)]
        here = views.index(self._single_key) if self._single_key in views else 0
        self._single_key = views[(here + 1) % len(views)]

    def version(self) -> object:
        """Return a value that changes when other accounts may have to be shown."""
        try:
            return self._registry.version()
        except UsageMonitorError:
            return None

    def _wanted(self) -> tuple[ListedAccount, ...]:
        if self._single_key is None:
            return self._selection()
        try:
            return tuple(e for e in self._registry.all_accounts() if e.key == self._single_key)
        except UsageMonitorError:
            return ()

    def _selection(self) -> tuple[ListedAccount, ...]:
        """Return the selected accounts by their present names; none without a readable list."""
        try:
            if not self._named_keys:
                return selected(self._registry, (), self._mode, every=self._every)
            by_key = {each.key: each for each in self._registry.all_accounts()}
        except UsageMonitorError:
            return ()
        return tuple(by_key[key] for key in self._named_keys if key in by_key)
