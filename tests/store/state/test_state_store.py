from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.store.state import alerts, state_file
from claude_usage_monitor.store.state import state_store as subject
from claude_usage_monitor.store.state.ledger import Backoff, Granted, InFlight, Wait
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import merge
from claude_usage_monitor.usage.alerts import Alert
from tests.support.payloads import NOW, as_bytes, usage_body
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claude_usage_monitor.usage.limits.windows import Usage
    from tests.support.small_disk import SmallDisk

ADA = "uuid-of-ada"
ROOT = Path(__file__).parent.parent.parent.parent
FLOOR = timedelta(seconds=180)
USAGE = usage_from(as_bytes(usage_body()), NOW)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def granted(state: StateStore) -> int:
    answer = state.acquire("t", ADA, NOW)
    assert isinstance(answer, Granted)
    return answer.request


def test_two_processes_see_each_others_readings(path: Path) -> None:
    one, other = StateStore(path), StateStore(path)
    before = other.version()
    one.record_usage(ADA, USAGE)
    assert before != other.version()
    found = other.latest_usage(ADA, NOW)
    assert found is not None
    assert 78.0 == found.windows[0].utilization


def test_the_version_of_another_identity_ignores_own_writes(path: Path) -> None:
    state = StateStore(path)
    before = state.version()
    state.record_usage(ADA, USAGE)
    assert before == state.version()


ON_A_FULL_DISK = """
import pathlib, resource, signal, sys
from tests.store.state.test_state_store import ADA, FLOOR, NOW, USAGE, granted, later_usage
from claude_usage_monitor.store.state.ledger import Backoff, Wait
from claude_usage_monitor.store.state.state_store import StateStore

state = StateStore(pathlib.Path(sys.argv[1]))
state.record_usage(ADA, USAGE)
state.record_result(granted(state), "t", Backoff(NOW, NOW + FLOOR))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file may grow: as on a full disk
state.record_usage(ADA, later_usage())
assert state.latest_usage(ADA, NOW).windows[0].utilization == 80.0
assert "nothing is stored" in state.notice
assert isinstance(state.acquire("t", ADA, NOW + FLOOR / 2), Wait)
"""


def later_usage() -> Usage:
    return usage_from(as_bytes(usage_body(five_hour=80.0)), NOW + FLOOR)


