"""The worker that keeps figures fresh: reads when it is time, publishes statuses, waits."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.live.parallel import MOST_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    from claude_usage_monitor.monitor.live.displayed import Seat
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

    class Seats(Protocol):
        """Which accounts are on show."""

        def seats(self) -> Sequence[Seat]:
            """Return them as they are now."""
            ...

        def turn(self) -> None:
            """Go on to the next account."""
            ...

        def version(self) -> object:
            """Return what changes when there may be others."""
            ...


_SLICE = 1.0  # seconds; the wall clock is looked at this often, so a laptop that wakes up reads
_LOGIN_LOOK = timedelta(seconds=5)  # how often a missing login is looked for: no request


class _Lane:
    """One account on show: its status, and when to read it next."""

    def __init__(self, seat: Seat, status: AccountStatus, clock: Callable[[], datetime]) -> None:
        self.reader = seat.reader
        self.account = seat.account
        self.status = status
        self.reading = False
        self._clock = clock
        self.looked = 0.0
        self.due, self._deadline = clock(), 0.0  # at once

    def plan(self) -> None:
        """Note when to read next: by the wall clock or, if that was set, by the span."""
        now = self._clock()
        self.looked = time.monotonic()
        self.due = self.status.next_read_at or now + _LOGIN_LOOK
        self._deadline = self.looked + (self.due - now).total_seconds()

    def left(self) -> float:
        """Return the seconds until it is time to read; 0 when it is."""
        if self._clock() >= self.due:
            return 0.0
        return max(0.0, self._deadline - time.monotonic())

    def wants_a_look(self) -> bool:
        """Return whether there may be news that cost nothing: as often as the interval says."""
        interval = self.status.interval.total_seconds()
        return self.reader.changed() or time.monotonic() - self.looked >= interval


class Poller:
    """Keeps the statuses of the accounts on show fresh. ``statuses`` is replaced whole.

    One thread decides when; each read runs on a thread of its own, so that none delays another.
    ``changed`` is called after every publication and when the worker ends.
    """

    def __init__(
        self,
        desk: Seats,
        first: Callable[[Seat], AccountStatus],
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._first = first
        self._clock = clock
        self._changed = changed
        self._wake = threading.Event()
        self._wanted = False
        self._turns = 0  # that were asked for and not yet taken
        self._known: dict[str, _Lane] = {}
        self._shown: tuple[_Lane, ...] = ()
        self._waiting: deque[_Lane] = deque()
        self._at_work = 0
        self._lock = threading.Lock()  # over the lanes' statuses and the queue
        self._version = desk.version()
        self.statuses: tuple[AccountStatus, ...] = ()
        self.failure: BaseException | None = None
        """The bug that ended the worker; the main thread raises it."""
        self._seat()

    def start(self) -> None:
        """Begin reading. The threads end with the process, also during a hung read."""
        threading.Thread(target=self._run, name="poller", daemon=True).start()

    def read_now(self) -> None:
        """Ask for a read of the accounts on show as soon as the request budget allows."""
        self._wanted = True
        self._wake.set()

    def turn(self) -> None:
        """Show the next account."""
        with self._lock:
            self._turns += 1
        self._wake.set()

    # --- deciding ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self.failure is None:
                self._take_wishes()
                for lane in self._shown:
                    if not lane.reading and lane.left() <= 0:
                        self._begin(lane)
                    elif not lane.reading and lane.wants_a_look():
                        self._look(lane)
                self._wake.wait(self._pause())
                self._wake.clear()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._fail(error)

    def _pause(self) -> float:
        lefts = [lane.left() for lane in self._shown if not lane.reading]
        return min([_SLICE, *lefts])

    def _take_wishes(self) -> None:
        version = self._desk.version()
        with self._lock:
            turns, self._turns = self._turns, 0
        for _ in range(turns):
            self._desk.turn()
        if turns:
            self._seat()
        elif version != self._version:
            self._seat()
            for lane in self._shown:
                if not lane.reading:
                    self._look(lane)
        self._version = version
        if self._wanted:
            self._wanted = False
            for lane in self._shown:
                if not lane.reading:
                    lane.reader.want()
                    self._begin(lane)

    def _seat(self) -> None:
        """Give every account on show its lane, and take over what it is called now."""
        with self._lock:
            shown = []
            for seat in self._desk.seats():
                lane = self._known.get(seat.key)
                if lane is None:
                    lane = _Lane(seat, self._first(seat), self._clock)
                    self._known[seat.key] = lane
                lane.account = seat.account
                lane.status = dataclasses.replace(lane.status, account=seat.account)
                shown.append(lane)
            self._shown = tuple(shown)
            self.statuses = tuple(lane.status for lane in shown)
        self._changed()

    def _look(self, lane: _Lane) -> None:
        before = lane.status.next_read_at
        self._publish(lane, lane.reader.look(lane.status))
        lane.looked = time.monotonic()
        if lane.status.next_read_at != before:
            lane.plan()

    # --- reading -------------------------------------------------------------------------------

    def _begin(self, lane: _Lane) -> None:
        lane.reading = True
        with self._lock:
            self._waiting.append(lane)
            if self._at_work >= MOST_AT_ONCE:
                return
            self._at_work += 1
        threading.Thread(target=self._read_waiting, name="reader", daemon=True).start()

    def _read_waiting(self) -> None:
        """Read what waits to be read, one after the other, and end."""
        try:
            while (lane := self._next()) is not None:
                self._publish(lane, lane.reader.read(lane.status, self._publisher(lane)))
                lane.plan()
                lane.reading = False
                self._wake.set()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._fail(error)

    def _next(self) -> _Lane | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None

    def _publisher(self, lane: _Lane) -> Callable[[AccountStatus], None]:
        return lambda status: self._publish(lane, status)

    def _publish(self, lane: _Lane, status: AccountStatus) -> None:
        with self._lock:
            # By the name it has now, which may be another than when the read began.
            account = dataclasses.replace(lane.account, email=status.account.email)
            status = dataclasses.replace(status, account=account)
            if status == lane.status:
                return
            lane.status = status
            self.statuses = tuple(each.status for each in self._shown)
        self._changed()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._changed()
