"""Bounded reads of regular files, atomic writes, private files and folders.

Functions raise only OSError, with a short reason in its ``strerror``.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from claude_usage_monitor.light_typing import BinaryIO, TypeAlias

if sys.platform != "win32":
    import grp
    import pwd

StrPath: TypeAlias = str | os.PathLike[str]
"""A path. Ours are strings: importing pathlib would take a tenth of a start's time."""

_ROOT = 0  # root can change every file anyway
# Windows cannot replace a file while another process has it open: retry for one second.
_MIN_READ_BYTES = 1 << 16  # a file in /proc says that it has no bytes
_REPLACE_ATTEMPTS = 50
_REPLACE_INTERVAL = 0.02


class NotARegularFile(OSError):
    """Raised for a folder, FIFO, socket or device, and for a symbolic link that is not allowed."""


class FileTooLarge(OSError):
    """Raised when a file has more bytes than the caller accepts."""


class NotPrivate(OSError):
    """Raised for a file or folder of ours that another user owns or can change."""


def read_regular_file(path: StrPath, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises FileTooLarge beyond ``max_bytes``."""
    with open_regular_file(path) as file:
        return _content(file, path, max_bytes)


def read_own_file(path: StrPath, max_bytes: int) -> bytes:
    """Return the content of a regular file that no other user owns or can change.

    Raises NotPrivate otherwise, and FileTooLarge.
    """
    with open_regular_file(path) as file:
        _require_own(os.fstat(file.fileno()), path)
        return _content(file, path, max_bytes)


def read_private_file(path: StrPath, max_bytes: int) -> bytes:
    """Return the content of a file of this user alone.

    If others can read it (such as a copy), it is made private. Raises NotPrivate if they own it or
    can change it, and NotARegularFile also for a symbolic link.
    """
    with _open_for_reading(path, follow_links=False) as file:
        status = os.fstat(file.fileno())
        _require_own(status, path)
        if sys.platform != "win32" and stat.S_IMODE(status.st_mode) & 0o077:
            with suppress(OSError):  # a read-only file system
                os.fchmod(file.fileno(), 0o600)
        return _content(file, path, max_bytes)


def open_regular_file(path: StrPath) -> BinaryIO:
    """Open a regular file for reading. Never blocks, whereas `open` waits forever on a FIFO."""
    return _open_for_reading(path, follow_links=True)


def write_atomically(path: StrPath, content: bytes) -> None:
    """Replace a file: afterwards the whole new content is on the disk, or the old file is intact.

    Only this user can read the new file. The caller must exclude other writers meanwhile.
    """
    make_private_folder(os.path.dirname(path))
    new = f"{os.fspath(path)}.new"
    with _impossible_names_as_os_errors(path), suppress(FileNotFoundError):
        os.unlink(new)  # left by a process that was killed while writing
    try:
        with os.fdopen(_create(new), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _replace(new, path)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise


def replace_file(path: StrPath, content: bytes) -> None:
    """Replace a file that other programs read, or create it: they see the old or the new content.

    It keeps its permissions; a new one has those of the umask. A symbolic link stays, and its
    target is replaced. Raises NotARegularFile for anything else, such as ``/dev/null``.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    # The name keeps it from programs that read all files of a folder with a certain ending.
    new = os.path.join(folder, f".{name}.{os.getpid()}.new")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        raise _not_regular(path, mode)
    try:
        with open(new, "wb") as file:
            file.write(content)
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
        _replace_name(new, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        error.filename = path  # the caller knows nothing of the other file
        raise


def make_private_folder(path: StrPath) -> None:
    """Create a folder and its missing parents, each with mode 0700.

    Raises NotPrivate if another user owns the folder or can change it.
    """
    with _impossible_names_as_os_errors(path):
        _create_folder(path)
        _require_own(os.stat(path), path)


def create_private_file(path: StrPath) -> None:
    """Create an empty file with mode 0600, and its folder, unless a regular file is there already.

    Raises NotARegularFile if anything else is there, a symbolic link included, and NotPrivate if
    another user owns the file or its folder or can change them. Does not open an existing file:
    closing it would release the locks that this process has on a database.
    """
    make_private_folder(os.path.dirname(path))
    try:
        os.close(_create(path))
    except FileExistsError:
        require_own_file(path)


def require_own_file(path: StrPath) -> None:
    """Raise OSError unless there is a regular file that no other user owns or can change.

    The same is required of its folder, because SQLite trusts the files beside a database.
    """
    with _impossible_names_as_os_errors(path):
        status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path, status.st_mode)
    _require_own(status, path)
    folder = os.path.dirname(path)
    _require_own(os.stat(folder), folder)


def require_private_folder(path: StrPath) -> None:
    """Create a folder with mode 0700; raise OSError if others own an existing one or can use it."""
    with _impossible_names_as_os_errors(path):
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        status = os.lstat(path)
    others = sys.platform != "win32" and stat.S_IMODE(status.st_mode) & 0o077
    if not stat.S_ISDIR(status.st_mode) or others:
        raise NotPrivate(errno.EPERM, "not a folder of this user alone", os.fspath(path))
    _require_own(status, path)


def is_foreign(status: os.stat_result) -> bool:
    """Return whether a user other than this one and root owns a file or folder."""
    return sys.platform != "win32" and status.st_uid not in {os.getuid(), _ROOT}


def is_writable_by_others(status: os.stat_result) -> bool:
    """Return whether other users can change a file or folder, by its permissions."""
    if sys.platform == "win32":
        return False
    group_can_write = status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid)
    return bool(status.st_mode & stat.S_IWOTH or group_can_write)


