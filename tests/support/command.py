"""The installed command: run to its end, or open in a pseudo terminal that pyte interprets."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyte
from wcwidth import wcwidth

from tests.support.preloaded import PreloadedCommand, PreloadedProcess, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM = str(Path(sys.executable).with_name("claude-usage-monitor"))
Process = subprocess.Popen[bytes] | PreloadedProcess
_PIPE = subprocess.PIPE
TIMEOUT = 90.0  # seconds until a command hangs; a busy machine may be slow

CURSOR_SHOWN = b"\x1b[?25h"
CLEARED = b"\x1b[2J"
ALTERNATE = b"\x1b[?1049h"
NORMAL = b"\x1b[?1049l"

# `Terminal.state` after a command that restored the terminal once.
RESTORED = {
    "modes as before": True,
    "cursor hidden": False,
    "alternate screen": False,
    "cursor shown": 1,
    "left the alternate screen": 1,
}

# Makes the terminal on standard output the controlling terminal, then becomes the command.
_WITH_CONTROLLING_TERMINAL = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(1, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
_WITHOUT_CONTROLLING_TERMINAL = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


@cache
def _is_one_cell(letter: str) -> bool:
    return bool(wcwidth(letter) == 1)


@cache
def _cell(attributes: pyte.screens.Char, letter: str) -> pyte.screens.Char:
    return attributes._replace(data=letter)


class _Screen(pyte.Screen):
    """A screen and the alternate screen, which pyte lacks."""

    _ALTERNATE = 1049

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self._normal: tuple[Any, Any] | None = None

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._normal is not None

    @property
    def display(self) -> list[str]:
        """The lines. pyte's own measures every letter; a wide one is followed by an empty cell."""
        columns = range(self.columns)
        rows = (self.buffer[y] for y in range(self.lines))
        return ["".join([row[x].data for x in columns]) for row in rows]

    def draw(self, data: str) -> None:
        """Draw letters; those that are one cell wide, in half of pyte's time."""
        cursor = self.cursor
        if (
            cursor.x + len(data) > self.columns
            or pyte.modes.IRM in self.mode
            or not all(map(_is_one_cell, data))
        ):
            super().draw(data)
            return
        line, attributes = self.buffer[cursor.y], cursor.attrs
        for x, letter in enumerate(data, cursor.x):
            line[x] = _cell(attributes, letter)
        cursor.x += len(data)
        self.dirty.add(cursor.y)

    def set_mode(self, *modes: int, **how: Any) -> None:
        super().set_mode(*modes, **how)
        if self._ALTERNATE in modes and not self.alternate:
            self._normal = copy.copy(self.buffer), copy.copy(self.cursor)
            self.buffer.clear()

    def reset_mode(self, *modes: int, **how: Any) -> None:
        super().reset_mode(*modes, **how)
        if self._ALTERNATE in modes and self._normal is not None:
            buffer, cursor = self._normal
            self._normal = None
            self.buffer.clear()
            self.buffer.update(buffer)
            self.cursor.x, self.cursor.y = cursor.x, cursor.y


