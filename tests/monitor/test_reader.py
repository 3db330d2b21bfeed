from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.reader import MAX_PARALLEL_READS, DisplayedAccount, read_all
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = timedelta(seconds=77)
TIMEOUT = 60.0
OFFLINE = Problem("unreachable", "No answer.", "Check the network.")


@dataclass
class Scripted:
    """A reader that calls what a test sets."""

    act: Callable[[], None] = lambda: None
    problem: Problem | None = None
    threads: list[str] = field(default_factory=list)

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        publish(previous)
        self.threads.append(threading.current_thread().name)
        self.act()
        return previous._replace(problem=self.problem)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        return previous

    def request_refresh(self) -> None:
        """Do nothing."""

    def changed(self) -> bool:
        return False


def accounts_of(readers: list[Scripted]) -> list[DisplayedAccount]:
    return [
        DisplayedAccount(str(n), Account(f"account {n}"), reader)
        for n, reader in enumerate(readers)
    ]


def test_no_accounts_have_no_statuses() -> None:
    assert () == read_all([], INTERVAL)


def test_a_single_account_is_read_in_the_callers_thread() -> None:
    reader = Scripted()
    (status,) = read_all(accounts_of([reader]), INTERVAL)
    assert ("account 0", INTERVAL) == (status.account.name, status.interval)
    assert [threading.current_thread().name] == reader.threads


def test_statuses_are_in_the_order_of_the_accounts() -> None:
    second_is_read = threading.Event()
    readers = [
        Scripted(lambda: assert_set(second_is_read)),
        Scripted(second_is_read.set, OFFLINE),
        Scripted(),
    ]
    statuses = read_all(accounts_of(readers), INTERVAL)
    assert [f"account {n}" for n in range(3)] == [status.account.name for status in statuses]
    assert [None, OFFLINE, None] == [status.problem for status in statuses]


def assert_set(event: threading.Event) -> None:
    assert event.wait(TIMEOUT)


def test_an_account_that_waits_delays_no_other() -> None:
    """Each of the others is read while the first one waits."""
    others = [Scripted() for _ in range(3 * MAX_PARALLEL_READS)]

    def wait_for_the_others() -> None:
        for _ in range(int(TIMEOUT * 100)):
            if all(reader.threads for reader in others):
                return
            threading.Event().wait(0.01)
        raise AssertionError("the other accounts were not read")

    statuses = read_all(accounts_of([Scripted(wait_for_the_others), *others]), INTERVAL)
    assert 3 * MAX_PARALLEL_READS + 1 == len(statuses)


def test_at_most_eight_accounts_are_read_at_the_same_time() -> None:
    meeting = threading.Barrier(MAX_PARALLEL_READS)
    lock = threading.Lock()
    inside, most = 0, 0

    def meet() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        meeting.wait(TIMEOUT)
        with lock:
            inside -= 1

    read_all(accounts_of([Scripted(meet) for _ in range(3 * MAX_PARALLEL_READS)]), INTERVAL)
    assert MAX_PARALLEL_READS == most


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_bug_in_one_read_is_raised_by_read_all(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(error):
        read_all(accounts_of([Scripted(), Scripted(fail), Scripted()]), INTERVAL)


def test_a_bug_in_the_only_read_is_raised_too() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_all(accounts_of([Scripted(fail)]), INTERVAL)
