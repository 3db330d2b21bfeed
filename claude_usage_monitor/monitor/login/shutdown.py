"""What must not be broken off: a login that is being renewed is stored before the process ends.

Renewals run on threads of their own, so that Ctrl+C ends the wait for one and not the renewal.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

_R = TypeVar("_R")

LONGEST = 30.0  # seconds that leaving may take: an answer has 20, and storing it some
_GLANCE_SECONDS = 0.1

shutting_down = threading.Event()
"""Set when the process is about to end: what has not begun does not begin."""


class PendingWrites(Protocol):
    """Who may hold a login that is stored nowhere yet."""

    def store_pending(self) -> bool:
        """Try to store what is held; returns whether nothing is."""
        ...


_running_tasks: set[threading.Thread] = set()
_registered: WeakSet[PendingWrites] = WeakSet()
_lock = threading.Lock()


class CriticalTask(threading.Thread, Generic[_R]):
    """Runs something that is to be finished, on a daemon thread that `drain` waits for."""

    def __init__(self, work: Callable[[], _R]) -> None:
        super().__init__(name="renewal", daemon=True)
        self._work = work
        self._result: _R | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work, and keep what came of it."""
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
        finally:
            with _lock:
                _running_tasks.discard(self)

    def result(self) -> _R:
        """Start it, wait for it, and return or raise what came of it."""
        with _lock:
            _running_tasks.add(self)
        self.start()
        while self.is_alive():
            self.join(_GLANCE_SECONDS)
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value] # it ended without an error


def register(holder: PendingWrites) -> None:
    """Remember who may hold a login when the process ends."""
    _registered.add(holder)


def drain(patience: float = LONGEST) -> bool:
    """Wait for what is under way, and store what is held; returns whether nothing is lost."""
    shutting_down.set()
    deadline = time.monotonic() + patience
    while True:
        with _lock:
            jobs = list(_running_tasks)
        for job in jobs:
            job.join(max(0.0, deadline - time.monotonic()))
        left = [holder for holder in list(_registered) if not holder.store_pending()]
        stored = not left
        if (stored and not jobs) or time.monotonic() >= deadline:
            return stored and not _running_tasks
        if not stored:
            time.sleep(_GLANCE_SECONDS * 5)


atexit.register(drain)  # a library's process; the command asks for it before it ends
