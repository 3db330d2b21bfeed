"""Leaving while a login is being refreshed: no signal, key or closed terminal loses it."""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.command import RESTORED, environ_running
from tests.support.saved import refresh_token, registry, save_account
from tests.support.token_server import TokenServer, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.command import Command, Terminal
    from tests.support.token_server import Fault, RecordedRequest

PATIENCE = 60.0
INTERRUPT, TERMINATE = signal.SIGINT, signal.SIGTERM
HANG_UP, QUIT = signal.SIGHUP, signal.SIGQUIT
SIGNALS = (INTERRUPT, TERMINATE, HANG_UP, QUIT)
SAVING = "Saving the renewed login of work… (up to 30 s)"

# Stores a refreshed login only once a file is there; creates another one when the process ends.
SLOW_STORE = """
import pathlib, time
from claude_usage_monitor.monitor.login.shutdown import shutting_down
from claude_usage_monitor.monitor.login.stored import CredentialStore
store = CredentialStore.store_refreshed
def store_refreshed(*arguments):
    pathlib.Path({arrived!r}).touch()
    while not pathlib.Path({released!r}).exists():
        if shutting_down.is_set():
            pathlib.Path({leaving!r}).touch()
        time.sleep(0.01)
    return store(*arguments)
CredentialStore.store_refreshed = store_refreshed
"""


# Creates a file before a lock is waited for.
LOCKS = """
import pathlib
import claude_usage_monitor.store.locks as locks
locked = locks.locked
def announced(*arguments):
    pathlib.Path({waits!r}).touch()
    return locked(*arguments)
locks.locked = announced
"""


