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


def test_no_request_within_the_floor(connection: sqlite3.Connection) -> None:
    asked(connection)
    assert Wait(NOW + FLOOR) == ask(connection, NOW + SECOND)
    assert isinstance(ask(connection, NOW + FLOOR), Granted)


def test_each_token_has_its_own_floor(connection: sqlite3.Connection) -> None:
    asked(connection)
    assert isinstance(ask(connection, NOW + SECOND, "another"), Granted)


def test_at_most_twenty_requests_an_identity_and_hour(connection: sqlite3.Connection) -> None:
    for number in range(MAX_REQUESTS_PER_HOUR):
        asked(connection, NOW + number * SECOND, f"token {number}")
    late = NOW + timedelta(minutes=30)
    assert Wait(NOW + timedelta(hours=1)) == ask(connection, late, "one more")
    assert isinstance(ask(connection, late, "one more", "another account"), Granted)
    assert isinstance(ask(connection, NOW + timedelta(hours=1), "one more"), Granted)


def test_other_processes_wait_for_a_request_in_flight(connection: sqlite3.Connection) -> None:
    first = ask(connection)
    assert isinstance(first, Granted)
    assert InFlight(first.request) == ask(connection, NOW + SECOND)
    assert in_flight(connection, first.request, NOW)
    record_result(connection, first.request, "t", Backoff(NOW, NOW + FLOOR))
    assert not in_flight(connection, first.request, NOW)


def test_the_lease_of_a_dead_process_is_over_but_its_request_counts(
    connection: sqlite3.Connection,
) -> None:
    first = ask(connection)
    assert isinstance(first, Granted)
    connection.execute("UPDATE request SET process = ?", (dead_process(),))
    assert not in_flight(connection, first.request, NOW)
    assert isinstance(ask(connection, NOW + SECOND), Granted)
    assert 2 == ledger.requests_in_last_hour(connection, "a", NOW + SECOND)


def test_a_lease_ends_although_its_process_runs(
    connection: sqlite3.Connection,
) -> None:
    assert isinstance(ask(connection), Granted)
    assert isinstance(ask(connection, NOW + LEASE), Granted)


def dead_process() -> str:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return f"{done.pid}:1"


def test_a_process_is_distinguished_from_a_later_one_with_its_number() -> None:
    pid, _, started = this_process().partition(":")
    assert is_alive(this_process())
    assert not is_alive(dead_process())
    assert not is_alive(f"{pid}:{int(started) + 1}")
    assert not is_alive("nonsense")
    assert int(pid) == os.getpid()


def test_a_problem_is_stored_until_the_next_attempt(connection: sqlite3.Connection) -> None:
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
def test_a_wait_keeps_its_length_when_the_clock_is_set_back(
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


def test_a_clock_that_jumps_to_and_fro_grants_at_most_one_request_a_jump(
    connection: sqlite3.Connection,
) -> None:
    granted = 0
    for _ in range(13):
        for now in (NOW + timedelta(minutes=5), NOW):
            answer = ask(connection, now)
            if isinstance(answer, Granted):
                granted += 1
                record_result(connection, answer.request, "t", Backoff(now, now + FLOOR))
    assert granted <= 14


def test_the_late_result_of_a_stopped_process_does_not_replace_a_newer_one(
    connection: sqlite3.Connection,
) -> None:
    stopped = ask(connection)
    assert isinstance(stopped, Granted)
    later = NOW + LEASE
    asked(connection, later)
    record_result(connection, stopped.request, "t", Backoff(NOW, NOW + FLOOR, LIMITED))
    assert Backoff(later, later + FLOOR) == backoff_of(connection, "t")
    assert not in_flight(connection, stopped.request, NOW)


def test_no_process_waits_forever_for_a_stopped_one(
    connection: sqlite3.Connection,
) -> None:
    """It is alive, but its lease is over."""
    first = ask(connection)
    assert isinstance(first, Granted)
    assert in_flight(connection, first.request, NOW)
    assert not in_flight(connection, first.request, NOW + LEASE)


def test_setting_the_clock_back_does_not_renew_the_hour(
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
def test_no_sequence_of_requests_exceeds_the_budget(steps: list[tuple[float, str]]) -> None:
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


def test_the_backoff_of_an_identity_holds_for_all_its_tokens(
    connection: sqlite3.Connection,
) -> None:
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


def test_the_backoff_of_an_identity_can_be_ended(connection: sqlite3.Connection) -> None:
    for over in (None, held(timedelta())):
        set_account_backoff(connection, "a", held(timedelta(minutes=40)), NOW)
        set_account_backoff(connection, "a", over, NOW)
        answer = ask(connection)
        assert isinstance(answer, Granted)
        record_result(connection, answer.request, "t", Backoff(NOW, NOW))


def test_an_unchanged_backoff_is_not_written_again(connection: sqlite3.Connection) -> None:
    for minutes in (40, 300):
        set_account_backoff(connection, "a", held(timedelta(minutes=minutes)), NOW)
        written = connection.total_changes
        set_account_backoff(connection, "a", held(timedelta(minutes=minutes)), NOW + 30 * SECOND)
        assert written == connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        written = connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        assert written == connection.total_changes


def test_a_backoff_of_hours_is_extended_step_by_step(connection: sqlite3.Connection) -> None:
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


def test_an_identity_can_have_a_larger_hourly_budget(
    connection: sqlite3.Connection,
) -> None:
    for number in range(60):
        answer = acquire(connection, "t", "a", NOW + number * SECOND, max_per_hour=60)
        assert isinstance(answer, Granted)
        release(connection, answer.request)
    assert isinstance(acquire(connection, "t", "a", NOW + timedelta(minutes=2), 60), Wait)


def test_a_lease_can_be_extended(connection: sqlite3.Connection) -> None:
    answer = ask(connection)
    assert isinstance(answer, Granted)
    extend_lease(connection, answer.request, NOW + LEASE - SECOND)
    assert InFlight(answer.request) == ask(connection, NOW + LEASE + SECOND)
    assert not in_flight(connection, answer.request, NOW + 2 * LEASE)


def test_the_lease_of_a_released_request_is_not_extended(connection: sqlite3.Connection) -> None:
    answer = ask(connection)
    assert isinstance(answer, Granted)
    release(connection, answer.request)
    extend_lease(connection, answer.request, NOW + SECOND)
    assert not in_flight(connection, answer.request, NOW + SECOND)