def test_a_limit_on_file_sizes_loses_neither_figures_nor_the_budget(path: Path) -> None:
    """In a process of its own, because the limit holds for all files that a process writes."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = StateStore(path).latest_usage(ADA, NOW)
    assert found is not None
    assert 78.0 == found.windows[0].utilization


def test_the_file_is_used_again_when_it_can_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    state = StateStore(path)
    assert state.notice is not None
    path.rmdir()
    monkeypatch.setattr(subject, "_RETRY_INTERVAL", 0.0)
    state.record_usage(ADA, USAGE)
    again: str | None = state.notice
    assert again is None
    assert StateStore(path).latest_usage(ADA, NOW) is not None


def test_a_disk_that_is_full_again_loses_no_reading(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readings in memory are copied later, and until then the notice stays."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError

    path.mkdir()
    state = StateStore(path)
    state.record_usage(ADA, USAGE)
    path.rmdir()
    monkeypatch.setattr(subject, "_RETRY_INTERVAL", 0.0)
    with monkeypatch.context() as full:
        full.setattr(merge, "merge_accounts", fail)
        assert state.latest_usage(ADA, NOW) is not None
        assert state.notice is not None
    assert state.latest_usage(ADA, NOW) is not None
    again: str | None = state.notice
    assert again is None
    with closing(sqlite3.connect(path)) as stored:
        assert [(len(USAGE.windows),)] == stored.execute("SELECT count(*) FROM reading").fetchall()


@pytest.mark.parametrize("begin", ["in memory", "in a file that is deleted"])
def test_figures_stay_though_the_disk_becomes_full_while_they_are_copied(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    path = disk.path / "state.db"
    if begin == "in memory":
        path.mkdir()
    state = StateStore(path)
    state.record_usage(ADA, USAGE)
    monkeypatch.setattr(subject, "_RETRY_INTERVAL", 0.0)
    (path.rmdir if begin == "in memory" else path.unlink)()
    copy = state_file.copy_current_rows

    def fill_and_copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        disk.fill()
        copy(source, target)

    with monkeypatch.context() as filled:
        filled.setattr(subject, "copy_current_rows", fill_and_copy)
        assert state.latest_usage(ADA, NOW) is not None
    assert state.notice is not None
    disk.empty()
    assert state.latest_usage(ADA, NOW) is not None
    again: str | None = state.notice
    assert again is None
    assert StateStore(path).latest_usage(ADA, NOW) is not None


def test_each_alert_is_sent_once_though_the_file_cannot_be_used_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateStore(path)
    state.run(alerts.claim, ADA, [], NOW)
    first, second = (Alert("threshold", "a", "1", rule, "text", NOW) for rule in ("one", "two"))
    assert [first] == state.run(alerts.claim, ADA, [first], NOW)
    monkeypatch.setattr(subject, "_RETRY_INTERVAL", 0.0)
    with monkeypatch.context() as full:
        full.setattr(subject, "_RETRY_INTERVAL", 60.0)
        state._replace_database(sqlite3.OperationalError())  # noqa: SLF001 - as after a failed write
        assert state.notice is not None
        assert [second] == state.run(alerts.claim, ADA, [first, second], NOW)
    assert [] == state.run(alerts.claim, ADA, [first, second], NOW)
    again: str | None = state.notice
    assert again is None


def test_a_file_that_is_damaged_while_in_use_is_replaced(path: Path) -> None:
    state = StateStore(path)
    state.record_usage(ADA, USAGE)
    with sqlite3.connect(path) as vandal:
        vandal.execute("DROP TABLE reading")
    vandal.close()
    state.record_usage(ADA, USAGE)
    found = state.latest_usage(ADA, NOW)
    assert found is not None
    assert len(USAGE.windows) == len(found.windows)
    assert state.notice is not None


def test_a_damaged_file_loses_neither_the_budget_nor_a_back_off(path: Path) -> None:
    state = StateStore(path)
    state.record_result(granted(state), "t", Backoff(NOW, NOW + FLOOR))
    with sqlite3.connect(path) as vandal:
        vandal.execute("DROP TABLE reading")
    vandal.close()
    state.record_usage(ADA, USAGE)
    assert "was damaged" in (state.notice or "")
    assert Wait(NOW + FLOOR) == state.acquire("t", ADA, NOW)
    assert 1 == state.requests_in_last_hour(ADA, NOW)


@pytest.mark.parametrize(
    ("column", "value"),
    [("asked_at", 1 << 62), ("asked_at", "soon"), ("asked_at", b"x"), ("process", b"x")],
)
def test_a_request_that_nothing_can_read_is_not_copied_from_a_damaged_file(
    path: Path, column: str, value: object
) -> None:
    granted(StateStore(path))
    with sqlite3.connect(path) as vandal:
        vandal.execute(f"UPDATE request SET {column} = ?", (value,))
    vandal.close()
    state = StateStore(path)
    for _ in range(3):
        assert not isinstance(state.acquire("t", ADA, NOW), Wait)
    assert 1 >= len(list(path.parent.glob("state.db.damaged-*[0-9]")))  # not -wal, -shm


@pytest.mark.parametrize("column", ["rate_limits", "failures", "asked_at"])
def test_a_back_off_that_nothing_can_read_hides_no_other_one(path: Path, column: str) -> None:
    state = StateStore(path)
    request = granted(state)
    for key in ("t", "damaged"):
        state.record_result(request, key, Backoff(NOW, NOW + FLOOR))
    with sqlite3.connect(path) as vandal:
        value = 1 << 62 if column == "asked_at" else b"x"
        vandal.execute(f"UPDATE gate SET {column} = ? WHERE fingerprint = 'damaged'", (value,))
        vandal.execute("DROP TABLE reading")
    vandal.close()
    state.record_usage(ADA, USAGE)
    assert "was damaged" in (state.notice or "")
    assert Wait(NOW + FLOOR) == state.acquire("t", ADA, NOW)
    assert state.backoff_of("damaged") is None


def delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_process_whose_file_is_deleted_or_replaced_uses_the_one_of_the_others(
    path: Path, replaced: bool
) -> None:
    live = StateStore(path)
    live.record_result(granted(live), "t", Backoff(NOW, NOW + FLOOR))
    live.record_usage(ADA, USAGE)
    delete(path)
    if replaced:
        StateStore(path)
    shown = live.latest_usage(ADA, NOW)
    assert shown is not None
    assert 78.0 == shown.windows[0].utilization
    assert live.notice is None
    other = StateStore(path)
    assert Wait(NOW + FLOOR) == other.acquire("t", ADA, NOW)
    other.record_result(1, "t", Backoff(NOW + FLOOR, NOW + 2 * FLOOR))
    assert Wait(NOW + 2 * FLOOR) == live.acquire("t", ADA, NOW + FLOOR)


def test_figures_and_budget_stay_when_the_file_is_deleted_and_no_new_one_can_be(path: Path) -> None:
    live = StateStore(path)
    live.record_usage(ADA, USAGE)
    delete(path)
    path.mkdir()
    assert live.latest_usage(ADA, NOW) is not None
    assert "nothing is stored" in (live.notice or "")
    request = granted(live)
    assert InFlight(request) == StateStore(path).acquire("t", ADA, NOW)
