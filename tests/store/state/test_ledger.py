from __future__ import annotations

import sqlite3
import tracemalloc
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
    copy_ledger,
    extend_lease,
    in_flight,
    record_result,
    refuse,
    release,
    requests_in_last_hour,
    set_account_backoff,
)
from claude_usage_monitor.store.state.state_file import open_in_memory, open_state_file
from claude_usage_monitor.usage.status import Problem
from tests.store.test_processes import dead_process
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path

FLOOR = timedelta(seconds=180)
SECOND = timedelta(seconds=1)
LIMITED = Problem("rate_limited", "m", "h")


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def try_request(
    connection: sqlite3.Connection, now: datetime = NOW, fingerprint: str = "t", identity: str = "a"
) -> Granted | InFlight | Wait:
    return acquire(connection, fingerprint, identity, now)


def send_request(
    connection: sqlite3.Connection, now: datetime = NOW, fingerprint: str = "t", identity: str = "a"
) -> None:
    """Send a request that succeeds."""
    decision = try_request(connection, now, fingerprint, identity)
    assert isinstance(decision, Granted)
    record_result(connection, decision.request, fingerprint, Backoff(now, now + FLOOR))


def test_no_request_within_the_floor(connection: sqlite3.Connection) -> None:
    send_request(connection)
    assert Wait(NOW + FLOOR) == try_request(connection, NOW + SECOND)
    assert isinstance(try_request(connection, NOW + FLOOR), Granted)


def test_each_token_has_its_own_floor(connection: sqlite3.Connection) -> None:
    send_request(connection)
    assert isinstance(try_request(connection, NOW + SECOND, "another"), Granted)


def test_at_most_twenty_requests_an_identity_and_hour(connection: sqlite3.Connection) -> None:
    assert 20 == MAX_REQUESTS_PER_HOUR
    for number in range(MAX_REQUESTS_PER_HOUR):
        send_request(connection, NOW + number * SECOND, f"token {number}")
    late = NOW + timedelta(minutes=30)
    assert Wait(NOW + timedelta(hours=1)) == try_request(connection, late, "one more")
    assert isinstance(try_request(connection, late, "one more", "another identity"), Granted)
    assert isinstance(try_request(connection, NOW + timedelta(hours=1), "one more"), Granted)


def test_other_processes_wait_for_a_request_in_flight(connection: sqlite3.Connection) -> None:
    first = try_request(connection)
    assert isinstance(first, Granted)
    assert InFlight(first.request) == try_request(connection, NOW + SECOND)
    assert isinstance(try_request(connection, NOW + SECOND, "another"), Granted)
    assert in_flight(connection, first.request, NOW)
    record_result(connection, first.request, "t", Backoff(NOW, NOW + FLOOR))
    assert not in_flight(connection, first.request, NOW)


def test_the_lease_of_a_dead_process_is_over_but_its_request_counts(
    connection: sqlite3.Connection,
) -> None:
    first = try_request(connection)
    assert isinstance(first, Granted)
    connection.execute("UPDATE request SET process = ?", (dead_process(),))
    assert not in_flight(connection, first.request, NOW)
    assert isinstance(try_request(connection, NOW + SECOND), Granted)
    assert 2 == requests_in_last_hour(connection, "a", NOW + SECOND)


def test_a_lease_ends_although_its_process_runs(
    connection: sqlite3.Connection,
) -> None:
    assert isinstance(try_request(connection), Granted)
    assert isinstance(try_request(connection, NOW + LEASE), Granted)


def test_a_problem_is_stored_until_the_next_attempt(connection: sqlite3.Connection) -> None:
    first = try_request(connection)
    assert isinstance(first, Granted)
    until = NOW + timedelta(minutes=31)
    backoff = Backoff(NOW, until, Problem("rate_limited", "m", "h", until, NOW), 2, 1, SECOND)
    record_result(connection, first.request, "t", backoff)
    assert backoff == backoff_of(connection, "t")
    assert Wait(until, backoff.problem) == try_request(connection, NOW + FLOOR * 2)
    assert isinstance(try_request(connection, until), Granted)
    assert backoff_of(connection, "another") is None


@pytest.mark.parametrize("problem", [None, LIMITED])
@pytest.mark.parametrize("wait", [timedelta(seconds=30), FLOOR, timedelta(minutes=60)])
def test_a_wait_keeps_its_length_when_the_clock_is_set_back(
    connection: sqlite3.Connection, problem: Problem | None, wait: timedelta
) -> None:
    """It neither lasts until the old time comes again, nor ends at once."""
    first = try_request(connection)
    assert isinstance(first, Granted)
    record_result(connection, first.request, "t", Backoff(NOW, NOW + wait, problem))
    back = NOW - timedelta(hours=10)
    decision = try_request(connection, back)
    assert isinstance(decision, Wait)
    assert back + wait == decision.until
    assert isinstance(try_request(connection, back + wait), Granted)


