"""The worker that owns the network: reads, publishes statuses, waits for the next read."""

from __future__ import annotations

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
            self, previous: AccountStatus, publish: Callable[[AccountStatus], None]
        ) -> AccountStatus:
            """Return the status, figures asked for where that is allowed."""
            ...

        def look(self, previous: AccountStatus) -> AccountStatus:
            """Return the status without asking anybody."""
            ...

        def want(self) -> None:
            """Take note that the user asked for a read."""
            ...

        def changed(self) -> bool:
            """Return whether a look would show something new."""
            ...


_SLICE = 1.0  # seconds; the wall clock is looked at this often, so a laptop that wakes up reads
_LOGIN_LOOK = timedelta(seconds=5)  # how often a missing login is looked for: no request


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
                self._publish(reader.read(self.statuses[0], self._publish))
                self._wait(reader)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error
            self._changed()

    def _publish(self, status: AccountStatus) -> None:
        if status != self.statuses[0]:
            self.statuses = (status,)
            self._changed()

    def _wait(self, reader: Reader) -> None:
        """Wait until a read is due, by the wall clock or, if that was set, by the span.

        Meanwhile local sources are looked at: as often as the interval says, and at once when
        another process has written.
        """
        looked = time.monotonic()
        due, deadline = self._due()
        while self._clock() < due and (left := deadline - time.monotonic()) > 0:
            if self._wake.wait(min(_SLICE, left)):
                self._wake.clear()
                reader.want()
                return
            status = self.statuses[0]
            if reader.changed() or time.monotonic() - looked >= status.interval.total_seconds():
                self._publish(reader.look(status))
                looked = time.monotonic()
                if self.statuses[0].next_read_at != status.next_read_at:
                    due, deadline = self._due()

    def _due(self) -> tuple[datetime, float]:
        """Return when to read next, by the wall clock and by the monotonic one."""
        now = self._clock()
        due = self.statuses[0].next_read_at or now + _LOGIN_LOOK
        return due, time.monotonic() + (due - now).total_seconds()
