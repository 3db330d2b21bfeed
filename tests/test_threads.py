"""Results and errors of daemon threads."""

from __future__ import annotations

import threading

import pytest

from claude_usage_monitor.threads import run_in_thread


def test_the_result_is_the_functions() -> None:
    """It runs on a daemon thread of the given name."""
    thread = run_in_thread(threading.current_thread, "reader").result()
    assert ("reader", True) == (thread.name, thread.daemon)


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_function_raises_is_raised_by_the_future(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        run_in_thread(fail, "reader").result()