def test_a_clock_that_jumps_to_and_fro_grants_at_most_one_request_a_jump(
    connection: sqlite3.Connection,
) -> None:
    granted = 0
    for _ in range(13):
        for now in (NOW + timedelta(minutes=5), NOW):
            decision = try_request(connection, now)
            if isinstance(decision, Granted):
                granted += 1
                record_result(connection, decision.request, "t", Backoff(now, now + FLOOR))
    assert granted <= 14


def test_a_wait_that_only_a_wrong_clock_can_have_stored_is_shortened(
    connection: sqlite3.Connection,
) -> None:
    record_result(connection, 0, "t", Backoff(NOW, NOW + timedelta(days=9), LIMITED))
    decision = try_request(connection, NOW + MAX_BACKOFF - SECOND)
    assert isinstance(decision, Wait)
    assert NOW + MAX_BACKOFF == decision.until
    assert isinstance(try_request(connection, NOW + MAX_BACKOFF), Granted)


def test_a_problem_without_texts_has_empty_texts(connection: sqlite3.Connection) -> None:
    record_result(connection, 0, "t", Backoff(NOW, NOW + FLOOR, LIMITED))
    connection.execute("UPDATE gate SET message = NULL, hint = NULL")
    backoff = backoff_of(connection, "t")
    assert backoff is not None
    assert Problem("rate_limited", "", "", NOW + FLOOR) == backoff.problem


def test_the_requests_of_an_identity_in_the_last_hour_are_counted(
    connection: sqlite3.Connection,
) -> None:
    send_request(connection)
    send_request(connection, NOW + SECOND, "another")
    send_request(connection, NOW + SECOND, "a third", "another identity")
    hour = timedelta(hours=1)
    counts = [requests_in_last_hour(connection, "a", NOW + wait) for wait in (SECOND, hour)]
    assert [2, 1] == counts


def test_requests_are_deleted_after_a_day(connection: sqlite3.Connection) -> None:
    day = timedelta(days=1)
    for now in (NOW, NOW + SECOND, NOW + day):
        send_request(connection, now, f"token {now}")
    assert [(NOW + SECOND).timestamp() * 1000, (NOW + day).timestamp() * 1000] == [
        row[0] for row in connection.execute("SELECT asked_at FROM request ORDER BY asked_at")
    ]


def test_after_a_success_no_failures_are_counted(connection: sqlite3.Connection) -> None:
    send_request(connection)
    backoff = backoff_of(connection, "t")
    assert backoff is not None
    assert (0, 0, timedelta()) == (backoff.rate_limits, backoff.failures, backoff.clock_skew)


@pytest.mark.parametrize("later", [NOW + LEASE, NOW + FLOOR])
def test_the_late_result_of_a_stopped_process_does_not_replace_a_newer_one(
    connection: sqlite3.Connection, later: datetime
) -> None:
    stopped = try_request(connection)
    assert isinstance(stopped, Granted)
    send_request(connection, later)
    record_result(connection, stopped.request, "t", Backoff(NOW, NOW + FLOOR, LIMITED))
    assert Backoff(later, later + FLOOR) == backoff_of(connection, "t")
    assert not in_flight(connection, stopped.request, NOW)


@pytest.mark.parametrize("now", [NOW, NOW - timedelta(hours=10)])
def test_a_result_replaces_one_of_the_same_time_or_of_a_clock_that_was_ahead(
    connection: sqlite3.Connection, now: datetime
) -> None:
    record_result(connection, 0, "t", Backoff(NOW, NOW + FLOOR))
    record_result(connection, 0, "t", Backoff(now, now + 2 * FLOOR, failures=1))
    assert Backoff(now, now + 2 * FLOOR, failures=1) == backoff_of(connection, "t")


def test_no_process_waits_forever_for_a_stopped_one(
    connection: sqlite3.Connection,
) -> None:
    """The stopped process still exists, but its lease is over."""
    first = try_request(connection)
    assert isinstance(first, Granted)
    assert in_flight(connection, first.request, NOW)
    assert not in_flight(connection, first.request, NOW + LEASE)


def test_setting_the_clock_back_does_not_renew_the_hour(
    connection: sqlite3.Connection,
) -> None:
    for number in range(MAX_REQUESTS_PER_HOUR):
        send_request(connection, NOW + number * SECOND, f"token {number}")
    back = NOW - timedelta(hours=5)
    decision = try_request(connection, back, "one more")
    assert isinstance(decision, Wait)
    assert back + timedelta(minutes=59) < decision.until <= back + timedelta(hours=1)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from("abc")), max_size=80))
