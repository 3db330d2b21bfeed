from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.usage.clock import utc_now
from tests.support.command import PROGRAM, TIMEOUT, environ_running
from tests.support.organization import ADMIN_KEY, AdminApi, Invented
from tests.support.payloads import as_bytes, usage_body
from tests.support.saved import save_account
from tests.support.state import make_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store
    from tests.support.token_server import TokenServer

    Follow = Callable[..., "Stream"]

UTILIZATION = "{five_hour.utilization}"


OFTEN = """
import claude_usage_monitor.cli.commands.follow as follow
follow._CHECK_SECONDS, follow._UPDATE_SECONDS = 0.2, 0.5
"""


@pytest.fixture(autouse=True)
def often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams look for changes more often, so that the tests are quick."""
    folder = tmp_path / "code"
    folder.mkdir()
    for name, value in environ_running(folder, OFTEN).items():
        monkeypatch.setenv(name, value)


class Stream:
    """A running ``--follow``; a test reads its lines."""

    def __init__(self, command: Command, *arguments: str, preloaded: bool = True) -> None:
        self.process = command.popen(*arguments, "--follow", preloaded=preloaded)
        assert self.process.stdout is not None
        self.output = self.process.stdout.fileno()
        self._left = b""

    def line(self, timeout: float = TIMEOUT) -> str:
        """Return the next line; an empty string if there is none in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._left:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.output], [], [], left)[0]:
                return ""
            chunk = os.read(self.output, 1 << 16)
            assert chunk, self.process.communicate()[1].decode()
            self._left += chunk
        line, _, self._left = self._left.partition(b"\n")
        return line.decode()

    def stop_reading(self) -> None:
        """Close the pipe, as a bar does when it ends."""
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def follow(command: Command) -> Follow:
    """Return what starts a stream, which ends with the test."""
    return partial(Stream, command)


@pytest.fixture
def stored(command: Command, api: Api, store: Store) -> Api:
    """Return the API after one request; its figures are stored."""
    store.login()
    assert command.run("--json").returncode == 0
    return api


def figures(percent: float) -> bytes:
    limit = {"used_percentage": percent, "resets_at": int(time.time() + 131 * 60)}
    return as_bytes({"rate_limits": {"five_hour": limit}})


def test_it_prints_at_once_and_then_what_other_processes_store(
    command: Command, stored: Api, follow: Follow
) -> None:
    stream = follow("--format", UTILIZATION)
    assert "78" == stream.line()
    command.run("statusline", stdin=figures(81))
    assert "81" == stream.line()
    assert 1 == len(stored.usage_requests)


def test_it_prints_nothing_while_nothing_changes(
    command: Command, stored: Api, follow: Follow
) -> None:
    text, document = follow("--format", UTILIZATION), follow("--json")
    assert ["78", "{"] == [text.line(), document.line()[:1]]
    assert ["", ""] == [text.line(1.0), document.line(1.0)]


def test_json_is_one_document_a_line(command: Command, stored: Api, follow: Follow) -> None:
    stream = follow("--json")
    before = json.loads(stream.line())
    command.run("statusline", stdin=figures(81))
    after = json.loads(stream.line())
    shown = [each["accounts"][0]["windows"][0]["utilization"] for each in (before, after)]
    assert [78.0, 81.0] == shown


