from __future__ import annotations

import threading
from datetime import date

import pytest

from claude_usage_monitor.errors import Forbidden, RateLimited, ServerError, UsageMonitorError
from claude_usage_monitor.monitor.organization.reports import (
    MAX_IN_FLIGHT,
    ReportResult,
    fetch_reports,
    stops_read,
)
from claude_usage_monitor.monitor.organization.schedule import ReportRequest
from claude_usage_monitor.store.state.reports import day_report

DAYS = [ReportRequest(day_report(date(2026, 11, n)), date(2026, 11, n)) for n in range(1, 21)]
USERS = ReportRequest("users")
TIMEOUT = 60.0


def fetch(request: ReportRequest) -> dict[str, str]:
    return {request.report: ""}


def ignore() -> None:
    """Do nothing while requests are in flight."""


def test_every_report_is_requested_two_at_a_time() -> None:
    both = threading.Barrier(MAX_IN_FLIGHT, timeout=TIMEOUT)
    lock, in_flight, most = threading.Lock(), 0, 0

    def fetch_together(request: ReportRequest) -> dict[str, str]:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        both.wait()
        with lock:
            in_flight -= 1
        return fetch(request)

    results = list(fetch_reports(DAYS, fetch_together, ignore))
    assert MAX_IN_FLIGHT == most
    assert sorted(DAYS) == sorted(result.request for result in results)
    assert all(result == ReportResult(result.request, fetch(result.request)) for result in results)


@pytest.mark.parametrize(
    ("error", "goes_on"), [(ServerError("500"), True), (RateLimited("429"), False)]
)
def test_an_error_stops_the_requests_to_its_endpoint_or_all_of_them(
    error: UsageMonitorError, goes_on: bool
) -> None:
    requested: list[ReportRequest] = []

    def fail(request: ReportRequest) -> dict[str, str]:
        requested.append(request)
        if request.day is not None:
            raise error
        return fetch(request)

    results = list(fetch_reports([*DAYS, USERS], fail, ignore))
    assert len(requested) == len(results)
    assert 1 <= sum(result.outcome is error for result in results) <= MAX_IN_FLIGHT
    assert (USERS in requested) is goes_on


def test_a_bug_is_raised() -> None:
    def fail(request: ReportRequest) -> dict[str, str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(fetch_reports(DAYS, fail, ignore))


def test_without_requests_there_is_no_result() -> None:
    assert [] == list(fetch_reports([], fetch, ignore))


@pytest.mark.parametrize(
    ("report", "error", "expected"),
    [
        ("users", RateLimited("429"), True),
        ("users", ServerError("500"), False),
        ("users", Forbidden("403"), False),
        ("description", ServerError("500"), True),
        ("description", Forbidden("403"), False),
    ],
)
def test_an_error_stops_the_read_if_it_is_everywhere_or_about_costs(
    report: str, error: UsageMonitorError, expected: bool
) -> None:
    assert expected is stops_read(ReportRequest(report), error)
