from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.anthropic.service_status import PATH
from claude_usage_monitor.usage.alerts import EVENTS
from tests.support.command import TIMEOUT
from tests.support.organization import ADMIN_KEY, AdminApi, Invented
from tests.support.payloads import usage_body
from tests.support.state import HOUR
from tests.support.status_page import OPERATIONAL

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

LOG = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Turn alerts on, with a command that appends them to this file."""
    folder, log = tmp_path / "monitor", tmp_path / "alerts.jsonl"
    folder.mkdir()
    command = json.dumps([sys.executable, "-c", LOG, str(log)])
    (folder / "config.toml").write_text(
        f'[alerts]\nenabled = true\nchannels = ["command"]\ncommand = {command}\n'
    )
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(folder))
    return log


def wait_for_lines(log: Path, count: int) -> list[str]:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= count:
            break
        time.sleep(0.1)
    return [json.loads(line)["text"] for line in lines]


def baselines(state: Path) -> int:
    """Return of how many accounts figures were seen; the service's status counts as one."""
    with closing(sqlite3.connect(state)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alert'").fetchone():
            return 0
        count = "SELECT count(*) FROM alert WHERE instance = 'baseline'"
        return int(connection.execute(count).fetchone()[0])


def test_a_crossing_is_sent_once_by_a_dashboard_and_by_alerts(
    command: Command, api: Api, store: Store, log: Path
) -> None:
    store.login()
    api.answer(usage_body(datetime.now(UTC), five_hour=50.0))
    panes = [command.open(), command.open("alerts")]
    panes[0].wait_for("50 %")
    panes[1].wait_for("Watching")
    time.sleep(1.5)  # both have seen it below every level
    status_line = {
        "rate_limits": {"five_hour": {"used_percentage": 85, "resets_at": int(time.time()) + 7860}}
    }
    command.run("statusline", stdin=json.dumps(status_line).encode())
    for pane in panes:
        pane.read_for(3)
    assert any(line.startswith(("│ ◇", "│ ◆")) for line in panes[0].lines), "marks its row"
    texts = wait_for_lines(log, 1)
    assert 1 == len(texts)
    assert texts[0].startswith("5-hour at 85 %, resets ")


def test_incidents_and_limits_are_alerts_with_the_service_status_on(
    command: Command, api: Api, httpserver: HTTPServer, store: Store, log: Path
) -> None:
    config = log.with_name("monitor") / "config.toml"
    config.write_text("service_status = true\n" + config.read_text())
    page = httpserver.expect_request(PATH)
    page.respond_with_json(OPERATIONAL)
    store.login()
    api.answer(usage_body(datetime.now(UTC), five_hour=50.0))
    pane = command.open("alerts")
    pane.wait_for("Watching")
    state = log.with_name("monitor") / "state.db"

    pane.wait_for(lambda: state.exists() and baselines(state) == 2)  # of account and service
    status_line = {
        "rate_limits": {"five_hour": {"used_percentage": 85, "resets_at": int(time.time()) + 7860}}
    }
    command.run("statusline", stdin=json.dumps(status_line).encode())
    (text,) = wait_for_lines(log, 1)
    assert text.startswith("5-hour at 85 %, resets ")


def test_a_refused_admin_key_is_an_alert(
    command: Command, admin_server: HTTPServer, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = AdminApi(admin_server, Invented.of_size(datetime.now(UTC), users=1))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", organization.url)
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", ADMIN_KEY)
    state = log.with_name("monitor") / "state.db"
    pane = command.open("alerts")
    pane.wait_for("Watching")
    pane.wait_for(lambda: state.exists() and baselines(state) == 1)
    organization.key = "another"
    for due in (
        "UPDATE gate SET asked_at = asked_at - ?1, next_at = next_at - ?1",
        "UPDATE request SET asked_at = asked_at - ?1",
        "UPDATE spend_part SET read_at = read_at - ?1",
    ):
        with closing(sqlite3.connect(state, isolation_level=None)) as connection:
            connection.execute(due, (HOUR,))
    command.run("--mode", "console", "--json")
    (text,) = wait_for_lines(log, 1)
    assert "ANTHROPIC_ADMIN_API_KEY" in text


@pytest.mark.parametrize("event", EVENTS)
def test_a_test_alert_is_sent_and_printed(command: Command, log: Path, event: str) -> None:
    done = command.run("alerts", "--test", event)
    document = json.loads(done.stdout)
    assert (0, event) == (done.returncode, document["event"])
    if document["window"] is not None:
        expected = {"exhausted": 100.0, "reset": 0.0}.get(event, 82.0)
        assert expected == document["window"]["utilization"]
    (text,) = wait_for_lines(log, 1)
    assert text.startswith("Test: ")


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("", 1, '`alerts.channels` has "command", but `alerts.command` is not set'),
        (
            'command = ["nosuch"]',
            1,
            "The alert command nosuch cannot be started: No such file or directory. Correct `comm",
        ),
        ('command = ["true"]\nenabled = false', 0, "note: Alerts are off. Set `enabled = true` in"),
    ],
)
def test_a_test_alert_that_no_alert_would_follow_is_explained(
    command: Command, tmp_path: Path, lines: str, code: int, words: str
) -> None:
    on = "" if "enabled" in lines else "enabled = true\n"
    (tmp_path / "config.toml").write_text(f'[alerts]\n{on}channels = ["command"]\n{lines}\n')
    home = {"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)}
    done = command.run("alerts", "--test", "threshold", environ=home)
    assert code == done.returncode
    assert words in done.stderr


def test_doctor_reports_a_channel_without_its_command(command: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[alerts]\nenabled = true\nchannels = ["command"]\n')
    done = command.run("doctor", "--json", environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    (finding,) = (
        each for each in json.loads(done.stdout)["findings"] if each["name"] == "settings"
    )
    assert "problem" == finding["state"]
    assert "`alerts.command` is not set" in finding["detail"]


def test_without_the_setting_alerts_are_off(command: Command) -> None:
    done = command.run("alerts")
    assert (2, "") == (done.returncode, done.stdout)
    assert "Alerts are off." in done.stderr
    assert "enabled = true" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("levels = [0]", "alerts.levels"),
        ('events = ["nothing"]', "alerts.events"),
        ('channels = "bell"', "alerts.channels"),
        ('quiet = "late"', "alerts.quiet"),
        ('command = ["./here"]', "alerts.command"),
        ("command = []", "alerts.command"),
        ("reset_after = 101", "alerts.reset_after"),
    ],
)
def test_an_unusable_setting_is_a_warning(
    command: Command, tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[alerts]\n{line}\n")
    done = command.run("alerts", environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    assert message in done.stderr
