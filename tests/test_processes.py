"""Many processes of one user share one budget and one set of figures, however they end."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.store.paths import accounts_path
from claude_usage_monitor.usage.clock import utc_now
from tests.support.command import PROGRAM, TIMEOUT
from tests.support.payloads import as_bytes, payload, usage_body
from tests.support.saved import save_account
from tests.support.state import make_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def document(output: bytes | str) -> dict[str, Any]:
    (account,) = json.loads(output)["accounts"]
    result: dict[str, Any] = account
    return result


def database(home: Path) -> Path:
    return home / ".local" / "state" / "claude-usage-monitor" / "state.db"


def answer_after(api: Api, seconds: float) -> None:
    """Let the API answer after some seconds."""

    def answer() -> Response:
        time.sleep(seconds)
        return Response(as_bytes(usage_body(utc_now())), mimetype="application/json")

    api.answer_with(answer)


def has_requests(api: Api, count: int) -> bool:
    return len(api.usage_requests) >= count


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_twenty_commands_at_once_send_one_request_and_all_show_figures(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    answer_after(api, 1.0)
    running = [command.popen("--json") for _ in range(20)]
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in running]
    assert [0] * 20 == [process.returncode for process in running]
    assert {78.0} == {document(output)["windows"][0]["utilization"] for output in outputs}
    assert 1 == len({document(output)["as_of"] for output in outputs})
    assert 1 == len(api.usage_requests)


def test_a_problem_holds_for_every_process(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "600"})
    for _ in range(5):
        done = command.run("--json")
        assert (4, "rate_limited") == (done.returncode, document(done.stdout)["problem"]["code"])
    assert 1 == len(api.usage_requests)


def test_ten_commands_in_a_row_send_one_request(command: Command, api: Api, store: Store) -> None:
    store.login()
    for number in range(10):
        assert 0 == command.run(("--json", "--once")[number % 2]).returncode
    assert 1 == len(api.usage_requests)


def test_panes_show_what_other_processes_read(command: Command, api: Api, store: Store) -> None:
    """Both show the result of one request, and the figures of the status line."""
    store.login()
    panes = [command.open(), command.open()]
    for pane in panes:
        pane.wait_for("78 %")
    assert 1 == len(api.usage_requests)
    resets_at = int(time.time() + 131 * 60)
    limits = {"five_hour": {"used_percentage": 81, "resets_at": resets_at}}
    command.run("statusline", stdin=as_bytes({"rate_limits": limits}))
    for pane in panes:
        pane.wait_for("81 %")


def test_a_second_process_sends_the_request_when_the_first_is_killed(
    api: Api, store: Store
) -> None:
    store.login()
    answer_after(api, 1.0)
    first = subprocess.Popen([PROGRAM, "--json"], stdout=subprocess.DEVNULL)
    while not api.usage_requests:
        time.sleep(0.01)
    second = subprocess.Popen([PROGRAM, "--json"], stdout=subprocess.PIPE)
    time.sleep(0.4)
    first.kill()
    first.wait()
    output, _ = second.communicate(timeout=TIMEOUT)
    assert 78.0 == document(output)["windows"][0]["utilization"]
    assert 2 == len(api.usage_requests)


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_time_damages_nothing(
    command: Command, api: Api, store: Store, home: Path, seed: int
) -> None:
    """A short version of the one in ``tests/endurance``."""
    store.login()
    kill_at_random(api, home, random.Random(seed), runs=5)  # noqa: S311 - no secret
    done = command.run("--json")
    assert done.returncode in (0, 4), done.stderr


def kill_at_random(api: Api, home: Path, random_source: random.Random, runs: int) -> None:
    """Start the command and kill it at a random time, again and again; the file stays intact."""
    shown: str | None = None
    for _ in range(runs):
        process = subprocess.Popen([PROGRAM, "--json"], stdout=subprocess.PIPE)
        time.sleep(random_source.uniform(0.0, 0.6))
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        if output.endswith(b"}\n") and document(output)["as_of"]:
            as_of = document(output)["as_of"]
            assert shown is None or as_of >= shown
            shown = as_of
        if database(home).exists():
            with sqlite3.connect(database(home)) as state:
                assert [("ok",)] == state.execute("PRAGMA integrity_check").fetchall()
            state.close()
    assert len(api.usage_requests) <= 20


def test_a_used_up_hour_without_figures_is_a_problem_with_an_end(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    command.run("--json", environ={"CLAUDE_USAGE_MONITOR_API_URL": "http://127.0.0.1:9"})
    now = int(time.time() * 1000)
    with sqlite3.connect(database(home)) as ledger:
        (account,) = ledger.execute("SELECT account FROM request").fetchone()
        ledger.execute("DELETE FROM gate")
        for _ in range(20):
            ledger.execute(
                "INSERT INTO request (fingerprint, account, asked_at, answered, process)"
                " VALUES ('x', ?, ?, 1, '')",
                (account, now),
            )
    ledger.close()
    done = command.run("--json")
    assert (4, "rate_limited") == (done.returncode, document(done.stdout)["problem"]["code"])
    assert "The request budget is used up. Next request " in done.stderr
    assert [] == api.usage_requests


def test_a_locked_database_does_not_delay_the_status_line(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    command.run("--json")
    other = sqlite3.connect(database(home), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    limits = {"five_hour": {"used_percentage": 99, "resets_at": int(time.time() + 7860)}}
    began = time.monotonic()
    done = command.run("statusline", stdin=as_bytes({"rate_limits": limits}))
    assert time.monotonic() - began < 5
    assert "99%" in done.stdout
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize(
    "environ", [{"HOME": ""}, {"HOME": "relative"}, {"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x"}]
)
def test_without_a_home_no_file_is_created_in_the_current_folder(
    api: Api, tmp_path: Path, environ: dict[str, str]
) -> None:
    where = tmp_path / "here"
    where.mkdir()
    subprocess.run(
        [PROGRAM, "--json"],
        cwd=where,
        env={**os.environ, **environ, "CLAUDE_CODE_OAUTH_TOKEN": "token"},
        capture_output=True,
        check=False,
    )
    assert [] == list(where.iterdir())


@pytest.mark.parametrize("damage", [b"", b"garbage" * 999])
def test_a_damaged_state_loses_only_the_history(
    command: Command, api: Api, store: Store, home: Path, damage: bytes
) -> None:
    store.login()
    command.run("--json")
    for path in database(home).parent.iterdir():
        path.write_bytes(damage)
    done = command.run("--json")
    assert 0 == done.returncode
    assert 78.0 == document(done.stdout)["windows"][0]["utilization"]


def test_processes_share_the_budget_where_our_folder_cannot_be_used(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    for _ in range(4):
        done = command.run("--json", environ={"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x"})
        assert 0 == done.returncode
        assert "cannot be used" in done.stderr
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("newest", "as_of = 'text'"),
        ("newest", "as_of = 1e18"),
        ("newest", "utilization = 'text'"),
        ("newest", "resets_at = 'text'"),
        ("complete", "money = 'not json'"),
        ("complete", "money = '{}'"),
        ("identity", "profile = '[]'"),
        ("identity", """profile = '{"later": 1}'"""),
        ("gate", "next_at = 'text'"),
        ("gate", "clock_ahead = 1e300"),
        ("gate", "code = 'x'"),
        ("login", "since = 'text'"),
    ],
)
def test_odd_rows_cause_no_traceback(
    command: Command, api: Api, store: Store, home: Path, table: str, change: str
) -> None:
    store.login()
    api.answer_profile({"account": {"uuid": "uuid-of-ada"}})
    command.run("--json")
    with sqlite3.connect(database(home)) as state:
        state.execute(f"UPDATE {table} SET {change}")
    state.close()
    for arguments in (("--json",), ("--once",), ("doctor",), ("statusline",)):
        done = command.run(*arguments, stdin=b"{}")
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1, 4), (arguments, done.stdout, done.stderr)
    assert len(api.usage_requests) <= 2


@pytest.mark.parametrize("damage", ["deleted", "emptied"])
def test_a_list_of_accounts_that_is_lost_is_restored_and_a_message_says_so(
    command: Command, damage: str
) -> None:
    tokens = {"accessToken": "access", "refreshToken": "refresh", "expiresAt": 4102444800000}
    for name in ("Work", "Private"):
        save_account({"claudeAiOauth": tokens}, name)
    before = command.run("accounts", "list", "--json")
    path = Path(accounts_path(os.environ))
    path.write_bytes(b"")
    if damage == "deleted":
        path.unlink()
    done = command.run("accounts", "list", "--json")
    assert before.stdout == done.stdout
    assert f"{path} was missing or empty: the accounts were restored" in done.stderr
    path.with_name("accounts-backup.json").unlink()
    path.unlink()
    done = command.run("accounts", "list")
    assert 1 == done.returncode
    assert "secrets.json has the logins of 2 accounts" in done.stderr


@pytest.mark.parametrize("name", ["state.db", "accounts.db"])
@pytest.mark.parametrize("problem", ["fifo", "writable by others"])
def test_a_file_of_ours_that_is_not_safe_is_named_and_not_used(
    command: Command, api: Api, store: Store, home: Path, name: str, problem: str
) -> None:
    """Opening a FIFO would wait forever for a process that writes to it."""
    store.login()
    path = database(home).with_name(name)
    path.parent.mkdir(parents=True)
    if problem == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.touch()
        path.chmod(0o666)
    done = command.run("--json")
    assert 0 == done.returncode
    assert str(path) in done.stderr
    assert ("not a regular file" if problem == "fifo" else f"chmod go-w '{path}'") in done.stderr
    assert 1 == len(api.usage_requests)


def test_fifty_bars_prompts_and_scrapers_send_one_request_each_time_it_is_due(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    """Thirty commands at once and twenty streams."""
    store.login()
    names = ("plain", "tmux", "waybar", "prometheus", "{five_hour.utilization}")
    streams = [command.popen("--format", names[n % 5], "--follow") for n in range(20)]
    for requests, commands in ((1, 30), (2, 10)):
        running = [command.popen("--format", names[n % 5]) for n in range(commands)]
        outputs = [process.communicate(timeout=TIMEOUT)[0] for process in running]
        assert {0} == {process.returncode for process in running}
        assert all(b"78" in output or b"0.78" in output for output in outputs)
        wait_until(partial(has_requests, api, requests))
        assert requests == len(api.usage_requests)
        make_due(home)
    for stream in streams:
        assert stream.stdout is not None
        assert stream.stdout.readline()
        assert stream.poll() is None