def test_no_sequence_of_requests_exceeds_the_budget(steps: list[tuple[float, str]]) -> None:
    """One request a token and floor, twenty an identity and hour."""
    connection = open_in_memory().connection
    now, granted = NOW, list[tuple[datetime, str]]()
    for seconds, token in steps:
        now += timedelta(seconds=seconds)
        decision = try_request(connection, now, token)
        if isinstance(decision, Granted):
            granted.append((now, token))
            record_result(connection, decision.request, token, Backoff(now, now + FLOOR))
        else:
            assert isinstance(decision, Wait)
            assert now < decision.until <= now + max(MAX_BACKOFF, timedelta(hours=1))
    for at, token in granted:
        near = [t for moment, t in granted if timedelta() <= moment - at < FLOOR - SECOND / 100]
        assert 1 == near.count(token)
        hour = [t for moment, t in granted if at <= moment < at + timedelta(hours=1) - SECOND]
        assert len(hour) <= MAX_REQUESTS_PER_HOUR


# --- the back-off of an identity -----------------------------------------------------------------


def limited_for(wait: timedelta) -> Problem:
    """Return the problem of another program that was told to wait."""
    return Problem("rate_limited", "another program has to wait", "h", NOW + wait)


def test_a_changed_backoff_of_an_identity_replaces_the_stored_one(
    connection: sqlite3.Connection,
) -> None:
    for minutes in (40, 70, 20):
        problem = limited_for(timedelta(minutes=minutes))
        set_account_backoff(connection, "a", problem, NOW)
        assert Wait(NOW + timedelta(minutes=minutes), problem) == try_request(connection)


def test_the_backoff_of_an_identity_holds_for_all_its_tokens(
    connection: sqlite3.Connection,
) -> None:
    set_account_backoff(connection, "a", limited_for(timedelta(minutes=40)), NOW)
    end = NOW + timedelta(minutes=40)
    for token in ("t", "another"):
        decision = try_request(connection, end - SECOND, token)
        assert isinstance(decision, Wait)
        assert (end, "another program has to wait") == (
            decision.until,
            decision.problem and decision.problem.message,
        )
    assert isinstance(try_request(connection, NOW, "t", "another identity"), Granted)
    assert isinstance(try_request(connection, end), Granted)


def test_the_backoff_of_an_identity_can_be_ended(connection: sqlite3.Connection) -> None:
    for over in (None, LIMITED, limited_for(timedelta())):
        set_account_backoff(connection, "a", limited_for(timedelta(minutes=40)), NOW)
        set_account_backoff(connection, "a", over, NOW)
        assert backoff_of(connection, "a") is None
        decision = try_request(connection)
        assert isinstance(decision, Granted)
        record_result(connection, decision.request, "t", Backoff(NOW, NOW))


def test_an_unchanged_backoff_is_not_written_again(connection: sqlite3.Connection) -> None:
    for minutes in (40, 300):
        problem = limited_for(timedelta(minutes=minutes))
        set_account_backoff(connection, "a", problem, NOW)
        assert isinstance(try_request(connection), Wait)
        written = connection.total_changes
        set_account_backoff(connection, "a", problem, NOW + 30 * SECOND)
        assert written == connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        written = connection.total_changes
        set_account_backoff(connection, "a", None, NOW)
        assert written == connection.total_changes


def test_an_identity_can_have_a_larger_hourly_budget(
    connection: sqlite3.Connection,
) -> None:
    for number in range(60):
        decision = acquire(connection, "t", "a", NOW + number * SECOND, max_per_hour=60)
        assert isinstance(decision, Granted)
        release(connection, decision.request)
    assert isinstance(acquire(connection, "t", "a", NOW + timedelta(minutes=2), 60), Wait)


def test_a_lease_can_be_extended(connection: sqlite3.Connection) -> None:
    decision = try_request(connection)
    assert isinstance(decision, Granted)
    extend_lease(connection, decision.request, NOW + LEASE - SECOND)
    assert InFlight(decision.request) == try_request(connection, NOW + LEASE + SECOND)
    assert not in_flight(connection, decision.request, NOW + 2 * LEASE)


def test_extending_a_lease_extends_no_other(connection: sqlite3.Connection) -> None:
    first, second = try_request(connection), try_request(connection, fingerprint="another")
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    extend_lease(connection, first.request, NOW + SECOND)
    assert in_flight(connection, first.request, NOW + LEASE)
    assert not in_flight(connection, second.request, NOW + LEASE)


def test_the_lease_of_a_released_request_is_not_extended(connection: sqlite3.Connection) -> None:
    decision = try_request(connection)
    assert isinstance(decision, Granted)
    release(connection, decision.request)
    extend_lease(connection, decision.request, NOW + SECOND)
    assert not in_flight(connection, decision.request, NOW + SECOND)


