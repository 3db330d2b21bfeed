from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.store.state import ledger
from claude_usage_monitor.store.state.ledger import (
    LEASE,
    MAX_BACKOFF,
    MAX_REQUESTS_PER_HOUR,
    Backoff,
    Granted,
    InFlight,
    Wait,
    acquire,
    backoff_of,
    extend_lease,
    in_flight,
    is_alive,
    record_result,
    release,
    set_account_backoff,
    this_process,
)
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.usage.status import Problem
from tests.support.payloads import NOW

if TYPE_CHECKING:
    import sqlite3

FLOOR = timedelta(seconds=180)
SECOND = timedelta(seconds=1)
LIMITED = Problem("rate_limited", "m", "h")


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def ask(
    connection: sqlite3.Connection, now: datetime = NOW, fingerprint: str = "t", account: str = "a"
) -> Granted | InFlight | Wait:
    return acquire(connection, fingerprint, account, now)


def asked(
    connection: sqlite3.Connection, now: datetime = NOW, fingerprint: str = "t", account: str = "a"
) -> None:
    """Make a request that succeeds."""
    answer = ask(connection, now, fingerprint, account)
    assert isinstance(answer, Granted)
    record_result(connection, answer.request, fingerprint, Backoff(now, now + FLOOR))


def test_within_the_floor_nobody_asks_again(connection: sqlite3.Connection) -> None:
    asked(connection)
    assert Wait(NOW + FLOOR) == ask(connection, NOW + SECOND)
    assert isinstance(ask(connection, NOW + FLOOR), Granted)


def test_another_token_has_a_floor_of_its_own(connection: sqlite3.Connection) -> None:
    asked(connection)
    assert isinstance(ask(connection, NOW + SECOND, "another"), Granted)


def test_at_most_twenty_an_account_and_hour(connection: sqlite3.Connection) -> None:
    for number in range(MAX_REQUESTS_PER_HOUR):
        asked(connection, NOW + number * SECOND, f"token {number}")
    late = NOW + timedelta(minutes=30)
    assert Wait(NOW + timedelta(hours=1)) == ask(connection, late, "one more")
    assert isinstance(ask(connection, late, "one more", "another account"), Granted)
    assert isinstance(ask(connection, NOW + timedelta(hours=1), "one more"), Granted)


def test_one_request_is_in_flight_and_others_wait_for_it(connection: sqlite3.Connection) -> None:
    first = ask(connection)
    assert isinstance(first, Granted)
    assert InFlight(first.request) == ask(connection, NOW + SECOND)
    assert in_flight(connection, first.request, NOW)
    record_result(connection, first.request, "t", Backoff(NOW, NOW + FLOOR))
    assert not in_flight(connection, first.request, NOW)


def test_a_lease_dies_with_its_process_and_counts_to_the_hour_only(
    connection: sqlite3.Connection,
) -> None:
    first = ask(connection)
    assert isinstance(first, Granted)
    connection.execute("UPDATE request SET process = ?", (dead_process(),))
    assert not in_flight(connection, first.request, NOW)
    assert isinstance(ask(connection, NOW + SECOND), Granted)
    assert 2 == ledger.requests_in_last_hour(connection, "a", NOW + SECOND)


def test_a_lease_ends_also_where_nobody_can_tell_whether_its_process_lives(
    connection: sqlite3.Connection,
) -> None:
    assert isinstance(ask(connection), Granted)
    assert isinstance(ask(connection, NOW + LEASE), Granted)


def dead_process() -> str:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return f"{done.pid}:1"


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    pid, _, started = this_process().partition(":")
    assert is_alive(this_process())
    assert not is_alive(dead_process())
    assert not is_alive(f"{pid}:{int(started) + 1}")
    assert not is_alive("nonsense")
    assert int(pid) == os.getpid()


