from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.database import inode_of
from claude_usage_monitor.store.state import state_file as subject
from claude_usage_monitor.store.state.schema import SCHEMA_VERSION
from claude_usage_monitor.store.state.state_file import open_in_memory, open_state_file
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.threads import run_in_thread
from tests.support.forks import run_at_once
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path

ANY_ROW = "INSERT INTO login VALUES ('place', 'account', 1)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "state.db"


def rows(path: Path) -> list[tuple[object, ...]]:
    database = open_state_file(path)
    found = database.connection.execute("SELECT * FROM login").fetchall()
    database.connection.close()
    return found


def test_only_the_user_can_read_the_file_from_the_beginning(path: Path) -> None:
    before = os.umask(0)
    try:
        database = open_state_file(path)
        database.connection.execute(ANY_ROW)
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert {0o600} == modes
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert len(list(path.parent.iterdir())) == 3
    database.connection.close()


WRITE_AND_END = """
import os, sys
from claude_usage_monitor.store.state.state_file import open_state_file
database = open_state_file(sys.argv[1])
database.connection.execute("INSERT INTO login VALUES (hex(randomblob(150000)), 'account', 1)")
os._exit(0)
"""


def test_a_log_stays_short_when_each_process_writes_once(path: Path) -> None:
    """As a status line does: SQLite alone would never empty the log, and every start reads it."""
    log, lengths = path.with_name("state.db-wal"), []
    for _ in range(4):
        subprocess.run([sys.executable, "-c", WRITE_AND_END, path], check=True)
        lengths.append(log.stat().st_size)
    assert max(lengths) < 1_000_000
    assert 4 == len(rows(path))


def test_a_long_log_does_not_wait_for_a_reader(path: Path) -> None:
    database = open_state_file(path)
    database.connection.execute("BEGIN")
    database.connection.execute("SELECT * FROM login").fetchall()
    subprocess.run([sys.executable, "-c", WRITE_AND_END, path], check=True)
    again = open_state_file(path, timeout=3600)
    assert (3600 * 1000,) == again.connection.execute("PRAGMA busy_timeout").fetchone()
    assert 1 == len(again.connection.execute("SELECT * FROM login").fetchall())
    assert 0 == len(database.connection.execute("SELECT * FROM login").fetchall())
    database.connection.close()
    again.connection.close()


def test_rows_are_there_after_opening_again(path: Path) -> None:
    database = open_state_file(path)
    assert (str(path), None) == (database.path, database.notice)
    database.connection.execute(ANY_ROW)
    database.connection.close()
    assert [("place", "account", 1)] == rows(path)


def test_an_empty_file_is_an_empty_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert [] == rows(path)


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_renamed_and_never_deleted(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    database = open_state_file(path)
    assert database.notice is not None
    assert "was damaged. It is now" in database.notice
    (aside,) = path.parent.glob("state.db.damaged-*")
    assert damage == aside.read_bytes()
    database.connection.execute(ANY_ROW)
    database.connection.close()
    assert [("place", "account", 1)] == rows(path)


def test_two_processes_that_find_the_same_damage_rename_the_file_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    damaged, checked = inode_of(path), threading.Event()

    def slow_inode_of(path: Path) -> int | None:
        inode = inode_of(path)
        if not checked.is_set():
            checked.set()
            time.sleep(0.2)
        return inode

    monkeypatch.setattr(subject, "inode_of", slow_inode_of)
    replace = partial(subject.replace_damaged_file, str(path), 5.0, damaged)
    first = run_in_thread(replace, "first")
    assert checked.wait(60)
    replace().connection.execute(ANY_ROW)
    first.result(60)
    assert [("place", "account", 1)] == rows(path)
    assert 1 == len(list(path.parent.glob("state.db.damaged-*")))


def test_a_newer_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    before = path.read_bytes()
    database = open_state_file(path)
    assert database.path is None
    assert "newer version" in (database.notice or "")
    database.connection.execute(ANY_ROW)
    assert before == path.read_bytes()


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_path_that_cannot_be_used_is_replaced_by_memory(path: Path, what: str) -> None:
    if what == "file":
        path.parent.write_text("in the way")
    else:
        path.parent.mkdir()
        if what == "folder":
            path.mkdir()
        else:
            path.symlink_to("elsewhere")
    database = open_state_file(path)
    assert database.path is None
    assert "nothing is stored" in (database.notice or "")
    database.connection.execute(ANY_ROW)


def test_twenty_processes_can_create_the_file_at_once(path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        f"from {open_state_file.__module__} import open_state_file\n"
        "database = open_state_file(pathlib.Path(sys.argv[1]))\n"
        "assert database.notice is None, database.notice\n"
    )
    run_at_once(code, [open_state_file.__module__], [[str(path)]] * 20)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION])
def test_a_file_with_other_tables_is_renamed(path: Path, version: int) -> None:
    """No migration of ours leaves one behind: each is one transaction."""
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE newest (something)")
        other.execute(f"PRAGMA user_version = {version}")
    other.close()
    state = StateStore(path)
    assert state.latest_usage("account", NOW) is None
    assert "was damaged" in (state.notice or "")
    assert 1 == len(list(path.parent.glob("state.db.damaged-*")))
    assert StateStore(path).notice is None


def test_processes_share_the_fallback_file_where_the_path_cannot_be_used(
    path: Path, tmp_path: Path
) -> None:
    path.parent.write_text("in the way")
    fallback = tmp_path / "temporary" / "ours" / "state.db"
    database = open_state_file(path, fallback=fallback)
    assert str(fallback) == database.path
    assert f"{fallback} is used instead." in (database.notice or "")
    assert 0o700 == stat.S_IMODE(fallback.parent.stat().st_mode)


def test_a_fallback_folder_that_others_can_use_is_refused(path: Path, tmp_path: Path) -> None:
    path.parent.write_text("in the way")
    fallback = tmp_path / "temporary" / "ours" / "state.db"
    fallback.parent.mkdir(mode=0o777)
    fallback.parent.chmod(0o777)
    database = open_state_file(path, fallback=fallback)
    assert database.path is None
    assert [] == list(fallback.parent.iterdir())


def test_only_the_user_can_enter_the_folders(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_state_file(tmp_path / "one" / "two" / "state.db").connection.close()
    finally:
        os.umask(before)
    for folder in (tmp_path / "one", tmp_path / "one" / "two"):
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_database_in_memory_has_the_same_schema() -> None:
    assert [(SCHEMA_VERSION,)] == open_in_memory().connection.execute(
        "PRAGMA user_version"
    ).fetchall()