class SlowServer(TokenServer):
    """A token server that spends a refresh token at once, and responds when it is released.

    It also delays the response with a fault.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spent, self.released = threading.Event(), threading.Event()
        self.after_rotation = self._hold_response

    def fault_for(self, document: Mapping[str, str]) -> Fault | None:
        fault = super().fault_for(document)
        if fault is not None:
            self._hold_response()
        return fault

    def _hold_response(self, _request: RecordedRequest | None = None) -> None:
        self.spent.set()
        assert self.released.wait(PATIENCE)


class SlowStore:
    """A store that takes the response at once, and stores it when it is released."""

    def __init__(self, folder: Path) -> None:
        self._arrived, self._leaving = folder / "arrived", folder / "leaving"
        self._released = folder / "released"
        code = SLOW_STORE.format(
            arrived=str(self._arrived), leaving=str(self._leaving), released=str(self._released)
        )
        self.environ = environ_running(folder, code)

    def wait_for_response(self) -> None:
        wait_until(self._arrived.exists)

    def wait_for_signal(self) -> None:
        """Wait until the command has a response to store and has handled a signal."""
        wait_until(self._leaving.exists)

    def release(self) -> None:
        self._released.touch()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowServer]:
    with SlowServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running
        running.released.set()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def add_expired(server: TokenServer) -> None:
    save_account(server.issue("work", expires_in=-60), "work")


def assert_saved(server: TokenServer) -> None:
    """Check that the login is stored, and that nothing was sent after the refresh."""
    (saved,) = registry().services.accounts.all()
    assert server.accepts(refresh_token(saved))
    assert 1 == len(server.requests), server.requests


# --- commands that end by themselves -------------------------------------------------------------


class Running:
    """A command; a test reads its standard error line by line."""

    def __init__(
        self, command: Command, *arguments: str, environ: dict[str, str] | None = None
    ) -> None:
        self._started = command.start(*arguments, environ=environ)
        self.rest = ""  # what it wrote last

    def type(self, text: str) -> None:
        """Write to its standard input, and close that."""
        self._started.stdin.write(text)
        self._started.stdin.close()

    def leave(self, number: signal.Signals, times: int) -> None:
        """Send a signal, and again and again once the command says why it has not ended."""
        self.send(number)
        self.wait_for_line(SAVING)
        for _ in range(times - 1):
            self.send(number)

    def wait_for_line(self, expected: str) -> None:
        for line in self._started.stderr:
            assert "Traceback" not in line
            if line.rstrip("\n") == expected:
                return
        raise AssertionError(f"never written: {expected}")

    def send(self, number: signal.Signals) -> None:
        self._started.kill(number)

    @property
    def runs(self) -> bool:
        return self._started.runs

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        code, _, errors = self._started.wait()
        assert "Traceback" not in errors
        self.rest = errors
        return code

    def exit_code(self) -> int:
        """Wait for the end; nothing more is written to standard error."""
        code = self.wait()
        assert "" == self.rest
        return code


def add_from_input(command: Command, environ: dict[str, str] | None = None) -> Running:
    """Start `accounts add` with a login that has expired."""
    return Running(command, "accounts", "add", "work", "--credentials-file", "-", environ=environ)


@pytest.mark.parametrize(
    ("arguments", "number", "times"),
    [
        (("--json", "--account", "work"), INTERRUPT, 3),
        (("--json", "--account", "work"), TERMINATE, 1),
        (("--json", "--all-accounts"), HANG_UP, 2),
        (("--once", "--account", "work"), QUIT, 3),
        (("--once", "--account", "work"), INTERRUPT, 2),
    ],
)
def test_a_command_stores_a_refreshed_login_before_it_ends(
    server: SlowServer,
    command: Command,
    arguments: tuple[str, ...],
    number: signal.Signals,
    times: int,
) -> None:
    add_expired(server)
    running = Running(command, *arguments)
    assert server.spent.wait(PATIENCE)
    running.leave(number, times)
    assert running.runs
    server.released.set()
    assert 128 + number == running.exit_code()
    assert_saved(server)


@pytest.mark.parametrize(("number", "times"), [(each, each % 3 + 1) for each in SIGNALS])
def test_adding_an_expired_login_stores_the_refreshed_one_before_it_ends(
    server: SlowServer, command: Command, number: signal.Signals, times: int
) -> None:
    running = add_from_input(command)
    running.type(json.dumps(server.issue("work", expires_in=-60)))
    assert server.spent.wait(PATIENCE)
    running.leave(number, times)
    server.released.set()
    assert 128 + number == running.exit_code()
    assert_saved(server)


def test_a_login_that_a_revoked_one_replaced_is_restored_before_the_command_ends(
    server: SlowServer, command: Command
) -> None:
    valid = server.issue("work")
    saved = save_account(valid, "work")
    server.script(refused(400, {"error": "invalid_grant"}))
    running = Running(command, "accounts", "add", "work", "--replace", "--credentials-file", "-")
    running.type(json.dumps(server.issue("work", expires_in=-60)))
    assert server.spent.wait(PATIENCE)
    running.leave(INTERRUPT, 3)
    server.released.set()
    assert 130 == running.exit_code()
    assert server.accepts(refresh_token(saved))
    assert server.family_of(valid) == server.family_of(refresh_token(saved))


@pytest.mark.parametrize("adds", [False, True])
def test_a_response_that_has_arrived_is_stored_before_the_command_ends(
    server: SlowServer, command: Command, tmp_path: Path, adds: bool
) -> None:
    server.released.set()
    store = SlowStore(tmp_path)
    if adds:
        running = add_from_input(command, store.environ)
        running.type(json.dumps(server.issue("work", expires_in=-60)))
    else:
        add_expired(server)
        running = Running(command, "--json", "--account", "work", environ=store.environ)
    store.wait_for_response()
    running.leave(INTERRUPT, 3)
    store.release()
    assert 130 == running.exit_code()
    assert_saved(server)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_waits_for_another_process_sends_nothing_any_more(
    server: SlowServer, command: Command, number: signal.Signals, tmp_path: Path
) -> None:
    add_expired(server)
    first = Running(command, "--json", "--account", "work")
    assert server.spent.wait(PATIENCE)
    waits = tmp_path / "waits"
    second = Running(
        command,
        "--json",
        "--account",
        "work",
        environ=environ_running(tmp_path, LOCKS.format(waits=str(waits))),
    )
    wait_until(waits.exists)
    second.send(number)
    assert 128 + number == second.wait()  # on a busy machine, it says that it lingers
    server.released.set()
    assert 0 == first.exit_code()
    assert server.accepts(refresh_token(registry().services.accounts.all()[0]))
    assert 1 == len(server.refreshes)


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "list", "--json"),
        ("accounts", "use", "work"),
        ("accounts", "rename", "work", "job"),
        ("doctor",),
        ("doctor", "--online"),
        ("statusline",),
    ],
    ids=" ".join,
)
def test_no_other_command_refreshes_a_login(
    server: SlowServer, command: Command, arguments: tuple[str, ...]
) -> None:
    """So there is nothing to lose when one of these is left."""
    add_expired(server)
    command.run(*arguments, stdin=b"{}")
    assert [] == server.refreshes


# --- live mode -----------------------------------------------------------------------------------


def close_window(terminal: Terminal) -> None:
    terminal.close()


def press_q(terminal: Terminal) -> None:
    terminal.type("q")


def sends(number: signal.Signals) -> Callable[[Terminal], None]:
    def send(terminal: Terminal) -> None:
        terminal.kill(number)

    return send


WAYS: list[tuple[Callable[[Terminal], None], int, int]] = [
    (press_q, 1, 0),
    (sends(INTERRUPT), 3, 0),
    (sends(TERMINATE), 1, 143),
    (sends(HANG_UP), 2, 129),
    (sends(QUIT), 3, 131),
]


@pytest.mark.parametrize(("leave", "times", "code"), WAYS, ids=["q", "INT", "TERM", "HUP", "QUIT"])
def test_live_mode_gives_the_terminal_back_and_then_stores_the_refreshed_login(
    server: SlowServer,
    command: Command,
    leave: Callable[[Terminal], None],
    times: int,
    code: int,
) -> None:
    add_expired(server)
    terminal = command.open("--account", "work")
    assert server.spent.wait(PATIENCE)
    terminal.wait_for("work")
    leave(terminal)
    terminal.wait_for(SAVING)
    assert RESTORED == terminal.state
    for _ in range(times - 1):
        leave(terminal)
    assert None is terminal.exit_code
    server.released.set()
    assert code == terminal.wait_for_exit()
    assert RESTORED == terminal.state
    assert_saved(server)


def test_live_mode_stores_the_refreshed_login_although_its_terminal_was_closed(
    server: SlowServer, command: Command
) -> None:
    add_expired(server)
    terminal = command.open("--account", "work")
    assert server.spent.wait(PATIENCE)
    terminal.wait_for("work")
    terminal.close()
    with pytest.raises(AssertionError):
        terminal.wait_for_exit(timeout=0.2)
    server.released.set()
    assert 129 == terminal.wait_for_exit()
    assert_saved(server)


def test_live_mode_stores_the_refreshed_login_although_its_terminal_accepts_no_output(
    server: SlowServer, command: Command
) -> None:
    """As after Ctrl+S, which holds up every write."""
    add_expired(server)
    terminal = command.open("--account", "work")
    assert server.spent.wait(PATIENCE)
    terminal.wait_for("work")
    terminal.type("\x13")
    terminal.resize(90, 30)
    terminal.read_for(0.2)
    for _ in range(3):
        terminal.kill(TERMINATE)
        terminal.read_for(0.2)
        assert None is terminal.exit_code
    server.released.set()
    assert 143 == terminal.wait_for_exit()
    assert_saved(server)
