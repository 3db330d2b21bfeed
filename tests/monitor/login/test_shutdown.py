from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.login import shutdown
from claude_usage_monitor.monitor.login.shutdown import CriticalTask, drain, register, shutting_down
from tests.support.command import PROGRAM
from tests.support.saved import keep, refresh_token
from tests.support.token_server import TokenServer, delayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Command

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _stay() -> Iterator[None]:
    """Take back that this process is leaving."""
    yield
    shutting_down.clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


def test_what_came_of_it_is_returned_or_raised() -> None:
    assert 7 == CriticalTask(lambda: 7).result()
    with pytest.raises(KeyError):
        CriticalTask(lambda: dict[str, int]()["nothing"]).result()


def test_what_is_under_way_is_waited_for() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.2)
        done.set()

    threading.Thread(target=CriticalTask(work).result, daemon=True).start()
    assert begun.wait(PATIENCE)
    assert drain(PATIENCE)
    assert done.is_set()


def test_what_never_ends_is_not_waited_for_longer_than_it_may() -> None:
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        end.wait(PATIENCE)

    threading.Thread(target=CriticalTask(work).result, daemon=True).start()
    assert begun.wait(PATIENCE)
    assert not drain(0.1)
    end.set()


def test_what_is_held_is_tried_again_until_it_is_stored() -> None:
    class PendingWrites:
        tries = 0

        def store_pending(self) -> bool:
            self.tries += 1
            return self.tries > 1

    holder = PendingWrites()
    register(holder)
    assert drain(PATIENCE)
    assert 2 <= holder.tries


def renewal_begun(server: TokenServer) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(seen.rotated for seen in server.refreshes):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("which", [("--account", "work"), ("--all-accounts",)])
def test_a_command_that_is_interrupted_stores_what_it_has_renewed(
    server: TokenServer, number: signal.Signals, code: int, which: tuple[str, ...]
) -> None:
    """The server has used the old token up: only this process will ever see the new one."""
    saved = [keep(server.issue(name, expires_in=-60), name) for name in ("work", "home")]
    server.script(delayed(0.7), account="work")
    process = subprocess.Popen(
        [PROGRAM, "--json", *which], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    renewal_begun(server)
    process.send_signal(number)
    assert code == process.wait(PATIENCE)
    assert server.accepts(refresh_token(saved[0]))


def test_q_stores_what_has_been_renewed(server: TokenServer, command: Command) -> None:
    saved = keep(server.issue("work", expires_in=-60), "work")
    server.script(delayed(0.7))
    terminal = command.open("--account", "work")
    renewal_begun(server)
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
    assert server.accepts(refresh_token(saved))


def test_a_process_that_is_leaving_sends_nothing_any_more(server: TokenServer) -> None:
    saved = keep(server.issue("work", expires_in=-60), "work")
    code = (
        "import os\n"
        "from tests.support.saved import read, registry\n"
        "from claude_usage_monitor.monitor.login.shutdown import shutting_down\n"
        "shutting_down.set()\n"
        "found = registry()\n"
        "print(read(found, found.services.accounts.all()[0]).problem.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "credentials_expired\n" == done.stdout
    assert [] == server.refreshes
    assert server.accepts(refresh_token(saved))
    assert shutdown.MAX_DRAIN_SECONDS > 20  # seconds that an answer may take
