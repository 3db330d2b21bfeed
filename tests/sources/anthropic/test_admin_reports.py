"""The reports, against an invented organization and against the documented samples."""

from __future__ import annotations

import contextlib
import os
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import UnexpectedResponse, UsageMonitorError
from claude_usage_monitor.sources.anthropic.admin_reports import (
    get_claude_code_day,
    get_costs,
    get_key_tokens,
    get_names,
)
from claude_usage_monitor.sources.http import HttpClient
from claude_usage_monitor.usage.money.spend import Costs, Tokens, UserSpend
from claude_usage_monitor.usage.secret import Secret
from tests.support.organization import ADMIN_KEY, AdminApi, Invented
from tests.support.payloads import NOW, as_bytes, payload

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

KEY = Secret(ADMIN_KEY)
TODAY = NOW.date()
SAMPLE_DAY = date(2025, 8, 1)
CALLS = "/v1/organizations/"


@pytest.fixture
def client(httpserver: HTTPServer) -> HttpClient:
    return HttpClient(httpserver.url_for("").rstrip("/"), "test", lambda: NOW, os.environ)


@pytest.fixture
def api(httpserver: HTTPServer) -> AdminApi:
    return AdminApi(httpserver, Invented.of_size(NOW, users=30, workspaces=25))


def costs_of(httpserver: HTTPServer, client: HttpClient, *rows: object) -> Costs:
    """Return the report of the first of August that has these rows."""
    bucket = {"starting_at": "2025-08-01T00:00:00Z", "results": list(rows)}
    body = {"data": [bucket], "has_more": False, "next_page": None}
    httpserver.clear()
    httpserver.expect_request(CALLS + "cost_report").respond_with_json(body)
    return get_costs(client, KEY, SAMPLE_DAY, "workspace_id")


def test_costs_are_exact(client: HttpClient, api: AdminApi) -> None:
    """By day, by workspace and by model they equal plain sums of all amounts in cents."""
    invented = api.organization
    by_workspace = get_costs(client, KEY, TODAY, "workspace_id")
    by_model = get_costs(client, KEY, TODAY, "description")
    assert list(range(1, TODAY.day + 1)) == [day.day for day in by_workspace.daily]
    for day, amount in by_workspace.daily.items():
        assert invented.cents(day=day) == (amount or 0) * 100
    for workspace, amount in by_workspace.groups.items():
        assert invented.cents(workspace_id=workspace) == (amount or 0) * 100
    models = {cell.model for cell in invented.cells if cell.model}
    assert {*models, "Web search"} == set(by_model.groups)
    for model in models:
        assert invented.cents(model=model) == (by_model.groups[model] or 0) * 100
    searches = by_model.groups["Web search"] or 0
    assert invented.cents(cost_type="web_search") == searches * 100
    assert by_workspace.daily == by_model.daily


def test_costs_are_requested_to_the_end_of_today(client: HttpClient, api: AdminApi) -> None:
    get_costs(client, KEY, date(2026, 12, 31), "workspace_id")
    (request,) = api.requests
    assert {
        "starting_at": "2026-12-01T00:00:00Z",
        "ending_at": "2027-01-01T00:00:00Z",
        "bucket_width": "1d",
        "limit": "31",
        "group_by[]": "workspace_id",
    } == request.args.to_dict()


def test_the_documented_cost_report(client: HttpClient, httpserver: HTTPServer) -> None:
    """123.78912 are cents, which is $1.24; nothing is rounded."""
    page = payload("admin/cost_report").replace(b'"has_more": true', b'"has_more": false')
    httpserver.expect_request(CALLS + "cost_report").respond_with_data(page)
    found = get_costs(client, KEY, SAMPLE_DAY, "description")
    amount = Decimal("1.2378912")
    assert Costs("USD", {SAMPLE_DAY: amount}, {"claude-opus-4-6": amount}) == found


@pytest.mark.parametrize(
    ("cents", "expected"),
    [
        ("123.45", "1.2345"),
        ("0", "0"),
        ("0.000001", "0.00000001"),
        ("-250.5", "-2.505"),
        ("999999999999999.99", "9999999999999.9999"),
        (141, "1.41"),
        (141.25, "1.4125"),
        (None, None),
        ("", None),
        ("12,50", None),
        ("1e5", None),
        ("NaN", None),
        ("٣", None),
        (True, None),
        ({"cents": 1}, None),
        ("9" * 400, None),
    ],
)
def test_cents_become_exact_amounts_or_unknown(
    client: HttpClient, httpserver: HTTPServer, cents: object, expected: str | None
) -> None:
    found = costs_of(httpserver, client, {"amount": cents, "currency": "USD"})
    amount = None if expected is None else Decimal(expected)
    assert ({SAMPLE_DAY: amount}, {None: amount}) == (found.daily, found.groups)


