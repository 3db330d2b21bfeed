from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.login import shutdown
from claude_usage_monitor.monitor.login.shutdown import drain, register, run_critical, shutting_down
from tests.support.saved import refresh_token, save_account
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _undo_shutdown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `drain` announce its wait at once, check often, and end with the test."""
    for name, seconds in (
        ("_GRACE_SECONDS", 0.0),
        ("_POLL_SECONDS", 0.01),
        ("_RETRY_INTERVAL", 0.01),
    ):
        monkeypatch.setattr(shutdown, name, seconds)
    yield
    shutting_down.clear()


def started(work: Callable[[], None]) -> None:
    """Start a task on another thread; returns when its work has begun."""
    begun = threading.Event()

    def run() -> None:
        begun.set()
        work()

    threading.Thread(target=run_critical, args=(run, "Work"), daemon=True).start()
    assert begun.wait(PATIENCE)


def test_the_result_of_a_task_is_returned_and_its_error_raised() -> None:
    assert 7 == run_critical(lambda: 7, "Work")
    with pytest.raises(KeyError):
        run_critical(lambda: dict[str, int]()["nothing"], "Work")
    assert drain(0.0)


def test_drain_waits_for_a_running_task_and_says_for_which_account() -> None:
    end, done, names = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        assert end.wait(PATIENCE)
        done.set()

    def on_wait(account_names: list[str]) -> None:
        names.extend(account_names)
        end.set()

    started(work)
    assert drain(PATIENCE, on_wait)
    assert (True, ["Work"]) == (done.is_set(), names)


def test_drain_does_not_wait_longer_than_its_timeout() -> None:
    end = threading.Event()
    started(lambda: assert_set(end))
    assert not drain(0.1)
    end.set()
    assert drain(PATIENCE)


def assert_set(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def test_drain_waits_for_no_task_that_starts_later() -> None:
    """It sends nothing: `shutting_down` is set."""
    assert drain(PATIENCE)
    end = threading.Event()
    started(lambda: assert_set(end))
    assert drain(PATIENCE)
    end.set()


@pytest.mark.parametrize(("grace", "announced"), [(0.0, ["Work"]), (3600.0, [])])
def test_drain_tries_to_store_pending_logins_until_it_succeeds_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, grace: float, announced: list[str]
) -> None:
    """It says nothing if that takes no longer than the grace period."""
    monkeypatch.setattr(shutdown, "_GRACE_SECONDS", grace)
    monkeypatch.setattr(shutdown, "_RETRY_INTERVAL", 0.0)

    class Writer:
        attempts = 0

        def store_pending(self) -> list[str]:
            self.attempts += 1
            return ["Work"] if self.attempts < 4 else []

    writer, names = Writer(), list[str]()
    register(writer)
    assert drain(PATIENCE, names.extend)
    assert (4, announced) == (writer.attempts, names)


def test_the_timeout_is_longer_than_a_request_may_take() -> None:
    assert shutdown.MAX_DRAIN_SECONDS > 20


def output_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_process_that_is_shutting_down_sends_no_refresh_token(server: TokenServer) -> None:
    saved = save_account(server.issue("work", expires_in=-60), "work")
    problem = output_of(
        "from tests.support.saved import read, registry\n"
        "from claude_usage_monitor.monitor.login.shutdown import shutting_down\n"
        "shutting_down.set()\n"
        "found = registry()\n"
        "print(read(found, found.services.accounts.all()[0]).problem.code)\n"
    )
    assert "credentials_expired\n" == problem
    assert [] == server.refreshes
    assert server.accepts(refresh_token(saved))


def test_only_the_first_refresh_registers_something_for_the_exit_of_the_process() -> None:
    """Importing the library registers nothing."""
    counts = output_of(
        "import atexit, logging\n"
        "before = atexit._ncallbacks()\n"
        "from claude_usage_monitor.monitor.login.shutdown import run_critical\n"
        "from claude_usage_monitor.monitor.client import UsageClient\n"
        "print(atexit._ncallbacks() - before)\n"
        "for _ in range(2):\n"
        "    run_critical(int, 'Work')\n"
        "    print(atexit._ncallbacks() - before)\n"
    )
    assert "0\n1\n1\n" == counts
