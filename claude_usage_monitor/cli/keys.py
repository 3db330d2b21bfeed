"""Reads keys without Enter; a key, a signal or another thread ends the wait."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from typing import ClassVar, Self

_MAX_KEYS = 64  # bytes at once; more is a paste, which is ignored
PAUSE = 0.1  # seconds; bytes that follow sooner belong to the previous paste or sequence
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[\]P^_X].*?(?:\x07|\x1b\\)|.)", re.DOTALL)
# An arrow is the control character that does the same in shells: Ctrl+P, N, F and B.
UP, DOWN, RIGHT, LEFT, ESCAPE = "\x10", "\x0e", "\x06", "\x02", "\x1b"
_ARROW = re.compile(rb"\x1b[\[O]([A-D])")
_ARROWS = {b"A": b"\x10", b"B": b"\x0e", b"C": b"\x06", b"D": b"\x02"}
_INCOMPLETE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O|[\]P^_X](?:(?!\x07|\x1b\\).)*)?\Z", re.DOTALL)


class TerminalGone(Exception):
    """Raised when the terminal that keys are read from was closed."""


class KeyParser:
    """Separates keys from pastes and from escape sequences, which may arrive in several pieces.

    Bytes belong to the previous ones until the caller has seen a pause: it calls `end_of_input`
    after nothing arrived for ``PAUSE`` seconds. Times between two reads would not do, because a
    busy computer may read the rest of a paste late.
    """

    def __init__(self) -> None:
        self.sequences: list[bytes] = []
        """The escape sequences that arrived, such as a terminal's replies; others may clear it."""
        self._incomplete = b""
        self._in_paste = False

    def parse(self, data: bytes) -> str:
        """Return the plain keys in ``data``."""
        data = self._incomplete + data
        self._incomplete = b""
        self._in_paste = self._in_paste or len(data) > _MAX_KEYS
        if self._in_paste:
            return ""
        incomplete = _INCOMPLETE.search(data)
        if incomplete is not None:
            data, self._incomplete = data[: incomplete.start()], incomplete[0]
        data = _ARROW.sub(lambda match: _ARROWS[match[1]], data)
        self.sequences += (match[0] for match in _SEQUENCE.finditer(data))
        return _SEQUENCE.sub(b"", data).decode("ascii", "ignore")

    @property
    def expects_more(self) -> bool:
        """Whether bytes that arrive now belong to a paste or a sequence."""
        return self._in_paste or bool(self._incomplete)

    def end_of_input(self) -> str:
        """End the paste or the sequence. Return the key Esc if nothing has followed it."""
        key = ESCAPE if self._incomplete == b"\x1b" else ""
        self._incomplete = b""
        self._in_paste = False
        return key


if sys.platform == "win32":
    import msvcrt
    import threading

    class Keyboard:
        """The console's keys. Not tested on a real Windows console; see CONTRIBUTING."""

        _POLL_INTERVAL = 0.05  # seconds
        _PREFIXES = ("\x00", "\xe0")  # of a function key; a letter follows
        _ARROW_CODES: ClassVar = {"K": LEFT, "M": RIGHT}

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

        def replies(self) -> list[bytes]:
            """Return nothing: this program asks the console nothing."""
            return []

        def may_ask(self) -> bool:
            """Return False: `msvcrt` would return a reply as keys."""
            return False

        def discard_input(self) -> None:
            """Do nothing: there is no late reply."""

        def wait(self, timeout: float) -> str:
            """Return the keys pressed, or nothing after ``timeout`` seconds or a wake."""
            deadline = time.monotonic() + timeout
            while not self._woken.is_set() and time.monotonic() < deadline:
                if msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key not in self._PREFIXES:
                        return key
                    arrow = self._ARROW_CODES.get(msvcrt.getwch())
                    if arrow is not None:
                        return arrow
                self._woken.wait(self._POLL_INTERVAL)
            self._woken.clear()
            return ""

else:
    import select
    import termios
    import tty

    class Keyboard:
        """Reads keys from standard input, without buffering or echo inside the context.

        Returns no keys if standard input is not a terminal. Inside the context, signals end a wait
        even if they arrive just before it: Python runs their handlers later, but writes to the pipe
        at once.
        """

        def __init__(self) -> None:
            stdin = sys.stdin
            self._stdin = stdin.fileno() if stdin is not None and stdin.isatty() else None
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._parser = KeyParser()
            self._original_mode: list[object] | None = None

        def __enter__(self) -> Self:
            if self._stdin is not None:
                self._original_mode = termios.tcgetattr(self._stdin)
                tty.setcbreak(self._stdin, termios.TCSANOW)
            signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            return self

        def __exit__(self, *_: object) -> None:
            signal.set_wakeup_fd(-1)
            self.restore()

        def restore(self) -> None:
            """Restore the terminal's mode without waiting until it has accepted all output."""
            if self._stdin is not None and self._original_mode is not None:
                try:
                    termios.tcsetattr(self._stdin, termios.TCSANOW, self._original_mode)  # type: ignore[arg-type] # as tcgetattr returned it
                except termios.error:
                    return  # the terminal is gone

        def wake(self) -> None:
            """End a wait, from a signal handler or another thread."""
            try:
                os.write(self._writer, b"!")
            except BlockingIOError:
                return  # the pipe is full, which ends a wait as well

        def wait(self, timeout: float) -> str:
            """Return the keys pressed, or nothing after ``timeout`` seconds or a wake.

            Raises TerminalGone when the terminal was closed.
            """
            watched = [self._reader] if self._stdin is None else [self._reader, self._stdin]
            unfinished = self._parser.expects_more
            ready, _, _ = select.select(watched, [], [], PAUSE if unfinished else timeout)
            if unfinished and not ready:
                return self._parser.end_of_input()
            if self._reader in ready:
                os.read(self._reader, 4096)
            if self._stdin not in ready or self._stdin is None:
                return ""
            try:
                data = os.read(self._stdin, 1 << 16)
            except OSError:
                data = b""
            if not data:
                raise TerminalGone
            return self._parser.parse(data)

        def replies(self) -> list[bytes]:
            """Return the terminal's replies, and other escape sequences, since the last call."""
            replies, self._parser.sequences = self._parser.sequences, []
            return replies

        def may_ask(self) -> bool:
            """Return whether a reply of the terminal would reach this process, and no other."""
            try:
                return self._stdin is not None and os.tcgetpgrp(self._stdin) == os.getpgrp()
            except OSError:  # it is not the terminal that controls this process
                return False

        def discard_input(self) -> None:
            """Discard what was typed and not read, such as a late reply of the terminal."""
            if self._stdin is not None:
                with contextlib.suppress(termios.error):
                    termios.tcflush(self._stdin, termios.TCIFLUSH)
