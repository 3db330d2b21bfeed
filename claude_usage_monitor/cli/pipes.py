"""Reads standard input and another command's output within time and size limits."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Sequence

from claude_usage_monitor.light_typing import IO, TYPE_CHECKING

if TYPE_CHECKING:  # see output_of
    import subprocess

_MAX_INPUT = 1 << 20  # bytes
_MAX_OUTPUT = 1 << 16  # bytes
_CHUNK = 1 << 16  # bytes
_INPUT_TIMEOUT = 1.0  # seconds until the first byte of standard input
_QUIET_SECONDS = 0.2  # after a pause this long, the input counts as complete
_COMMAND_TIMEOUT = 5.0  # seconds for another command's whole output
_SIGKILL = 9  # on every POSIX system; importing `signal` takes 0.7 ms
_POLL_INTERVAL = 0.05  # seconds between checks whether that command has ended


def read_input() -> bytes:
    """Return the input that arrives in time; empty if stdin is a terminal or closed."""
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    descriptor = sys.stdin.fileno()
    if sys.platform == "win32":  # there, select works only on sockets
        return os.read(descriptor, _MAX_INPUT)
    content = bytearray()
    while len(content) < _MAX_INPUT:
        timeout = _QUIET_SECONDS if content else _INPUT_TIMEOUT
        if not select.select([descriptor], [], [], timeout)[0]:
            break
        chunk = os.read(descriptor, min(_CHUNK, _MAX_INPUT - len(content)))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def output_of(command: Sequence[str], content: bytes) -> str:
    """Run another command with ``content`` as its input and return its output.

    Waits at most `_COMMAND_TIMEOUT`, then kills the command and its child processes. Returns an
    empty string if the command cannot be started.
    """
    import subprocess  # takes 10 ms; only needed for another status line

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
            printed, _ = process.communicate(content, _COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            printed = b""
    else:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        threading.Thread(target=_write, args=(process.stdin, content), daemon=True).start()
        printed = _read_output(process, process.stdout.fileno())
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, _SIGKILL)
    return printed.decode(errors="replace").rstrip("\n")


def _write(pipe: IO[bytes], content: bytes) -> None:
    """Write to a pipe and close it.

    Takes a file object, because a closed descriptor's number may be reused, as by a database.
    """
    with contextlib.suppress(OSError), pipe:  # the command may not read its input
        pipe.write(content)


def _read_output(process: subprocess.Popen[bytes], descriptor: int) -> bytes:
    """Read until the output or the process ends, or until its time or size limit.

    A child of the process may keep the output open after the process itself has ended.
    """
    printed = bytearray()
    deadline = time.monotonic() + _COMMAND_TIMEOUT
    while len(printed) < _MAX_OUTPUT and (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], min(left, _POLL_INTERVAL))[0]:
            chunk = os.read(descriptor, min(_CHUNK, _MAX_OUTPUT - len(printed)))
            if not chunk:
                break
            printed += chunk
        elif process.poll() is not None:
            break
    return bytes(printed)
