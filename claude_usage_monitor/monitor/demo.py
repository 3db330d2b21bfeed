"""The simulated account of `--demo`, as a reader: no login, no network, no files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts, Reader
from claude_usage_monitor.sources.demo import PROFILE, demo_usage
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:  # as in history_view
    from claude_usage_monitor.usage.limits.history_view import HistoryView, Range

DEMO = Account("demo")
_INTERVAL = timedelta(seconds=5)


class DemoAccounts(DisplayedAccounts):
    """The simulated account, always displayed."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._displayed = DisplayedAccount(DEMO.name, DEMO, DemoReader(clock))

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the simulated account."""
        return (self._displayed,)

    def show_next(self) -> None:
        """Do nothing: there is no other account."""

    def version(self) -> object:
        """Return a constant: the account never changes."""
        return None


class DemoReader(Reader):
    """Reads the simulated account; its windows start when this reader is created."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._started = clock()

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,  # noqa: ARG002 - part of the protocol
    ) -> AccountStatus:
        """Return the simulated account's status."""
        return self.cached_status(previous)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:  # noqa: ARG002 - part of the protocol
        """Return the simulated account's status."""
        now = self._clock()
        return AccountStatus(
            account=DEMO,
            usage=demo_usage(now, self._started),
            profile=PROFILE,
            credential_origin="built-in demo",
            next_read_at=now + _INTERVAL,
        )

    def history_view(self, shown: Range, now: datetime) -> HistoryView | None:
        """Return an invented past."""
        # Takes 3 ms; only needed when the user opens the view.
        from claude_usage_monitor.sources.demo_history import demo_history

        return demo_history(shown, now)

    def request_refresh(self) -> None:
        """Do nothing: the account is read every few seconds."""

    def changed(self) -> bool:
        """Return False: no other process changes the account."""
        return False
