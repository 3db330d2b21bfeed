"""Locks between the processes of this user.

The kernel releases a lock when its process ends, so no lock is ever stale. This module imports
filelock, which imports asyncio: that takes 50 ms, which only a process with a login to refresh
should spend.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from claude_usage_monitor.files import make_private_folder

_POLL_SECONDS = 0.2  # how often a waiting process checks whether it should give up


class LockTimeout(Exception):
    """Raised when another process did not release a lock in time."""


@contextmanager
def locked(path: Path, timeout: float, give_up: threading.Event) -> Iterator[None]:
    """Lock a file during the block; the file and its folder are created for this user only.

    Raises LockTimeout after ``timeout`` seconds, or when ``give_up`` is set while waiting; OSError
    when the file cannot be locked.
    """
    lock = _acquired(path, timeout, give_up)
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether a process has locked an existing file. Raises OSError as `locked`."""
    try:
        with FileLock(path, 0, mode=0o600):
            return False
    except Timeout:
        return True


def _acquired(path: Path, timeout: float, give_up: threading.Event) -> FileLock:
    make_private_folder(path.parent)
    lock = FileLock(path, _POLL_SECONDS, mode=0o600)
    deadline = time.monotonic() + timeout
    while True:
        try:
            with suppress(Timeout):
                lock.acquire()
                return lock
        except NotImplementedError:
            raise OSError(errno.ENOLCK, "no locks there", str(path)) from None
        if give_up.is_set() or time.monotonic() > deadline:
            raise LockTimeout