def test_it_ends_when_its_reader_does_without_waiting_for_something_to_write(
    stored: Api, follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name never changes, so no write can fail; and the next look is a minute away."""
    late = OFTEN.replace("0.2, 0.5", "60, 60")
    monkeypatch.setenv("PYTHONPATH", environ_running(tmp_path, late)["PYTHONPATH"])
    stream = follow("--format", "{name}")
    assert "claude-code" == stream.line()
    stream.stop_reading()
    stream.process.wait(TIMEOUT)


def test_it_ends_when_the_other_end_of_a_socket_does(stored: Api) -> None:
    """tmux gives its commands a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = [PROGRAM, "--format", "{name}", "--follow"]
        process = subprocess.Popen(arguments, stdout=theirs.fileno())
        theirs.close()
        assert b"claude-code\n" == ours.recv(100)
        ours.close()
        process.wait(TIMEOUT)


def test_a_due_request_is_sent_by_a_child_and_the_stream_stays_small(
    stored: Api, home: Path, follow: Follow
) -> None:
    make_due(home)
    stored.answer(usage_body(utc_now(), five_hour=81.0))
    stream = follow("--format", UTILIZATION, preloaded=False)
    assert ["78", "81"] == [stream.line(), stream.line()]
    assert 2 == len(stored.usage_requests)
    mapped = Path(f"/proc/{stream.process.pid}/maps").read_text()
    assert "_sqlite3" in mapped
    assert not [library for library in ("libssl", "_ssl", "libcrypto") if library in mapped]


def test_a_renamed_organization_has_its_new_name(
    command: Command, admin_server: HTTPServer, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = AdminApi(admin_server, Invented.of_size(utc_now(), users=2))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", api.url)
    added = command.run("accounts", "add", "Org", "--admin-key", stdin=f"{ADMIN_KEY}\n".encode())
    assert added.returncode == 0
    assert command.run("--account", "Org", "--json").returncode == 0
    stream = follow("--account", "Org", "--format", "{name}: {credential_origin}")
    assert "Org: the saved account Org" == stream.line()
    command.run("accounts", "rename", "Org", "Acme")
    assert "Acme: the saved account Acme" == stream.line()


@pytest.mark.parametrize(("name", "new_name"), [("Work", "Job"), ("-x", "-x")])
def test_a_due_request_is_for_the_account_with_its_current_name(
    command: Command, server: TokenServer, home: Path, follow: Follow, name: str, new_name: str
) -> None:
    save_account(server.issue("Work"), name)
    assert command.run(f"--account={name}", "--json").returncode == 0
    stream = follow(f"--account={name}", "--format", f"{{name}} {UTILIZATION}")
    assert f"{name} 78" == stream.line()
    if new_name != name:
        assert command.run("accounts", "rename", name, new_name).returncode == 0
        assert f"{new_name} 78" == stream.line()
    server.figures["Work"] = 81.0
    make_due(home)
    assert f"{new_name} 81" == stream.line()


def test_without_a_login_it_says_so_and_follows_the_login(
    api: Api, store: Store, follow: Follow
) -> None:
    stream = follow("--format", f"{UTILIZATION} {{problem.code}}")
    assert "— no_credentials" == stream.line()
    store.login()
    lines = [stream.line(), stream.line()]
    assert ["— —", "78 —"] == lines
    assert 1 == len(api.usage_requests)


def test_a_file_is_replaced_when_the_figures_change(
    command: Command, stored: Api, follow: Follow, tmp_path: Path
) -> None:
    file = tmp_path / "line"
    stream = follow("--format", UTILIZATION, "--output", str(file))
    for percent in (78, 81):
        deadline = time.monotonic() + TIMEOUT
        while not (file.exists() and file.read_text() == f"{percent}\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        command.run("statusline", stdin=figures(81))
    assert "" == stream.line(0)
    assert [file.name] == [each.name for each in tmp_path.iterdir() if each.is_file()]


def test_a_file_for_xbar_has_no_separator_after_a_change(
    command: Command, stored: Api, follow: Follow, tmp_path: Path
) -> None:
    file = tmp_path / "menu"
    follow("--format", "xbar", "--output", str(file))
    for percent in (78, 81):
        deadline = time.monotonic() + TIMEOUT
        while not (file.exists() and f"{percent}%" in file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "~~~" not in file.read_text()
        command.run("statusline", stdin=figures(81))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(stored: Api, follow: Follow, number: signal.Signals) -> None:
    stream = follow("--format", "tmux")
    stream.line()
    stream.process.send_signal(number)
    assert 128 + number == stream.process.wait(TIMEOUT)
    assert b"" == stream.process.communicate()[1]


def test_the_demo_moves_without_files(follow: Follow, home: Path) -> None:
    stream = follow("--demo", "--format", "xbar")
    assert "▸" in stream.line()
    lines = [stream.line()]
    while lines[-1] != "~~~":  # a new block, by which SwiftBar replaces the menu
        lines.append(stream.line())
        assert lines[-1]
    assert [] == list(home.iterdir())
