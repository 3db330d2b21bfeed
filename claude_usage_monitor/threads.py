"""Daemon threads that deliver their result as a Future.

An executor's threads would delay the exit of the process until they are done; a daemon thread
that waits for a server or for a keyring ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from typing import TypeVar

R = TypeVar("R")

_SIGNAL_CHECK_SECONDS = 0.2  # Windows handles Ctrl+C only between two waits


def run_in_thread(function: Callable[[], R], name: str) -> Future[R]:
    """Start a daemon thread that runs ``function`` and return the Future of its result.

    ``Future.result`` raises the function's exception, including KeyboardInterrupt.
    """
    future: Future[R] = Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - `Future.result` raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def run_all(functions: Sequence[Callable[[], R]], name: str, max_at_once: int) -> list[R]:
    """Run functions in daemon threads, at most ``max_at_once`` at a time; return their results.

    The first exception is raised at once.
    """
    slots = threading.Semaphore(max_at_once)

    def run_in_slot(function: Callable[[], R]) -> R:
        with slots:
            return function()

    futures = [run_in_thread(partial(run_in_slot, function), name) for function in functions]
    pending = set(futures)
    while pending:
        done, pending = wait(pending, _SIGNAL_CHECK_SECONDS, FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]