def test_an_unknown_amount_makes_its_sums_unknown(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    """A sum without it would be too low."""
    found = costs_of(
        httpserver,
        client,
        {"amount": "100", "workspace_id": "a"},
        {"amount": "?", "workspace_id": "a"},
        {"amount": "300", "workspace_id": "b"},
    )
    assert {"a": None, "b": Decimal(3)} == found.groups
    assert {SAMPLE_DAY: None} == found.daily


def test_a_day_that_was_not_requested_is_not_counted(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    data = [
        {"starting_at": f"2025-{day}T00:00:00Z", "results": [{"amount": "100"}]}
        for day in ("07-31", "08-01", "08-02")
    ]
    httpserver.expect_request(CALLS + "cost_report").respond_with_json({"data": data})
    found = get_costs(client, KEY, SAMPLE_DAY, "workspace_id")
    assert Costs("USD", {SAMPLE_DAY: Decimal(1)}, {None: Decimal(1)}) == found


@pytest.mark.parametrize("bucket", [{"results": []}, {"starting_at": "x", "results": []}, {}])
def test_a_day_without_a_date_or_results_is_an_unexpected_response(
    client: HttpClient, httpserver: HTTPServer, bucket: object
) -> None:
    httpserver.expect_request(CALLS + "cost_report").respond_with_json({"data": [bucket]})
    with pytest.raises(UnexpectedResponse):
        get_costs(client, KEY, SAMPLE_DAY, "workspace_id")


def test_amounts_in_several_currencies_are_an_unexpected_response(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    rows = [{"amount": "1", "currency": code} for code in ("USD", "EUR")]
    with pytest.raises(UnexpectedResponse, match="several currencies"):
        costs_of(httpserver, client, *rows)


def test_a_month_without_costs_costs_zero(client: HttpClient, httpserver: HTTPServer) -> None:
    assert Costs("USD", {SAMPLE_DAY: Decimal(0)}, {}) == costs_of(httpserver, client)


def test_names_of_workspaces_users_and_keys(client: HttpClient, api: AdminApi) -> None:
    workspaces = get_names(client, KEY, "workspaces")
    assert "Claude Code" == workspaces["wrkspc_0000"]
    assert "true" == api.requests[-1].args["include_archived"]
    assert 30 == len(get_names(client, KEY, "users"))
    assert "Ada Lovelace" == get_names(client, KEY, "users")["ada0@example.com"]
    assert "service-3" == get_names(client, KEY, "api_keys")["apikey_0003"]


def test_items_without_a_name_are_left_out(client: HttpClient, httpserver: HTTPServer) -> None:
    data = [{"id": "a"}, {"name": "b"}, {"id": "c", "name": ""}, {"id": "d", "name": "\x1b[1mD"}, 7]
    httpserver.expect_request(CALLS + "workspaces").respond_with_json({"data": data})
    assert {"d": "[1mD"} == get_names(client, KEY, "workspaces")


def test_tokens_of_each_key(client: HttpClient, api: AdminApi) -> None:
    found = get_key_tokens(client, KEY, TODAY)
    rows = [row for rows in api.organization.messages.values() for row in rows]
    assert {row["api_key_id"] for row in rows} == set(found)
    for key, tokens in found.items():
        mine = [row for row in rows if row["api_key_id"] == key]
        assert sum(row["output_tokens"] for row in mine) == tokens.output_tokens  # type: ignore[misc]  # parsed JSON


def test_the_documented_message_report(client: HttpClient, httpserver: HTTPServer) -> None:
    page = payload("admin/usage_report_messages").replace(b'"has_more": true', b'"has_more": false')
    httpserver.expect_request(CALLS + "usage_report/messages").respond_with_data(page)
    expected = {"apikey_01Rj2N8SVvo6BePZj99NhmiT": Tokens(1500, 500, 200, 1500)}
    assert expected == get_key_tokens(client, KEY, SAMPLE_DAY)


def test_a_day_of_claude_code_has_one_row_for_each_user(client: HttpClient, api: AdminApi) -> None:
    """The report has a row for each terminal of a user; they are added up."""
    found = get_claude_code_day(client, KEY, TODAY)
    records = api.organization.claude_code[TODAY]
    emails = [record["actor"]["email_address"] for record in records]  # type: ignore[index]  # parsed JSON
    assert len(emails) > len(set(emails)) == len(found)
    for user in found:
        mine = Invented(claude_code={TODAY: records}).claude_code_cents(user.email)
        assert mine == (user.amount or 0) * 100
    (request,) = api.requests
    assert {"starting_at": TODAY.isoformat(), "limit": "1000"} == request.args.to_dict()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "usage_report_claude_code.reference",
            UserSpend(
                None, "user@emaildomain.com", Decimal("2.28"), 68330, 18130, 12210, 3230,
                15, 342, 128, 8, 2,
            ),
        ),
        (
            "usage_report_claude_code.guide",
            UserSpend(
                None, "developer@company.com", Decimal("1.41"), 100000, 35000, 10000, 5000,
                5, 1543, 892, 12, 2,
            ),
        ),
    ],
)  # fmt: skip
def test_the_documented_claude_code_report(
    client: HttpClient, httpserver: HTTPServer, name: str, expected: UserSpend
) -> None:
    page = payload(f"admin/{name}").replace(b'"has_more": true', b'"has_more": false')
    httpserver.expect_request(CALLS + "usage_report/claude_code").respond_with_data(page)
    (found,) = get_claude_code_day(client, KEY, SAMPLE_DAY)
    assert expected == found._replace(models=None)
    assert found.models is not None
    assert expected.amount == sum(amount or 0 for _, amount in found.models)


