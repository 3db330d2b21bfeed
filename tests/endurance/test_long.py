from __future__ import annotations

import json
import random
import re
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.state_file import open_state_file
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.monitor.login.test_refresh import kill_refreshes
from tests.store.secrets.test_encrypted_file import kill_writers
from tests.support.command import PROGRAM
from tests.support.payloads import as_bytes, payload, usage_body
from tests.support.saved import save_account
from tests.support.token_server import TokenServer
from tests.test_processes import database, document, kill_at_random

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

pytestmark = pytest.mark.timeout(1800)
SOAK_SECONDS = 600.0
BLOCK_SECONDS = (240.0, 300.0)  # the API responds with 429 from the first until the second
ROWS = 10_000_000


def test_two_hundred_kills_lose_no_figures(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login(expires_in=86400)
    for round_ in range(10):
        kill_at_random(api, home, random.Random(round_), runs=20)  # noqa: S311 - no secret
        assert command.run("--json").returncode in (0, 4)
        api.requests.clear()
        database(home).unlink()


def test_a_hundred_kills_lose_no_login_that_could_be_stored(
    server: TokenServer, command: Command
) -> None:
    names = [f"a{number}" for number in range(4)]
    accounts = [save_account(server.issue(name, expires_in=200), name) for name in names]
    lost = kill_refreshes(server, command, accounts, seed=2, runs=100)
    print(f"{lost} of {len(server.refreshes)} refreshed logins were lost before they were stored")


def test_hundreds_of_kills_leave_the_encrypted_file_whole(tmp_path: Path) -> None:
    kill_writers(300, tmp_path)


class Budget:
    """The budget of the real API: 28 requests in an hour, then 429."""

    def __init__(self) -> None:
        self.sent_at: list[float] = []
        self.refused = 0
        self.percent = 10.0
        self.blocked = False

    def answer(self) -> Response:
        now = time.monotonic()
        self.sent_at = [at for at in self.sent_at if now - at < 3600] + [now]
        if self.blocked or len(self.sent_at) > 28:
            self.refused += 1
            return Response(payload("error_429_usage"), 429, {"Retry-After": "0"})
        self.percent += 1
        body = usage_body(datetime.now(UTC), five_hour=self.percent)
        return Response(as_bytes(body), mimetype="application/json")


def five_hour_of(text: str) -> str:
    found = re.search(r"5h?(?:-hour)?.*?(\d+) ?%", text)
    return found[1] if found else ""


def test_outputs_agree_for_ten_minutes(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    """Two panes, a status line and `--json`, again and again: they cause no 429, and all agree."""
    store.login(expires_in=86400)
    budget = Budget()
    api.answer_with(budget.answer)
    panes = [command.open("--interval", "5"), command.open("--interval", "5")]
    began, disagreements, rounds = time.monotonic(), 0, 0
    blocked_outputs = set[str]()
    while (elapsed := time.monotonic() - began) < SOAK_SECONDS:
        budget.blocked = BLOCK_SECONDS[0] <= elapsed < BLOCK_SECONDS[1]
        outputs = {}
        for pane in panes:
            pane.read_for(0.3)
        line = command.run("statusline", stdin=b"{}", environ={"NO_COLOR": "1"}).stdout
        account: dict[str, Any] = document(command.run("--json").stdout)
        outputs["statusline"] = five_hour_of(line)
        outputs["json"] = str(round(account["windows"][0]["utilization"]))
        for number, pane in enumerate(panes):
            pane.read_for(0.2)
            outputs[f"pane {number}"] = five_hour_of(pane.text)
            if "Next request" in pane.text:
                blocked_outputs.add(f"pane {number}")
        if account["problem"] and account["problem"]["code"] == "rate_limited":
            blocked_outputs.add("json")
        if "429: wait" in line:
            blocked_outputs.add("statusline")
        rounds += 1
        disagreements += len(set(outputs.values())) > 1
    assert rounds > SOAK_SECONDS / 10
    assert disagreements <= 3, disagreements  # one round may straddle a reading
    assert budget.refused <= 2
    assert len(budget.sent_at) <= SOAK_SECONDS / 180 + 2
    assert blocked_outputs in (set(), {"pane 0", "pane 1", "json", "statusline"})


def test_fourteen_days_leave_no_threads_and_a_small_database(
    api: Api, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads every 15 minutes, by the clock of this test."""
    store.login(expires_in=86400 * 30)
    now = [datetime.now(UTC)]
    environ = {"HOME": str(home), **_api_of(api)}
    reader = claude_code_reader(Services(environ, Settings(), lambda: now[0]))
    status = AccountStatus(CLAUDE_CODE)
    for _ in range(14 * 24 * 4):
        api.requests.clear()
        status = reader.read(status)
        now[0] += timedelta(minutes=15)
    assert status.usage is not None
    assert threading.active_count() < 10
    assert database(home).stat().st_size < 4_000_000


def _api_of(api: Api) -> dict[str, str]:
    return {"CLAUDE_USAGE_MONITOR_API_URL": api.url, "PATH": ""}


def test_ten_million_readings_do_not_slow_the_start(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login(expires_in=86400)
    command.run("--json")
    without = _seconds_of_json()
    state = open_state_file(database(home))
    state.connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO reading SELECT 'another', 'five_hour', i, i % 100, NULL, 'api' FROM n",
        (ROWS,),
    )
    state.connection.close()
    with_all = _seconds_of_json()
    print(json.dumps({"without": without, "with ten million": with_all}))
    assert with_all < 2 * without + 0.05


def _seconds_of_json() -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run([PROGRAM, "--json"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]
