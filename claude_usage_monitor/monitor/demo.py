"""The demo account behind the same door as a real one: no login, no network, no files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from claude_usage_monitor.monitor.reader import DisplayedAccount
from claude_usage_monitor.sources.demo import PROFILE, demo_usage
from claude_usage_monitor.usage.status import Account, AccountStatus

DEMO = Account("demo")
_INTERVAL = timedelta(seconds=5)


class DemoAccounts:
    """The one simulated account, on show for ever."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._seat = DisplayedAccount(DEMO.name, DEMO, DemoReader(clock))

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the simulated account."""
        return (self._seat,)

    def show_next(self) -> None:
        """Do nothing: there is no other."""

    def version(self) -> object:
        """Return that nothing ever changes."""
        return None


class DemoReader:
    """Reads the simulated account, which began when it was made."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._started = clock()

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,  # noqa: ARG002 - in one step
    ) -> AccountStatus:
        """Return the simulated account's status."""
        return self.cached_status(previous)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:  # noqa: ARG002 - none is held over
        """Return the simulated account's status."""
        now = self._clock()
        return AccountStatus(
            account=DEMO,
            usage=demo_usage(now, self._started),
            profile=PROFILE,
            credential_origin="built-in demo",
            next_read_at=now + _INTERVAL,
        )

    def request_refresh(self) -> None:
        """Do nothing: it is read every few seconds."""

    def changed(self) -> bool:
        """Return that nobody else changes it."""
        return False