def _open_for_reading(path: StrPath, *, follow_links: bool) -> BinaryIO:
    flags = os.O_RDONLY | _flags("O_NONBLOCK") | (0 if follow_links else _flags("O_NOFOLLOW"))
    try:
        descriptor = _open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a symbolic link; a socket
            raise _not_regular(path, os.lstat(path).st_mode) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_regular(path, mode)
    return os.fdopen(descriptor, "rb")


def _content(file: BinaryIO, path: StrPath, max_bytes: int) -> bytes:
    expected = max(_MIN_READ_BYTES, os.fstat(file.fileno()).st_size + 1)
    content = file.read(min(expected, max_bytes + 1))
    if len(content) == expected:  # it has grown, or is in /proc
        content += file.read(max_bytes + 1 - expected)
    if len(content) > max_bytes:
        size = f"{max_bytes >> 20} MiB" if max_bytes >= 1 << 20 else f"{max_bytes} bytes"
        raise FileTooLarge(errno.EFBIG, f"larger than {size}", os.fspath(path))
    return content


def _not_regular(path: StrPath, mode: int) -> NotARegularFile:
    kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
    return NotARegularFile(errno.EINVAL, kind, os.fspath(path))


def _require_own(status: os.stat_result, path: StrPath) -> None:
    """Raise NotPrivate, with the command that fixes it, if others own a file or can change it."""
    subject = "the folder" if stat.S_ISDIR(status.st_mode) else "it"
    quoted = "'" + os.fspath(path).replace("'", "'\\''") + "'"
    if is_foreign(status):
        reason = f"another user owns {subject}: `sudo chown {os.getuid()} {quoted}`"
    elif is_writable_by_others(status):
        reason = f"other users can write to {subject}: `chmod go-w {quoted}`"
    else:
        return
    raise NotPrivate(errno.EPERM, reason, os.fspath(path))


def _is_private_group(group_id: int) -> bool:
    """Return whether our user is the only member of a group with the same name.

    Many Linux distributions give each user such a group, and let it write to all new files.
    """
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(group_id)
    except KeyError:
        return False
    return os.getuid() != _ROOT and group.gr_name == user and set(group.gr_mem) <= {user}


def _create_folder(path: StrPath) -> None:
    """Create a folder and its missing parents, each with mode 0700."""
    if path and not os.path.exists(path):
        # One by one: `os.makedirs` would create the parents with the umask's mode.
        _create_folder(os.path.dirname(path))
        os.makedirs(path, 0o700, exist_ok=True)


def _create(path: StrPath) -> int:
    """Create a file that only this user can read, and return its descriptor."""
    descriptor = _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)  # the umask may have removed the user's own permissions
    return descriptor


def _open(path: StrPath, flags: int) -> int:
    with _impossible_names_as_os_errors(path):
        return os.open(path, flags | _flags("O_CLOEXEC", "O_BINARY"), 0o600)


def _replace(new: StrPath, path: StrPath) -> None:
    """Move a file over another one, and make the change survive a power failure."""
    _replace_name(new, path)
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # some file systems cannot sync a folder; the content is safe
            folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _replace_name(new: StrPath, path: StrPath) -> None:
    """Move a file over another one."""
    for attempts_left in reversed(range(_REPLACE_ATTEMPTS)):
        try:
            os.replace(new, path)
            break
        except PermissionError:
            if os.name != "nt" or not attempts_left:
                raise
            time.sleep(_REPLACE_INTERVAL)


@contextmanager
def _impossible_names_as_os_errors(path: StrPath) -> Iterator[None]:
    """Turn Python's ValueError for a name with a NUL or an unencodable character into OSError."""
    try:
        yield
    except ValueError:
        raise OSError(errno.EINVAL, "not a possible file name", os.fspath(path)) from None


def _flags(*names: str) -> int:
    """Return the flags of `os.open` with these names, as far as this platform has them."""
    return sum(getattr(os, name, 0) for name in names)