def test_a_problem_is_remembered_until_its_time(connection: sqlite3.Connection) -> None:
    first = ask(connection)
    assert isinstance(first, Granted)
    until = NOW + timedelta(minutes=31)
    met = Backoff(NOW, until, Problem("rate_limited", "m", "h", until, NOW), 2, 1, SECOND)
    record_result(connection, first.request, "t", met)
    assert met == backoff_of(connection, "t")
    assert Wait(until, met.problem) == ask(connection, NOW + FLOOR * 2)
    assert isinstance(ask(connection, until), Granted)
    assert backoff_of(connection, "another") is None


@pytest.mark.parametrize("problem", [None, LIMITED])
@pytest.mark.parametrize("wait", [timedelta(seconds=30), FLOOR, timedelta(minutes=60)])
def test_after_a_clock_was_set_back_a_wait_is_as_long_as_it_was(
    connection: sqlite3.Connection, problem: Problem | None, wait: timedelta
) -> None:
    """Neither starved until the old time comes again, nor free to ask at once."""
    first = ask(connection)
    assert isinstance(first, Granted)
    record_result(connection, first.request, "t", Backoff(NOW, NOW + wait, problem))
    back = NOW - timedelta(hours=10)
    answer = ask(connection, back)
    assert isinstance(answer, Wait)
    assert back + wait == answer.until
    assert isinstance(ask(connection, back + wait), Granted)


def test_a_clock_that_bounces_asks_once_a_bounce_at_most(connection: sqlite3.Connection) -> None:
    granted = 0
    for _ in range(13):
        for now in (NOW + timedelta(minutes=5), NOW):
            answer = ask(connection, now)
            if isinstance(answer, Granted):
                granted += 1
                record_result(connection, answer.request, "t", Backoff(now, now + FLOOR))
    assert granted <= 14


def test_a_process_that_was_stopped_changes_nothing_that_a_later_request_met(
    connection: sqlite3.Connection,
) -> None:
    stopped = ask(connection)
    assert isinstance(stopped, Granted)
    later = NOW + LEASE
    asked(connection, later)
    record_result(connection, stopped.request, "t", Backoff(NOW, NOW + FLOOR, LIMITED))
    assert Backoff(later, later + FLOOR) == backoff_of(connection, "t")
    assert not in_flight(connection, stopped.request, NOW)


def test_nobody_waits_for_a_process_that_is_stopped_for_ever(
    connection: sqlite3.Connection,
) -> None:
    """It is alive, but its lease is over."""
    first = ask(connection)
    assert isinstance(first, Granted)
    assert in_flight(connection, first.request, NOW)
    assert not in_flight(connection, first.request, NOW + LEASE)


def test_a_clock_set_back_gives_no_more_than_the_hours_requests(
    connection: sqlite3.Connection,
) -> None:
    for number in range(MAX_REQUESTS_PER_HOUR):
        asked(connection, NOW + number * SECOND, f"token {number}")
    back = NOW - timedelta(hours=5)
    answer = ask(connection, back, "one more")
    assert isinstance(answer, Wait)
    assert back + timedelta(minutes=59) < answer.until <= back + timedelta(hours=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from("abc")), max_size=80))
def test_no_sequence_of_askers_exceeds_the_budget(steps: list[tuple[float, str]]) -> None:
    """The law of the ledger: one a token and floor, twenty an account and hour."""
    connection = open_in_memory().connection
    now, granted = NOW, list[tuple[datetime, str]]()
    for seconds, token in steps:
        now += timedelta(seconds=seconds)
        answer = ask(connection, now, token)
        if isinstance(answer, Granted):
            granted.append((now, token))
            record_result(connection, answer.request, token, Backoff(now, now + FLOOR))
        else:
            assert isinstance(answer, Wait)
            assert now < answer.until <= now + max(MAX_BACKOFF, timedelta(hours=1))
    for at, token in granted:
        near = [t for moment, t in granted if timedelta() <= moment - at < FLOOR - SECOND / 100]
        assert 1 == near.count(token)
        hour = [t for moment, t in granted if at <= moment < at + timedelta(hours=1) - SECOND]
        assert len(hour) <= MAX_REQUESTS_PER_HOUR


