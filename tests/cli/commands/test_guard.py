from __future__ import annotations

import json
import re
import signal
import subprocess
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from werkzeug import Response

from claude_usage_monitor.usage.clock import utc_now
from tests.support.command import PROGRAM, TIMEOUT, environ_with_short_floor
from tests.support.payloads import as_bytes, payload, usage_body
from tests.support.state import make_due

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

# Waits of seconds instead of a minute.
SHORT_WAITS = """
from datetime import timedelta
import claude_usage_monitor.usage.guard as guard
guard.RESET_DELAY = timedelta(seconds=0.2)
import claude_usage_monitor.monitor.backoff as backoff
backoff._RESET_DELAY = timedelta(seconds=0.2)
import claude_usage_monitor.cli.commands.guard as command
command._MIN_WAIT, command._MAX_JITTER = timedelta(seconds=0.2), 0.0
"""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 75, r"not enough: Fable 6 % left, resets \w+ \d\d:\d\d\n"),
        (("--min-left", "6"), 0, r"ok: Fable 6 % left, resets .*\n"),
        (("--window", "five_hour"), 0, r"ok: 5-hour 22 % left, resets \d\d:\d\d\n"),
        (("--window", "five_hour", "--for", "2h"), 75, r"not enough: 5-hour 22 % .*runs out .*\n"),
        (("--window", "five_hour", "--for", "30m"), 0, "ok: .*\n"),
        (("--window", "seven_day_opus"), 4, "unknown: seven_day_opus is not reported\n"),
        (("--window", "seven_day:nova"), 4, "unknown: seven_day:nova is not reported\n"),
        (("--window", "seven_day_opus", "--fail-open"), 0, "unknown: .* is not reported\n"),
        (("--fail-open",), 75, "not enough: .*\n"),
        (("--wait", "1h"), 75, "not enough: .*\n"),  # the reset is days away: at once
    ],
)
def test_the_exit_code_says_whether_enough_is_left(
    command: Command,
    api: Api,
    store: Store,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    """By the average pace, because a forecast depends on the hour and the day of the test."""
    store.login()
    (tmp_path / "config.toml").write_text("forecast = false\n")
    done = command.run("guard", *arguments, environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    assert code == done.returncode
    assert re.fullmatch(words, done.stdout)
    assert ("error: unknown: seven_day" in done.stderr) == ("is not reported" in words)
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize("more", [(), ("--fail-open",), ("--wait",)])
def test_an_unknown_window_is_wrong_usage(
    command: Command, api: Api, store: Store, more: tuple[str, ...]
) -> None:
    store.login()
    done = command.run("guard", "--window", "five_hours", *more)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr == (
        "error: There is no window `five_hours`; did you mean `five_hour`?\n"
        "hint: Known windows: five_hour, seven_day, seven_day:fable.\n"
    )
    assert 1 == len(api.usage_requests)


def test_a_misspelled_model_is_not_reported_and_the_hint_names_the_right_one(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    done = command.run("guard", "--window", "five_hour", "--window", "seven_day:fabel")
    assert 4 == done.returncode
    known = "five_hour, seven_day, seven_day:fable"
    assert f"hint: Reported: {known}; did you mean `seven_day:fable`?\n" in done.stderr
    assert 0 == command.run("guard", "--window", "seven_day:fabel", "--fail-open").returncode


def test_a_window_that_the_api_no_longer_reports_is_not_wrong_usage(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    figures = {"utilization": 10.0, "resets_at": None}
    api.answer(as_bytes({"five_hour": figures, "tangelo": figures}))
    assert 0 == command.run("guard", "--window", "tangelo").returncode
    make_due(home)
    api.answer(as_bytes({"five_hour": figures}))
    done = command.run("guard", "--window", "tangelo")
    assert (4, "unknown: tangelo is not reported\n") == (done.returncode, done.stdout)
    done = command.run("guard", "--window", "mango")
    assert (2, "") == (done.returncode, done.stdout)
    assert "hint: Known windows: five_hour, tangelo.\n" in done.stderr


def test_without_figures_no_window_is_unknown(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "600"})
    done = command.run("guard", "--window", "tangelo")
    assert (4, "unknown: tangelo has no figure\n") == (done.returncode, done.stdout)


def test_json_has_the_documented_fields(command: Command, api: Api, store: Store) -> None:
    store.login()
    done = command.run("guard", "--json", "--window", "five_hour", "--window", "seven_day_opus")
    found = json.loads(done.stdout)
    resets_at = found["windows"][0]["resets_at"]
    retry_at = found["retry_at"]
    assert 4 == done.returncode
    assert resets_at.endswith("Z")
    assert retry_at.endswith("Z")
    assert found == {
        "version": 1,
        "decision": "unknown",
        "min_left": 10.0,
        "windows": [
            {"key": "five_hour", "left": 22.0, "resets_at": resets_at, "ok": True},
            {"key": "seven_day_opus", "left": None, "resets_at": None, "ok": None},
        ],
        "retry_at": retry_at,
    }


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--wait",)])
def test_a_missing_login_is_3_and_is_not_waited_for(
    command: Command, api: Api, arguments: tuple[str, ...]
) -> None:
    done = command.run("guard", *arguments)
    assert 3 == done.returncode
    assert "Not logged in" in done.stderr
    assert done.stdout
    assert 0 == command.run("guard", *arguments, "--fail-open").returncode
    assert [] == api.requests


def test_a_service_without_figures_is_4(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "600"})
    done = command.run("guard")
    assert (4, "unknown: no figures\n") == (done.returncode, done.stdout)
    done = command.run("guard", "--fail-open")
    assert (0, "unknown: no figures\n") == (done.returncode, done.stdout)
    assert "error:" in done.stderr
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--min-left", "101"),
        ("--min-left", "nan"),
        ("--min-left", "many"),
        ("--for", "30"),
        ("--wait", "soon"),
        ("--account", "nobody", "--fail-open"),
        ("extra",),
    ],
)
def test_wrong_usage_is_2(command: Command, api: Api, arguments: tuple[str, ...]) -> None:
    done = command.run("guard", *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: ")
    assert [] == api.requests


def test_it_waits_until_the_window_has_reset_and_reads_it_again(
    command: Command, api: Api, store: Store, home: Path, tmp_path: Path
) -> None:
    """The budget allows a request every 0.3 s in this test."""
    store.login()
    environ = environ_with_short_floor(home, tmp_path, SHORT_WAITS)
    resets: list[datetime] = []

    def answer() -> Response:
        resets.append(utc_now() + timedelta(seconds=3))
        used_up = {"utilization": 98.0, "resets_at": resets[0].isoformat()}
        new = {"utilization": 2.0, "resets_at": None}
        limit = used_up if utc_now() < resets[0] else new
        return Response(as_bytes({"five_hour": limit}), mimetype="application/json")

    api.answer_with(answer)
    done = command.run("guard", "--wait", "1h", environ=environ)
    assert (0, "ok: 5-hour 98 % left\n") == (done.returncode, done.stdout)
    assert re.match(r"waiting until \d\d:\d\d \(\ds\): not enough: 5-hour 2 % left", done.stderr)
    assert utc_now() > resets[0]
    assert len(api.usage_requests) <= 4


def test_the_wait_ends_with_75_when_it_runs_out_and_with_130_on_control_c(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    api.answer(usage_body(utc_now(), five_hour=100.0))
    assert 75 == command.run("guard", "--wait", "5m").returncode
    running = subprocess.Popen(
        [PROGRAM, "guard", "--window", "five_hour", "--wait"], stderr=subprocess.PIPE
    )
    assert running.stderr is not None
    assert b"waiting until" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    assert 130 == running.wait(TIMEOUT)
    running.stderr.close()
    make_due(home)
    assert 1 == len(api.usage_requests)