def test_a_refusal_lasts_until_its_retry_and_a_longer_backoff_stays(
    connection: sqlite3.Connection,
) -> None:
    short, long = limited_for(timedelta(minutes=1)), limited_for(timedelta(minutes=50))
    assert Wait(NOW + timedelta(minutes=1), short) == refuse(connection, "t", short, NOW)
    assert Wait(NOW + timedelta(minutes=1), short) == try_request(connection)
    assert Wait(NOW + timedelta(minutes=50), long) == refuse(connection, "t", long, NOW)
    assert Wait(NOW + timedelta(minutes=50), long) == refuse(connection, "t", short, NOW)
    assert long == refuse(connection, "t", long._replace(message="as long"), NOW).problem
    unlimited = short._replace(retry_at=None)
    assert Wait(NOW, unlimited) == refuse(connection, "another", unlimited, NOW)


# --- two ledgers ---------------------------------------------------------------------------------


@pytest.fixture
def other() -> sqlite3.Connection:
    return open_in_memory().connection


def test_the_requests_of_both_ledgers_count_once(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    send_request(connection)
    send_request(other, NOW + FLOOR)
    for _ in range(2):
        copy_ledger(other, connection, NOW + FLOOR)
        copy_ledger(connection, other, NOW + FLOOR)
    for each in (connection, other):
        assert 2 == requests_in_last_hour(each, "a", NOW + FLOOR)
        assert Wait(NOW + 2 * FLOOR) == try_request(each, NOW + FLOOR)


def test_a_request_is_in_flight_in_the_other_ledger_until_it_is_released_in_one(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    granted = try_request(other)
    assert isinstance(granted, Granted)
    copy_ledger(other, connection, NOW)
    assert InFlight(granted.request) == try_request(connection)
    release(other, granted.request)
    copy_ledger(other, connection, NOW)
    assert not in_flight(connection, granted.request, NOW)
    copy_ledger(connection, other, NOW)
    assert not in_flight(other, granted.request, NOW)


def test_the_later_backoff_of_both_ledgers_holds(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    earlier, later = Backoff(NOW, NOW + FLOOR), Backoff(NOW + SECOND, NOW + 2 * FLOOR, LIMITED)
    for ledgers in ((connection, other), (other, connection)):
        for backoff, each in zip((earlier, later), ledgers, strict=True):
            each.execute("DELETE FROM gate")
            set_backoff(each, backoff)
        copy_ledger(other, connection, NOW + SECOND)
        stored = backoff_of(connection, "t")
        assert stored is not None
        assert later.next_request_at == stored.next_request_at


def set_backoff(connection: sqlite3.Connection, backoff: Backoff) -> None:
    """Store the back-off of a token without a request."""
    record_result(connection, 0, "t", backoff)


def test_no_backoff_is_stored_between_the_read_and_the_write_of_a_copy(
    other: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_backoff(other, Backoff(NOW, NOW + FLOOR))
    path = tmp_path / "state.db"
    target, third = open_state_file(path).connection, open_state_file(path, 0).connection
    attempts = []

    def read_and_write(connection: sqlite3.Connection, key: str) -> Backoff | None:
        stored = backoff_of(connection, key)
        if connection is target:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                third.execute("DELETE FROM gate")
            attempts.append(key)
        return stored

    monkeypatch.setattr(ledger, "backoff_of", read_and_write)
    copy_ledger(other, target)
    assert ["t"] == attempts


def test_a_copied_wait_keeps_its_length_when_the_clock_is_set_back(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    """Copying it again does not start it again."""
    send_request(other)
    back = NOW - timedelta(hours=10)
    copy_ledger(other, connection, back)
    copy_ledger(other, connection, back + SECOND)
    assert Wait(back + FLOOR) == try_request(connection, back + 2 * SECOND)


def test_a_row_that_cannot_be_read_is_not_copied(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    send_request(other)
    send_request(other, fingerprint="odd")
    other.execute("UPDATE gate SET clock_ahead = 'text' WHERE fingerprint = 'odd'")
    copy_ledger(other, connection, NOW)
    assert backoff_of(connection, "odd") is None
    assert Wait(NOW + FLOOR) == try_request(connection)


def test_tokens_of_last_year_are_not_copied(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    send_request(other, NOW - timedelta(hours=25), "old")
    send_request(other)
    copy_ledger(other, connection, NOW)
    assert backoff_of(connection, "old") is None
    assert backoff_of(connection, "t") is not None


def test_a_ledger_is_copied_without_loading_it(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    """A dashboard copies it when the disk is full; what it needs then, it may never return."""
    rows = ((number, "t" * 64, "a" * 40, 0, 1, f"process {number}") for number in range(3000))
    other.executemany("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?)", rows)
    tracemalloc.start()
    copy_ledger(other, connection)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (3000,) == connection.execute("SELECT count(*) FROM request").fetchone()
    assert peak < 300_000
