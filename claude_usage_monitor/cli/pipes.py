"""Another program's input and output, bounded in time and size: a prompt waits for nobody."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_MAX_INPUT = 1 << 20
_MAX_OUTPUT = 1 << 16
_CHUNK = 1 << 16
_QUIET_SECONDS = 0.2  # after this long without more, what came is taken to be all
_INPUT_SECONDS = 1.0  # for an input that never begins
_THEIR_SECONDS = 5.0  # for another status line


def read_input() -> bytes:
    """Return standard input, as much of it as comes in time; nothing from a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    descriptor = sys.stdin.fileno()
    if sys.platform == "win32":  # select knows no pipes there
        return os.read(descriptor, _MAX_INPUT)
    return _read(descriptor, _MAX_INPUT, time.monotonic() + _INPUT_SECONDS)


def _read(descriptor: int, limit: int, deadline: float) -> bytes:
    content = bytearray()
    while len(content) < limit:
        wait = _QUIET_SECONDS if content else max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], wait)[0]:
            break
        chunk = os.read(descriptor, min(_CHUNK, limit - len(content)))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def output_of(command: Sequence[str], content: bytes) -> str:
    """Return what another command prints for the same input, as far as it does in time.

    It and whatever it started are ended then. Nothing, if it cannot be started or prints nothing.
    """
    import subprocess  # 10 ms that only those with another status line pay

    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, from the user's settings
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return ""
    if sys.platform == "win32":
        try:
            printed, _ = process.communicate(content, _THEIR_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            printed = b""
    else:
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101 - asked for above
        threading.Thread(target=_feed, args=(process.stdin.fileno(), content), daemon=True).start()
        printed = _printed(process, process.stdout.fileno())
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return printed.decode(errors="replace").rstrip("\n")


def _feed(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(OSError):  # it need not read its input
        while content:
            content = content[os.write(descriptor, content) :]
        os.close(descriptor)


def _printed(process: subprocess.Popen[bytes], descriptor: int) -> bytes:
    """Read until it has ended, its output too, or its time or size is up.

    What it started may hold its output open: once it has ended, a moment's quiet is the end.
    """
    printed = bytearray()
    deadline = time.monotonic() + _THEIR_SECONDS
    while len(printed) < _MAX_OUTPUT and (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], min(left, _QUIET_SECONDS / 4))[0]:
            chunk = os.read(descriptor, min(_CHUNK, _MAX_OUTPUT - len(printed)))
            if not chunk:
                break
            printed += chunk
        elif process.poll() is not None:
            break
    return bytes(printed)
