"""Reading a database that another program writes, without leaving a trace."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.sources.pace_maker.database import Unreadable, read_rows
from tests.support.pace_maker import CANARY, SCHEMA, PaceMakerFolder
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(home: Path) -> PaceMakerFolder:
    found = PaceMakerFolder(home / ".claude-pace-maker").install()
    found.polled(NOW - timedelta(minutes=2))
    found.decided(NOW - timedelta(minutes=2), 35)
    return found


def delay(folder: PaceMakerFolder) -> object:
    return read_rows(folder.database, NOW).pacing_decisions.get("delay_seconds")


def unreadable(folder: PaceMakerFolder) -> str:
    before = folder.traces()
    with pytest.raises(Unreadable) as caught:
        read_rows(folder.database, NOW)
    assert before == folder.traces()
    return str(caught.value)


def test_the_last_row_of_each_table_is_read(folder: PaceMakerFolder) -> None:
    folder.decided(NOW, 0)
    folder.blocked(NOW - timedelta(minutes=50), "pacing_quota", 2)
    folder.blocked(NOW - timedelta(minutes=70), "other")
    folder.refused(NOW + timedelta(minutes=20))
    rows = read_rows(folder.database, NOW)
    assert (78.0, 35.0) == (rows.api_cache["five_hour_util"], rows.api_cache["seven_day_util"])
    assert 0 == rows.pacing_decisions["delay_seconds"]
    assert ["pacing_quota", "pacing_quota"] == [category for category, _ in rows.blockages]
    assert 1 == rows.backoff_state["consecutive_429s"]
    assert () == rows.gaps


@pytest.mark.parametrize("journal", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_reading_leaves_no_trace(home: Path, journal: str) -> None:
    """No byte, no time of change, no file beside it: whatever journal it was left with."""
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal=journal)
    folder.decided(NOW, 7)
    before = folder.traces()
    assert 7 == delay(folder)
    assert before == folder.traces()


def test_a_folder_that_may_not_be_written_to_can_be_read(folder: PaceMakerFolder) -> None:
    folder.database.chmod(0o400)
    folder.path.chmod(0o500)
    try:
        assert 35 == delay(folder)
    finally:
        folder.path.chmod(0o700)


def test_while_another_process_writes_every_reading_is_whole(folder: PaceMakerFolder) -> None:
    with folder.written():
        began = time.time()
        for _ in range(40):
            rows = read_rows(folder.database, NOW)
            assert ((), 35) == (rows.gaps, rows.pacing_decisions["delay_seconds"])
            time.sleep(0.01)
        newest = rows.pacing_decisions["timestamp"]
        assert isinstance(newest, int)
        assert newest >= int(began)
        assert {"usage.db", "usage.db-wal", "usage.db-shm", "config.json"} == set(folder.traces())


def test_a_writer_that_is_stopped_in_the_midst_sees_nothing_of_us(
    folder: PaceMakerFolder,
) -> None:
    """The log and its shared memory too keep every byte."""
    with folder.written(200) as writer:
        time.sleep(0.2)
        os.kill(writer.pid, signal.SIGSTOP)
        before = folder.traces()
        assert before["usage.db-wal"]
        assert 35 == delay(folder)
        assert before == folder.traces()


def test_what_a_killed_writer_left_is_read_as_it_is(folder: PaceMakerFolder) -> None:
    """Its log stays for it to recover: opened the usual way, SQLite would begin to."""
    with folder.written() as writer:
        time.sleep(0.1)
        os.kill(writer.pid, signal.SIGSTOP)
        folder_before = folder.traces()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    before = folder.traces()
    assert folder_before == before
    rows = read_rows(folder.database, NOW)
    assert (35, ()) == (rows.pacing_decisions["delay_seconds"], rows.gaps)
    assert before == folder.traces()


def test_a_log_without_its_shared_memory_is_a_gap(folder: PaceMakerFolder) -> None:
    with folder.written() as writer:
        time.sleep(0.1)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    (folder.path / "usage.db-shm").unlink()
    before = folder.traces()
    rows = read_rows(folder.database, NOW)
    assert any("newest changes" in gap for gap in rows.gaps)
    assert 78.0 == rows.api_cache["five_hour_util"]
    assert before == folder.traces()


def test_an_old_database_that_is_locked_is_given_up_at_once(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "usage.db is locked by another program" == unreadable(folder)
    assert None is delay(folder)


def test_a_write_ahead_writer_locks_nobody_out(folder: PaceMakerFolder) -> None:
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pacing_decisions SET delay_seconds = 99")
        assert 35 == delay(folder)
        other.execute("COMMIT")
        assert 99 == delay(folder)


def test_a_journal_that_waits_for_its_rollback_is_left_alone(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    folder.decided(NOW, 7)
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("PRAGMA cache_size = 1")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pacing_decisions SET delay_seconds = 99")
        torn = {name: (folder.path / name).read_bytes() for name in folder.traces()}
        other.execute("ROLLBACK")
    for name, content in torn.items():
        (folder.path / name).write_bytes(content)
    before = folder.traces()
    try:
        assert 7 == delay(folder)
    except Unreadable as error:
        assert "usage.db" in str(error)  # noqa: PT017 - either is right: never 99
    assert before == folder.traces()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "is not a database"),
        (b"SQLite format 3\0", "is not a database"),
        (b"\0" * 8192, "is not a database"),
        (b"SQLite format 3\0" + b"\0" * 4096, "is damaged"),
        (b"SQLite format 3\0" + b"\xff" * 4096, "damaged"),
    ],
)
def test_what_is_no_database_says_so(folder: PaceMakerFolder, content: bytes, words: str) -> None:
    folder.database.write_bytes(content)
    assert words in unreadable(folder)


def test_damage_in_the_words_of_an_error_is_damage_too(folder: PaceMakerFolder) -> None:
    """SQLite quotes the schema it cannot read, which need not be text."""
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET name = CAST(X'FF' AS TEXT), sql = 'CREATE TABLE ('"
            " WHERE name = 'profile_cache'"
        )
    assert "usage.db is damaged" == unreadable(folder)


def test_whatever_stands_in_its_place_neither_blocks_nor_breaks(folder: PaceMakerFolder) -> None:
    folder.database.unlink()
    with pytest.raises(Unreadable, match="not there yet"):
        read_rows(folder.database, NOW)
    folder.database.mkdir()
    with pytest.raises(Unreadable, match="not a regular file"):
        read_rows(folder.database, NOW)
    folder.database.rmdir()
    os.mkfifo(folder.database)
    with pytest.raises(Unreadable, match="not a regular file"):
        read_rows(folder.database, NOW)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_damage_is_a_gap_or_unreadable_and_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = PaceMakerFolder(tmp_path_factory.mktemp("damaged")).install()
    folder.polled(NOW)
    content = bytearray(folder.database.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(16, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder.database.write_bytes(content[: data.draw(st.integers(50, len(content)))])
    before = folder.traces()
    try:
        assert isinstance(read_rows(folder.database, NOW).gaps, tuple)
    except Unreadable as error:
        assert str(error).startswith("usage.db")  # noqa: PT017 - one of two right outcomes
    assert before == folder.traces()


def test_its_secrets_are_not_read(folder: PaceMakerFolder) -> None:
    assert CANARY not in str(read_rows(folder.database, NOW))
    assert "secrets" in SCHEMA
