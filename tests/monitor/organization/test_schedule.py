from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import Forbidden, ServerError
from claude_usage_monitor.monitor.organization.schedule import (
    MAX_REPEATED_REQUESTS,
    next_due_at,
    requests_due,
)
from claude_usage_monitor.store.state.reports import (
    COST_REPORTS,
    NAME_LISTS,
    USAGE_REPORT,
    ReportFailure,
    StoredReports,
    day_report,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
ALL_REPORTS = 2 + 3 + 1 + NOW.day


def read(at: datetime, **other: datetime) -> StoredReports:
    """Return stored reports that were all read at one moment, except for the given ones."""
    days = [day_report(NOW.date().replace(day=n)) for n in range(1, NOW.day + 1)]
    reports = (*COST_REPORTS, *NAME_LISTS, USAGE_REPORT, *days)
    return StoredReports({**dict.fromkeys(reports, at), **other}, {}, {}, None, {}, {})


def due(stored: StoredReports, now: datetime = NOW) -> list[str]:
    return [request.report for request in requests_due(stored, now, INTERVAL)]


def test_the_first_read_requests_every_report_costs_first() -> None:
    reports = due(StoredReports({}, {}, {}, None, {}, {}))
    assert ALL_REPORTS == len(reports) == len(set(reports))
    assert ["workspaces", "workspace_id", "description", "day:2026-11-21"] == reports[:4]
    assert "day:2026-11-01" == reports[-1]


def test_no_report_is_requested_before_its_interval_is_over() -> None:
    assert [] == due(read(NOW - INTERVAL + MINUTE))


def test_costs_and_tokens_are_requested_once_an_interval() -> None:
    assert ["workspace_id", "description", USAGE_REPORT] == due(read(NOW - INTERVAL))


@given(st.timedeltas(timedelta(), timedelta(days=20)))
def test_once_every_report_was_read_a_read_sends_at_most_four_requests(age: timedelta) -> None:
    """However old the reports are. Costs are among the requests whenever they are due."""
    stored = read(NOW - age)
    today = {day_report(NOW.date()): NOW - age} if age < timedelta(hours=12) else {}
    reports = due(stored._replace(read_at={**stored.read_at, **today}))
    assert len(reports) <= MAX_REPEATED_REQUESTS
    assert (age >= INTERVAL) == ({"workspace_id", "description"} <= set(reports))


def test_a_report_that_had_to_wait_is_requested_within_six_reads() -> None:
    """A day after everything was read, most reports are due."""
    stored, now, requested = read(NOW - timedelta(days=1, hours=1)), NOW, set()
    for _ in range(6):
        for report in due(stored, now):
            stored.read_at[report] = now
            requested.add(report)
        now += INTERVAL
    assert {
        "users",
        "workspaces",
        "api_keys",
        USAGE_REPORT,
        "day:2026-11-21",
        "day:2026-11-20",
    } <= requested


@pytest.mark.parametrize(
    ("day", "read_at", "now", "expected"),
    [
        (21, NOW, NOW + 59 * MINUTE, False),  # today, hourly
        (21, NOW, NOW + 60 * MINUTE, True),
        (20, NOW, NOW + 60 * MINUTE, True),  # yesterday, hourly
        (20, NOW, NOW + 13 * 60 * MINUTE, False),  # read after its end: final
        (19, NOW, NOW + timedelta(days=9), False),
        (
            20,
            NOW - timedelta(hours=11),
            NOW,
            True,
        ),  # read an hour after its end
        (20, NOW - timedelta(hours=11), NOW + timedelta(days=3), True),
    ],
)
def test_a_day_that_was_over_when_it_was_read_is_final(
    day: int, read_at: datetime, now: datetime, expected: bool
) -> None:
    report = day_report(date(2026, 11, day))
    stored = read(now, **{report: read_at})
    assert expected == (report in due(stored, now))


def test_on_the_first_of_a_month_no_day_of_the_last_month_is_requested() -> None:
    reports = due(StoredReports({}, {}, {}, None, {}, {}), datetime(2026, 12, 1, 0, 5, tzinfo=UTC))
    assert ["day:2026-12-01"] == [report for report in reports if report.startswith("day:")]


def test_a_forbidden_endpoint_is_not_requested_for_an_hour() -> None:
    failure = ReportFailure(Forbidden.code, "no", NOW - 59 * MINUTE)
    stored = StoredReports({}, {}, {}, None, {}, {"usage_report/claude_code": failure})
    assert ALL_REPORTS - NOW.day == len(due(stored))
    assert ALL_REPORTS == len(due(stored, NOW + MINUTE))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (StoredReports({}, {}, {}, None, {}, {}), NOW),
        (read(NOW), NOW + INTERVAL),
        (read(NOW, users=NOW - timedelta(days=3)), NOW + INTERVAL),
        (read(NOW, workspace_id=NOW - MINUTE), NOW - MINUTE + INTERVAL),
    ],
)
def test_when_the_next_requests_are_due(stored: StoredReports, expected: datetime) -> None:
    assert expected == next_due_at(stored, NOW, INTERVAL)


def test_an_unread_report_that_failed_is_requested_with_the_next_costs() -> None:
    stored = read(NOW)
    del stored.read_at["day:2026-11-20"]
    assert NOW == next_due_at(stored, NOW, INTERVAL)
    stored.failures["usage_report/claude_code"] = ReportFailure(ServerError.code, "500", NOW)
    assert NOW + INTERVAL == next_due_at(stored, NOW, INTERVAL)
