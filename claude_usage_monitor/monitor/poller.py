"""The worker that owns the network: reads, publishes statuses, waits for the next read."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Protocol

    from claude_usage_monitor.usage.status import AccountStatus

    class Reader(Protocol):
        """What the poller reads with: an account's reader, or the demo's."""

        def read(
            self,
            now: datetime,
            previous: AccountStatus,
            publish: Callable[[AccountStatus], None],
            *,
            chance: float,
        ) -> AccountStatus:
            """Return the status after one look."""
            ...

        def allow_request(self, now: datetime) -> bool:
            """Return whether a read that the user asks for may happen now."""
            ...


_SLICE = 1.0  # seconds; the wall clock is looked at this often, so a laptop that wakes up reads
_LOCAL_LOOK = timedelta(seconds=5)  # how often a missing login is looked for: no request


class Poller:
    """Keeps statuses fresh on one thread. ``statuses`` is replaced whole, never changed.

    ``open_reader`` runs on the worker: it loads the network library while the first frame is
    drawn. ``changed`` is called, on the worker, after every publication and when it ends.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        first: AccountStatus,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._open_reader = open_reader
        self._clock = clock
        self._changed = changed
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self.statuses: tuple[AccountStatus, ...] = (first,)
        self.failure: BaseException | None = None
        """The bug that ended the worker; the main thread raises it."""

    def start(self) -> None:
        """Begin reading. The thread ends with the process, also during a hung read."""
        self._thread.start()

    def read_now(self) -> None:
        """Ask for a read as soon as the request budget allows."""
        self._wake.set()

    def _run(self) -> None:
        try:
            reader = self._open_reader()
            while True:
                now = self._clock()
                self._publish(
                    reader.read(now, self.statuses[0], self._publish, chance=random.random())  # noqa: S311 - jitter
                )
                self._wait(reader)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error
            self._changed()

    def _publish(self, status: AccountStatus) -> None:
        self.statuses = (status,)
        self._changed()

    def _wait(self, reader: Reader) -> None:
        """Wait until a read is due by the wall clock, or by the span if that clock was set."""
        started = self._clock()
        due = self.statuses[0].next_read_at or started + _LOCAL_LOOK
        deadline = time.monotonic() + (due - started).total_seconds()
        while self._clock() < due and (left := deadline - time.monotonic()) > 0:
            self._wake.wait(min(_SLICE, left))
            if self._wake.is_set():
                self._wake.clear()
                if reader.allow_request(self._clock()):
                    return