class Terminal:
    """A program in a pseudo terminal of its own, and its screen as a person would see it.

    With ``controlling``, closing the terminal and Ctrl+C send signals to the program. ``stdin`` is
    a file descriptor that the program reads instead of the terminal.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        size: tuple[int, int],
        environ: Mapping[str, str | None],
        *,
        controlling: bool = True,
        stdin: int | None = None,
        preloaded: PreloadedCommand | None = None,
    ) -> None:
        self._process: Process
        columns, rows = size
        self.screen = _Screen(columns or 80, rows or 24)
        self._stream = pyte.ByteStream(self.screen)
        self.written = bytearray()
        self.closed = False
        self.master, slave = pty.openpty()
        self._set_size(columns, rows)
        self.name = os.ttyname(slave)
        self.modes = termios.tcgetattr(self.master)
        streams = (slave if stdin is None else stdin, slave, slave)
        merged = _environment(environ)
        if preloaded is not None and preloaded.can_run(merged):
            session = Session.NEW_WITH_TERMINAL if controlling else Session.NEW
            self._process = preloaded.start(arguments[1:], merged, streams, session)
        else:
            self._process = _start_in_session(arguments, merged, streams, controlling=controlling)
        os.close(slave)
        self.pid = self._process.pid

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal, as a user who resizes its window does."""
        self._set_size(columns, rows)
        self.screen.resize(rows or 24, columns or 80)

    def _set_size(self, columns: int, rows: int) -> None:
        packed = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, packed)

    def type(self, keys: str | bytes) -> None:
        """Press keys, and read what the command writes meanwhile, as a terminal does."""
        left = keys.encode() if isinstance(keys, str) else keys
        while left:
            _, writable, _ = select.select([], [self.master], [], 0.05)
            if writable:
                left = left[os.write(self.master, left[:1024]) :]
            self.read(0)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the command, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_until_exit(self, number: signal.Signals) -> None:
        """Send a signal repeatedly until the command ends.

        If one arrives just before Python reads input, its handler runs after the read.
        """

        def ended() -> bool:
            self.kill(number)
            self.read_for(0.2)
            return self.exit_code is not None

        self.wait_for(ended)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without trailing spaces."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    @property
    def state(self) -> dict[str, object]:
        """What the command must restore, and how often it wrote the sequences that do so."""
        return {
            "modes as before": termios.tcgetattr(self.master) == self.modes,
            "cursor hidden": self.screen.cursor.hidden,
            "alternate screen": self.screen.alternate,
            "cursor shown": self.written.count(CURSOR_SHOWN),
            "left the alternate screen": self.written.count(NORMAL),
        }

    def read(self, seconds: float = 0.05) -> bool:
        """Read what the command writes; returns whether it wrote anything."""
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

    def wait_for(self, expected: str | Callable[[], bool], timeout: float = TIMEOUT) -> None:
        """Read until a text is on the screen, or a condition is true."""
        deadline = time.monotonic() + timeout
        changed = True  # building the text of a screen takes time
        while not (changed and expected in self.text if isinstance(expected, str) else expected()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not on the screen: {expected}\n{self.text}")
            changed = self.read()

    def press_until(self, key: str, expected: str) -> None:
        """Press a key repeatedly until a text is on the screen."""

        def shown() -> bool:
            self.type(key)
            return expected in self.text

        self.wait_for(shown)

    def read_for(self, seconds: float) -> bytes:
        """Read for some seconds; returns what was written in them."""
        before = len(self.written)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read(0.02)
        return bytes(self.written[before:])

    def wait_until_quiet(self, quiet: float = 0.1) -> str:
        """Read until nothing is written for ``quiet`` seconds; returns the screen."""
        while self.read_for(quiet):
            pass
        return self.text

    def repaint(self) -> str:
        """Make the command paint the whole screen; returns it."""
        self.wait_until_quiet()
        before = self.written.count(CLEARED)
        self.kill(signal.SIGCONT)
        self.wait_for(lambda: self.written.count(CLEARED) > before)
        return self.wait_until_quiet()

    def write_from_elsewhere(self, text: str) -> None:
        """Write to the terminal as another process would."""
        tty = os.open(self.name, os.O_WRONLY | os.O_NOCTTY)
        os.write(tty, b"\x1b[5;9H" + text.encode())
        os.close(tty)
        self.wait_for(text)

    @property
    def stopped(self) -> bool:
        """Whether the command was stopped, as by Ctrl+Z, since the last call."""
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if pid and not os.WIFSTOPPED(status):
            self._process.returncode = os.waitstatus_to_exitcode(status)
        return bool(pid) and os.WIFSTOPPED(status)

    @property
    def exit_code(self) -> int | None:
        """The exit code, 128 + N for a signal; ``None`` while the command runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait_for_exit(self, timeout: float = TIMEOUT, *, reading: bool = True) -> int:
        """Wait until the command has ended and read what it writes; returns its exit code."""
        deadline = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running\n{self.text}")
            if self.closed or not reading or not self.read(0.005):
                time.sleep(0.002)
        while not self.closed and self.read(0.02):
            pass
        return code

    def close(self) -> None:
        """Close the terminal, as closing its window does."""
        if not self.closed:
            os.close(self.master)
            self.closed = True

    def end(self) -> None:
        """Close the terminal and kill the command if it is still running."""
        self.close()
        if self.exit_code is None:
            self._process.kill()
            self._process.wait()


class BackgroundCommand:
    """A command that runs while the test does: pipes for its input and errors, a file for output.

    With ``preloaded``, Python does not start anew.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str | None],
        preloaded: PreloadedCommand | None,
    ) -> None:
        self._process: subprocess.Popen[bytes] | PreloadedProcess
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open until the test ends
        stdin, self_stdin = os.pipe()
        self_stderr, stderr = os.pipe()
        streams = (stdin, self._output.fileno(), stderr)
        merged = _environment(environ)
        if preloaded is not None and preloaded.can_run(merged):
            self._process = preloaded.start(arguments, merged, streams)
        else:
            self._process = subprocess.Popen(
                [PROGRAM, *arguments], stdin=stdin, stdout=self._output, stderr=stderr, env=merged
            )
        os.close(stdin)
        os.close(stderr)
        self.stdin = os.fdopen(self_stdin, "w")
        self.stderr = os.fdopen(self_stderr)

    @property
    def runs(self) -> bool:
        """Whether the command has not ended yet."""
        return self._process.poll() is None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the command, unless it has ended."""
        if self.runs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Wait until the command has ended; return its exit code, its output and its errors."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        errors = self.stderr.read()
        code = self._process.wait(TIMEOUT)
        self._output.seek(0)
        return code, self._output.read().decode(), errors

    def end(self) -> None:
        """Kill the command if it is still running, and close its streams."""
        self.kill()
        self.wait()
        self.stderr.close()
        self._output.close()


class Command:
    """Starts the command, and kills what a test left running.

    With ``preloaded``, most runs do not start Python anew.
    """

    def __init__(self, preloaded: PreloadedCommand | None = None) -> None:
        self._running: list[Terminal | BackgroundCommand] = []
        self._processes: list[Process] = []
        self._preloaded = preloaded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._running:
            each.end()
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def run(
        self,
        *arguments: str,
        environ: Mapping[str, str | None] | None = None,
        stdin: bytes = b"",
        through: Sequence[str] = (),
        preloaded: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, its output captured as text.

        ``through`` is another program that starts it, with its arguments. Without ``preloaded``,
        Python starts as for a user.
        """
        merged = _environment(environ or {})
        shortcut = self._preloaded if preloaded and not through else None
        if shortcut is not None and shortcut.can_run(merged):
            done = shortcut.run(arguments, merged, stdin, TIMEOUT)
        else:
            done = subprocess.run(
                [*through, PROGRAM, *arguments],
                input=stdin,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
                env=merged,
            )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def start(
        self, *arguments: str, environ: Mapping[str, str | None] | None = None
    ) -> BackgroundCommand:
        """Start the command with pipes, without a terminal."""
        started = BackgroundCommand(arguments, environ or {}, self._preloaded)
        self._running.append(started)
        return started

    def popen(self, *arguments: str, preloaded: bool = True) -> Process:
        """Start the command with three pipes of bytes, as `subprocess.Popen` does."""
        environ = dict(os.environ)
        process: Process
        if preloaded and self._preloaded is not None and self._preloaded.can_run(environ):
            process = self._preloaded.start_with_pipes(arguments, environ)
        else:
            process = subprocess.Popen(
                [PROGRAM, *arguments], stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, bufsize=0
            )
        self._processes.append(process)
        return process

    def open(
        self,
        *arguments: str,
        columns: int = 60,
        rows: int = 24,
        environ: Mapping[str, str | None] | None = None,
        through: Sequence[str] = (),
        controlling: bool = True,
        stdin: int | None = None,
        preloaded: bool = True,
    ) -> Terminal:
        """Start the command in a terminal of its own.

        ``through`` is another program that starts it, with its arguments. A value of ``None`` in
        ``environ`` removes the variable. Without ``preloaded``, Python starts as for a user.
        """
        terminal = Terminal(
            (*through, PROGRAM, *arguments),
            (columns, rows),
            environ or {},
            controlling=controlling,
            stdin=stdin,
            preloaded=self._preloaded if preloaded and not through else None,
        )
        return self.track(terminal)

    def track(self, terminal: Terminal) -> Terminal:
        """Close this terminal too at the end of the test."""
        self._running.append(terminal)
        return terminal


