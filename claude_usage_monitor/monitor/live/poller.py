"""Live mode's worker: it reads each account when a read is due and publishes the statuses."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial

from claude_usage_monitor.monitor.live.memory import release_free_memory, use_one_arena
from claude_usage_monitor.monitor.login.shutdown import shutting_down
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts, Reader
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.status import AccountStatus

# Accounts at a time. Fewer than for one frame: the memory that they need together is not returned,
# and this process may run for days.
MAX_PARALLEL_READS = 4

# How often to check the wall clock, so that a laptop reads soon after it wakes up.
_MAX_SLEEP_SECONDS = 2.0
_LOGIN_CHECK_INTERVAL = timedelta(seconds=5)  # for a login that is missing; sends no request


class AccountLoop:
    """One displayed account: its status, and when to read it next."""

    def __init__(
        self, displayed: DisplayedAccount, status: AccountStatus, clock: Callable[[], datetime]
    ) -> None:
        self.reader = displayed.reader
        self.account = displayed.account
        self.status = status
        self.read: Future[AccountStatus] | None = None  # while one is under way
        self.was_read = False
        self._clock = clock
        self._checked = time.monotonic()  # when the cached status was last fetched
        self.read_now()

    def read_now(self) -> None:
        """Make the next read due at once."""
        self._due_at, self._deadline = self._clock(), time.monotonic()

    def schedule(self) -> None:
        """Schedule the next read at the time in the status."""
        now, self._checked = self._clock(), time.monotonic()
        self._due_at = self.status.next_read_at or now + _LOGIN_CHECK_INTERVAL
        self._deadline = self._checked + (self._due_at - now).total_seconds()

    def seconds_left(self) -> float:
        """Return the seconds until the next read, 0 when it is due.

        The monotonic clock counts too, because the wall clock may be set back.
        """
        if self._clock() >= self._due_at:
            return 0.0
        return max(0.0, self._deadline - time.monotonic())

    def cache_is_due(self) -> bool:
        """Return whether the cached status may have changed since it was last fetched."""
        interval = self.status.interval.total_seconds()
        return self.reader.changed() or time.monotonic() - self._checked >= interval

    def cached_status(self) -> AccountStatus:
        """Return the status without a request."""
        self._checked = time.monotonic()
        return self.reader.cached_status(self.status)


class Poller:
    """Keeps the statuses of the displayed accounts up to date.

    One worker thread decides which accounts to read. Each read runs on a separate thread, so that a
    slow one does not delay other accounts. ``changed`` is called after every published change, and
    when the worker has failed. ``interval`` is the user's setting.
    """

    def __init__(
        self,
        accounts: DisplayedAccounts,
        interval: timedelta,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self.position: tuple[int, int] | None = None
        """Which of all accounts is the only one displayed, and how many there are."""
        self.statuses: tuple[AccountStatus, ...] = ()
        """The statuses of the displayed accounts. The tuple is replaced as a whole."""
        self._worker: Future[None] | None = None
        self._accounts = accounts
        self._interval = interval
        self._clock = clock
        self._changed = changed
        self._wake = threading.Event()
        self._commands: deque[Callable[[], None]] = deque()  # from the main thread
        self._loops: dict[str, AccountLoop] = {}  # of every account displayed so far, by key
        self._displayed: tuple[AccountLoop, ...] = ()
        self._lock = threading.Lock()  # guards the statuses: reads publish from their threads
        self._version = accounts.version()
        self._update_displayed()

    def start(self) -> None:
        """Start the worker. Its threads end with the process, even during a hung read."""
        use_one_arena()
        self._worker = run_in_thread(self._run, "poller")
        self._worker.add_done_callback(lambda _: self._changed())

    @property
    def failure(self) -> BaseException | None:
        """The unexpected exception that ended the worker; the main thread raises it."""
        worker = self._worker
        return worker.exception() if worker is not None and worker.done() else None

    def read_now(self) -> None:
        """Read the displayed accounts as soon as the request budget allows it."""
        self._send(self._request_refresh)

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers of the displayed accounts."""
        return tuple(loop.reader for loop in self._displayed)

    @property
    def names_of_read_accounts(self) -> frozenset[str]:
        """The names of the displayed accounts that were read to the end at least once.

        `statuses`, if it is read after this, has the results of those reads.
        """
        return frozenset(loop.account.name for loop in self._displayed if loop.was_read)

    def use_cached(self) -> None:
        """Publish the stored statuses again: another thread has stored something."""
        self._send(self._update_all_from_cache)

    def show_next(self) -> None:
        """Display the next account."""
        self._send(self._show_next)

    def _send(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._wake.set()

    # --- the worker thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not shutting_down.is_set():
            self._wake.clear()
            while self._commands:
                self._commands.popleft()()
            self._follow_changes()
            self._finish_reads()
            self._start_reads()
            self._wake.wait(self._seconds_to_sleep())

    def _show_next(self) -> None:
        self._accounts.show_next()
        self._update_displayed()

    def _update_all_from_cache(self) -> None:
        for loop in self._displayed:
            if loop.read is None:
                self._update_from_cache(loop)

    def _request_refresh(self) -> None:
        for loop in self._displayed:
            if loop.read is None:
                loop.reader.request_refresh()
                loop.read_now()

    def _follow_changes(self) -> None:
        """Update the displayed accounts after one was added, changed or removed."""
        version = self._accounts.version()
        if version != self._version:
            self._version = version
            self._update_displayed()
            self._forget_loops()
            for loop in self._displayed:
                if loop.read is None:
                    self._update_from_cache(loop)

    def _forget_loops(self) -> None:
        """Forget the accounts that are not displayed: some of them may have been removed."""
        self._loops = {
            key: loop
            for key, loop in self._loops.items()
            if loop in self._displayed or loop.read is not None
        }

    def _update_displayed(self) -> None:
        with self._lock:
            self._displayed = tuple(map(self._loop_of, self._accounts.current()))
            self.statuses = tuple(loop.status for loop in self._displayed)
            self.position = self._accounts.position()
        self._changed()

    def _loop_of(self, displayed: DisplayedAccount) -> AccountLoop:
        """Return the loop of an account, with the account's current name."""
        loop = self._loops.get(displayed.key)
        if loop is None:
            status = AccountStatus(displayed.account, interval=self._interval)
            loop = self._loops[displayed.key] = AccountLoop(displayed, status, self._clock)
        loop.account = displayed.account
        loop.status = loop.status._replace(account=displayed.account)
        return loop

    def _finish_reads(self) -> None:
        for loop in self._loops.values():
            if loop.read is not None and loop.read.done():
                status, loop.read = loop.read.result(), None
                self._publish(loop, status)
                if not loop.was_read:
                    loop.was_read = True
                    self._changed()
                loop.schedule()
                release_free_memory()

    def _start_reads(self) -> None:
        for loop in self._displayed:
            if loop.read is not None:
                continue
            if loop.seconds_left() > 0:
                if loop.cache_is_due():
                    self._update_from_cache(loop)
            elif self._reads_in_flight() < MAX_PARALLEL_READS:
                publish = partial(self._publish, loop)
                loop.read = run_in_thread(partial(loop.reader.read, loop.status, publish), "reader")
                loop.read.add_done_callback(lambda _: self._wake.set())

    def _reads_in_flight(self) -> int:
        return sum(loop.read is not None for loop in self._loops.values())

    def _seconds_to_sleep(self) -> float:
        if self._reads_in_flight() >= MAX_PARALLEL_READS:
            return _MAX_SLEEP_SECONDS  # a read that ends wakes the worker
        waits = (loop.seconds_left() for loop in self._displayed if loop.read is None)
        return min([_MAX_SLEEP_SECONDS, *waits])

    def _update_from_cache(self, loop: AccountLoop) -> None:
        next_read_at = loop.status.next_read_at
        self._publish(loop, loop.cached_status())
        if loop.status.next_read_at != next_read_at:
            loop.schedule()

    # --- the worker's and the reads' threads ---------------------------------------------------

    def _publish(self, loop: AccountLoop, status: AccountStatus) -> None:
        with self._lock:
            # The account may have been renamed since the read began.
            account = loop.account._replace(email=status.account.email)
            status = status._replace(account=account)
            if status == loop.status:
                return
            loop.status = status
            self.statuses = tuple(each.status for each in self._displayed)
        self._changed()
