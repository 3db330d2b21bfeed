"""The worker that keeps figures fresh: reads when it is time, publishes statuses, waits."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.live.parallel import MOST_AT_ONCE
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts


_SLICE = 1.0  # seconds; the wall clock is looked at this often, so a laptop that wakes up reads
_LOGIN_LOOK = timedelta(seconds=5)  # how often a missing login is looked for: no request


class AccountLoop:
    """One account on show: its status, and when to read it next."""

    def __init__(
        self, displayed: DisplayedAccount, status: AccountStatus, clock: Callable[[], datetime]
    ) -> None:
        self.reader = displayed.reader
        self.account = displayed.account
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

    def wants_cached_status(self) -> bool:
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
        displayed_accounts: DisplayedAccounts,
        first: Callable[[DisplayedAccount], AccountStatus],
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._displayed_accounts = displayed_accounts
        self._first = first
        self._clock = clock
        self._changed = changed
        self._wake = threading.Event()
        self._wanted = False
        self._pending_next = 0  # that were asked for and not yet taken
        self._known: dict[str, AccountLoop] = {}
        self._shown: tuple[AccountLoop, ...] = ()
        self._waiting: deque[AccountLoop] = deque()
        self._at_work = 0
        self._lock = threading.Lock()  # over the lanes' statuses and the queue
        self._version = displayed_accounts.version()
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

    def show_next(self) -> None:
        """Show the next account."""
        with self._lock:
            self._pending_next += 1
        self._wake.set()

    # --- deciding ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self.failure is None:
                self._take_wishes()
                for loop in self._shown:
                    if not loop.reading and loop.left() <= 0:
                        self._begin(loop)
                    elif not loop.reading and loop.wants_cached_status():
                        self._update_from_cache(loop)
                self._wake.wait(self._pause())
                self._wake.clear()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._fail(error)

    def _pause(self) -> float:
        lefts = [loop.left() for loop in self._shown if not loop.reading]
        return min([_SLICE, *lefts])

    def _take_wishes(self) -> None:
        version = self._displayed_accounts.version()
        with self._lock:
            turns, self._pending_next = self._pending_next, 0
        for _ in range(turns):
            self._displayed_accounts.show_next()
        if turns:
            self._seat()
        elif version != self._version:
            self._seat()
            for loop in self._shown:
                if not loop.reading:
                    self._update_from_cache(loop)
        self._version = version
        if self._wanted:
            self._wanted = False
            for loop in self._shown:
                if not loop.reading:
                    loop.reader.request_refresh()
                    self._begin(loop)

    def _seat(self) -> None:
        """Give every account on show its lane, and take over what it is called now."""
        with self._lock:
            shown = []
            for displayed in self._displayed_accounts.current():
                loop = self._known.get(displayed.key)
                if loop is None:
                    loop = AccountLoop(displayed, self._first(displayed), self._clock)
                    self._known[displayed.key] = loop
                loop.account = displayed.account
                loop.status = dataclasses.replace(loop.status, account=displayed.account)
                shown.append(loop)
            self._shown = tuple(shown)
            self.statuses = tuple(loop.status for loop in shown)
        self._changed()

    def _update_from_cache(self, loop: AccountLoop) -> None:
        before = loop.status.next_read_at
        self._publish(loop, loop.reader.cached_status(loop.status))
        loop.looked = time.monotonic()
        if loop.status.next_read_at != before:
            loop.plan()

    # --- reading -------------------------------------------------------------------------------

    def _begin(self, loop: AccountLoop) -> None:
        loop.reading = True
        with self._lock:
            self._waiting.append(loop)
            if self._at_work >= MOST_AT_ONCE:
                return
            self._at_work += 1
        threading.Thread(target=self._read_waiting, name="reader", daemon=True).start()

    def _read_waiting(self) -> None:
        """Read what waits to be read, one after the other, and end."""
        try:
            while (loop := self._next()) is not None:
                self._publish(loop, loop.reader.read(loop.status, self._publisher(loop)))
                loop.plan()
                loop.reading = False
                self._wake.set()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._fail(error)

    def _next(self) -> AccountLoop | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None

    def _publisher(self, loop: AccountLoop) -> Callable[[AccountStatus], None]:
        return lambda status: self._publish(loop, status)

    def _publish(self, loop: AccountLoop, status: AccountStatus) -> None:
        with self._lock:
            # By the name it has now, which may be another than when the read began.
            account = dataclasses.replace(loop.account, email=status.account.email)
            status = dataclasses.replace(status, account=account)
            if status == loop.status:
                return
            loop.status = status
            self.statuses = tuple(each.status for each in self._shown)
        self._changed()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._changed()
