from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.sources.anthropic.service_status import PATH
from tests.support.command import environ_with_short_floor
from tests.support.payloads import payload, usage_body
from tests.support.status_page import OPERATIONAL

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_once_prints_one_fact_a_line(command: Command, api: Api, store: Store) -> None:
    store.login()
    done = command.run("--once", "--plain")

    lines = done.stdout.splitlines()
    assert 0 == done.returncode
    assert lines[0].startswith("claude-code, ")
    assert lines[1].startswith("5-hour limit: 78 percent used, resets ")
    assert len(api.usage_requests) == 1


def test_the_setting_is_as_the_option(command: Command, store: Store, home: Path, api: Api) -> None:
    store.login()
    config = home / ".config" / "claude-usage-monitor" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('plain = true\nshow = "left"\nclock = "12h"\ntimezone = "Asia/Tokyo"\n')
    line = command.run("--once").stdout.splitlines()[1]

    assert line.startswith("5-hour limit: 22 percent left, resets ")
    assert "am," in line or "pm," in line
    assert api.usage_requests


def test_live_prints_what_changes_and_no_escape_sequence(
    command: Command, api: Api, store: Store, home: Path, tmp_path: Path
) -> None:
    """A new percent and a problem, and all after u; q leaves."""
    store.login()
    environ = environ_with_short_floor(home, tmp_path)
    terminal = command.open("--plain", columns=120, rows=500, environ=environ)
    terminal.wait_for("5-hour limit: 78 percent used")
    terminal.wait_for("Figures: API")

    api.answer(usage_body(datetime.now(UTC), five_hour=81.0))
    terminal.press_until("r", "5-hour limit: 81 percent used")
    assert terminal.text.count("Fable limit: ") == 1
    api.answer(payload("error_529_overloaded"), 529)
    terminal.press_until("r", "Problem: The API has a problem")
    terminal.type("u")
    terminal.wait_for("5-hour limit: 19 percent left")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert b"\x1b" not in terminal.written


def test_the_first_lines_are_of_a_read_that_is_done(
    command: Command, api: Api, store: Store
) -> None:
    """Not of figures without their forecasts, or of a login whose profile is unknown."""
    store.login()
    terminal = command.open("--plain", columns=160, rows=60)
    terminal.wait_for("Figures: API")
    terminal.type("q")
    assert terminal.wait_for_exit() == 0

    first = [line.strip() for line in terminal.lines if line.strip()]
    assert "claude-code, Enterprise, user@example.com, Company Name" == first[0]
    assert first[:3] == command.run("--once", "--plain").stdout.splitlines()[:3]
    assert 1 == len(api.usage_requests)


def test_names_are_hidden(command: Command, api: Api, store: Store) -> None:
    store.login()
    terminal = command.open("--plain", "--hide-names", columns=120, rows=60)
    terminal.wait_for("Figures: API")
    terminal.press_until("r", "read now. Next")
    assert "claude-code, Enterprise, user 1, organization 1" in terminal.text
    assert b"user@example.com" not in terminal.written
    assert b"Company Name" not in terminal.written
    assert api.usage_requests


def test_a_reset_is_a_line(command: Command, api: Api, store: Store) -> None:
    store.login()
    resets_at = (datetime.now(UTC) + timedelta(seconds=8)).isoformat()
    five_hour = {"utilization": 50.0, "resets_at": resets_at}
    api.answer({**usage_body(datetime.now(UTC)), "five_hour": five_hour})
    terminal = command.open("--plain", columns=120, rows=60)
    terminal.wait_for("5-hour limit: 50 percent used, resets ")
    terminal.wait_for("5-hour limit: reset, waiting for figures", timeout=60)
    assert 1 == terminal.text.count("Fable limit: ")


def test_alerts_are_sent(
    command: Command, api: Api, store: Store, home: Path, tmp_path: Path
) -> None:
    store.login()
    log = tmp_path / "alerts.jsonl"
    alert_command = json.dumps(["/bin/sh", "-c", 'cat >> "$0"', str(log)])
    api.answer(usage_body(datetime.now(UTC), five_hour=20.0, fable=10))
    environ = environ_with_short_floor(home, tmp_path)
    with (home / "own" / "config.toml").open("a") as config:
        config.write(
            "[alerts]\nenabled = true\nlevels = [50]\n"
            f'channels = ["command"]\ncommand = {alert_command}\n'
        )
    terminal = command.open("--plain", columns=120, rows=500, environ=environ)
    terminal.wait_for("5-hour limit: 20 percent used")
    api.answer(usage_body(datetime.now(UTC), five_hour=81.0, fable=10))
    terminal.press_until("r", "5-hour limit: 81 percent used")
    terminal.wait_for(lambda: log.exists() and '"five_hour"' in log.read_text())


def test_tab_prints_the_next_account_only(command: Command) -> None:
    terminal = command.open("--plain", "--demo", columns=120, rows=100)
    terminal.wait_for("Next reading")
    terminal.type("\t")
    terminal.wait_for("demo-organization")
    terminal.wait_for("Figures: Admin API")
    assert 1 == terminal.text.count("5-hour limit: ")
    terminal.type("\t")
    terminal.wait_for(lambda: 2 == terminal.text.count("5-hour limit: "))


def test_h_prints_the_history(command: Command) -> None:
    terminal = command.open("--plain", "--demo", columns=120, rows=60)
    terminal.wait_for("5-hour limit: 78 percent used")
    terminal.press_until("h", "points used in the last 24 hours, at most")
    terminal.wait_for("About 4 to 6 full sessions left this week")
    assert "Busiest: " in terminal.text
    assert "points an hour" in terminal.text
    terminal.type("q")
    assert terminal.wait_for_exit() == 0


def test_h_prints_the_history_with_the_service_status_on(
    command: Command, api: Api, httpserver: HTTPServer, store: Store, home: Path
) -> None:
    """Another reader then wraps the account's."""
    httpserver.expect_request(PATH).respond_with_json(OPERATIONAL)
    store.login()
    config = home / ".config" / "claude-usage-monitor" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("service_status = true\n")
    terminal = command.open("--plain", columns=120, rows=60)
    terminal.wait_for("5-hour limit: 78 percent used")
    terminal.press_until("h", "points used in the last 24 hours, at most")
    assert 1 == len(api.usage_requests)


def test_h_says_that_there_is_no_history(command: Command) -> None:
    terminal = command.open("--plain", "--demo", "--account", "demo-organization", columns=120)
    terminal.wait_for("Figures: Admin API")
    terminal.press_until("h", "This account has no stored windows")
