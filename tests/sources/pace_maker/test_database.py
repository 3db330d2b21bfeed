"""Reading a database while another program writes it, without changing a file."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.pace_maker.database import Unreadable, read_rows
from claude_usage_monitor.usage.throttling import Gap, GapReason
from tests.support.pace_maker import CANARY, SCHEMA, PaceMakerFolder
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(home: Path) -> PaceMakerFolder:
    found = PaceMakerFolder(home / ".claude-pace-maker").install()
    found.poll(NOW - timedelta(minutes=2))
    found.decide(NOW - timedelta(minutes=2), 35)
    return found


def delay(folder: PaceMakerFolder) -> object:
    return read_rows(folder.database, NOW).pacing_decisions.get("delay_seconds")


def reason(folder: PaceMakerFolder) -> GapReason:
    before = folder.contents()
    with pytest.raises(Unreadable) as caught:
        read_rows(folder.database, NOW)
    assert before == folder.contents()
    return caught.value.gap.reason


def test_reads_the_last_row_of_each_table(folder: PaceMakerFolder) -> None:
    folder.decide(NOW, 0)
    folder.block(NOW - timedelta(minutes=50), "pacing_quota", 2)
    folder.block(NOW - timedelta(minutes=70), "other")
    folder.refuse(NOW + timedelta(minutes=20))
    rows = read_rows(folder.database, NOW)
    assert (78.0, 35.0) == (rows.api_cache["five_hour_util"], rows.api_cache["seven_day_util"])
    assert 0 == rows.pacing_decisions["delay_seconds"]
    assert ["pacing_quota", "pacing_quota"] == [category for category, _ in rows.blockage_events]
    assert 1 == rows.backoff_state["consecutive_429s"]
    assert () == rows.gaps


@pytest.mark.parametrize("journal", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_reading_changes_nothing(home: Path, journal: str) -> None:
    """No byte, no mtime, no other file: with each kind of journal."""
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal=journal)
    folder.decide(NOW, 7)
    before = folder.contents()
    assert 7 == delay(folder)
    assert before == folder.contents()


def test_reads_a_folder_without_write_permission(folder: PaceMakerFolder) -> None:
    folder.database.chmod(0o400)
    folder.path.chmod(0o500)
    try:
        assert 35 == delay(folder)
    finally:
        folder.path.chmod(0o700)


def test_each_read_is_complete_while_another_process_writes(folder: PaceMakerFolder) -> None:
    with folder.being_written():
        began = time.time()
        for _ in range(40):
            rows = read_rows(folder.database, NOW)
            assert ((), 35) == (rows.gaps, rows.pacing_decisions["delay_seconds"])
            time.sleep(0.01)
        newest = rows.pacing_decisions["timestamp"]
        assert isinstance(newest, int)
        assert newest >= int(began)
        assert {"usage.db", "usage.db-wal", "usage.db-shm", "config.json"} == set(folder.contents())


def test_reading_changes_nothing_while_a_writer_is_stopped(
    folder: PaceMakerFolder,
) -> None:
    """Not in the write-ahead log or its shared memory either."""
    with folder.being_written(200) as writer:
        os.kill(writer.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
        before = folder.contents()
        assert before["usage.db-wal"]
        assert 35 == delay(folder)
        assert before == folder.contents()


def test_reads_what_a_killed_writer_left_without_changing_it(folder: PaceMakerFolder) -> None:
    """Opened in the usual way, SQLite would recover its log."""
    with folder.being_written(1 / 3600) as writer:
        folder_before = folder.contents()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    before = folder.contents()
    assert folder_before == before
    rows = read_rows(folder.database, NOW)
    assert (35, ()) == (rows.pacing_decisions["delay_seconds"], rows.gaps)
    assert before == folder.contents()


def test_a_log_without_its_shared_memory_is_a_gap(folder: PaceMakerFolder) -> None:
    with folder.being_written(1 / 3600) as writer:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    (folder.path / "usage.db-shm").unlink()
    before = folder.contents()
    rows = read_rows(folder.database, NOW)
    assert (Gap("usage.db", GapReason.NEWEST_CHANGES),) == rows.gaps
    assert 78.0 == rows.api_cache["five_hour_util"]
    assert before == folder.contents()


def test_does_not_wait_for_the_lock_of_a_database_without_a_log(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert GapReason.LOCKED is reason(folder)
    assert None is delay(folder)


def test_reads_while_a_writer_with_a_log_has_the_lock(folder: PaceMakerFolder) -> None:
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pacing_decisions SET delay_seconds = 99")
        assert 35 == delay(folder)
        other.execute("COMMIT")
        assert 99 == delay(folder)


def test_does_not_roll_back_a_journal_of_a_killed_writer(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    folder.decide(NOW, 7)
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("PRAGMA cache_size = 1")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pacing_decisions SET delay_seconds = 99")
        unfinished = {name: (folder.path / name).read_bytes() for name in folder.contents()}
        other.execute("ROLLBACK")
    for name, content in unfinished.items():
        (folder.path / name).write_bytes(content)
    before = folder.contents()
    try:
        assert 7 == delay(folder)
    except Unreadable as error:
        assert "usage.db" in str(error)  # noqa: PT017 - one of two correct results: never 99
    assert before == folder.contents()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", GapReason.EMPTY),
        (b"hello", GapReason.NOT_A_DATABASE),
        (b"SQLite format 3\0", GapReason.NOT_A_DATABASE),
        (b"\0" * 8192, GapReason.NOT_A_DATABASE),
        (b"SQLite format 3\0" + b"\0" * 4096, GapReason.DAMAGED),
        (b"SQLite format 3\0" + b"\xff" * 4096, GapReason.DAMAGED),
    ],
)
def test_says_why_a_file_is_not_a_usable_database(
    folder: PaceMakerFolder, content: bytes, expected: GapReason
) -> None:
    folder.database.write_bytes(content)
    assert expected is reason(folder)


def test_an_error_with_a_damaged_text_is_damage_too(folder: PaceMakerFolder) -> None:
    """SQLite quotes the schema that it cannot read, which may not be text."""
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET name = CAST(X'FF' AS TEXT), sql = 'CREATE TABLE ('"
            " WHERE name = 'profile_cache'"
        )
    assert GapReason.DAMAGED is reason(folder)


def test_anything_but_a_regular_file_is_an_error_and_never_blocks(folder: PaceMakerFolder) -> None:
    folder.database.unlink()
    with pytest.raises(Unreadable, match="does not exist yet"):
        read_rows(folder.database, NOW)
    folder.database.mkdir()
    with pytest.raises(Unreadable, match="not a regular file"):
        read_rows(folder.database, NOW)
    folder.database.rmdir()
    os.mkfifo(folder.database)
    with pytest.raises(Unreadable, match="not a regular file"):
        read_rows(folder.database, NOW)


@given(st.data())
def test_random_damage_is_a_gap_or_unreadable_and_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = PaceMakerFolder(tmp_path_factory.mktemp("damaged")).install()
    folder.poll(NOW)
    content = bytearray(folder.database.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(16, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder.database.write_bytes(content[: data.draw(st.integers(50, len(content)))])
    before = folder.contents()
    try:
        assert isinstance(read_rows(folder.database, NOW).gaps, tuple)
    except Unreadable as error:
        assert str(error).startswith("usage.db")  # noqa: PT017 - one of two correct results
    assert before == folder.contents()


def test_never_reads_the_secrets(folder: PaceMakerFolder) -> None:
    assert CANARY not in str(read_rows(folder.database, NOW))
    assert "secrets" in SCHEMA
