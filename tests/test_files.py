from __future__ import annotations

import os
import resource
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.files import (
    FileTooLarge,
    NotARegularFile,
    create_private_file,
    make_private_folder,
    open_regular_file,
    read_regular_file,
    write_atomically,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one" / "two" / "file"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_descriptors() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


def make_irregular(path: Path, kind: str) -> None:
    """Put something that is not a regular file at a path."""
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's whole path may have 107 characters only
            try:
                bound.bind(path.name)
            finally:
                os.chdir(here)


class TestReadRegularFile:
    def test_returns_the_content(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"\r\n\0content")
        assert b"\r\n\0content" == read_regular_file(tmp_path / "file", 100)

    def test_follows_a_symbolic_link_to_a_regular_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"content")
        (tmp_path / "link").symlink_to("file")
        assert b"content" == read_regular_file(tmp_path / "link", 100)

    @pytest.mark.parametrize("kind", ["folder", "FIFO", "device"])
    def test_refuses_anything_but_a_regular_file_without_blocking(
        self, tmp_path: Path, kind: str
    ) -> None:
        make_irregular(tmp_path / "file", kind)
        with pytest.raises(NotARegularFile) as raised:
            read_regular_file(tmp_path / "file", 100)
        assert "not a regular file" == raised.value.strerror
        assert str(tmp_path / "file") == raised.value.filename

    def test_reads_up_to_the_limit_and_refuses_one_byte_more(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"x" * 100)
        assert b"x" * 100 == read_regular_file(tmp_path / "file", 100)
        with pytest.raises(FileTooLarge) as raised:
            read_regular_file(tmp_path / "file", 99)
        assert "larger than 99 bytes" == raised.value.strerror

    def test_names_a_limit_of_mebibytes_as_such(self, tmp_path: Path) -> None:
        with (tmp_path / "file").open("wb") as file:
            file.truncate((2 << 20) + 1)
        with pytest.raises(FileTooLarge) as raised:
            read_regular_file(tmp_path / "file", 2 << 20)
        assert "larger than 2 MiB" == raised.value.strerror

    def test_raises_the_usual_errors(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(FileNotFoundError):
            read_regular_file(tmp_path / "none", 100)
        with pytest.raises(NotADirectoryError):
            read_regular_file(tmp_path / "file" / "none", 100)

    @pytest.mark.parametrize("name", ["a\0b", "\ud800"])
    def test_reports_an_impossible_name_as_an_os_error(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(OSError, match="not a possible file name"):
            read_regular_file(tmp_path / name, 100)

    def test_leaves_no_descriptor_open(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "FIFO")
        (tmp_path / "file").write_bytes(b"content")
        before = open_descriptors()
        for _ in range(3):
            with pytest.raises(NotARegularFile):
                read_regular_file(tmp_path / "FIFO", 100)
            read_regular_file(tmp_path / "file", 100)
        assert before == open_descriptors()

    def test_an_open_file_can_be_read_in_part(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"header and content")
        with open_regular_file(tmp_path / "file") as file:
            assert b"header" == file.read(6)
            assert not os.get_inheritable(file.fileno())


class TestWriteAtomically:
    def test_creates_the_file_and_its_folders_for_this_user_only(self, path: Path) -> None:
        with umask(0):
            write_atomically(path, b"content")
        assert b"content" == path.read_bytes()
        assert 0o600 == mode_of(path)
        assert [0o700, 0o700] == [mode_of(folder) for folder in (path.parent, path.parent.parent)]

    def test_the_umask_cannot_remove_the_users_own_permissions(self, tmp_path: Path) -> None:
        with umask(0o777):
            write_atomically(tmp_path / "file", b"content")
        assert 0o600 == mode_of(tmp_path / "file")

    def test_replaces_the_old_file_and_its_permissions(self, path: Path) -> None:
        write_atomically(path, b"old")
        path.chmod(0o644)
        write_atomically(path, b"new")
        assert b"new" == path.read_bytes()
        assert 0o600 == mode_of(path)
        assert [path] == list(path.parent.iterdir())

    def test_removes_what_a_killed_process_left(self, path: Path) -> None:
        write_atomically(path, b"old")
        left = path.with_name("file.new")
        left.write_bytes(b"half")
        write_atomically(path, b"new")
        assert b"new" == path.read_bytes()
        assert not left.exists()

    def test_never_writes_through_a_symbolic_link(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"other")
        for name in ("file", "file.new"):
            (tmp_path / name).symlink_to("other")
        write_atomically(tmp_path / "file", b"content")
        assert b"other" == (tmp_path / "other").read_bytes()
        assert b"content" == (tmp_path / "file").read_bytes()

    def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(self, path: Path) -> None:
        write_atomically(path, b"old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_atomically(path, b"x" * 5000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert b"old" == path.read_bytes()
        assert [path] == list(path.parent.iterdir())

    @pytest.mark.parametrize("name", ["a\0b", "\ud800"])
    def test_reports_an_impossible_name_as_an_os_error(self, tmp_path: Path, name: str) -> None:
        for impossible in (tmp_path / name, tmp_path / name / "file"):
            with pytest.raises(OSError, match="not a possible file name"):
                write_atomically(impossible, b"content")


class TestPrivateFolder:
    def test_gives_every_missing_parent_the_mode_of_a_private_folder(self, path: Path) -> None:
        with umask(0):
            make_private_folder(path)
        for folder in (path, path.parent, path.parent.parent):
            assert 0o700 == mode_of(folder)

    def test_leaves_an_existing_folder_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        make_private_folder(tmp_path)
        assert 0o755 == mode_of(tmp_path)


class TestPrivateFile:
    def test_creates_an_empty_file_for_this_user_only(self, path: Path) -> None:
        with umask(0):
            create_private_file(path)
        assert b"" == path.read_bytes()
        assert [0o600, 0o700] == [mode_of(path), mode_of(path.parent)]

    def test_leaves_an_existing_file_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"content")
        (tmp_path / "file").chmod(0o400)
        create_private_file(tmp_path / "file")
        assert b"content" == (tmp_path / "file").read_bytes()
        assert 0o400 == mode_of(tmp_path / "file")

    @pytest.mark.parametrize("kind", ["folder", "FIFO", "socket"])
    def test_refuses_anything_else_in_its_place(self, tmp_path: Path, kind: str) -> None:
        make_irregular(tmp_path / "file", kind)
        with pytest.raises(NotARegularFile) as raised:
            create_private_file(tmp_path / "file")
        assert "not a regular file" == raised.value.strerror

    def test_refuses_a_symbolic_link_even_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").symlink_to("nothing")
        with pytest.raises(NotARegularFile) as raised:
            create_private_file(tmp_path / "file")
        assert "a symbolic link" == raised.value.strerror
        assert not (tmp_path / "nothing").exists()
