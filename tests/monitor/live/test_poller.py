from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.monitor.reader import DisplayedAccount
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0
FIRST = AccountStatus(Account("claude-code"))


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Clock:
    """The wall clock, which can be set."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead


@dataclass
class Scripted:
    """A reader that gives what a test tells it to, and counts."""

    clock: Clock = field(default_factory=Clock)
    wait: timedelta | None = timedelta(hours=1)
    raises: Exception | None = None
    hangs: threading.Event | None = None
    reads: int = 0
    looks: int = 0
    news: bool = False
    wanted: bool = False
    read_again: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)

    def read(
        self, previous: AccountStatus, publish: Callable[[AccountStatus], None]
    ) -> AccountStatus:
        del publish
        if self.raises is not None:
            raise self.raises
        if self.hangs is not None:
            self.hangs.wait(PATIENCE)
        self.reads += 1
        if self.reads > 1:
            self.read_again.set()
        moment = self.clock()
        due = None if self.wait is None else moment + self.wait
        return replace(previous, usage=Usage((), "api", moment), next_read_at=due)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        self.looks += 1
        self.news = False
        self.looked.set()
        return replace(previous, usage=Usage((), "statusline", self.clock()))

    def request_refresh(self) -> None:
        self.wanted = True

    def changed(self) -> bool:
        return self.news


@dataclass
class SelectedAccounts:
    """Accounts on show, by name, each with its reader; ``views`` are what turns go through."""

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


def desk_of(**readers: Scripted) -> SelectedAccounts:
    return SelectedAccounts(readers, [list(readers)])


def started(
    reader: Scripted, interval: timedelta = FIRST.interval
) -> tuple[Poller, threading.Event]:
    return started_with(desk_of(one=reader), reader.clock, interval)


def started_with(
    displayed_accounts: SelectedAccounts, clock: Clock, interval: timedelta = FIRST.interval
) -> tuple[Poller, threading.Event]:
    changed = threading.Event()
    poller = Poller(
        displayed_accounts,
        lambda displayed: AccountStatus(displayed.account, interval=interval),
        clock,
        changed.set,
    )
    changed.clear()  # of the accounts being seated
    poller.start()
    assert changed.wait(PATIENCE)
    return poller, changed


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_statuses_are_replaced_whole() -> None:
    poller, _ = started(Scripted())
    (status,) = poller.statuses
    assert status.usage is not None
    assert FIRST.usage is None


def test_r_asks_for_a_read_now() -> None:
    reader = Scripted()
    poller, _ = started(reader)
    poller.read_now()
    assert reader.read_again.wait(PATIENCE)
    assert reader.wanted


def test_what_another_process_wrote_is_looked_at_without_a_request() -> None:
    reader = Scripted()
    poller, changed = started(reader)
    changed.clear()
    reader.news = True
    assert changed.wait(PATIENCE)
    (status,) = poller.statuses
    assert status.usage is not None
    assert ("statusline", 1) == (status.usage.source, reader.reads)


def test_local_sources_are_looked_at_as_often_as_the_interval_says() -> None:
    reader = Scripted()
    started(reader, timedelta(seconds=0.1))
    assert reader.looked.wait(PATIENCE)
    assert 1 == reader.reads


def test_a_read_is_due_at_its_instant() -> None:
    reader = Scripted(wait=timedelta(seconds=0.2))
    started(reader)
    assert reader.read_again.wait(PATIENCE)


def test_a_laptop_that_wakes_up_reads_at_once() -> None:
    reader = Scripted()
    started(reader)
    reader.clock.ahead = timedelta(hours=3)
    assert reader.read_again.wait(PATIENCE)


def test_a_clock_set_back_does_not_starve_it() -> None:
    reader = Scripted(wait=timedelta(seconds=1.5))
    started(reader)
    reader.clock.ahead = timedelta(hours=-10)
    assert reader.read_again.wait(PATIENCE)


def test_a_bug_in_the_worker_is_handed_to_the_main_thread() -> None:
    poller, _ = started(Scripted(raises=KeyError("a bug")))
    assert isinstance(poller.failure, KeyError)


def test_a_bug_among_the_accounts_is_handed_over_too() -> None:
    displayed_accounts = desk_of(one=Scripted())
    poller, changed = started_with(displayed_accounts, Clock())
    changed.clear()
    displayed_accounts.views = [["nobody"]]
    displayed_accounts.changes += 1
    wait_until(lambda: poller.failure is not None)
    assert isinstance(poller.failure, KeyError)


def test_an_account_that_hangs_delays_no_other() -> None:
    hung, quick = Scripted(hangs=threading.Event()), Scripted(wait=timedelta(seconds=0.05))
    poller, _ = started_with(desk_of(hung=hung, quick=quick), Clock())
    wait_until(lambda: quick.reads > 3)
    first, second = poller.statuses
    assert (None, True) == (first.usage, second.usage is not None)
    assert hung.hangs is not None
    hung.hangs.set()
    wait_until(lambda: poller.statuses[0].usage is not None)


def test_fifty_accounts_are_all_read() -> None:
    readers = {f"n{n}": Scripted() for n in range(50)}
    poller, _ = started_with(desk_of(**readers), Clock())
    wait_until(lambda: all(status.usage for status in poller.statuses))
    assert [1] * 50 == [reader.reads for reader in readers.values()]


def test_a_turn_shows_the_next_account_and_reads_it() -> None:
    displayed_accounts = desk_of(one=Scripted(), two=Scripted())
    displayed_accounts.views = [["one"], ["two"]]
    poller, _ = started_with(displayed_accounts, Clock())
    assert 0 == displayed_accounts.readers["two"].reads
    poller.show_next()
    wait_until(lambda: ["two"] == [status.account.name for status in poller.statuses])
    wait_until(lambda: poller.statuses[0].usage is not None)
    poller.show_next()
    wait_until(lambda: ["one"] == [status.account.name for status in poller.statuses])
    assert poller.statuses[0].usage is not None
    assert 1 == displayed_accounts.readers["one"].reads


def test_an_account_that_is_added_or_removed_is_followed() -> None:
    displayed_accounts = desk_of(one=Scripted())
    poller, _ = started_with(displayed_accounts, Clock())
    displayed_accounts.readers["two"] = Scripted()
    displayed_accounts.views = [["one", "two"]]
    displayed_accounts.changes += 1
    wait_until(lambda: 2 == len(poller.statuses))
    displayed_accounts.views = [["two"]]
    displayed_accounts.changes += 1
    wait_until(lambda: ["two"] == [status.account.name for status in poller.statuses])
