"""Daemon threads that deliver their result as a Future.

An executor's threads would hold up the exit of the process until they are done; a daemon thread
that waits for a server or for a keyring ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


def run_in_thread(function: Callable[[], R], name: str) -> Future[R]:
    """Start a daemon thread that runs ``function`` and return the Future of its result.

    Whatever the function raises is raised by ``Future.result``, a KeyboardInterrupt included.
    """
    future: Future[R] = Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - the one who waits for the result raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
