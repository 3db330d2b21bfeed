from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor import InvalidSetting, UnknownAccount, UsageClient
from tests.support.lives import life
from tests.support.payloads import usage_body
from tests.support.saved import save_account

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store
    from tests.support.token_server import TokenServer

ALL = ("--days", "36500")


@pytest.fixture(scope="session")
def lines() -> list[dict[str, Any]]:
    return life("office", 1, 3)


@pytest.fixture
def file(tmp_path: Path, lines: list[dict[str, Any]]) -> Path:
    path = tmp_path / "life.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def history(command: Command, *arguments: str) -> dict[str, Any]:
    done = command.run("history", "--json", *ALL, *arguments)
    assert (0, "") == (done.returncode, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_an_imported_life_has_its_windows_and_limits_hit(
    command: Command, store: Store, file: Path, lines: list[dict[str, Any]]
) -> None:
    store.login()
    done = command.run("history", "--import", str(file))
    assert (0, "") == (done.returncode, done.stdout)
    assert "claude-code: imported" in done.stderr
    document = history(command)
    seen_from = min(line["read_at"] for line in lines if line["type"] == "reading")
    truth = [line for line in lines if line["type"] == "window" and line["peak"] > 0]
    ours = {(window["key"], window["resets_at"]) for window in document["windows"]}
    theirs = {(window["key"], window["resets_at"]) for window in truth}
    assert len(theirs - ours) <= 2  # windows without readings
    assert not ours - theirs
    hits = {hit["key"]: hit["count"] for hit in document["limits_hit"]}
    for key in ("five_hour", "seven_day"):
        run_out = sum(
            line["key"] == key and (line["run_out_at"] or "") > seen_from for line in truth
        )
        assert run_out == hits[key]
    assert document["windows"] == sorted(
        document["windows"], key=lambda window: window["started_at"], reverse=True
    )
    again = command.run("history", "--import", str(file))
    assert " 0 of them new." in again.stderr
    assert document == history(command)


def test_a_dry_run_reports_and_changes_nothing(command: Command, store: Store, file: Path) -> None:
    store.login()
    done = command.run("history", "--import", str(file), "--dry-run")
    assert (0, True) == (done.returncode, "would import" in done.stderr)
    assert [] == history(command)["windows"]


def test_a_history_can_be_moved_to_another_computer(
    command: Command, store: Store, file: Path, tmp_path: Path
) -> None:
    store.login()
    command.run("history", "--import", str(file))
    exported = command.run("history", "--readings", "--jsonl", *ALL).stdout
    assert {"reading"} == {json.loads(line)["type"] for line in exported.splitlines()}
    before = command.run("history", "--readings", "--csv", *ALL).stdout
    command.run("history", "--import", "-", stdin=exported.encode())
    assert before == command.run("history", "--readings", "--csv", *ALL).stdout
    elsewhere = {"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path / "elsewhere")}
    done = command.run("history", "--import", "-", stdin=exported.encode(), environ=elsewhere)
    assert 0 == done.returncode
    moved = command.run("history", "--readings", "--jsonl", *ALL, environ=elsewhere).stdout
    assert exported == moved


def test_an_import_before_the_first_login_becomes_the_login_s(
    command: Command, api: Api, store: Store, file: Path
) -> None:
    assert 0 == command.run("history", "--import", str(file)).returncode
    count = len(history(command)["windows"])
    assert count > 0
    store.login()
    assert 0 == command.run("--json").returncode
    assert count < len(history(command)["windows"]) <= count + 4


def test_live_readings_become_windows(command: Command, api: Api, store: Store) -> None:
    api.answer(usage_body(datetime.now(UTC), five_hour=100.0))
    store.login()
    command.run("--json")
    document = history(command, "--window", "five_hour")
    (window,) = document["windows"]
    assert ("open", 100.0, None) == (window["end"], window["peak"], window["ended_at"])
    assert [("five_hour", 1)] == [(hit["key"], hit["count"]) for hit in document["limits_hit"]]


@pytest.mark.parametrize("hours", [-3, 3])
def test_windows_run_by_the_api_s_clock(
    command: Command, server: TokenServer, store: Store, hours: int
) -> None:
    server.clock = lambda: time.time() + hours * 3600
    store.write(json.dumps(server.issue()).encode())
    assert 0 == command.run("--json").returncode
    (window,) = history(command, "--window", "five_hour")["windows"]
    assert ("open", None) == (window["end"], window["ended_at"])
    assert window["watched_share"] is not None, "it began in the past"
    assert "running" in command.run("history").stdout
    (found,) = UsageClient().get_history("claude-code", window="five_hour").windows
    assert "open" == found.end
    assert found.watched_share is not None


def test_the_table_is_for_people(command: Command, store: Store, file: Path) -> None:
    store.login()
    command.run("history", "--import", str(file))
    text = command.run("history", *ALL).stdout
    assert "5-hour: limit hit" in text
    assert "of the time" in text
    assert "Window" in text
    assert "Read" in command.run("history", "--readings", *ALL).stdout
    few = command.run("history", "--days", "0.001").stdout
    assert len(few) < len(text)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--days", "0"), 2, "not a number of days"),
        (("--days", "nan"), 2, "not a number of days"),
        (("--json", "--csv"), 2, "not allowed with"),
        (("--dry-run",), 2, "goes with --import"),
        (("--account", "nobody"), 2, "There is no account"),
        (("--import", "/nowhere/at/all"), 1, "No such file"),
    ],
)
def test_wrong_usage(
    command: Command, store: Store, arguments: tuple[str, ...], code: int, message: str
) -> None:
    store.login()
    done = command.run("history", *arguments)
    assert (code, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert "hint:" in done.stderr


def test_a_file_without_readings_is_an_error(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"type": "window"}\n')
    done = command.run("history", "--import", str(path))
    assert (1, "") == (done.returncode, done.stdout)
    assert "There are no readings to import in" in done.stderr


def test_an_unknown_window_is_a_wrong_argument(command: Command) -> None:
    done = command.run("history", "--window", "five_hours", "--json")
    assert (2, "") == (done.returncode, done.stdout)
    assert "There is no window `five_hours`; did you mean `five_hour`?" in done.stderr
    assert "Known windows: five_hour, seven_day." in done.stderr
    assert command.run("history", "--window", "seven_day").returncode == 0


def test_the_report_of_an_import_counts_in_words_that_fit(command: Command, store: Store) -> None:
    store.login()
    reading = {"key": "five_hour", "read_at": "2026-11-12T00:00:00Z", "utilization": 5}
    resets = {"resets_at": "2026-11-12T03:00:00Z"}
    lines = [json.dumps({**reading, **resets}), json.dumps({**reading, "utilization": "5"})]
    done = command.run("history", "--import", "-", stdin="\n".join(lines).encode())
    assert done.stderr.splitlines() == [
        "warning: Skipped 1 line of standard input without a usable reading.",
        "claude-code: imported 1 reading in 1 window, 1 of them new.",
    ]


def test_an_import_says_what_is_odd(command: Command, store: Store) -> None:
    store.login()
    at = {"key": "five_hour", "utilization": 5, "account": "one"}
    readings = [
        at | {"read_at": "2026-11-12T00:00:00Z", "resets_at": "2026-11-12T03:00:00Z"},
        at | {"read_at": "2099-11-12T00:00:00Z", "resets_at": "2099-11-12T03:00:00Z"},
        at | {"read_at": "2026-11-12T00:10:00Z", "account": "two", "utilization": 6},
    ]
    lines = "\n".join(json.dumps(reading) for reading in readings).encode()
    done = command.run("history", "--import", "-", stdin=lines)
    assert done.stderr.splitlines() == [
        "warning: Later than this computer's clock: 1 reading of standard input.",
        "warning: The readings are of 2 accounts; all of them become claude-code's.",
        "claude-code: imported 3 readings in 2 windows, 2 of them new.",
    ]


def test_the_library_returns_the_same_windows(
    command: Command, store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    command.run("history", "--import", str(file))
    document = history(command)
    found = UsageClient().get_history("claude-code", days=36500)
    assert [window["key"] for window in document["windows"]] == [
        window.key for window in found.windows
    ]
    assert [hit["count"] for hit in document["limits_hit"]] == [
        hit.count for hit in found.limits_hit
    ]
    only = UsageClient().get_history("claude-code", days=36500, window="seven_day")
    assert {"seven_day"} == {window.key for window in only.windows}
    with pytest.raises(UnknownAccount):
        UsageClient().get_history("nobody")
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", "sk-ant-admin01-canary")
    with pytest.raises(InvalidSetting):
        UsageClient().get_history("console")


@pytest.mark.parametrize("how", ["option", "setting"])
def test_hidden_names_are_in_no_form_of_the_history(
    command: Command, home: Path, file: Path, how: str
) -> None:
    save_account({}, "Secret")
    assert 0 == command.run("history", "--account", "Secret", "--import", str(file)).returncode
    hide = ("--hide-names",) if how == "option" else ()
    if how == "setting":
        config = home / ".config" / "claude-usage-monitor" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("hide_names = true\n")
    for what in ((), ("--readings",)):
        for form in ((), ("--json",), ("--jsonl",), ("--csv",)):
            done = command.run("history", "--account", "Secret", *ALL, *what, *form, *hide)
            assert (0, "") == (done.returncode, done.stderr)
            assert "Secret" not in done.stdout
            if form and not what:  # readings are of the last eight days only
                assert "account 1" in done.stdout
    done = command.run("history", "--account", "Secret", "--import", str(file), *hide)
    assert done.stderr.startswith("account 1: imported")
