"""Work that must finish before the process ends: a refreshed login that is not stored yet.

It runs on threads of its own, so that Ctrl+C ends the wait for it and not the work.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")

MAX_DRAIN_SECONDS = 30.0  # the response to a refresh may take 20, and storing it a few more
_POLL_SECONDS = 0.1
_RETRY_INTERVAL = 0.5  # seconds between two attempts to store pending logins

shutting_down = threading.Event()
"""Set when the process is about to end: no refresh starts any more."""


class PendingWriter(Protocol):
    """Holds logins that could not be stored yet."""

    def store_pending(self) -> bool:
        """Try to store them; return whether none is left."""
        ...


_tasks: set[Future[Any]] = set()
_writers: set[PendingWriter] = set()
_lock = threading.Lock()  # over what follows and the two sets
_drains_at_exit = False


class CriticalTask(Generic[R]):
    """Work that `drain` waits for."""

    def __init__(self, work: Callable[[], R]) -> None:
        self._work = work

    def result(self) -> R:
        """Run the work on a daemon thread and return its result, or raise its error."""
        # Imports logging, 5 ms: only a process that refreshes a login needs it.
        from claude_usage_monitor.threads import run_in_thread

        with _lock:
            _drain_at_exit()
            future = run_in_thread(self._work, "login refresh")
            _tasks.difference_update([task for task in _tasks if task.done()])
            _tasks.add(future)
        while not future.done():  # short waits: on Windows, a long one does not notice Ctrl+C
            with suppress(TimeoutError):
                return future.result(_POLL_SECONDS)
        return future.result()


def register(writer: PendingWriter) -> None:
    """Let `drain` store what the writer holds."""
    with _lock:
        _drain_at_exit()
        _writers.add(writer)


def drain(timeout: float = MAX_DRAIN_SECONDS) -> bool:
    """Finish critical tasks and pending writes; return whether no login was lost."""
    shutting_down.set()
    deadline = time.monotonic() + timeout
    while True:
        with _lock:
            running = any(not task.done() for task in _tasks)
            writers = list(_writers)
        if not running:
            stored = [writer for writer in writers if writer.store_pending()]
            _writers.difference_update(stored)
            if len(stored) == len(writers):
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS if running else _RETRY_INTERVAL)


def _drain_at_exit() -> None:
    """Make a process that uses the library wait, too; the command drains before it ends."""
    global _drains_at_exit  # noqa: PLW0603 - once a process
    if not _drains_at_exit:
        _drains_at_exit = True
        atexit.register(drain)
