from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.command import (
    ALTERNATE,
    NORMAL,
    PROGRAM,
    RESTORED,
    TIMEOUT,
    Terminal,
    environ_running,
)
from tests.support.saved import refresh_token, save_account
from tests.support.token_server import TokenServer, delayed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

XOFF = "\x13"  # Ctrl+S
SUSPEND = "\x1a"  # Ctrl+Z
IGNORING_HANGUP = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")


def started(command: Command, **how: object) -> Terminal:
    """Return the command once it shows figures."""
    terminal = command.open("--demo", **how)  # type: ignore[arg-type] # passed on
    terminal.wait_for("Fable")
    return terminal


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 0),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGQUIT, 131),
    ],
)
def test_a_signal_that_ends_live_mode_restores_the_terminal(
    command: Command, number: signal.Signals, code: int
) -> None:
    """Modes, cursor and screen are restored, once, and the exit code names the signal."""
    # Higher than any frame of the demo.
    terminal = started(command, rows=40, preloaded=False)
    terminal.kill(number)

    assert terminal.wait_for_exit() == code
    assert terminal.state == RESTORED
    assert terminal.lines[0][:7] == "╭─ Demo"


@pytest.mark.parametrize(
    ("number", "code", "live_code"),
    [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 143), (signal.SIGQUIT, 131, 131)],
)
@pytest.mark.parametrize("live", [False, True], ids=["--json", "live"])
def test_repeated_signals_do_not_lose_a_login_that_is_being_refreshed(
    command: Command,
    server: TokenServer,
    number: signal.Signals,
    code: int,
    live_code: int,
    live: bool,
) -> None:
    """The server has revoked the old token: only this process will ever see the new one."""
    saved = save_account(server.issue("work", expires_in=-60), "work")
    server.script(delayed(1.0))
    flags = () if live else ("--json",)
    terminal = command.open("--account", "work", *flags, columns=100, rows=100)
    terminal.wait_for(lambda: any(request.rotated for request in server.refreshes))
    for _ in range(3):
        terminal.kill(number)
        terminal.read_for(0.1)

    assert terminal.wait_for_exit() == (live_code if live else code)
    assert "Traceback" not in terminal.text
    assert server.accepts(refresh_token(saved))


def test_a_signal_that_is_ignored_stays_ignored(server: TokenServer) -> None:
    """As after ``nohup``."""
    save_account(server.issue("work", expires_in=-60), "work")
    server.script(delayed(0.5))
    process = subprocess.Popen(
        [*IGNORING_HANGUP, PROGRAM, "--json", "--account", "work"], stdout=subprocess.DEVNULL
    )
    while not any(request.rotated for request in server.refreshes):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)

    assert process.wait(TIMEOUT) == 0


