from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.live import poller as poller_module
from claude_usage_monitor.monitor.live.poller import MAX_PARALLEL_READS, Poller
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 60.0
FIRST = AccountStatus(Account("claude-code"))


@pytest.fixture(autouse=True)
def _pollers_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let workers check the accounts more often than once a second, and end with the test."""
    monkeypatch.setattr(poller_module, "_MAX_SLEEP_SECONDS", 0.02)
    ending = threading.Event()
    monkeypatch.setattr(poller_module, "shutting_down", ending)
    before = set(threading.enumerate())
    yield
    ending.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Clock:
    """The wall clock; a test can set it."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead


@dataclass
class Scripted:
    """A reader that returns what a test sets, and counts the calls."""

    clock: Clock = field(default_factory=Clock)
    wait: timedelta | None = timedelta(hours=1)
    raises: Exception | None = None
    hangs: threading.Event | None = None
    reads: int = 0
    cached_reads: int = 0
    is_changed: bool = False
    refresh_requested: bool = False
    second_read: threading.Event = field(default_factory=threading.Event)
    cache_read: threading.Event = field(default_factory=threading.Event)

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        del publish
        if self.raises is not None:
            raise self.raises
        if self.hangs is not None:
            self.hangs.wait(TIMEOUT)
        self.reads += 1
        if self.reads > 1:
            self.second_read.set()
        moment = self.clock()
        due = None if self.wait is None else moment + self.wait
        return previous._replace(usage=Usage((), "api", moment), next_read_at=due)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        self.cached_reads += 1
        self.is_changed = False
        self.cache_read.set()
        return previous._replace(usage=Usage((), "statusline", self.clock()))

    def request_refresh(self) -> None:
        self.refresh_requested = True

    def changed(self) -> bool:
        return self.is_changed


@dataclass
class ScriptedAccounts(DisplayedAccounts):
    """Displayed accounts by name; `show_next` goes through ``views``."""

    readers: dict[str, Scripted]
    views: list[list[str]]
    at: int = 0
    changes: int = 0

    def current(self) -> tuple[DisplayedAccount, ...]:
        return tuple(DisplayedAccount(n, Account(n), self.readers[n]) for n in self.views[self.at])

    def show_next(self) -> None:
        self.at = (self.at + 1) % len(self.views)

    def version(self) -> object:
        return self.changes


def accounts_of(**readers: Scripted) -> ScriptedAccounts:
    return ScriptedAccounts(readers, [list(readers)])


def started(
    reader: Scripted, interval: timedelta = FIRST.interval
) -> tuple[Poller, threading.Event]:
    return started_with(accounts_of(one=reader), reader.clock, interval)


def started_with(
    accounts: ScriptedAccounts, clock: Clock, interval: timedelta = FIRST.interval
) -> tuple[Poller, threading.Event]:
    changed = threading.Event()
    poller = Poller(
        accounts,
        interval,
        clock,
        changed.set,
    )
    changed.clear()  # set by the initial statuses
    poller.start()
    assert changed.wait(TIMEOUT)
    return poller, changed


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_statuses_are_replaced_not_changed() -> None:
    poller, _ = started(Scripted())
    (status,) = poller.statuses
    assert status.usage is not None
    assert FIRST.usage is None


def test_read_now_reads_before_the_interval_is_over() -> None:
    reader = Scripted()
    poller, _ = started(reader)
    poller.read_now()
    assert reader.second_read.wait(TIMEOUT)
    assert reader.refresh_requested


def test_figures_that_another_process_stored_are_shown_without_a_read() -> None:
    reader = Scripted()
    poller, changed = started(reader)
    changed.clear()
    reader.is_changed = True
    assert changed.wait(TIMEOUT)
    (status,) = poller.statuses
    assert status.usage is not None
    assert ("statusline", 1) == (status.usage.source, reader.reads)


def test_the_cached_status_is_fetched_once_an_interval() -> None:
    reader = Scripted()
    started(reader, timedelta(seconds=0.1))
    assert reader.cache_read.wait(TIMEOUT)
    assert 1 == reader.reads


def test_a_read_starts_when_it_is_due() -> None:
    reader = Scripted(wait=timedelta(seconds=0.2))
    started(reader)
    assert reader.second_read.wait(TIMEOUT)


def test_after_a_clock_jump_a_due_read_starts_at_once() -> None:
    reader = Scripted()
    started(reader)
    reader.clock.ahead = timedelta(hours=3)
    assert reader.second_read.wait(TIMEOUT)


