"""The installed command: run to its end, or kept in a real terminal that pyte reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROGRAM = str(Path(sys.executable).with_name("claude-usage-monitor"))
PATIENCE = 20.0  # seconds; a bound for a busy machine, not an expectation


class Terminal:
    """The command in a pseudo terminal of its own, its screen as a person would see it."""

    def __init__(
        self, arguments: tuple[str, ...], columns: int, rows: int, environ: Mapping[str, str]
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = bytearray()
        self.exit_code: int | None = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:  # the child
            try:
                os.execve(PROGRAM, [PROGRAM, *arguments], {**os.environ, **environ})
            finally:
                os._exit(127)
        self.resize(columns, rows)
        self.closed = False

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as dragging its corner does."""
        packed = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, packed)
        self.screen.resize(rows, columns)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        os.kill(self.pid, number)

    @property
    def lines(self) -> list[str]:
        """The screen's lines, without the blanks at their ends."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what the command writes; returns whether it wrote anything."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.written += data
        self._stream.feed(data)
        return bool(data)

    def wait_for(self, what: str | Callable[[], bool], patience: float = PATIENCE) -> None:
        """Read until a text is on the screen, or a condition holds."""
        deadline = time.monotonic() + patience
        while not (what in self.text if isinstance(what, str) else what()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came: {what}\n{self.text}")
            self.read()

    def rest(self, seconds: float) -> bytes:
        """Read for a while; returns what was written in it."""
        before = len(self.written)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read(0.02)
        return bytes(self.written[before:])

    def wait_for_exit(self, patience: float = PATIENCE) -> int:
        """Read until the command has ended; returns its exit code, 128 + N for a signal."""
        deadline = time.monotonic() + patience
        while self.exit_code is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"did not end\n{self.text}")
            if not self.closed:
                self.read(0.005)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = code if code >= 0 else 128 - code
        while not self.closed and self.read(0.02):
            pass
        return self.exit_code

    def close(self) -> None:
        """Close the terminal, as closing its window does."""
        if not self.closed:
            os.close(self.master)
            self.closed = True

    def end(self) -> None:
        """Make sure that nothing is left behind."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        self.close()


class Command:
    """Starts the command, and ends what a test left running."""

    def __init__(self) -> None:
        self._terminals: list[Terminal] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in self._terminals:
            terminal.end()

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, its output captured as text."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, **(environ or {})},
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def open(
        self,
        *arguments: str,
        columns: int = 60,
        rows: int = 24,
        environ: Mapping[str, str] | None = None,
    ) -> Terminal:
        """Start the command in a terminal of its own."""
        terminal = Terminal(arguments, columns, rows, environ or {})
        self._terminals.append(terminal)
        return terminal
