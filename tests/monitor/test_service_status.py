"""The service's status in the installed command, from a status page on loopback."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.sources.anthropic.service_status import PATH
from tests.support.api import ThreadedServer
from tests.support.payloads import as_bytes
from tests.support.status_page import OPERATIONAL, OUTAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


class StatusPage:
    """The page: ``document`` is what it says, ``requests`` who asked; it can be slow."""

    def __init__(self, server: HTTPServer) -> None:
        self.document: Any = OUTAGE
        self.requests: list[Request] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        server.expect_request(PATH).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        self.may_answer.wait(60)
        return Response(as_bytes(self.document), mimetype="application/json")


@pytest.fixture
def httpserver() -> Iterator[HTTPServer]:
    """Return a server that answers other requests while the page is slow."""
    with ThreadedServer() as server:
        yield server


@pytest.fixture
def page(httpserver: HTTPServer) -> StatusPage:
    return StatusPage(httpserver)


@pytest.fixture
def environ(tmp_path: Path, store: Store) -> dict[str, str]:
    store.login()
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.toml").write_text("service_status = true\n")
    return {"CLAUDE_USAGE_MONITOR_HOME": str(own)}


def service_in(command: Command, environ: dict[str, str]) -> Any:
    return json.loads(command.run("--json", environ=environ).stdout)["service"]


def test_a_pane_shows_one_line_and_everyone_shares_one_request(
    command: Command, api: Api, page: StatusPage, environ: dict[str, str]
) -> None:
    panes = [command.open(columns=80, environ=environ) for _ in range(3)]
    for pane in panes:
        pane.wait_for("78 %")
        pane.wait_for("Claude Code: partial outage · Elevated errors")
    assert 1 == len(page.requests)
    assert "Authorization" not in page.requests[0].headers
    assert page.requests[0].headers["User-Agent"].startswith("claude-usage-monitor/")
    service = service_in(command, environ)
    assert ("major", False) == (service["indicator"], service["stale"])
    assert {"name": "Claude Code", "status": "partial_outage"} in service["components"]
    assert ["https://stspg.io/abc"] == [each["url"] for each in service["incidents"]]
    assert 1 == len(page.requests)


def test_the_history_is_there_too(
    command: Command, api: Api, page: StatusPage, environ: dict[str, str]
) -> None:
    pane = command.open(columns=80, environ=environ)
    pane.wait_for("78 %")
    pane.press_until("h", "History · 5-hour")
    done = command.run("history", "--json", environ=environ)
    assert (0, "") == (done.returncode, done.stderr)
    assert 3 == len(json.loads(done.stdout)["windows"])


def test_while_all_is_well_nothing_is_shown(
    command: Command, api: Api, page: StatusPage, environ: dict[str, str]
) -> None:
    page.document = OPERATIONAL
    pane = command.open(columns=80, environ=environ)
    pane.wait_for("78 %")
    pane.wait_for(lambda: service_in(command, environ) is not None)
    assert "Claude Code:" not in pane.text


def test_a_slow_page_delays_no_figure(
    command: Command, api: Api, page: StatusPage, environ: dict[str, str]
) -> None:
    page.may_answer.clear()
    pane = command.open(columns=80, environ=environ)
    pane.wait_for("78 %")
    pane.wait_for(lambda: bool(page.requests))
    assert "outage" not in pane.text
    page.may_answer.set()
    pane.wait_for("partial outage")


def test_without_the_setting_nobody_asks(
    command: Command, api: Api, page: StatusPage, store: Store
) -> None:
    store.login()
    pane = command.open(columns=80)
    pane.wait_for("78 %")
    assert json.loads(command.run("--json").stdout)["service"] is None
    assert [] == page.requests


def test_a_page_that_does_not_answer_is_unknown(
    command: Command, api: Api, environ: dict[str, str]
) -> None:
    pane = command.open(columns=80, environ=environ)
    pane.wait_for("78 %")
    assert service_in(command, environ) is None
