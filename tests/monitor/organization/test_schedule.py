from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import Forbidden, ServerError
from claude_usage_monitor.monitor.organization.schedule import (
    AT_A_TURN,
    IN_FLIGHT,
    ReportRequest,
    ReportThreads,
    next_turn,
    requests_due,
)
from claude_usage_monitor.store.state.reports import (
    USAGE_REPORT,
    ReportFailure,
    StoredReports,
    day_report,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
EVERYTHING = 2 + 3 + 1 + NOW.day


def read(at: datetime, **other: datetime) -> StoredReports:
    """Return a store of which everything was read at one moment, but for some parts."""
    days = [day_report(NOW.date().replace(day=n)) for n in range(1, NOW.day + 1)]
    parts = ["workspace_id", "description", "workspaces", "users", "api_keys", USAGE_REPORT, *days]
    return StoredReports({**dict.fromkeys(parts, at), **other}, {}, {}, None, {}, {})


def parts(stored: StoredReports, now: datetime = NOW) -> list[str]:
    return [request.part for request in requests_due(stored, now, INTERVAL)]


def test_the_first_time_everything_is_asked_for_money_first() -> None:
    found = parts(StoredReports({}, {}, {}, None, {}, {}))
    assert EVERYTHING == len(found) == len(set(found))
    assert ["workspaces", "workspace_id", "description", "day:2026-11-21"] == found[:4]
    assert "day:2026-11-01" == found[-1]


def test_nothing_is_asked_before_its_time() -> None:
    assert [] == parts(read(NOW - INTERVAL + MINUTE))


def test_money_and_tokens_are_asked_for_at_every_turn() -> None:
    assert ["workspace_id", "description", USAGE_REPORT] == parts(read(NOW - INTERVAL))


@given(st.timedeltas(timedelta(), timedelta(days=20)))
def test_once_all_is_read_a_turn_makes_at_most_four_requests(age: timedelta) -> None:
    """However long ago that was; money is always among them when it is due."""
    stored = read(NOW - age)
    today = {day_report(NOW.date()): NOW - age} if age < timedelta(hours=12) else {}
    found = parts(stored._replace(read_at={**stored.read_at, **today}))
    assert len(found) <= AT_A_TURN
    assert (age >= INTERVAL) == ({"workspace_id", "description"} <= set(found))


def test_what_had_to_wait_has_its_turn() -> None:
    """A day after all was read most of it is due: it is asked for within a few turns."""
    stored, now, asked = read(NOW - timedelta(days=1, hours=1)), NOW, set()
    for _ in range(6):
        for part in parts(stored, now):
            stored.read_at[part] = now
            asked.add(part)
        now += INTERVAL
    assert {
        "users",
        "workspaces",
        "api_keys",
        USAGE_REPORT,
        "day:2026-11-21",
        "day:2026-11-20",
    } <= asked


@pytest.mark.parametrize(
    ("day", "read_at", "now", "due"),
    [
        (21, NOW, NOW + 59 * MINUTE, False),  # today, hourly
        (21, NOW, NOW + 60 * MINUTE, True),
        (20, NOW, NOW + 60 * MINUTE, True),  # yesterday, hourly
        (20, NOW, NOW + 13 * 60 * MINUTE, False),  # it was over when it was read: closed
        (19, NOW, NOW + timedelta(days=9), False),
        (20, NOW - timedelta(hours=11), NOW, True),  # read an hour after its end: late figures
        (20, NOW - timedelta(hours=11), NOW + timedelta(days=3), True),
    ],
)
def test_a_day_that_is_over_is_closed(
    day: int, read_at: datetime, now: datetime, due: bool
) -> None:
    part = day_report(date(2026, 11, day))
    stored = read(now, **{part: read_at})
    assert due == (part in parts(stored, now))


def test_the_first_day_of_a_month_asks_for_no_day_of_the_last() -> None:
    found = parts(StoredReports({}, {}, {}, None, {}, {}), datetime(2026, 12, 1, 0, 5, tzinfo=UTC))
    assert ["day:2026-12-01"] == [part for part in found if part.startswith("day:")]


def test_a_call_that_is_forbidden_rests_for_an_hour() -> None:
    trouble = ReportFailure(Forbidden.code, "no", NOW - 59 * MINUTE)
    stored = StoredReports({}, {}, {}, None, {}, {"usage_report/claude_code": trouble})
    assert EVERYTHING - NOW.day == len(parts(stored))
    assert EVERYTHING == len(parts(stored, NOW + MINUTE))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (StoredReports({}, {}, {}, None, {}, {}), NOW),
        (read(NOW), NOW + INTERVAL),
        (read(NOW, users=NOW - timedelta(days=3)), NOW + INTERVAL),
        (read(NOW, workspace_id=NOW - MINUTE), NOW - MINUTE + INTERVAL),
    ],
)
def test_when_the_next_turn_is(stored: StoredReports, expected: datetime) -> None:
    assert expected == next_turn(stored, NOW, INTERVAL)


def test_what_met_trouble_waits_for_the_next_turn() -> None:
    """A report that fails again and again is not asked for as if it had never been."""
    stored = read(NOW)
    del stored.read_at["day:2026-11-20"]
    assert NOW == next_turn(stored, NOW, INTERVAL)
    stored.failures["usage_report/claude_code"] = ReportFailure(ServerError.code, "500", NOW)
    assert NOW + INTERVAL == next_turn(stored, NOW, INTERVAL)


# --- two askers --------------------------------------------------------------------------------

ERRANDS = [ReportRequest(day_report(date(2026, 11, n)), date(2026, 11, n)) for n in range(1, 21)]


def test_errands_are_done_two_at_a_time_and_all_of_them() -> None:
    both = threading.Barrier(IN_FLIGHT, timeout=20)
    lock, at_once, most = threading.Lock(), 0, 0

    def ask(request: ReportRequest) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        both.wait()
        with lock:
            at_once -= 1
        return request.part

    outcomes = list(ReportThreads(ERRANDS, ask, never).outcomes(lambda: None))
    assert IN_FLIGHT == most
    assert {request.part for request in ERRANDS} == {outcome.answer for outcome in outcomes}


def never(request: ReportRequest, error: Exception) -> bool:
    return False


def test_what_is_raised_comes_back_with_its_errand() -> None:
    error = ZeroDivisionError()

    def ask(request: ReportRequest) -> object:
        raise error

    (outcome,) = ReportThreads(ERRANDS[:1], ask, never).outcomes(lambda: None)
    assert (ERRANDS[0], None, error) == outcome


@pytest.mark.parametrize("everything", [False, True])
def test_an_error_ends_its_call_or_everything(everything: bool) -> None:
    """Nothing more of it is begun, however slow the one is who takes the outcomes."""
    asked: list[ReportRequest] = []

    def ask(request: ReportRequest) -> str:
        asked.append(request)
        if request.day is not None:
            raise ZeroDivisionError
        return request.part

    threads = ReportThreads(
        [*ERRANDS, ReportRequest("users")], ask, lambda _errand, _error: everything
    )
    outcomes = list(threads.outcomes(lambda: None))
    assert len(asked) == len(outcomes)
    assert 1 <= sum(request.day is not None for request in asked) <= IN_FLIGHT
    assert (ReportRequest("users") in asked) is not everything


def test_no_errands_no_outcomes() -> None:
    assert [] == list(ReportThreads([], lambda request: request, never).outcomes(lambda: None))
