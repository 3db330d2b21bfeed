"""Work that must finish before the process ends: a refreshed login that is not stored yet.

The work runs on separate threads, so that Ctrl+C ends only the wait for it. Code that ends the
process sets `shutting_down` and calls `drain`, which waits for the work.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from claude_usage_monitor.light_typing import Protocol, TypeVar
from claude_usage_monitor.threads import run_in_thread

R = TypeVar("R")

MAX_DRAIN_SECONDS = 30.0  # the response to a refresh may take 20, and storing it a few more
_POLL_SECONDS = 0.1
_RETRY_INTERVAL = 0.5  # seconds between two attempts to store pending logins
_GRACE_SECONDS = 0.3  # a shorter wait needs no explanation

shutting_down = threading.Event()
"""Set when the process is about to end: no refresh and no read starts any more."""


class PendingWriter(Protocol):
    """An object with logins that could not be stored yet."""

    def store_pending(self) -> list[str]:
        """Try to store them; return the names of the accounts that remain."""
        ...


_tasks: dict[threading.Thread, str] = {}  # the threads that `drain` waits for, with account names
_writers: set[PendingWriter] = set()
_drains_at_exit = threading.Event()
_lock = threading.Lock()  # guards all three


def run_critical(work: Callable[[], R], account_name: str) -> R:
    """Run work on an account's login to its end, even if the caller is interrupted.

    Returns its result, or raises its exception. It runs on a daemon thread that `drain` waits for.
    """
    _drain_at_exit()
    future = run_in_thread(partial(_run, work, account_name), "login refresh")
    while not future.done():  # short waits: on Windows, a long one does not notice Ctrl+C
        with suppress(TimeoutError):
            return future.result(_POLL_SECONDS)
    return future.result()


def _run(work: Callable[[], R], account_name: str) -> R:
    # Registered by its own thread: a signal may interrupt the main thread anywhere.
    thread = threading.current_thread()
    with _lock:
        if not shutting_down.is_set():
            _tasks[thread] = account_name
    try:
        return work()
    finally:
        with _lock:
            _tasks.pop(thread, None)


def register(writer: PendingWriter) -> None:
    """Let `drain` store the writer's pending logins."""
    with _lock:
        _writers.add(writer)


def drain(
    timeout: float = MAX_DRAIN_SECONDS, on_wait: Callable[[list[str]], None] = lambda _: None
) -> bool:
    """Finish critical tasks and pending writes; return whether no login was lost.

    ``on_wait`` receives the names of the accounts if this takes more than a moment.
    """
    shutting_down.set()
    began, announced = time.monotonic(), False
    while True:
        with _lock:
            running = list(_tasks.values())
            writers = list(_writers)
        unsaved = running or [name for writer in writers for name in writer.store_pending()]
        if not unsaved:
            return True
        waited = time.monotonic() - began
        if waited >= timeout:
            return False
        if waited >= _GRACE_SECONDS and not announced:
            announced = True
            on_wait(sorted(set(unsaved)))
        time.sleep(_POLL_SECONDS if running else _RETRY_INTERVAL)


def _drain_at_exit() -> None:
    """Call `drain` at the end of processes that use the library; the command calls it itself."""
    with _lock:
        if not _drains_at_exit.is_set():
            _drains_at_exit.set()
            atexit.register(drain)
