"""The demo account behind the same door as a real one: no login, no network, no files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.live.displayed import Seat
from claude_usage_monitor.sources.demo import PROFILE, demo_usage
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DEMO = Account("demo")
_INTERVAL = timedelta(seconds=5)


class DemoDesk:
    """The one simulated account, on show for ever."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._seat = Seat(DEMO.name, DEMO, DemoReader(clock))

    def seats(self) -> tuple[Seat, ...]:
        """Return the simulated account."""
        return (self._seat,)

    def turn(self) -> None:
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
        return self.look(previous)

    def look(self, previous: AccountStatus) -> AccountStatus:  # noqa: ARG002 - none is held over
        """Return the simulated account's status."""
        now = self._clock()
        return AccountStatus(
            account=DEMO,
            usage=demo_usage(now, self._started),
            profile=PROFILE,
            credential_origin="built-in demo",
            next_read_at=now + _INTERVAL,
        )

    def want(self) -> None:
        """Do nothing: it is read every few seconds."""

    def changed(self) -> bool:
        """Return that nobody else changes it."""
        return False