# --- what another program was told -----------------------------------------------------------


def held(until: timedelta) -> Problem:
    return Problem("rate_limited", "told another program", "h", NOW + until)


def test_a_held_account_gives_none_of_its_tokens_a_request(connection: sqlite3.Connection) -> None:
    set_account_backoff(connection, "a", held(timedelta(minutes=40)), NOW)
    end = NOW + timedelta(minutes=40)
    for token in ("t", "another"):
        answer = ask(connection, end - SECOND, token)
        assert isinstance(answer, Wait)
        assert (end, "told another program") == (
            answer.until,
            answer.problem and answer.problem.message,
        )
    assert isinstance(ask(connection, NOW, "t", "another account"), Granted)
    assert isinstance(ask(connection, end), Granted)


def test_a_hold_is_let_go(connection: sqlite3.Connection) -> None:
    for over in (None, held(timedelta())):
        set_account_backoff(connection, "a", held(timedelta(minutes=40)), NOW)
        set_account_backoff(connection, "a", over, NOW)
        answer = ask(connection)
        assert isinstance(answer, Granted)
        record_result(connection, answer.request, "t", Backoff(NOW, NOW))


def test_a_hold_that_is_known_is_not_written_again(connection: sqlite3.Connection) -> None:
    for minutes in (40, 300):
        set_account_backoff(connection, "a", held(timedelta(minutes=minutes)), NOW)
        written = connection.total_changes
        set_account_backoff(connection, "a", held(timedelta(minutes=minutes)), NOW + 30 * SECOND)
        assert written == connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        written = connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        assert written == connection.total_changes


def test_a_hold_of_hours_is_renewed_while_it_is_known(connection: sqlite3.Connection) -> None:
    """By itself it ends like any other wait: whoever kept it may be gone."""
    for minutes in range(0, 300, 10):
        now = NOW + timedelta(minutes=minutes)
        set_account_backoff(connection, "a", held(timedelta(hours=5)), now)
        assert isinstance(ask(connection, now), Wait)
    last = NOW + timedelta(minutes=290)
    assert isinstance(ask(connection, NOW + timedelta(hours=5)), Granted)
    set_account_backoff(connection, "b", held(timedelta(hours=9)), last)
    assert isinstance(ask(connection, last + MAX_BACKOFF - SECOND, "t", "b"), Wait)
    assert isinstance(ask(connection, last + MAX_BACKOFF, "t", "b"), Granted)


def test_an_account_with_a_larger_allowance_is_asked_as_often_as_it_may_be(
    connection: sqlite3.Connection,
) -> None:
    for number in range(60):
        answer = acquire(connection, "t", "a", NOW + number * SECOND, max_per_hour=60)
        assert isinstance(answer, Granted)
        release(connection, answer.request)
    assert isinstance(acquire(connection, "t", "a", NOW + timedelta(minutes=2), 60), Wait)


def test_a_request_at_work_keeps_its_lease_by_renewing_it(connection: sqlite3.Connection) -> None:
    answer = ask(connection)
    assert isinstance(answer, Granted)
    extend_lease(connection, answer.request, NOW + LEASE - SECOND)
    assert InFlight(answer.request) == ask(connection, NOW + LEASE + SECOND)
    assert not in_flight(connection, answer.request, NOW + 2 * LEASE)


def test_a_request_that_is_closed_is_not_renewed(connection: sqlite3.Connection) -> None:
    answer = ask(connection)
    assert isinstance(answer, Granted)
    release(connection, answer.request)
    extend_lease(connection, answer.request, NOW + SECOND)
    assert not in_flight(connection, answer.request, NOW + SECOND)
