from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.sources.anthropic.service_status import (
    PATH,
    get_page,
    status_base_url_from,
)
from claude_usage_monitor.sources.http import HttpClient
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus
from tests.support.payloads import as_bytes
from tests.support.status_page import OPERATIONAL, OUTAGE, STARTED

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

CODE_AND_API = (Component("Claude Code", "operational"), Component("Claude API", "operational"))


def client_of(server: HTTPServer) -> HttpClient:
    return HttpClient(server.url_for("").rstrip("/"), "test/1", utc_now, os.environ)


def status_in(server: HTTPServer, document: object) -> ServiceStatus | None:
    server.expect_oneshot_request(PATH).respond_with_data(as_bytes(document))
    return get_page(client_of(server), None).status


def test_only_what_this_program_depends_on_is_read(httpserver: HTTPServer) -> None:
    status = status_in(httpserver, OPERATIONAL)
    assert status is not None
    assert ("none", CODE_AND_API, ()) == (status.indicator, status.components, status.incidents)


def test_an_incident_of_another_component_is_not_ours(httpserver: HTTPServer) -> None:
    status = status_in(httpserver, OUTAGE)
    assert status is not None
    assert Component("Claude Code", "partial_outage") in status.components
    url = "https://stspg.io/abc"
    incident = Incident("i1", "Elevated errors", "major", "investigating", STARTED, url)
    assert (incident,) == status.incidents


def test_an_incident_without_components_counts(httpserver: HTTPServer) -> None:
    incident = {"id": "i3", "name": "Network", "components": []}
    status = status_in(httpserver, {**OPERATIONAL, "incidents": [incident]})
    assert status is not None
    assert ["Network"] == [each.name for each in status.incidents]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"status": {"indicator": "none"}},
        {**OPERATIONAL, "components": []},
        {**OPERATIONAL, "components": [{"name": "claude.ai", "status": "operational"}]},
        {**OPERATIONAL, "components": [{"name": "Claude Code", "status": 7}]},
        {**OPERATIONAL, "status": "fine"},
    ],
)
def test_an_unusable_page_is_unknown(httpserver: HTTPServer, document: object) -> None:
    assert status_in(httpserver, document) is None


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_another_status_is_unknown_and_its_wait_is_known(
    httpserver: HTTPServer, status: int
) -> None:
    headers = {"Retry-After": "600", "Location": "https://example.com/"}
    httpserver.expect_request(PATH).respond_with_data(b"{}", status, headers)
    page = get_page(client_of(httpserver), None)
    assert (None, False, timedelta(minutes=10)) == (page.status, page.is_current, page.wait)


def test_an_unchanged_page_is_not_sent_again(httpserver: HTTPServer) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Response:
        seen.append(dict(request.headers))
        if request.headers.get("If-None-Match") == 'W/"1"':
            return Response(status=304)
        return Response(as_bytes(OPERATIONAL), headers={"ETag": 'W/"1"'})

    httpserver.expect_request(PATH).respond_with_handler(answer)
    client = client_of(httpserver)
    first = get_page(client, None)
    second = get_page(client, first.etag)
    assert ('W/"1"', None, True) == (second.etag, second.status, second.is_current)
    assert not [headers for headers in seen if "Authorization" in headers or "x-api-key" in headers]


def test_foreign_texts_are_cleaned(httpserver: HTTPServer) -> None:
    incident = {"id": "i", "name": "\x1b[2JDown\u202e", "components": []}
    status = status_in(httpserver, {**OPERATIONAL, "incidents": [incident]})
    assert status is not None
    assert "[2JDown" == status.incidents[0].name


def test_no_answer_is_an_error() -> None:
    client = HttpClient("http://127.0.0.1:9", "test/1", utc_now, os.environ)
    with pytest.raises(UsageMonitorError):
        get_page(client, None)


def test_the_page_is_asked_at_the_api_where_the_user_set_that() -> None:
    assert "https://status.claude.com" == status_base_url_from({})
    environ = {"CLAUDE_USAGE_MONITOR_API_URL": "http://127.0.0.1:1"}
    assert "http://127.0.0.1:1" == status_base_url_from(environ)
    assert STARTED == datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
