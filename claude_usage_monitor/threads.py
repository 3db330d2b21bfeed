"""Daemon threads that deliver their result as a Future.

An executor's threads would delay the exit of the process until they are done; a daemon thread
that waits for a server or for a keyring ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from claude_usage_monitor.light_typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")

_SIGNAL_CHECK_SECONDS = 0.2  # Windows handles Ctrl+C only between two waits


def run_in_thread(function: Callable[[], R], name: str) -> Future[R]:
    """Start a daemon thread that runs ``function`` and return the Future of its result.

    ``Future.result`` raises the function's exception, including KeyboardInterrupt.
    """
    # Takes 5 ms (logging), which a process without threads saves.
    from concurrent.futures import Future

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

    ended = threading.Event()
    futures = [run_in_thread(partial(run_in_slot, function), name) for function in functions]
    for future in futures:
        future.add_done_callback(lambda _: ended.set())
    while True:
        done = [future for future in futures if future.done()]
        results = [future.result() for future in done]
        if len(done) == len(futures):
            return results
        ended.wait(_SIGNAL_CHECK_SECONDS)
        ended.clear()
