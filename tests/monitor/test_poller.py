from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.poller import Poller
from claude_usage_monitor.usage.status import Account, AccountStatus
from claude_usage_monitor.usage.windows import Usage

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
        self.reads += 1
        if self.reads > 1:
            self.read_again.set()
        moment = self.clock()
        due = None if self.wait is None else moment + self.wait
        return replace(previous, usage=Usage((), "api", moment), next_read_at=due)

    def look(self, previous: AccountStatus) -> AccountStatus:
        self.looks += 1
        self.news = False
        self.looked.set()
        return replace(previous, usage=Usage((), "statusline", self.clock()))

    def want(self) -> None:
        self.wanted = True

    def changed(self) -> bool:
        return self.news


def started(reader: Scripted) -> tuple[Poller, threading.Event]:
    changed = threading.Event()
    poller = Poller(lambda: reader, FIRST, reader.clock, changed.set)
    poller.start()
    assert changed.wait(PATIENCE)
    return poller, changed


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
    changed = threading.Event()
    first = replace(FIRST, interval=timedelta(seconds=0.1))
    Poller(lambda: reader, first, reader.clock, changed.set).start()
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


def test_a_reader_that_cannot_be_opened_is_handed_over_too() -> None:
    changed = threading.Event()

    def fail() -> Scripted:
        raise MemoryError

    poller = Poller(fail, FIRST, Clock(), changed.set)
    poller.start()
    assert changed.wait(PATIENCE)
    assert isinstance(poller.failure, MemoryError)


def test_without_an_instant_the_login_is_looked_for_soon() -> None:
    """A missing login costs no request to look for, so it is not waited for long."""
    reader = Scripted(wait=None)
    poller, _ = started(reader)
    assert poller.statuses[0].next_read_at is None
    reader.clock.ahead = timedelta(seconds=6)
    assert reader.read_again.wait(PATIENCE)
