from __future__ import annotations

import grp
import os
import pwd
import resource
import socket
import stat
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor import files
from claude_usage_monitor.files import (
    FileTooLarge,
    NotARegularFile,
    NotPrivate,
    create_private_file,
    make_private_folder,
    open_regular_file,
    read_own_file,
    read_private_file,
    read_regular_file,
    replace_file,
    require_own_file,
    require_private_folder,
    write_atomically,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one" / "two" / "file"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an existing file of this user alone."""
    path = tmp_path / "it's a file"
    path.write_bytes(b"content")
    path.chmod(0o600)
    return path


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

    @pytest.mark.parametrize("kind", ["file", "symbolic link", "hard link", "FIFO"])
    def test_never_writes_into_what_stands_at_the_temporary_path(
        self, tmp_path: Path, kind: str
    ) -> None:
        other, new = tmp_path / "other", tmp_path / "file.new"
        other.write_bytes(b"other")
        if kind == "file":
            new.write_bytes(b"half a write")
            new.chmod(0o666)
        elif kind == "symbolic link":
            new.symlink_to("other")
        elif kind == "hard link":
            new.hardlink_to(other)
        else:
            os.mkfifo(new)
        write_atomically(tmp_path / "file", b"content")
        assert (b"content", b"other") == ((tmp_path / "file").read_bytes(), other.read_bytes())
        assert 0o600 == mode_of(tmp_path / "file")
        assert not new.exists()

    def test_replaces_a_symbolic_link_and_not_its_target(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "file").symlink_to("other")
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


def read_own(path: Path) -> None:
    assert b"content" == read_own_file(path, 100)


def read_private(path: Path) -> None:
    assert b"content" == read_private_file(path, 100)


each_check = pytest.mark.parametrize(
    "check",
    [read_own, read_private, require_own_file, create_private_file],
    ids=lambda check: check.__name__,
)


class TestOwnership:
    @each_check
    @pytest.mark.parametrize("mode", [0o400, 0o600, 0o644])
    def test_a_file_that_only_its_user_can_change_is_accepted(
        self, file: Path, check: Callable[[Path], None], mode: int
    ) -> None:
        file.chmod(mode)
        check(file)

    @each_check
    @pytest.mark.parametrize("mode", [0o602, 0o666, 0o620])
    def test_a_file_that_others_can_change_is_refused_with_the_command_that_mends_it(
        self, file: Path, check: Callable[[Path], None], mode: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "_is_private_group", lambda _: False)
        file.chmod(mode)
        with pytest.raises(NotPrivate, match="other users can write to it") as raised:
            check(file)
        subprocess.run(["/bin/sh", "-c", command_in(raised.value)], check=True)
        check(file)

    @each_check
    @needs_root
    def test_a_file_of_another_user_is_refused_with_the_command_that_mends_it(
        self, file: Path, check: Callable[[Path], None]
    ) -> None:
        os.chown(file, NOBODY, NOBODY)
        with pytest.raises(NotPrivate, match="another user owns it") as raised:
            check(file)
        command = command_in(raised.value).removeprefix("sudo ")
        subprocess.run(["/bin/sh", "-c", command], check=True)
        check(file)

    def test_a_file_of_root_is_accepted(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As where configuration is installed for all users; root can change every file anyway."""
        owner = file.stat().st_uid
        monkeypatch.setattr(files, "_ROOT", owner)
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
        require_own_file(file)

    @pytest.mark.parametrize(
        ("user", "group", "members", "is_private"),
        [
            ("ada", "ada", [], True),
            ("ada", "ada", ["ada"], True),
            ("ada", "ada", ["ada", "bob"], False),
            ("ada", "users", [], False),
        ],
    )
    def test_a_group_that_the_user_is_alone_in_may_write(
        self,
        monkeypatch: pytest.MonkeyPatch,
        user: str,
        group: str,
        members: list[str],
        is_private: bool,
    ) -> None:
        """Many Linux distributions let it write to all files that their users create."""
        monkeypatch.setattr(os, "getuid", lambda: 1000)
        monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name=user))
        found = SimpleNamespace(gr_name=group, gr_mem=members)
        monkeypatch.setattr(grp, "getgrgid", lambda _: found)
        assert is_private == files._is_private_group(1000)  # noqa: SLF001 - needs groups that no test can create

    def test_a_group_without_a_name_is_not_private(self) -> None:
        assert not files._is_private_group(4_000_000_000)  # noqa: SLF001 - needs groups that no test can create

    @pytest.mark.parametrize("mode", [0o777, 0o1777])
    def test_a_folder_that_others_can_change_is_refused(self, tmp_path: Path, mode: int) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        own = folder / "own"
        own.touch(0o600)
        folder.chmod(mode)
        operations: list[Callable[[], object]] = [
            lambda: make_private_folder(folder),
            lambda: create_private_file(folder / "file"),
            lambda: require_own_file(own),
            lambda: write_atomically(folder / "file", b""),
        ]
        for operation in operations:
            with pytest.raises(NotPrivate, match="other users can write to the folder") as raised:
                operation()
        assert [own] == list(folder.iterdir())
        subprocess.run(["/bin/sh", "-c", command_in(raised.value)], check=True)
        create_private_file(folder / "file")

    @needs_root
    def test_a_folder_of_another_user_is_refused(self, tmp_path: Path) -> None:
        os.chown(tmp_path, NOBODY, NOBODY)
        with pytest.raises(NotPrivate, match="another user owns the folder: `sudo chown 0 '"):
            create_private_file(tmp_path / "file")


def command_in(error: OSError) -> str:
    """Return the command that an error names."""
    return str(error.strerror).split("`")[1]


class TestReadPrivateFile:
    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o640])
    def test_makes_a_file_private_that_others_can_read(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        assert b"content" == read_private_file(file, 100)
        assert 0o600 == mode_of(file)

    def test_refuses_a_symbolic_link_even_to_nothing(self, file: Path) -> None:
        link = file.with_name("link")
        for target in (file, file.with_name("nothing")):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            with pytest.raises(NotARegularFile, match="a symbolic link"):
                read_private_file(link, 100)

    def test_an_own_file_may_be_a_symbolic_link(self, file: Path) -> None:
        """Users link config.toml into a folder that they keep under version control."""
        link = file.with_name("link")
        link.symlink_to(file)
        assert b"content" == read_own_file(link, 100)

    def test_both_have_a_limit(self, file: Path) -> None:
        for read in (read_own_file, read_private_file):
            with pytest.raises(FileTooLarge):
                read(file, 6)


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


class TestRequirePrivateFolder:
    def test_creates_the_folder_for_this_user_only(self, tmp_path: Path) -> None:
        with umask(0):
            require_private_folder(tmp_path / "folder")
        require_private_folder(tmp_path / "folder")
        assert 0o700 == mode_of(tmp_path / "folder")

    @pytest.mark.parametrize("mode", [0o701, 0o710, 0o704])
    def test_refuses_a_folder_that_others_can_use(self, tmp_path: Path, mode: int) -> None:
        tmp_path.chmod(mode)
        with pytest.raises(NotPrivate, match="not a folder of this user alone"):
            require_private_folder(tmp_path)

    def test_refuses_a_symbolic_link_and_a_file(self, tmp_path: Path, file: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        for path in (tmp_path / "link", file):
            with pytest.raises(NotPrivate):
                require_private_folder(path)

    @needs_root
    def test_refuses_a_folder_of_another_user(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        os.chown(tmp_path, NOBODY, NOBODY)
        with pytest.raises(NotPrivate, match="another user owns the folder"):
            require_private_folder(tmp_path)


class TestReplaceFile:
    def test_creates_a_file_that_others_may_read(self, tmp_path: Path) -> None:
        with umask(0o022):
            replace_file(tmp_path / "file", b"new")
        assert (b"new", 0o644) == ((tmp_path / "file").read_bytes(), mode_of(tmp_path / "file"))
        assert [] == list(tmp_path.glob(".*"))

    def test_keeps_the_permissions_of_an_existing_file(self, file: Path) -> None:
        file.chmod(0o640)
        replace_file(file, b"new")
        assert (b"new", 0o640) == (file.read_bytes(), mode_of(file))

    def test_replaces_the_target_of_a_symbolic_link(self, tmp_path: Path, file: Path) -> None:
        (tmp_path / "link").symlink_to(file)
        replace_file(tmp_path / "link", b"new")
        assert (tmp_path / "link").is_symlink()
        assert b"new" == file.read_bytes()

    @pytest.mark.parametrize("kind", ["folder", "FIFO", "socket"])
    def test_refuses_anything_else_in_its_place(self, tmp_path: Path, kind: str) -> None:
        make_irregular(tmp_path / "file", kind)
        before = set(tmp_path.iterdir())
        with pytest.raises(NotARegularFile):
            replace_file(tmp_path / "file", b"new")
        assert before == set(tmp_path.iterdir())

    def test_readers_never_see_a_part(self, tmp_path: Path) -> None:
        """A plain rewrite would be seen empty or incomplete thousands of times."""
        path, contents = tmp_path / "file", [bytes([letter]) * 20_000 for letter in b"ab"]
        replace_file(path, contents[0])
        done = threading.Event()

        def write() -> None:
            for number in range(300):
                replace_file(path, contents[number % 2])
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen = set()
        while not done.is_set():
            seen.add(path.read_bytes())
        writer.join()
        assert seen <= set(contents)