def test_a_clock_set_back_does_not_delay_the_next_read() -> None:
    reader = Scripted(wait=timedelta(seconds=0.3))
    started(reader)
    reader.clock.ahead = timedelta(hours=-10)
    assert reader.second_read.wait(TIMEOUT)


def test_a_bug_in_a_read_is_kept_for_the_main_thread() -> None:
    poller, _ = started(Scripted(raises=KeyError("a bug")))
    assert isinstance(poller.failure, KeyError)


def test_a_bug_among_the_accounts_is_kept_for_the_main_thread() -> None:
    accounts = accounts_of(one=Scripted())
    poller, changed = started_with(accounts, Clock())
    changed.clear()
    accounts.views = [["nobody"]]
    accounts.changes += 1
    wait_until(lambda: poller.failure is not None)
    assert isinstance(poller.failure, KeyError)


def test_a_hung_account_delays_no_other() -> None:
    hung, quick = Scripted(hangs=threading.Event()), Scripted(wait=timedelta(seconds=0.05))
    poller, _ = started_with(accounts_of(hung=hung, quick=quick), Clock())
    wait_until(lambda: quick.reads > 3)
    first, second = poller.statuses
    assert (None, True) == (first.usage, second.usage is not None)
    assert hung.hangs is not None
    hung.hangs.set()
    wait_until(lambda: poller.statuses[0].usage is not None)


def test_fifty_accounts_are_all_read_once() -> None:
    readers = {f"n{n}": Scripted() for n in range(50)}
    poller, _ = started_with(accounts_of(**readers), Clock())
    wait_until(lambda: all(status.usage for status in poller.statuses))
    assert [1] * 50 == [reader.reads for reader in readers.values()]


def test_at_most_four_reads_run_at_the_same_time() -> None:
    together = threading.Barrier(MAX_PARALLEL_READS, timeout=TIMEOUT)
    lock, in_flight, most = threading.Lock(), 0, 0

    @dataclass
    class Counted(Scripted):
        def read(
            self,
            previous: AccountStatus,
            publish: Callable[[AccountStatus], None] = lambda _: None,
        ) -> AccountStatus:
            nonlocal in_flight, most
            with lock:
                in_flight += 1
                most = max(most, in_flight)
            together.wait()
            with lock:
                in_flight -= 1
            return super().read(previous, publish)

    readers = {f"n{n}": Counted() for n in range(2 * MAX_PARALLEL_READS)}
    poller, _ = started_with(accounts_of(**readers), Clock())
    wait_until(lambda: all(status.usage for status in poller.statuses))
    assert MAX_PARALLEL_READS == most


def test_show_next_displays_the_next_account_and_reads_it() -> None:
    accounts = accounts_of(one=Scripted(), two=Scripted())
    accounts.views = [["one"], ["two"]]
    poller, _ = started_with(accounts, Clock())
    assert 0 == accounts.readers["two"].reads
    poller.show_next()
    wait_until(lambda: ["two"] == [status.account.name for status in poller.statuses])
    wait_until(lambda: poller.statuses[0].usage is not None)
    poller.show_next()
    wait_until(lambda: ["one"] == [status.account.name for status in poller.statuses])
    assert poller.statuses[0].usage is not None
    assert 1 == accounts.readers["one"].reads


def test_an_added_or_removed_account_appears_or_disappears() -> None:
    accounts = accounts_of(one=Scripted())
    poller, _ = started_with(accounts, Clock())
    accounts.readers["two"] = Scripted()
    accounts.views = [["one", "two"]]
    accounts.changes += 1
    wait_until(lambda: 2 == len(poller.statuses))
    accounts.views = [["two"]]
    accounts.changes += 1
    wait_until(lambda: ["two"] == [status.account.name for status in poller.statuses])


def test_a_removed_account_leaves_nothing_in_memory() -> None:
    accounts = accounts_of(one=Scripted(), two=Scripted())
    poller, _ = started_with(accounts, Clock())
    wait_until(lambda: all(status.usage is not None for status in poller.statuses))
    removed = weakref.ref(accounts.readers["two"])
    accounts.views = [["one"]]
    del accounts.readers["two"]
    accounts.changes += 1
    wait_until(lambda: 1 == len(poller.statuses))
    wait_until(lambda: gc.collect() >= 0 and removed() is None)
