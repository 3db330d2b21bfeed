from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.files import NotARegularFile, NotPrivate
from claude_usage_monitor.store.database import (
    connect,
    inode_of,
    is_busy,
    is_corrupt,
    locked_folder,
    reason_for,
    remedy_for,
    result_code,
    transaction,
)

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a ü%20?.db"
    path.touch(mode=0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE item (name TEXT UNIQUE)")
    connection.close()
    return path


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM item")]


def error_of(connection: sqlite3.Connection, statement: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement)
    return caught.value


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_a_statement_commits_by_itself(path: Path) -> None:
    connect(path).execute("INSERT INTO item VALUES ('a')")
    assert ["a"] == names(connect(path))


@pytest.mark.parametrize("name", [b"\xff.db", b"a?mode=memory.db", b"100%.db", b"%41#2.db", b"a b"])
def test_any_file_name_is_opened_as_it_is(path: Path, name: bytes) -> None:
    odd = path.with_name(os.fsdecode(name))
    path.rename(odd)
    assert [] == names(connect(odd))


def test_a_read_only_connection_cannot_write(path: Path) -> None:
    error = error_of(connect(path, mode="ro"), "INSERT INTO item VALUES ('a')")
    assert "it is read-only" == reason_for(error)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_a_regular_file_is_opened(path: Path, kind: str) -> None:
    """SQLite itself waits forever for the other end of a FIFO."""
    other = path.with_name("other.db")
    if kind == "link":
        other.symlink_to(path)
    elif kind == "fifo":
        os.mkfifo(other)
    else:
        other.mkdir()
    with pytest.raises(NotARegularFile):
        connect(other)


@pytest.mark.parametrize("mode", [0o622, 0o602])
def test_a_file_that_others_can_write_is_refused_with_the_command_that_helps(
    path: Path, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(NotPrivate, match="other users can write to it: `chmod go-w '") as caught:
        connect(path)
    os.system((caught.value.strerror or "").split("`")[1])
    connect(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(NotPrivate, match="another user owns it: `sudo chown 0 '"):
        connect(path)


def write(connection: sqlite3.Connection, *statements: str, error: Exception | None = None) -> None:
    with transaction(connection):
        for statement in statements:
            connection.execute(statement)
        if error is not None:
            raise error


def test_a_transaction_writes_all_or_nothing(path: Path) -> None:
    connection = connect(path)
    with pytest.raises(sqlite3.IntegrityError):
        write(connection, *["INSERT INTO item VALUES ('a')"] * 2)
    with pytest.raises(ZeroDivisionError):
        write(connection, "INSERT INTO item VALUES ('b')", error=ZeroDivisionError())
    assert [] == names(connection)
    write(connection, "INSERT INTO item VALUES ('c')")
    assert ["c"] == names(connection)


def test_a_transaction_that_sqlite_itself_rolled_back_raises_the_first_error(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write(connect(path), "ROLLBACK", error=ZeroDivisionError())


def test_errors_are_classified_by_code(path: Path) -> None:
    connection = connect(path, timeout=0)
    with transaction(connect(path)):
        busy = error_of(connection, "INSERT INTO item VALUES ('a')")
    assert (True, False, "another program has locked it") == (
        is_busy(busy),
        is_corrupt(busy),
        reason_for(busy),
    )
    unknown = error_of(connection, "SELECT locked, busy, malformed FROM item")
    assert (False, False, sqlite3.SQLITE_ERROR) == (
        is_busy(unknown),
        is_corrupt(unknown),
        result_code(unknown),
    )
    path.write_bytes(b"garbage" * 1000)
    garbage = error_of(connect(path), "SELECT * FROM item")
    assert (False, True, "it is not a database") == (
        is_busy(garbage),
        is_corrupt(garbage),
        reason_for(garbage),
    )
    closed = connect(path)
    closed.close()
    assert None is result_code(error_of(closed, "SELECT 1"))
    assert "Is a directory" == reason_for(IsADirectoryError(21, "Is a directory"))


def test_a_read_only_file_system_has_a_remedy_that_works() -> None:
    """No user can give themselves access there."""
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert "the file system is read-only" == reason_for(error)
    assert "CLAUDE_USAGE_MONITOR_HOME" in remedy_for(error)
    assert "Free space." == remedy_for(OSError(errno.ENOSPC, "full"))
    assert "Give yourself access to it." == remedy_for(PermissionError(errno.EACCES, "denied"))


def test_a_replaced_file_has_another_inode(path: Path) -> None:
    before = inode_of(path)
    other = path.with_name("other")
    other.touch()
    other.replace(path)
    assert None is not before != inode_of(path)
    assert None is inode_of(path.with_name("missing"))
    assert None is inode_of(path.with_name("a\0b"))


def test_a_block_runs_although_its_folder_cannot_be_locked(tmp_path: Path) -> None:
    blocks = []
    with locked_folder(tmp_path / "missing"):
        blocks.append("ran")
    assert ["ran"] == blocks
