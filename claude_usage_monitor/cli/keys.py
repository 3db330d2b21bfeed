"""Keys without Enter, and a wait that a key, a signal or the worker ends."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_MOST_KEYS = 64  # bytes at once; more is a paste, and none of it is meant for us
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[\]P^_].*?(?:\x07|\x1b\\|$)|.)?", re.DOTALL)


class TerminalGone(Exception):
    """Raised when the terminal that keys are read from was closed."""


def keys_in(typed: bytes) -> str:
    """Return the plain keys in what was typed: no escape sequences, nothing of a paste."""
    if len(typed) > _MOST_KEYS:
        return ""
    return _SEQUENCE.sub(b"", typed).decode("ascii", "ignore")


if sys.platform == "win32":
    import msvcrt
    import threading
    import time

    class Keyboard:
        """The console's keys. Never run on a real Windows console; see CONTRIBUTING."""

        _LOOK_SECONDS = 0.05

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
                    return keys_in(msvcrt.getwch().encode("ascii", "ignore"))
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
            return keys_in(typed)
