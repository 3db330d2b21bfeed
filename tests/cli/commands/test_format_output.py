from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from werkzeug import Response

from claude_usage_monitor.formats import PRESETS
from claude_usage_monitor.usage.clock import utc_now
from tests.support.command import PROGRAM, TIMEOUT
from tests.support.payloads import as_bytes, payload, usage_body
from tests.support.saved import save_account
from tests.support.state import make_due

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

HOSTILE = "#S#(touch x)%n|<b>"


@pytest.fixture
def stored(command: Command, api: Api, store: Store) -> Api:
    """Return the API after one request; its figures are stored."""
    store.login()
    assert command.run("--json").returncode == 0
    return api


def test_a_preset_prints_the_stored_figures_without_a_request(
    command: Command, stored: Api
) -> None:
    for name in ("plain", "tmux", "waybar", "prometheus", "{five_hour.utilization}"):
        done = command.run("--format", name)
        assert (0, "") == (done.returncode, done.stderr)
        assert "78" in done.stdout
    assert 1 == len(stored.usage_requests)


def test_a_preset_by_itself_needs_no_parser_and_prints_the_same(
    command: Command, stored: Api
) -> None:
    narrow = {"COLUMNS": "30"}  # without countdowns, which change meanwhile
    for name in ("plain", "tmux", "{name} {five_hour.utilization}"):
        expected = command.run("--format", name, "--mode", "auto", environ=narrow).stdout
        assert expected == command.run("--format", name, environ=narrow).stdout
    assert 1 == len(stored.usage_requests)


def test_without_stored_figures_it_reads_first(command: Command, api: Api, store: Store) -> None:
    store.login()
    done = command.run("--format", "{five_hour.utilization}")
    assert ("78\n", 0) == (done.stdout, done.returncode)
    assert 1 == len(api.usage_requests)


def test_a_due_read_follows_after_the_line_was_printed_and_the_output_closed(
    stored: Api, home: Path
) -> None:
    make_due(home)
    may_answer = threading.Event()

    def answer() -> Response:
        may_answer.wait(TIMEOUT)
        return Response(
            as_bytes(usage_body(utc_now(), five_hour=81.0)), mimetype="application/json"
        )

    stored.answer_with(answer)
    arguments = [PROGRAM, "--format", "{five_hour.utilization}"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"78\n" == process.stdout.read()  # up to its end, while the API has not answered
        may_answer.set()
        assert 0 == process.wait(TIMEOUT)
    done = subprocess.run(arguments, capture_output=True, check=True)
    assert b"81\n" == done.stdout
    assert 2 == len(stored.usage_requests)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "no figures yet · not logged in\n"),
        ("tmux", "#[dim]no figures yet#[default] · #[fg=red]not logged in#[default]\n"),
        ("{five_hour.utilization} {problem.code}", "— no_credentials\n"),
    ],
)
def test_a_missing_login_is_in_the_line_and_the_exit_code_is_0(
    command: Command, api: Api, name: str, expected: str
) -> None:
    done = command.run("--format", name)
    assert (0, expected) == (done.returncode, done.stdout)
    assert [] == api.requests


