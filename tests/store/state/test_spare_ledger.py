"""One request budget while state.db cannot be written; whole commands are in test_full_disk."""

from __future__ import annotations

import gc
import sqlite3
import stat
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store import database
from claude_usage_monitor.store.state import ledger, state_store
from claude_usage_monitor.store.state import spare_ledger as subject
from claude_usage_monitor.store.state.ledger import (
    MAX_REQUESTS_PER_HOUR,
    Backoff,
    Granted,
    InFlight,
    Wait,
)
from claude_usage_monitor.store.state.schema import schema_version
from claude_usage_monitor.store.state.spare_ledger import FILE_NAME
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.status import Problem
from tests.support.forks import run_at_once
from tests.support.payloads import NOW
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.small_disk import SmallDisk

DISK_FULL = sqlite3.OperationalError("database or disk is full")
DISK_FULL.sqlite_errorcode = sqlite3.SQLITE_FULL
FLOOR = timedelta(seconds=180)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

PROCESS = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from claude_usage_monitor.store.state.ledger import Backoff, Granted
from claude_usage_monitor.store.state.state_store import StateStore

now = datetime.fromisoformat(sys.argv[2])
state = StateStore(Path(sys.argv[1]))
decision = state.acquire("t", "account", now)
if isinstance(decision, Granted):
    state.record_result(decision.request, "t", Backoff(now, now + timedelta(seconds=180)))
print(type(decision).__name__)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def path(disk: SmallDisk) -> Path:
    """Return the path of state.db, which a request of yesterday has created with all its files."""
    path = disk.path / "ours" / "state.db"
    request(StateStore(path), NOW - timedelta(days=1))
    assert path.with_name(FILE_NAME).exists()
    return path


def request(
    state: StateStore, now: datetime, fingerprint: str = "t", problem: Problem | None = None
) -> Granted | InFlight | Wait:
    """Send a request if it is granted; it takes no time."""
    decision = state.acquire(fingerprint, "account", now)
    if isinstance(decision, Granted):
        until = problem.retry_at if problem is not None and problem.retry_at else now + FLOOR
        state.record_result(decision.request, fingerprint, Backoff(now, until, problem))
    return decision


def limited(until: datetime) -> Problem:
    return Problem("rate_limited", "m", "h", until)


# --- shared ------------------------------------------------------------------------------------


def test_processes_on_a_full_disk_share_one_budget(disk: SmallDisk, path: Path) -> None:
    disk.fill()
    outputs = run_at_once(PROCESS, [StateStore.__module__], [[str(path), NOW.isoformat()]] * 8)
    assert 8 == len(outputs)
    assert 1 == outputs.count("Granted")
    assert {"Granted", "InFlight", "Wait"} >= set(outputs)


