"""Keys without Enter, and a wait that a key, a signal or the worker ends."""

from __future__ import annotations

import os
import re
import sys
import time
from types import TracebackType
from typing import Self

_MOST_KEYS = 64  # bytes at once; more is a paste, and none of it is meant for us
_PAUSE = 0.1  # seconds; what follows sooner belongs to the paste or the sequence before it
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[\]P^_X].*?(?:\x07|\x1b\\)|.)", re.DOTALL)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O|[\]P^_X](?:(?!\x07|\x1b\\).)*)?\Z", re.DOTALL)


class TerminalGone(Exception):
    """Raised when the terminal that keys are read from was closed."""


class Typing:
    """Tells keys from a paste and from a terminal's escape sequences, however they are cut up."""

    def __init__(self) -> None:
        self._unfinished = b""
        self._pasting = False
        self._last_at = -_PAUSE

    def keys(self, typed: bytes, at: float) -> str:
        """Return the plain keys in what came at an instant, in seconds."""
        follows = at - self._last_at < _PAUSE
        self._last_at = at
        if follows:
            typed = self._unfinished + typed
        self._unfinished = b""
        self._pasting = len(typed) > _MOST_KEYS or (self._pasting and follows)
        if self._pasting:
            return ""
        unfinished = _UNFINISHED.search(typed)
        if unfinished is not None:
            typed, self._unfinished = typed[: unfinished.start()], unfinished[0]
        return _SEQUENCE.sub(b"", typed).decode("ascii", "ignore")


if sys.platform == "win32":
    import msvcrt
    import threading

    class Keyboard:
        """The console's keys. Never run on a real Windows console; see CONTRIBUTING."""

        _LOOK_SECONDS = 0.05
        _PREFIXES = ("\x00", "\xe0")  # of function keys: a letter follows that was not typed

        def __init__(self) -> None:
            self._woken = threading.Event()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def wake(self) -> None:
            """End a wait, from a signal handler or another thread."""
            self._woken.set()

        def restore(self) -> None:
            """Do nothing: the console's mode was not changed."""

        def wait(self, timeout: float) -> str:
            """Return the keys pressed, or nothing after ``timeout`` seconds or a wake."""
            deadline = time.monotonic() + timeout
            while not self._woken.is_set() and time.monotonic() < deadline:
                if msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key not in self._PREFIXES:
                        return key
                    msvcrt.getwch()
                self._woken.wait(self._LOOK_SECONDS)
            self._woken.clear()
            return ""

else:
    import select
    import termios
    import tty

    class Keyboard:
        """The terminal's keys, unbuffered and unechoed while entered.

        There are none when stdin is no terminal.
        """

        def __init__(self) -> None:
            stdin = sys.stdin
            self._stdin = stdin.fileno() if stdin is not None and stdin.isatty() else None
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._typing = Typing()
            self._before: list[object] | None = None

        def __enter__(self) -> Self:
            if self._stdin is not None:
                self._before = termios.tcgetattr(self._stdin)
                tty.setcbreak(self._stdin, termios.TCSANOW)
            return self

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            self.restore()

        def restore(self) -> None:
            """Give the terminal its line mode back. Does not wait for it to take its output."""
            if self._stdin is not None and self._before is not None:
                try:
                    termios.tcsetattr(self._stdin, termios.TCSANOW, self._before)  # type: ignore[arg-type] # as tcgetattr gave it
                except termios.error:
                    return  # the terminal is gone

        def wake(self) -> None:
            """End a wait, from a signal handler or another thread."""
            try:
                os.write(self._writer, b"!")
            except BlockingIOError:
                return  # full: a wait will end anyway

        def wait(self, timeout: float) -> str:
            """Return the keys pressed, or nothing after ``timeout`` seconds or a wake.

            Raises TerminalGone when the terminal was closed.
            """
            watched = [self._reader] if self._stdin is None else [self._reader, self._stdin]
            ready, _, _ = select.select(watched, [], [], timeout)
            if self._reader in ready:
                os.read(self._reader, 4096)
            if self._stdin not in ready or self._stdin is None:
                return ""
            try:
                typed = os.read(self._stdin, 1 << 16)
            except OSError:
                typed = b""
            if not typed:
                raise TerminalGone
            return self._typing.keys(typed, time.monotonic())