def _start_in_session(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    streams: tuple[int, int, int],
    *,
    controlling: bool,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; if ``controlling``, stdout is its terminal."""
    launcher = _WITH_CONTROLLING_TERMINAL if controlling else _WITHOUT_CONTROLLING_TERMINAL
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", launcher, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        env=environ,
    )


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


_RUN_OR_END = """
import os, traceback
from pathlib import Path
try:
    exec(Path(__file__).with_name("code.txt").read_text(), globals())
except Exception:
    traceback.print_exc()
    os._exit(99)
"""


def environ_running(folder: Path, code: str) -> dict[str, str]:
    """Return an environment in which Python runs some code before the command.

    Python itself goes on after an error in ``sitecustomize``; here the process ends.
    """
    (folder / "code.txt").write_text(code)
    (folder / "sitecustomize.py").write_text(_RUN_OR_END)
    return {"PYTHONPATH": str(folder)}


_ANY_FLOOR = """
import claude_usage_monitor.store.config_toml as config_toml
from functools import partial
floor = config_toml._KEYS["api_floor_seconds"]
config_toml._KEYS["api_floor_seconds"] = floor._replace(read=partial(config_toml._seconds, 0))
"""


def environ_with_short_floor(home: Path, folder: Path, code: str = "") -> dict[str, str]:
    """Return an environment with a time between requests of 0.3 s: the least allowed is 60 s."""
    own = home / "own"
    own.mkdir()
    (own / "config.toml").write_text("api_floor_seconds = 0.3\n")
    return {
        **environ_running(folder, _ANY_FLOOR + code),
        "CLAUDE_USAGE_MONITOR_HOME": str(own),
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    shown = subprocess.run(
        ["/bin/ps", "-o", "time=", "-p", str(pid)], capture_output=True, check=True, text=True
    ).stdout
    minutes, _, seconds = shown.strip().rpartition(":")
    return int(minutes or 0) * 60 + float(seconds)
