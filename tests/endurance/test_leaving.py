"""Every way of leaving, in every command, before, during and after the refresh of a login."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.monitor.login.test_leaving import (
    INTERRUPT,
    PATIENCE,
    SAVING,
    SIGNALS,
    Running,
    SlowServer,
    SlowStore,
    assert_saved,
    close_window,
    press_q,
    sends,
    wait_until,
)
from tests.support.command import RESTORED, environ_running
from tests.support.saved import refresh_token, registry, save_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.command import Command, Terminal

# Holds each lock that the command waits for, and creates a file before the command waits.
HELD_LOCKS = """
import pathlib
from filelock import FileLock
import claude_usage_monitor.store.locks as locks
locked, held = locks.locked, {{}}
def announced(path, *arguments):
    if path not in held:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        held[path] = FileLock(path, mode=0o600)
        held[path].acquire()
    pathlib.Path({waits!r}).touch()
    return locked(path, *arguments)
locks.locked = announced
"""


def press_ctrl_c(terminal: Terminal) -> None:
    terminal.type("\x03")


COMMANDS = {
    "json": ("--json", "--account", "work"),
    "all": ("--json", "--all-accounts"),
    "once": ("--once", "--account", "work"),
    "add": ("accounts", "add", "work", "--credentials-file", "-"),
    "replace": ("accounts", "add", "work", "--credentials-file", "-", "--replace"),
}
every_command = pytest.mark.parametrize("name", COMMANDS)
every_signal = pytest.mark.parametrize("number", SIGNALS)
once_to_three_times = pytest.mark.parametrize("times", [1, 2, 3])
WAYS: dict[str, tuple[Callable[[Terminal], None], int]] = {
    "q": (press_q, 0),
    "Ctrl+C": (press_ctrl_c, 0),
    "closed": (close_window, 129),
    **{
        number.name: (sends(number), 0 if number == INTERRUPT else 128 + number)
        for number in SIGNALS
    },
}
every_moment = pytest.mark.parametrize("moment", ["before", "during", "after"])
MAX_SECONDS_TO_RESTORE = 0.2  # until live mode has given the terminal back
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowServer]:
    with SlowServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running
        running.released.set()


@pytest.fixture
def credentials(server: SlowServer) -> dict[str, object]:
    return server.issue("work", expires_in=-60)


def prepare(server: SlowServer, name: str, credentials: dict[str, object]) -> str:
    """Save the account that a command expects; return what to write to its standard input."""
    if name == "replace":
        save_account(server.issue("work"), "work")
    elif name != "add":
        save_account(credentials, "work")
        return ""
    return json.dumps(credentials)


def start(
    server: SlowServer,
    command: Command,
    name: str,
    credentials: dict[str, object],
    environ: dict[str, str] | None = None,
) -> Running:
    content = prepare(server, name, credentials)
    running = Running(command, *COMMANDS[name], environ=environ)
    running.type(content)
    return running


def environ_with_held_locks(folder: Path) -> dict[str, str]:
    """Return an environment in which each lock that a command waits for is held.

    It creates the file ``waits`` in ``folder`` before it waits.
    """
    return environ_running(folder, HELD_LOCKS.format(waits=str(folder / "waits")))


@every_command
@every_signal
@once_to_three_times
def test_before_the_request_nothing_is_sent(
    server: SlowServer,
    command: Command,
    credentials: dict[str, object],
    tmp_path: Path,
    name: str,
    number: signal.Signals,
    times: int,
) -> None:
    running = start(server, command, name, credentials, environ_with_held_locks(tmp_path))
    wait_until((tmp_path / "waits").exists)
    for _ in range(times):
        running.send(number)
    assert 128 + number == running.wait()
    assert [] == server.requests
    for saved in registry().services.accounts.all():
        assert server.accepts(refresh_token(saved))


@every_command
@every_signal
@once_to_three_times
def test_during_the_request_its_response_is_stored(
    server: SlowServer,
    command: Command,
    credentials: dict[str, object],
    name: str,
    number: signal.Signals,
    times: int,
) -> None:
    running = start(server, command, name, credentials)
    assert server.spent.wait(PATIENCE)
    running.leave(number, times)
    server.released.set()
    assert 128 + number == running.exit_code()
    assert_saved(server)


@every_command
@every_signal
@once_to_three_times
def test_after_the_response_it_is_stored(
    server: SlowServer,
    command: Command,
    credentials: dict[str, object],
    tmp_path: Path,
    name: str,
    number: signal.Signals,
    times: int,
) -> None:
    server.released.set()
    store = SlowStore(tmp_path)
    running = start(server, command, name, credentials, store.environ)
    store.wait_for_response()
    running.leave(number, times)
    store.release()
    assert 128 + number == running.exit_code()
    assert_saved(server)


def seconds_without_processor(terminal: Terminal) -> float:
    """Return how long the command and this test had to wait for a processor so far."""
    waits = [Path(f"/proc/{pid}/schedstat") for pid in ("self", terminal.pid)]
    return sum(int(wait.read_text().split()[1]) for wait in waits if wait.exists()) / 1e9


@every_way
@once_to_three_times
@every_moment
def test_live_mode_loses_no_login(
    server: SlowServer,
    credentials: dict[str, object],
    command: Command,
    tmp_path: Path,
    way: str,
    times: int,
    moment: str,
) -> None:
    leave, code = WAYS[way]
    save_account(credentials, "work")
    store = SlowStore(tmp_path)
    if moment == "before":
        environ = environ_with_held_locks(tmp_path)
        terminal = command.open("--account", "work", environ=environ)
        wait_until((tmp_path / "waits").exists)
        terminal.wait_for("work")
        for _ in range(times):
            leave(terminal)
        assert code == terminal.wait_for_exit()
        assert [] == server.requests
        return
    if moment == "after":
        server.released.set()
    terminal = command.open("--account", "work", environ=store.environ)
    terminal.wait_for("work")
    wait_until(server.spent.is_set)
    if moment == "after":
        store.wait_for_response()
    began = time.monotonic() - seconds_without_processor(terminal)
    leave(terminal)
    if not terminal.closed:
        terminal.wait_for(lambda: RESTORED == terminal.state)
        ended = time.monotonic() - seconds_without_processor(terminal)
        assert ended - began <= MAX_SECONDS_TO_RESTORE
        terminal.wait_for(SAVING)
        for _ in range(times - 1):
            leave(terminal)
    assert None is terminal.exit_code
    server.released.set()
    store.release()
    assert code == terminal.wait_for_exit()
    assert terminal.closed or RESTORED == terminal.state
    assert_saved(server)


def close_and_hang_up(terminal: Terminal) -> None:
    """Close the terminal; the next time, send the signal that closing it sends."""
    if terminal.closed:
        terminal.kill(signal.SIGHUP)
    terminal.close()


def open_in_terminal(
    command: Command, name: str, content: str, environ: dict[str, str]
) -> Terminal:
    """Start a command that ends by itself in a terminal; its input comes from a pipe."""
    reading, writing = os.pipe()
    os.write(writing, content.encode())
    os.close(writing)
    terminal = command.open(*COMMANDS[name], environ=environ, stdin=reading)
    os.close(reading)
    return terminal


@every_command
@once_to_three_times
@every_moment
@pytest.mark.parametrize(("leave", "code"), [(press_ctrl_c, 130), (close_and_hang_up, 129)])
def test_in_a_terminal_no_login_is_lost(
    server: SlowServer,
    credentials: dict[str, object],
    command: Command,
    tmp_path: Path,
    name: str,
    times: int,
    moment: str,
    leave: Callable[[Terminal], None],
    code: int,
) -> None:
    content = prepare(server, name, credentials)
    if moment == "before":
        terminal = open_in_terminal(command, name, content, environ_with_held_locks(tmp_path))
        wait_until((tmp_path / "waits").exists)
        for _ in range(times):
            leave(terminal)
        assert code == terminal.wait_for_exit()
        assert [] == server.requests
        return
    if moment == "after":
        server.released.set()
    store = SlowStore(tmp_path)
    terminal = open_in_terminal(command, name, content, store.environ)
    wait_until(server.spent.is_set)
    if moment == "after":
        store.wait_for_response()
    for _ in range(times):
        leave(terminal)
    server.released.set()
    store.wait_for_signal()
    store.release()
    assert code == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert_saved(server)