def test_what_was_sent_while_there_was_space_for_a_moment_counts(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    without_file = StateStore(path)
    without_file.try_write()
    assert without_file.notice
    disk.empty()
    with_file = StateStore(path)
    assert isinstance(request(with_file, NOW), Granted)
    assert with_file.notice is None
    del with_file
    gc.collect()  # who closes the file last deletes its log, and another one would need space
    assert [] == list(path.parent.glob("state.db-*"))
    disk.fill()
    assert Wait(NOW + FLOOR) == request(without_file, NOW)


def test_a_file_that_takes_no_copy_of_the_spare_ledger_grants_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    without_file = subject.SpareLedger(path, None, live=False)
    without_file.open(open_in_memory().connection)
    granted = without_file.acquire("t", "account", NOW, 20)
    assert isinstance(granted, Granted)
    with_file = StateStore(path)

    def full(connection: sqlite3.Connection, entries: ledger.Entries) -> None:
        if Path(connection.execute("PRAGMA database_list").fetchone()[2]) == path:
            raise DISK_FULL
        add_entries(connection, entries)

    add_entries = ledger.add_entries
    monkeypatch.setattr(ledger, "add_entries", full)
    assert InFlight(granted.request) == with_file.acquire("t", "account", NOW)
    assert with_file.notice is not None


def test_a_request_is_in_flight_for_other_processes_too(disk: SmallDisk, path: Path) -> None:
    disk.fill()
    one, other = StateStore(path), StateStore(path)
    granted = one.acquire("t", "account", NOW)
    assert isinstance(granted, Granted)
    assert InFlight(granted.request) == other.acquire("t", "account", NOW)
    assert other.in_flight(granted.request, NOW)
    one.release(granted.request)
    assert not other.in_flight(granted.request, NOW)


def test_the_hour_of_state_db_counts_on_a_full_disk(disk: SmallDisk, path: Path) -> None:
    state = StateStore(path)
    for number in range(MAX_REQUESTS_PER_HOUR - 1):
        assert isinstance(request(state, NOW, str(number)), Granted)
    disk.fill()
    assert isinstance(request(StateStore(path), NOW, "last"), Granted)
    assert Wait(NOW + HOUR) == request(StateStore(path), NOW, "one more")


def test_a_problem_in_state_db_holds_on_a_full_disk(disk: SmallDisk, path: Path) -> None:
    request(StateStore(path), NOW, problem=limited(NOW + 50 * MINUTE))
    disk.fill()
    state = StateStore(path)
    assert Wait(NOW + 50 * MINUTE, limited(NOW + 50 * MINUTE)) == request(state, NOW + 49 * MINUTE)
    backoff = state.backoff_of("t")
    assert backoff is not None
    assert limited(NOW + 50 * MINUTE) == backoff.problem


def test_a_day_of_requests_needs_no_space(disk: SmallDisk, path: Path) -> None:
    spare = path.with_name(FILE_NAME)
    size = spare.stat().st_size
    disk.fill()
    connection = subject._open_file(spare)
    for number in range(4 * 24 * MAX_REQUESTS_PER_HOUR):
        now = NOW + number * 24 * HOUR / 2000
        fingerprint = f"{number % 4:016}"
        granted = ledger.acquire(connection, fingerprint, f"{fingerprint:72}", now, 10_000)
        assert isinstance(granted, Granted)
        ledger.record_result(connection, granted.request, fingerprint, Backoff(now, now))
    assert size == spare.stat().st_size


def test_what_was_requested_on_a_full_disk_counts_when_there_is_space(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    request(StateStore(path), NOW, problem=limited(NOW + 50 * MINUTE))
    disk.empty()
    state = StateStore(path)
    assert state.notice is None
    for _ in range(2):
        later = request(state, NOW + 40 * MINUTE)
        assert Wait(NOW + 50 * MINUTE, limited(NOW + 50 * MINUTE)) == later
    assert 1 == state.requests_in_last_hour("account", NOW + 40 * MINUTE)


def test_a_wait_of_a_full_disk_ends_though_the_clock_was_set_back(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    request(StateStore(path), NOW)
    disk.empty()
    back = NOW - 10 * HOUR
    state = StateStore(path)
    assert Wait(back + FLOOR) == request(state, back)
    assert Wait(back + FLOOR) == request(state, back + MINUTE)
    assert isinstance(request(state, back + FLOOR), Granted)


def test_the_requests_of_the_fallback_file_count_in_state_db(tmp_path: Path) -> None:
    path, fallback = tmp_path / "ours" / "state.db", tmp_path / "fallback" / "state.db"
    path.parent.write_text("in the way")
    request(StateStore(path, fallback=fallback), NOW)
    path.parent.unlink()
    assert Wait(NOW + FLOOR) == request(StateStore(path, fallback=fallback), NOW)


def test_the_file_is_the_users_alone(path: Path) -> None:
    assert 0o600 == stat.S_IMODE(path.with_name(FILE_NAME).stat().st_mode)


@pytest.mark.parametrize("damage", ["garbage", "garbage behind the first page", "empty"])
def test_a_damaged_file_is_replaced_while_there_is_space(
    disk: SmallDisk, path: Path, damage: str
) -> None:
    spare = path.with_name(FILE_NAME)
    garbage = b"\xff" * 9999
    contents = {
        "garbage": garbage,
        "garbage behind the first page": spare.read_bytes()[:4096] + garbage,
        "empty": b"",
    }
    spare.write_bytes(contents[damage])
    request(StateStore(path), NOW - 2 * HOUR)
    request(StateStore(path), NOW - HOUR)
    disk.fill()
    assert isinstance(request(StateStore(path), NOW), Granted)
    assert Wait(NOW + FLOOR) == request(StateStore(path), NOW)


def test_a_damaged_file_is_replaced_although_state_db_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.mkdir()
    request(StateStore(path), NOW - HOUR)
    path.with_name(FILE_NAME).write_bytes(b"\xff" * 9999)
    assert isinstance(request(StateStore(path), NOW - MINUTE), Wait)
    assert isinstance(request(StateStore(path), NOW), Granted)


def test_damage_that_only_a_read_notices_is_repaired_while_there_is_space(path: Path) -> None:
    spare = path.with_name(FILE_NAME)
    content = spare.read_bytes()
    spare.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    request(StateStore(path), NOW - HOUR)
    assert not spare.exists()
    request(StateStore(path), NOW)
    assert len(content) == spare.stat().st_size


def test_a_request_is_granted_although_no_spare_ledger_can_be_created(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    state = StateStore(tmp_path / "state.db")
    assert isinstance(request(state, NOW), Granted)
    assert state.notice is None


def test_a_file_that_had_no_space_for_its_free_pages_is_empty(disk: SmallDisk) -> None:
    """So the next request creates it again, with free pages."""
    spare = disk.path / FILE_NAME
    disk.fill(remaining=100 * 1024)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        subject._open_file(spare)
    disk.empty()
    subject._open_file(spare).close()
    assert spare.stat().st_size > subject._RESERVED_BYTES


def test_a_process_that_opens_the_file_waits_while_another_one_replaces_it(tmp_path: Path) -> None:
    """Else it might delete the new file."""
    ours = subject.SpareLedger(tmp_path / "state.db", None, live=False)
    with database.locked_folder(tmp_path):
        opening = run_in_thread(lambda: ours.open(open_in_memory().connection), "opening")
        time.sleep(0.2)
        assert not opening.done()
    opening.result(60)


def test_a_file_whose_creation_was_cut_short_is_completed(disk: SmallDisk, path: Path) -> None:
    spare = path.with_name(FILE_NAME)
    spare.unlink()
    with sqlite3.connect(spare) as connection:
        subject._create_content(connection)
        connection.execute("CREATE TABLE reserve (content)")
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    request(StateStore(path), NOW - HOUR)
    disk.fill()
    assert isinstance(request(StateStore(path), NOW), Granted)
    assert Wait(NOW + FLOOR) == request(StateStore(path), NOW)


def test_a_file_that_is_deleted_while_in_use_is_created_again_for_all(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    without_file = StateStore(path)
    assert isinstance(request(without_file, NOW - FLOOR), Granted)
    path.with_name(FILE_NAME).unlink()
    disk.empty()
    assert Wait(NOW) == request(without_file, NOW - MINUTE)
    granted = without_file.acquire("t", "account", NOW)
    assert isinstance(granted, Granted)
    path.with_name(FILE_NAME).unlink()
    without_file.record_result(granted.request, "t", Backoff(NOW, NOW + FLOOR))
    assert Wait(NOW + FLOOR) == request(StateStore(path), NOW)


def test_processes_that_create_the_file_at_once_can_all_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / FILE_NAME
    versions: list[int] = []

    def read_before_another_process_creates(connection: sqlite3.Connection) -> int:
        version = schema_version(connection)
        versions.append(version)
        if len(versions) == 1:
            subject._open_file(spare).close()
        return version

    monkeypatch.setattr(subject, "schema_version", read_before_another_process_creates)
    for _ in range(2):
        subject._open_file(spare).close()
    assert 0 == versions[0]


def test_a_file_with_all_columns_and_an_older_version_number_can_be_used(tmp_path: Path) -> None:
    spare = tmp_path / FILE_NAME
    subject._open_file(spare).close()
    with sqlite3.connect(spare) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    subject._open_file(spare).close()


# --- alone ---------------------------------------------------------------------------------------


@pytest.fixture
def unusable(tmp_path: Path) -> Path:
    """Return a path of state.db in a folder that cannot be."""
    (tmp_path / "ours").write_text("in the way")
    return tmp_path / "ours" / "state.db"


def test_a_command_that_is_alone_sends_nothing_and_says_why(unusable: Path) -> None:
    state = StateStore(unusable)
    for _ in range(2):
        decision = state.acquire("t", "account", NOW)
        assert isinstance(decision, Wait)
        problem = decision.problem
        assert problem is not None
        assert ("rate_limited", NOW + MINUTE) == (problem.code, problem.retry_at)
        assert f"{unusable} cannot be written" in problem.message
        assert "one an hour" not in (state.notice or "")
        backoff = state.backoff_of("t")
        assert backoff is not None
        assert problem == backoff.problem


def test_a_live_process_that_is_alone_sends_one_request_an_hour(unusable: Path) -> None:
    state = StateStore(unusable, live=True)
    assert isinstance(request(state, NOW), Granted)
    assert "one an hour is sent" in (state.notice or "")
    assert Wait(NOW + HOUR) == request(state, NOW + FLOOR)
    assert isinstance(request(state, NOW + HOUR), Granted)
    assert Wait(NOW + 2 * HOUR) == request(state, NOW + 2 * HOUR - MINUTE)


def test_a_live_process_that_is_alone_counts_the_requests_of_all_its_threads(
    unusable: Path,
) -> None:
    state = StateStore(unusable, live=True)
    first = run_in_thread(lambda: request(state, NOW), "first")
    assert isinstance(first.result(60), Granted)
    assert Wait(NOW + HOUR) == request(state, NOW + FLOOR)


def test_a_live_process_that_is_alone_respects_a_429(unusable: Path) -> None:
    state = StateStore(unusable, live=True)
    request(state, NOW, problem=limited(NOW + 70 * MINUTE))
    assert Wait(NOW + 70 * MINUTE, limited(NOW + 70 * MINUTE)) == request(state, NOW + 69 * MINUTE)


def test_a_live_process_that_becomes_alone_counts_its_own_requests_only(
    disk: SmallDisk, path: Path
) -> None:
    live = StateStore(path, live=True)
    request(live, NOW)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE request SET process = '1:1'")
    other.close()
    path.with_name(FILE_NAME).unlink()
    disk.fill()
    assert isinstance(request(live, NOW + FLOOR), Granted)
    assert Wait(NOW + FLOOR + HOUR) == request(live, NOW + 2 * FLOOR)


def test_a_429_in_state_db_holds_for_a_process_that_becomes_alone(
    disk: SmallDisk, path: Path
) -> None:
    live = StateStore(path, live=True)
    request(live, NOW, problem=limited(NOW + 50 * MINUTE))
    path.with_name(FILE_NAME).unlink()
    disk.fill()
    assert Wait(NOW + HOUR) == request(live, NOW, "another")  # finds that the disk is full
    wait = Wait(NOW + 50 * MINUTE, limited(NOW + 50 * MINUTE))
    assert wait == request(live, NOW + 49 * MINUTE)


def test_a_fallback_folder_that_others_can_read_has_no_spare_ledger(
    tmp_path: Path, unusable: Path
) -> None:
    fallback = tmp_path / "fallback" / "state.db"
    fallback.parent.mkdir()
    fallback.parent.chmod(0o755)
    state = StateStore(unusable, fallback=fallback, live=True)
    assert "one an hour is sent" in (state.notice or "")
    assert [] == list(fallback.parent.iterdir())


def test_the_spare_ledger_may_be_in_the_fallback_folder(disk: SmallDisk, unusable: Path) -> None:
    fallback = disk.path / "fallback" / "state.db"
    request(StateStore(unusable, fallback=fallback), NOW - timedelta(days=1))
    disk.fill()
    one, other = (StateStore(unusable, fallback=fallback) for _ in range(2))
    assert isinstance(request(one, NOW), Granted)
    assert Wait(NOW + FLOOR) == request(other, NOW)


def test_live_mode_with_a_spare_ledger_sends_more_than_one_request_an_hour(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    live = StateStore(path, live=True)
    assert isinstance(request(live, NOW), Granted)
    assert "one an hour" not in (live.notice or "")
    assert isinstance(request(live, NOW + FLOOR), Granted)


def test_a_spare_ledger_that_is_no_longer_used_is_closed(
    disk: SmallDisk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_store, "_RETRY_INTERVAL", 0.0)
    disk.fill()
    state = StateStore(path)
    request(state, NOW)
    assert FILE_NAME in open_files(disk)
    disk.empty()
    request(state, NOW)
    assert FILE_NAME not in open_files(disk)


def open_files(disk: SmallDisk) -> set[str]:
    """Return the names of the files on a disk that this process has open."""
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return {link.name for link in links if link.is_relative_to(disk.path)}


def test_what_a_process_sent_alone_counts_when_there_is_space(
    disk: SmallDisk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name(FILE_NAME).unlink()
    disk.fill()
    live = StateStore(path, live=True)
    request(live, NOW, problem=limited(NOW + 50 * MINUTE))
    monkeypatch.setattr(state_store, "_RETRY_INTERVAL", 0.0)
    assert isinstance(request(live, NOW + MINUTE), Wait)  # the file is tried, and is still full
    disk.empty()
    for state in (live, StateStore(path)):
        assert Wait(NOW + 50 * MINUTE, limited(NOW + 50 * MINUTE)) == request(state, NOW + MINUTE)
        assert state.notice is None
    assert isinstance(request(live, NOW + MINUTE, "another"), Granted)
    assert 2 == live.requests_in_last_hour("account", NOW + MINUTE)


def test_a_process_whose_spare_ledger_cannot_be_read_goes_on_alone(
    disk: SmallDisk, path: Path
) -> None:
    disk.fill()
    live = StateStore(path, live=True)
    request(live, NOW, problem=limited(NOW + 50 * MINUTE))
    with sqlite3.connect(path.with_name(FILE_NAME)) as vandal:
        vandal.execute("PRAGMA journal_mode = MEMORY")
        vandal.execute("DROP TABLE request")
    vandal.close()
    assert 0 == live.requests_in_last_hour("account", NOW + MINUTE)
    assert "one an hour is sent" in (live.notice or "")
    backoff = live.backoff_of("t")
    assert backoff is not None
    assert limited(NOW + 50 * MINUTE) == backoff.problem


def test_a_process_whose_spare_ledger_breaks_goes_on_alone(disk: SmallDisk, path: Path) -> None:
    disk.fill()
    live = StateStore(path, live=True)
    request(live, NOW, problem=limited(NOW + 50 * MINUTE))
    with sqlite3.connect(path.with_name(FILE_NAME)) as vandal:
        vandal.execute("PRAGMA journal_mode = MEMORY")
        vandal.execute("DROP TABLE request")
    vandal.close()
    later = NOW + 49 * MINUTE
    assert isinstance(request(live, later), Wait)
    assert "one an hour is sent" in (live.notice or "")
    assert isinstance(request(live, NOW + 50 * MINUTE, "another"), Granted)
    assert Wait(NOW + 110 * MINUTE) == request(live, NOW + 60 * MINUTE, "a third")


def test_a_process_with_state_db_and_one_without_do_not_decide_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    with_file, without_file = StateStore(path), subject.SpareLedger(path, None, live=False)
    without_file.open(open_in_memory().connection)
    deciding, go_on = threading.Event(), threading.Event()
    acquire = ledger.acquire

    def slow_acquire(
        connection: sqlite3.Connection, fingerprint: str, identity: str, now: datetime, most: int
    ) -> Granted | InFlight | Wait:
        if not deciding.is_set():
            deciding.set()
            go_on.wait(60)
        return acquire(connection, fingerprint, identity, now, most)

    monkeypatch.setattr(ledger, "acquire", slow_acquire)
    first = run_in_thread(lambda: with_file.acquire("t", "ada", NOW), "first")
    assert deciding.wait(60)
    second = run_in_thread(lambda: without_file.acquire("t", "ada", NOW, 20), "second")
    time.sleep(0.2)
    assert not second.done()
    go_on.set()
    assert isinstance(first.result(60), Granted)
    assert isinstance(second.result(60), InFlight)


def test_a_folder_that_stays_locked_is_waited_for_only_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.1)
    with database.locked_folder(tmp_path):
        assert isinstance(StateStore(tmp_path / "state.db").acquire("t", "ada", NOW), Granted)
