"""The reader with a real Admin API on loopback, a real state.db and a clock that a test sets."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import WSGIRequestHandler

from claude_usage_monitor.monitor.accounts.organizations import organization_reader
from claude_usage_monitor.monitor.organization.admin_key import find_admin_key
from claude_usage_monitor.monitor.organization.reader import OrganizationReader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.status import CONSOLE, AccountStatus
from tests.support.organization import (
    ADMIN_KEY,
    CLAUDE_CODE,
    COSTS,
    MESSAGES,
    ORGANIZATION_ID,
    AdminApi,
    Invented,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

    from tests.support.login import Store

NOW = datetime(2026, 11, 7, 12, 0, tzinfo=UTC)
FIRST = AccountStatus(CONSOLE)
ALL_REQUESTS = 1 + 2 + 3 + 1 + NOW.day


class Clock:
    """This computer's clock, and the API's: a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(admin_server: HTTPServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AdminApi:
    admin_api = AdminApi(admin_server, Invented.of_size(NOW, users=4, workspaces=4))
    monkeypatch.setattr(
        WSGIRequestHandler, "date_time_string", lambda _: format_datetime(clock(), usegmt=True)
    )
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", admin_api.url)
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", ADMIN_KEY)
    return admin_api


def reader(clock: Callable[[], datetime], settings: Settings | None = None) -> OrganizationReader:
    return organization_reader(Services(os.environ, settings or Settings(), clock))


def read(clock: Clock, settings: Settings | None = None) -> AccountStatus:
    return reader(clock, settings).read(FIRST)


def code(status: AccountStatus) -> str | None:
    return status.problem.code if status.problem else None


# --- figures -----------------------------------------------------------------------------------


def test_every_figure_is_the_exact_sum_of_the_reports_rows(api: AdminApi, clock: Clock) -> None:
    """Month, days, workspaces and users, compared with the rows that the server has."""
    status, invented = read(clock), api.organization
    assert (None, None) == (status.problem, status.notice)
    spend = status.spend
    assert spend is not None
    assert spend.month_to_date is not None
    assert invented.cents() == spend.month_to_date * 100
    for day in spend.daily:
        assert invented.cents(day=day.date) == (day.amount or 0) * 100
    names = {str(w["id"]): w["name"] for w in invented.workspaces}
    expected = {
        names.get(cell.workspace_id or "", "Default"): invented.cents(
            workspace_id=cell.workspace_id
        )
        for cell in invented.cells
    }
    assert spend.by_workspace is not None
    assert expected == {row.name: (row.amount or 0) * 100 for row in spend.by_workspace}
    report = spend.claude_code
    assert report is not None
    assert report.month_to_date is not None
    assert invented.claude_code_cents() == report.month_to_date * 100
    for row in report.by_user:
        assert invented.claude_code_cents(row.email) == (row.amount or 0) * 100
    assert {user["name"] for user in invented.users} == {row.name for row in report.by_user}
    assert 0 == report.missing_days


def test_the_status_names_the_organization_and_the_keys_place(api: AdminApi, clock: Clock) -> None:
    status = read(clock)
    assert status.profile is not None
    assert ("Acme Corporation", ORGANIZATION_ID) == (
        status.profile.organization,
        status.profile.account_uuid,
    )
    assert "ANTHROPIC_ADMIN_API_KEY variable" == status.credential_origin


def test_the_first_read_sends_each_request_once_and_two_at_a_time(
    api: AdminApi, clock: Clock
) -> None:
    api.latency = 0.01
    read(clock)
    assert ALL_REQUESTS == len(api.calls)
    assert NOW.day == api.calls.count(CLAUDE_CODE)
    assert "me" == api.calls[0]
    assert 2 == api.max_concurrent


def test_figures_are_published_during_a_long_read(api: AdminApi, clock: Clock) -> None:
    clock.later(days=14)
    shown: list[AccountStatus] = []
    reader(clock).read(FIRST, shown.append)
    with_figures = [status.spend for status in shown if status.spend]
    assert with_figures[0].claude_code is None
    missing = [s.claude_code.missing_days for s in with_figures if s.claude_code]
    assert missing == sorted(missing, reverse=True)
    assert len(set(missing)) > 1


@pytest.mark.parametrize("configured", [True, False])
def test_your_address_is_the_configured_one_or_claude_codes(
    api: AdminApi, clock: Clock, store: Store, configured: bool
) -> None:
    path = store.path.parent.parent / ".claude.json"
    path.write_text('{"oauthAccount": {"emailAddress": "Grace1@example.com"}}')
    settings = Settings(email="ADA0@example.com" if configured else None)
    status = read(clock, settings)
    assert status.spend is not None
    assert status.spend.claude_code is not None
    assert status.spend.claude_code.you is not None
    mine = "ada0@example.com" if configured else "grace1@example.com"
    assert mine == status.spend.claude_code.you.email
    expected = api.organization.claude_code_cents(mine)
    assert expected == (status.spend.claude_code.you.amount or 0) * 100


# --- when to read ------------------------------------------------------------------------------


def test_the_next_process_sends_no_request_before_it_is_due_and_then_few(
    api: AdminApi, clock: Clock
) -> None:
    first = read(clock)
    assert NOW + timedelta(minutes=5) == first.next_read_at
    api.requests.clear()
    clock.later(seconds=299)
    again = read(clock)
    assert [] == api.calls
    assert first.spend == again.spend
    clock.later(seconds=1)
    assert [COSTS, COSTS, MESSAGES] == sorted(read_calls(api, clock))
    clock.later(hours=2)
    calls = read_calls(api, clock)
    assert len(calls) <= 4
    assert 2 == calls.count(COSTS)
    clock.later(hours=22)
    assert len(read_calls(api, clock)) <= 4


def read_calls(api: AdminApi, clock: Clock) -> list[str]:
    api.requests.clear()
    read(clock)
    return api.calls


def test_final_days_are_never_requested_again(api: AdminApi, clock: Clock) -> None:
    """Half a day of reads every 24 minutes."""
    running, status = reader(clock), FIRST
    running.read(FIRST)
    api.requests.clear()
    for _ in range(30):
        assert status.next_read_at is None or status.next_read_at > clock()
        clock.later(minutes=24)
        status = running.read(status)
    days = [r.args["starting_at"] for r in api.requests if r.path.endswith(CLAUDE_CODE)]
    assert {"2026-11-06", "2026-11-07", "2026-11-08"} >= set(days)
    assert days.count("2026-11-07") <= 24


def test_an_interval_of_seconds_counts_as_a_minute(api: AdminApi, clock: Clock) -> None:
    status = read(clock, Settings(interval=timedelta(seconds=5)))
    assert NOW + timedelta(seconds=60) == status.next_read_at


def test_a_requested_refresh_waits_until_a_minute_has_passed(api: AdminApi, clock: Clock) -> None:
    running = reader(clock)
    status = running.read(FIRST)
    api.requests.clear()
    clock.later(seconds=30)
    running.request_refresh()
    status = running.read(status)
    assert ([], NOW + timedelta(seconds=60)) == (api.calls, status.next_read_at)
    clock.later(seconds=30)
    status = running.read(status)
    assert [COSTS, COSTS, MESSAGES] == sorted(api.calls)
    assert clock() + timedelta(minutes=5) == status.next_read_at


def test_concurrent_readers_send_each_request_once(api: AdminApi, clock: Clock) -> None:
    api.latency = 0.01
    statuses: list[AccountStatus] = []
    running = [threading.Thread(target=lambda: statuses.append(read(clock))) for _ in range(3)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert ALL_REQUESTS == len(api.calls)
    assert 1 == len({repr(status.spend) for status in statuses})
    assert 2 == api.max_concurrent


def test_reports_stored_by_another_process_are_shown(api: AdminApi, clock: Clock) -> None:
    """The reader found no reports, and may send no request: meanwhile there are reports."""
    others: list[AccountStatus] = []

    def read_elsewhere() -> str | None:
        if not others:
            others.append(read(clock))
        return None

    services = Services(os.environ, Settings(), clock)
    late = OrganizationReader(lambda: find_admin_key(os.environ), services, read_elsewhere)
    status = late.read(FIRST)
    assert (others[0].spend, None) == (status.spend, status.problem)
    assert ALL_REQUESTS == len(api.calls)


def test_a_new_month_starts_without_the_last_months_figures(api: AdminApi, clock: Clock) -> None:
    read(clock)
    clock.now = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    cached = reader(clock).cached_status(FIRST)
    assert None is cached.spend
    status = read(clock)
    assert status.spend is not None
    assert Decimal(0) == status.spend.month_to_date
    assert "3 complete days" in (status.spend.projection_note or "")


def test_reports_that_one_process_stores_are_shown_by_another(api: AdminApi, clock: Clock) -> None:
    watching = reader(clock)
    assert None is watching.cached_status(FIRST).spend
    read(clock)
    assert watching.changed()
    assert watching.cached_status(FIRST).spend is not None
    assert not watching.changed()


def test_a_wrong_clock_changes_neither_figures_nor_the_next_read(
    api: AdminApi, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This computer's clock is an hour ahead."""
    true_now = NOW - timedelta(hours=1)
    monkeypatch.setattr(
        WSGIRequestHandler, "date_time_string", lambda _: format_datetime(true_now, usegmt=True)
    )
    status = read(clock)
    assert status.spend is not None
    assert (true_now, timedelta(hours=1)) == (status.spend.as_of, status.clock_skew)
    assert timedelta() == status.age(clock())
    assert NOW + timedelta(minutes=5) == status.next_read_at


# --- errors ------------------------------------------------------------------------------------


def test_a_refused_key_is_sent_once_and_its_place_is_named(api: AdminApi, clock: Clock) -> None:
    api.key = "another"
    running = reader(clock)
    status = running.read(FIRST)
    assert ("unauthorized", None) == (code(status), status.next_read_at)
    assert status.problem is not None
    assert "req_011CSHoEeqs5C35K2UUqR7Fy" in status.problem.message
    assert "ANTHROPIC_ADMIN_API_KEY variable" in status.problem.hint
    for _ in range(20):
        clock.later(hours=1)
        assert "unauthorized" == code(running.read(status))
    assert ["me"] == api.calls


def test_a_new_key_is_used_at_once(
    api: AdminApi, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.key = "sk-ant-admin01-" + "b" * 40
    running = reader(clock)
    status = running.read(FIRST)
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", api.key)
    assert None is code(running.read(status))


def test_without_a_key_no_request_is_sent_and_the_figures_stay(
    api: AdminApi, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = reader(clock)
    status = running.read(FIRST)
    api.requests.clear()
    monkeypatch.delenv("ANTHROPIC_ADMIN_API_KEY")
    without = running.read(status)
    assert ("no_credentials", status.spend) == (code(without), without.spend)
    assert without.stale(clock())
    assert [] == api.calls


@pytest.mark.parametrize("call", [CLAUDE_CODE, MESSAGES, "users", "workspaces", "api_keys", "me"])
def test_a_forbidden_endpoint_is_named_and_the_other_reports_are_read(
    api: AdminApi, clock: Clock, call: str
) -> None:
    api.fail(call, 403, "permission_error", "needs read:analytics, has read:members")
    status = read(clock)
    assert None is status.problem
    assert status.spend is not None
    assert api.organization.cents() == (status.spend.month_to_date or 0) * 100
    if call != "me":
        assert f"This key may not call {call} (403" in (status.notice or "")
        assert "needs read:analytics" in (status.notice or "")
    assert api.calls.count(call) <= 2
    api.requests.clear()
    clock.later(minutes=30)
    read(clock)
    assert call not in api.calls
    api.recover()
    for _ in range(3):
        clock.later(minutes=31)
        status = read(clock)
    assert None is status.notice


def test_without_the_cost_report_the_other_reports_are_shown(api: AdminApi, clock: Clock) -> None:
    api.fail(COSTS, 403, "permission_error", "no billing")
    status = read(clock)
    assert status.spend is not None
    assert (None, None) == (status.spend.month_to_date, status.spend.by_workspace)
    assert status.spend.claude_code is not None
    assert "cost_report" in (status.notice or "")


def test_a_key_without_any_permission_is_a_problem(api: AdminApi, clock: Clock) -> None:
    for call in ("me", COSTS, CLAUDE_CODE, MESSAGES, "users", "workspaces", "api_keys"):
        api.fail(call, 403, "permission_error", "no scope")
    status = read(clock)
    assert ("forbidden", None) == (code(status), status.spend)
    assert status.problem is not None
    assert "Also forbidden: usage_report/claude_code, " in status.problem.message


@pytest.mark.parametrize(
    ("headers", "waits"), [({"Retry-After": "600"}, [600, 600]), ({}, [60, 120])]
)
def test_a_rate_limit_is_waited_out_and_reports_read_before_it_stay(
    api: AdminApi, clock: Clock, headers: dict[str, str], waits: list[int]
) -> None:
    api.fail("users", 429, "rate_limit_error", headers=headers)
    running = reader(clock)
    status = running.read(FIRST)
    assert ("rate_limited", NOW + timedelta(seconds=waits[0])) == (
        code(status),
        status.next_read_at,
    )
    assert status.spend is not None
    requests = len(api.calls)
    clock.later(seconds=waits[0] - 1)
    assert "rate_limited" == code(read(clock))
    assert requests == len(api.calls)
    clock.later(seconds=1)
    again = running.read(status)
    assert clock() + timedelta(seconds=waits[1]) == again.next_read_at
    api.recover()
    clock.later(seconds=waits[1])
    last = running.read(again)
    assert None is last.problem
    assert NOW.day == sum(r.path.endswith(CLAUDE_CODE) and r is not None for r in api.requests)


@pytest.mark.parametrize(
    ("status_code", "kind", "expected"),
    [(500, "api_error", "server_error"), (529, "overloaded_error", "server_error")],
)
def test_while_the_cost_report_fails_the_last_figures_are_shown_as_stale(
    api: AdminApi, clock: Clock, status_code: int, kind: str, expected: str
) -> None:
    before = read(clock)
    api.fail(COSTS, status_code, kind)
    clock.later(minutes=6)
    status = read(clock)
    assert (expected, before.spend) == (code(status), status.spend)
    assert status.stale(clock())
    assert clock() + timedelta(seconds=60) == status.next_read_at
    clock.later(seconds=60)
    assert clock() + timedelta(seconds=60) == read(clock).next_read_at
    api.recover()
    clock.later(seconds=60)
    assert None is read(clock).problem


def test_a_failed_report_is_named_and_requested_again(api: AdminApi, clock: Clock) -> None:
    api.fail(CLAUDE_CODE, 500)
    status = read(clock)
    assert None is status.problem
    assert f"problem with {CLAUDE_CODE} (500" in (status.notice or "")
    assert api.calls.count(CLAUDE_CODE) <= 2
    api.recover()
    clock.later(minutes=5)
    status = read(clock)
    assert None is status.notice
    assert status.spend is not None
    assert status.spend.claude_code is not None
    assert 0 == status.spend.claude_code.missing_days


@pytest.mark.parametrize(("status_code", "kind"), [(500, "api_error"), (404, "not_found_error")])
def test_figures_are_shown_while_the_organizations_name_is_unknown(
    api: AdminApi, clock: Clock, status_code: int, kind: str
) -> None:
    """Once the organization is known, the reports that are already stored belong to it."""
    api.fail("me", status_code, kind)
    status = read(clock)
    assert (None, None) == (status.problem, status.profile)
    assert status.spend is not None
    api.recover()
    api.requests.clear()
    clock.later(minutes=5)
    again = read(clock)
    assert again.profile is not None
    assert "Acme Corporation" == again.profile.organization
    assert sorted(["me", COSTS, COSTS, MESSAGES]) == sorted(api.calls)


def test_an_unreachable_api_is_a_problem(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", ADMIN_KEY)
    status = read(clock)
    assert ("unreachable", NOW + timedelta(seconds=60)) == (code(status), status.next_read_at)


def test_an_organization_with_subscription_seats_only_has_no_amount_rather_than_zero(
    api: AdminApi, clock: Clock
) -> None:
    api.organization.claude_code.clear()
    status = read(clock)
    assert status.spend is not None
    assert status.spend.claude_code is not None
    assert None is status.spend.claude_code.month_to_date


def test_no_part_of_the_key_is_in_a_status_or_a_file(
    api: AdminApi, clock: Clock, store: Store
) -> None:
    api.fail("users", 403, "permission_error", f"key {ADMIN_KEY} lacks it")
    status = read(clock)
    assert "aaaa" not in repr(status)
    home = store.path.parent.parent
    for path in home.rglob("*"):
        assert not path.is_file() or b"aaaaaaaa" not in path.read_bytes()