def test_every_problem_is_exit_0_and_its_class_is_problem(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "600"})
    done = command.run("--format", "waybar")
    shown = json.loads(done.stdout)
    assert (0, ["problem"]) == (done.returncode, shown["class"])
    assert "429" in shown["text"]
    assert 3 == command.run("--json", environ={"HOME": "/nonexistent"}).returncode


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["--format", "tmuxx"],
            "There is no format 'tmuxx'; did you mean `tmux`?",
            "Formats: plain, ansi, tmux",
        ),
        (["--format", "{five_hour.utilisation}"], "not a field", "--json-schema"),
        (["--format", "{five_hour.utilization:d}"], "does not fit", "Format specs"),
        (["--format", ""], "There is no format ''.", "Formats: plain, ansi, tmux"),
        (["--format", "{name\n\x1b}"], "`{name??}` in the template is not a field", "docs"),
        (["--format", "plain", "--account", "x"], "no account 'x'", "Known accounts"),
        (["--follow"], "--follow and --output need --format or --json.", "--help"),
        (["--output", "x"], "--follow and --output need --format or --json.", "--help"),
        (["--format", "plain", "--json"], "not allowed with", "--help"),
        (["statusline", "--format", "nothing"], "There is no format 'nothing'.", "Formats"),
    ],
)
def test_wrong_usage_is_exit_2_also_without_figures(
    command: Command, arguments: list[str], message: str, hint: str
) -> None:
    done = command.run(*arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert hint in done.stderr


def test_a_hostile_account_name_is_escaped_for_its_place(command: Command, api: Api) -> None:
    save_account({"claudeAiOauth": {"accessToken": "x", "expiresAt": 1}}, HOSTILE)
    for template, expected in (
        ("{name}", HOSTILE),
        ("tmux:{name}", "##S##(touch x)%n|<b>"),
        ("zsh:{name}", "#S#(touch x)%%n|<b>"),
        ("pango:{name}", "#S#(touch x)%n|&lt;b&gt;"),
    ):
        done = command.run("--account", HOSTILE, "--format", template)
        assert f"{expected}\n" == done.stdout


def test_color_can_be_switched_off(command: Command, stored: Api) -> None:
    colored = command.run("--format", "tmux", environ={"TERM": "dumb"}).stdout
    assert "#[fg=yellow]" in colored  # a bar has no terminal
    for options, environ in ((["--no-color"], {}), ([], {"NO_COLOR": "1"})):
        plain = command.run("--format", "tmux", *options, environ=environ).stdout
        assert "5h 78% " in plain
        assert "#[" not in plain
    assert command.run("--format", "tmux", "--ascii").stdout.isascii()
    assert 1 == len(stored.usage_requests)


def test_a_file_is_replaced_instead_of_printing(
    command: Command, stored: Api, tmp_path: Path
) -> None:
    file = tmp_path / "claude.prom"
    for arguments in (["--format", "prometheus"], ["--json"]):
        done = command.run(*arguments, "--output", str(file))
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert 1 == json.loads(file.read_text())["version"]
    assert [file] == [path for path in tmp_path.iterdir() if path.is_file()]
    assert 1 == len(stored.usage_requests)


def test_a_file_that_cannot_be_replaced_is_an_error(command: Command, stored: Api) -> None:
    no_folder = "error: /nowhere/x: No such file"
    for path, words in ((os.devnull, "not a regular file"), ("/nowhere/x", no_folder)):
        done = command.run("--format", "plain", "--output", path)
        assert (1, "") == (done.returncode, done.stdout)
        assert words in done.stderr
    assert 1 == len(stored.usage_requests)


def test_the_demo_says_demo_and_stores_nothing(command: Command, home: Path) -> None:
    assert (
        "demo 94\n"
        == command.run("--demo", "--format", "{name} {windows[seven_day:fable].utilization}").stdout
    )
    assert [] == list(home.iterdir())


@pytest.mark.parametrize(
    "name", [row.name for row in PRESETS if row.name not in ("prometheus", "xbar")]
)
@pytest.mark.parametrize("mode", ["code", "console"])
def test_every_preset_says_demo(command: Command, name: str, mode: str) -> None:
    done = command.run("--demo", "--mode", mode, "--format", name)
    shown = json.loads(done.stdout) if done.stdout.startswith("{") else {"text": done.stdout}
    assert "demo" in (shown.get("text") or shown["full_text"])


def test_the_status_line_has_formats_too(command: Command, store: Store) -> None:
    store.login()
    limits = {
        "five_hour": {"used_percentage": 81.0, "resets_at": int(utc_now().timestamp()) + 7900}
    }
    done = command.run(
        "statusline",
        "--format",
        "ansi:{five_hour.utilization!c}% {five_hour.resets_in_seconds}",
        stdin=as_bytes({"rate_limits": limits}),
    )
    assert (0, "\x1b[38;5;208m81\x1b[0m% 2h 11m\n") == (done.returncode, done.stdout)
    assert "#[fg=colour208]" in command.run("statusline", "--format", "tmux").stdout


def test_json_schema_is_printed(command: Command, api: Api) -> None:
    done = command.run("--json-schema")
    assert 0 == done.returncode
    assert "accounts" in json.loads(done.stdout)["properties"]
    assert [] == api.requests
