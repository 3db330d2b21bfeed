"""Results and errors of daemon threads."""

from __future__ import annotations

import threading

import pytest

from claude_usage_monitor.threads import run_all, run_in_thread


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


def test_all_results_are_in_the_order_of_the_functions() -> None:
    first_may_end = threading.Event()

    def wait_for_second() -> str:
        assert first_may_end.wait(60)
        return "first"

    def second() -> str:
        first_may_end.set()
        return "second"

    assert ["first", "second"] == run_all([wait_for_second, second], "reader", 2)
    assert [] == run_all([], "reader", 2)


def test_an_exception_is_raised_while_other_functions_run() -> None:
    end = threading.Event()

    def fail() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all([end.wait, fail], "reader", 2)
    end.set()
