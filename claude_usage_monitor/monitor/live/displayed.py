"""Which accounts are on show: the ones asked for, and with each turn another one by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.accounts.selection import selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claude_usage_monitor.monitor.accounts.registry import Entry, Roster
    from claude_usage_monitor.monitor.live.poller import Reader
    from claude_usage_monitor.store.settings import Mode
    from claude_usage_monitor.usage.status import Account


class Seat(NamedTuple):
    """An account on show and who reads it; ``key`` stays the same when it is renamed."""

    key: str
    account: Account
    reader: Reader


class Desk:
    """The accounts on show. Made of what was asked for; raises as `selected` does."""

    def __init__(
        self, roster: Roster, names: Sequence[str], mode: Mode, *, every: bool = False
    ) -> None:
        self._roster = roster
        self._asked = names, mode, every
        self._entries = selected(roster, names, mode, every=every)
        self._named = tuple(entry.key for entry in self._entries)
        self._alone: str | None = None  # the key of the one account that a turn has come to

    def seats(self) -> tuple[Seat, ...]:
        """Return the accounts on show as they are now; the last one stays when it is removed."""
        self._entries = self._shown() or self._entries
        return tuple(Seat(e.key, e.account, self._roster.reader(e)) for e in self._entries)

    def turn(self) -> None:
        """Go on to the next account; after the last one, back to what was asked for."""
        try:
            every = selected(self._roster, (), self._asked[1], every=True)
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
            return self._roster.version()
        except UsageMonitorError:
            return None

    def _shown(self) -> tuple[Entry, ...]:
        if self._alone is None:
            return self._asked_for()
        try:
            return tuple(e for e in self._roster.entries() if e.key == self._alone)
        except UsageMonitorError:
            return ()

    def _asked_for(self) -> tuple[Entry, ...]:
        names, mode, every = self._asked
        try:
            if not names:
                return selected(self._roster, (), mode, every=every)
            found = {entry.key: entry for entry in self._roster.entries()}
        except UsageMonitorError:
            return ()
        return tuple(found[key] for key in self._named if key in found)  # by whatever name now
