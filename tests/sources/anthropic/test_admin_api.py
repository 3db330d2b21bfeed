"""The Admin API, against a server on loopback that pages and fails like the real one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from werkzeug import Response

from claude_usage_monitor.errors import (
    Forbidden,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UsageMonitorError,
)
from claude_usage_monitor.sources.anthropic.admin_api import (
    Organization,
    get_organization,
    list_items,
    report_entries,
)
from claude_usage_monitor.sources.http import HttpClient
from claude_usage_monitor.usage.secret import Secret
from tests.support.organization import ADMIN_KEY, AdminApi, Invented
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

RAW_KEY = "sk-ant-admin01-" + "k" * 40
KEY = Secret(RAW_KEY)
KEY_OF_API = Secret(ADMIN_KEY)
ME = "/v1/organizations/me"


@pytest.fixture
def client(httpserver: HTTPServer) -> HttpClient:
    return HttpClient(httpserver.url_for("").rstrip("/"), "test", lambda: NOW, os.environ)


def test_the_key_alone_identifies_the_organization(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_oneshot_request(
        ME, headers={"x-api-key": RAW_KEY, "anthropic-version": "2023-06-01"}
    ).respond_with_json({"id": "12345678", "type": "organization", "name": "Acme\x1b[31m Corp"})
    assert Organization("12345678", "Acme[31m Corp") == get_organization(client, KEY)
    (request, _) = httpserver.log[0]
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("status", "kind", "expected", "words"),
    [
        (401, "authentication_error", Unauthorized, "refuses this Admin key (401, request req_7)"),
        (403, "permission_error", Forbidden, "may not call me (403, request req_7): lacks read:x."),
        (429, "rate_limit_error", RateLimited, "did not say how long (429, request req_7)"),
        (500, "api_error", ServerError, "problem with me (500, request req_7)"),
        (504, "timeout_error", ServerError, "problem with me (504, request req_7)"),
        (529, "overloaded_error", ServerError, "problem with me (529, request req_7)"),
        (200, "overloaded_error", ServerError, "problem with me (200, request req_7)"),
        (
            404,
            "not_found_error",
            UnexpectedResponse,
            "organizations/me (404, request req_7)",
        ),
        (400, "invalid_request_error", UnexpectedResponse, "HTTP 400, request req_7): lacks"),
        (402, "billing_error", UnexpectedResponse, "HTTP 402, request req_7): lacks read:x."),
    ],
)
def test_every_failure_names_its_call_and_its_request(
    client: HttpClient,
    httpserver: HTTPServer,
    status: int,
    kind: str,
    expected: type[UsageMonitorError],
    words: str,
) -> None:
    error = {"type": kind, "message": "lacks read:x."}
    body = {"type": "error", "error": error, "request_id": "req_7"}
    httpserver.expect_request(ME).respond_with_json(body, status)
    with pytest.raises(expected) as caught:
        get_organization(client, KEY)
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_anything_but_a_json_object_is_an_unexpected_response(
    client: HttpClient, httpserver: HTTPServer, body: bytes
) -> None:
    httpserver.expect_request(ME).respond_with_response(Response(body, 200))
    with pytest.raises(UnexpectedResponse, match="me was not figures"):
        get_organization(client, KEY)


def test_a_login_page_with_403_is_not_about_the_key(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_request(ME).respond_with_data("<html>", 403)
    with pytest.raises(UnexpectedResponse):
        get_organization(client, KEY)


def test_a_rate_limit_has_the_time_to_wait(client: HttpClient, httpserver: HTTPServer) -> None:
    httpserver.expect_request(ME).respond_with_json({}, 429, headers={"Retry-After": "77"})
    with pytest.raises(RateLimited) as caught:
        get_organization(client, KEY)
    assert caught.value.retry_after is not None
    assert 77 == caught.value.retry_after.total_seconds()


def test_a_key_that_a_reply_repeats_is_removed(client: HttpClient, httpserver: HTTPServer) -> None:
    body = {"error": {"type": "permission_error", "message": f"key {RAW_KEY} lacks it"}}
    headers = {"request-id": f"req_{RAW_KEY}"}
    httpserver.expect_request(ME).respond_with_data(json.dumps(body), 403, headers)
    with pytest.raises(Forbidden, match="key … lacks it") as caught:
        get_organization(client, KEY)
    assert "kkk" not in repr(caught.value)


# --- pages --------------------------------------------------------------------------------------


def test_all_pages_of_a_list_are_read(client: HttpClient, httpserver: HTTPServer) -> None:
    """2500 users in pages of a thousand, which is the maximum; the default is twenty."""
    api = AdminApi(httpserver, Invented(users=[{"id": f"user_{n}"} for n in range(2500)]))
    found = [user["id"] for user in list_items(client, KEY_OF_API, "users")]
    assert [f"user_{n}" for n in range(2500)] == found
    afters = [request.args.get("after_id") for request in api.requests]
    assert [None, "user_999", "user_1999"] == afters
    assert {"1000"} == {request.args["limit"] for request in api.requests}


def test_all_pages_of_a_report_are_read(client: HttpClient, httpserver: HTTPServer) -> None:
    day = NOW.date()
    records: list[dict[str, object]] = [{"row": n} for n in range(45)]
    api = AdminApi(httpserver, Invented(claude_code={day: records}))
    query = [("starting_at", day.isoformat())]
    found = [
        row["row"] for row in report_entries(client, KEY_OF_API, "usage_report/claude_code", query)
    ]
    assert list(range(45)) == found
    assert [None, "page_20", "page_40"] == [r.args.get("page") for r in api.requests]
    assert {day.isoformat()} == {request.args["starting_at"] for request in api.requests}


@pytest.mark.parametrize(
    "page",
    [
        {"data": [{"id": "a"}], "has_more": True, "last_id": "a", "next_page": "again"},
        {"data": [{"id": "a"}], "has_more": True, "last_id": None, "next_page": "again"},
    ],
)
def test_repeating_pages_are_an_unexpected_response(
    client: HttpClient, httpserver: HTTPServer, page: dict[str, object]
) -> None:
    httpserver.expect_request("/v1/organizations/users").respond_with_json(page)
    for pager in (list_items, report_entries):
        with pytest.raises(UnexpectedResponse, match="never end"):
            list(pager(client, KEY, "users", []))


def test_a_report_without_has_more_ends_without_a_next_page(
    client: HttpClient, httpserver: HTTPServer
) -> None:
    page = {"data": [{"id": "a"}], "next_page": None}
    httpserver.expect_request("/v1/organizations/x").respond_with_json(page)
    assert 1 == len(list(report_entries(client, KEY, "x", [])))


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {"id": 1}}, {"data": "x"}])
def test_a_page_without_a_list_is_an_unexpected_response(
    client: HttpClient, httpserver: HTTPServer, body: object
) -> None:
    httpserver.expect_request("/v1/organizations/users").respond_with_json(body)
    for pager in (list_items, report_entries):
        with pytest.raises(UnexpectedResponse, match="users"):
            list(pager(client, KEY, "users", []))
