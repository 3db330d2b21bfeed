"""The demo account behind the same door as a real one: no login, no network, no files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.sources.demo import PROFILE, demo_usage
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DEMO = Account("demo")
_INTERVAL = timedelta(seconds=5)


class DemoReader:
    """Reads the simulated account, which began when it was made."""

    def __init__(self, started: datetime) -> None:
        self._started = started

    def read(
        self,
        now: datetime,
        previous: AccountStatus,  # noqa: ARG002 - every read succeeds
        publish: Callable[[AccountStatus], None] = lambda _: None,  # noqa: ARG002 - in one step
        *,
        chance: float = 0.0,  # noqa: ARG002 - nobody else asks
    ) -> AccountStatus:
        """Return the simulated account's status at ``now``."""
        return AccountStatus(
            account=DEMO,
            usage=demo_usage(now, self._started),
            profile=PROFILE,
            credential_origin="built-in demo",
            next_read_at=now + _INTERVAL,
        )

    def allow_request(self, now: datetime) -> bool:  # noqa: ARG002 - no budget to keep
        """Return that a read is always allowed."""
        return True