def test_an_organization_with_seats_only_has_an_empty_report(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    page = payload("admin/observed_claude_code_empty_for_subscription_org")
    httpserver.expect_request(CALLS + "usage_report/claude_code").respond_with_data(page)
    assert () == get_claude_code_day(client, KEY, SAMPLE_DAY)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"actor": {"type": "api_actor", "api_key_name": "ci"}}, ("ci", None, Decimal(0))),
        ({"actor": {"email_address": "Ada@Example.com"}}, (None, "ada@example.com", Decimal(0))),
        ({"actor": None}, (None, None, Decimal(0))),
        ({"model_breakdown": [{"model": "new"}]}, (None, None, None)),
    ],
)
def test_missing_parts_of_a_record_are_unknown(
    client: HttpClient, httpserver: HTTPServer, record: object, expected: object
) -> None:
    """A model without a price makes its user's amount unknown, not zero. So do missing counts."""
    call = CALLS + "usage_report/claude_code"
    httpserver.expect_request(call).respond_with_json({"data": [record], "has_more": False})
    (found,) = get_claude_code_day(client, KEY, SAMPLE_DAY)
    assert expected == found[:3]
    assert found.sessions is None


def test_rows_of_seats_are_left_out(client: HttpClient, httpserver: HTTPServer) -> None:
    rows = [
        {"actor": {"email_address": f"{kind}@example.com"}, "customer_type": kind}
        for kind in ("api", "subscription")
    ]
    call = CALLS + "usage_report/claude_code"
    httpserver.expect_request(call).respond_with_json({"data": rows, "has_more": False})
    assert ["api@example.com"] == [u.email for u in get_claude_code_day(client, KEY, SAMPLE_DAY)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "amount": JSON,
        "currency": JSON,
        "workspace_id": JSON,
        "actor": JSON,
        "core_metrics": JSON,
        "model_breakdown": st.lists(
            st.fixed_dictionaries({}, optional={"tokens": JSON, "estimated_cost": JSON})
        ),
        "cache_creation": JSON,
        "output_tokens": JSON,
        "email": JSON,
        "id": JSON,
        "name": JSON,
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROW)
def test_any_row_gives_figures_or_one_of_our_errors(
    client: HttpClient, httpserver: HTTPServer, row: object
) -> None:
    bucket = {"starting_at": "2025-08-01T00:00:00Z", "results": [row]}
    httpserver.clear()
    for call, data in (
        ("cost_report", [bucket]),
        ("usage_report/messages", [bucket]),
        ("usage_report/claude_code", [row]),
        ("users", [row]),
    ):
        body = as_bytes({"data": data, "has_more": False})
        httpserver.expect_request(CALLS + call).respond_with_data(body)
    for ask in (
        lambda: get_costs(client, KEY, SAMPLE_DAY, "description"),
        lambda: get_key_tokens(client, KEY, SAMPLE_DAY),
        lambda: get_claude_code_day(client, KEY, SAMPLE_DAY),
        lambda: get_names(client, KEY, "users"),
    ):
        with contextlib.suppress(UsageMonitorError):
            ask()
