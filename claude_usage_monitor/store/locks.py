"""Locks between the processes of this user.

The kernel releases a lock when its process ends, so no lock is ever stale.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from claude_usage_monitor.files import make_private_folder
from claude_usage_monitor.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

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
    lock = _try_to_lock(path, 0)
    if lock is not None:
        lock.release()
    return lock is None


def _acquired(path: Path, timeout: float, give_up: threading.Event) -> FileLock:
    make_private_folder(path.parent)
    deadline = time.monotonic() + timeout
    while (lock := _try_to_lock(path, _POLL_SECONDS)) is None:
        if give_up.is_set() or time.monotonic() > deadline:
            raise LockTimeout
    return lock


def _try_to_lock(path: Path, seconds: float) -> FileLock | None:
    """Wait some seconds for a lock; return ``None`` if another process holds it all the time."""
    # Imports asyncio, which takes 50 ms: only needed by a process that changes a login.
    from filelock import FileLock, Timeout

    lock = FileLock(path, seconds, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return None
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "no locks there", str(path)) from None
    return lock