def test_a_signal_restores_the_terminal_although_a_drawing_hangs(
    command: Command, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    code = f"""
import pathlib, time
import claude_usage_monitor.cli.commands.live as live
drawn = live.dashboard
def dashboard(*how):
    if pathlib.Path({str(busy)!r}).exists():
        pathlib.Path({str(busy)!r}).unlink()
        time.sleep(60)
    return drawn(*how)
live.dashboard = dashboard
"""
    terminal = started(command, environ=environ_running(tmp_path, code))
    busy.touch()
    terminal.kill(signal.SIGCONT)
    terminal.wait_for(lambda: not busy.exists())
    terminal.kill(signal.SIGTERM)

    assert terminal.wait_for_exit() == 143
    assert terminal.state == RESTORED


def test_a_signal_ends_live_mode_although_the_terminal_is_paused(command: Command) -> None:
    """After Ctrl+S, a write to the terminal blocks forever."""
    terminal = started(command)
    terminal.type(XOFF)
    terminal.read_for(0.2)  # what was drawn before
    terminal.resize(90, 30)  # starts a drawing, which blocks
    assert terminal.read_for(0.2) == b""
    terminal.kill(signal.SIGINT)

    assert terminal.wait_for_exit() == 0
    assert termios.tcgetattr(terminal.master) == terminal.modes


def test_a_signal_ends_live_mode_although_nothing_reads_the_terminal(command: Command) -> None:
    """The terminal's buffer is full, as on a stalled network connection."""
    terminal = started(command)
    fill(terminal)
    terminal.kill(signal.SIGTERM)

    assert terminal.wait_for_exit(reading=False) == 143
    assert termios.tcgetattr(terminal.master) == terminal.modes


@pytest.mark.skipif(sys.platform != "linux", reason="needs tgkill and /proc")
def test_a_signal_on_another_thread_ends_live_mode_during_a_blocked_write(
    command: Command,
) -> None:
    """The handler runs on the main thread, which the kernel does not interrupt for it."""
    terminal = started(command)
    fill(terminal)
    pid = terminal.pid
    other = next(tid for tid in map(int, os.listdir(f"/proc/{pid}/task")) if tid != pid)
    assert ctypes.CDLL(None, use_errno=True).tgkill(pid, other, signal.SIGTERM) == 0

    assert terminal.wait_for_exit(reading=False) == 143


def fill(terminal: Terminal) -> None:
    """Fill the terminal's buffer, so that the next write blocks."""
    waiting, still = -1, 0
    while still < 3:  # until resizes, which paint everything, add nothing more
        for columns in range(60, 100):
            terminal.resize(columns, 24)
            time.sleep(0.005)
        before, waiting = waiting, unread(terminal)
        still = still + 1 if waiting == before else 0


def unread(terminal: Terminal) -> int:
    """Return the number of bytes in the terminal's buffer."""
    count = fcntl.ioctl(terminal.master, termios.FIONREAD, struct.pack("i", 0))
    return int(struct.unpack("i", count)[0])


def test_ctrl_z_restores_the_terminal_for_the_shell_and_fg_repaints(command: Command) -> None:
    """In a real shell with job control."""
    shell = Terminal(
        ("sh", "-i"),
        (60, 24),
        {"PS1": "shell> ", "ENV": None, "BASH_SILENCE_DEPRECATION_WARNING": "1"},
    )
    command.track(shell)
    shell.wait_for("shell>")
    shell.type(f"{PROGRAM} --demo\n")
    shell.wait_for("Fable")

    shell.type(SUSPEND)
    shell.wait_for("Stopped")
    assert (shell.screen.alternate, shell.screen.cursor.hidden) == (False, False)
    shell.wait_for(lambda: shell.text.rstrip().endswith("shell>"))
    assert "Fable" not in shell.text
    assert termios.tcgetattr(shell.master) == shell.modes

    shell.type("fg\n")
    shell.wait_for("Fable")
    assert (shell.screen.alternate, shell.screen.cursor.hidden) == (True, True)

    shell.type("q")
    shell.wait_for(lambda: shell.text.rstrip().endswith("shell>"))
    assert (shell.screen.alternate, shell.screen.cursor.hidden) == (False, False)
    shell.type("echo code $?\n")
    shell.wait_for("code 0")


def test_ctrl_z_without_a_shell_does_not_stop_the_command(command: Command) -> None:
    """The first program of a terminal, as in ``xterm -e``, could not be continued with ``fg``."""
    terminal = started(command)
    terminal.type(SUSPEND)
    terminal.wait_for(lambda: terminal.written.count(ALTERNATE) == 2)
    terminal.wait_for("Fable")

    terminal.type("q")
    assert terminal.wait_for_exit() == 0
    assert terminal.written.count(NORMAL) == 2


def test_sigcont_after_sigstop_repaints_the_whole_screen(command: Command) -> None:
    """Another program may have written to the terminal meanwhile."""
    terminal = started(command, preloaded=False)  # the parent of a process learns of its stop
    terminal.kill(signal.SIGSTOP)
    terminal.wait_for(lambda: terminal.stopped)
    terminal.write_from_elsewhere("another program")

    terminal.repaint()

    assert "another program" not in terminal.text
    assert "Fable" in terminal.text


@pytest.mark.parametrize(
    "how",
    [{}, {"through": IGNORING_HANGUP}, {"controlling": False}],
    ids=["SIGHUP", "SIGHUP ignored", "no SIGHUP"],
)
def test_a_closed_terminal_ends_the_command(command: Command, how: dict[str, object]) -> None:
    terminal = started(command, **how)
    terminal.close()

    assert terminal.wait_for_exit() == 129


def test_a_closed_terminal_is_noticed_by_the_next_write(command: Command) -> None:
    """Without a keyboard and without a signal."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    terminal = started(command, controlling=False, stdin=nothing)
    os.close(nothing)
    terminal.close()
    terminal.kill(signal.SIGCONT)

    assert terminal.wait_for_exit() == 129
