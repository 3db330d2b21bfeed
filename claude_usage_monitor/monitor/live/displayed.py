"""Which accounts are on show: the ones asked for, and with each turn another one by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.reader import DisplayedAccount

if TYPE_CHECKING:
    from claude_usage_monitor.store.settings import Mode


class SelectedAccounts:
    """The accounts on show. Made of what was asked for; raises as `selected` does."""

    def __init__(
        self, registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
    ) -> None:
        self._registry = registry
        self._asked = names, mode, every
        self._entries = selected(registry, names, mode, every=every)
        self._named = tuple(entry.key for entry in self._entries)
        self._alone: str | None = None  # the key of the one account that a turn has come to

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the accounts on show as they are now; the last one stays when it is removed."""
        self._entries = self._shown() or self._entries
        return tuple(
            DisplayedAccount(e.key, e.account, self._registry.reader(e)) for e in self._entries
        )

    def show_next(self) -> None:
        """Go on to the next account; after the last one, back to what was asked for."""
        try:
            every = selected(self._registry, (), self._asked[1], every=True)
        except UsageMonitorError:  # the list cannot be read just now
            every = self._entries
        first = self._asked_for()
        singles = [e.key for e in every if [e.key] != [one.key for one in first]]
        views: list[str | None] = [None, *singles]
        here = views.index(self._alone) if self._alone in views else 0
        self._alone = views[(here + 1) % len(views)]

    def version(self) -> object:
        """Return what changes when there may be other accounts to show."""
        try:
            return self._registry.version()
        except UsageMonitorError:
            return None

    def _shown(self) -> tuple[ListedAccount, ...]:
        if self._alone is None:
            return self._asked_for()
        try:
            return tuple(e for e in self._registry.entries() if e.key == self._alone)
        except UsageMonitorError:
            return ()

    def _asked_for(self) -> tuple[ListedAccount, ...]:
        names, mode, every = self._asked
        try:
            if not names:
                return selected(self._registry, (), mode, every=every)
            found = {entry.key: entry for entry in self._registry.entries()}
        except UsageMonitorError:
            return ()
        return tuple(found[key] for key in self._named if key in found)  # by whatever name now
