"""Bounded reads of regular files, atomic writes, private files and folders.

Every function raises OSError alone, whose ``strerror`` says in a few words what is wrong.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_REPLACE_ATTEMPTS = 50  # Windows cannot replace a file while another process has it open,
_REPLACE_INTERVAL = 0.02  # so that a write is retried for one second


class NotARegularFile(OSError):
    """Raised for a folder, FIFO, socket or device, and for a symbolic link where none may be."""


class FileTooLarge(OSError):
    """Raised when a file has more bytes than the caller accepts."""


class NotPrivate(OSError):
    """Raised for a file or folder that another user owns or can change."""


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises FileTooLarge beyond ``max_bytes``."""
    with open_regular_file(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise FileTooLarge(errno.EFBIG, f"larger than {_size(max_bytes)}", str(path))
    return content


def open_regular_file(path: Path) -> BinaryIO:
    """Open a regular file for reading. Never blocks, whereas `open` waits forever on a FIFO."""
    descriptor = _open(path, os.O_RDONLY | _flags("O_NONBLOCK"))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotARegularFile(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file: afterwards the whole new content is on the disk, or the old file is intact.

    The new file is readable by this user only. The caller must keep other writers out meanwhile.
    """
    make_private_folder(path.parent)
    new = path.with_name(path.name + ".new")
    with _impossible_names_as_os_errors(path):
        new.unlink(missing_ok=True)  # left by a process that was killed while writing
    try:
        with os.fdopen(_create(new), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _replace(new, path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def make_private_folder(path: Path) -> None:
    """Create a folder and its missing parents, each with mode 0700."""
    with _impossible_names_as_os_errors(path):
        for folder in reversed((path, *path.parents)):
            if not folder.exists():  # `parents=True` would create the parents with the umask's mode
                folder.mkdir(mode=0o700, exist_ok=True)


def create_private_file(path: Path) -> None:
    """Create an empty file with mode 0600, and its folder, unless a regular file is there already.

    Raises NotARegularFile if anything else is there, a symbolic link included. An existing file
    is not opened: closing it would release the locks that this process has on a database.
    """
    make_private_folder(path.parent)
    try:
        os.close(_create(path))
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            kind = "a symbolic link" if path.is_symlink() else "not a regular file"
            raise NotARegularFile(errno.EINVAL, kind, str(path)) from None


def require_own_file(path: Path) -> None:
    """Raise OSError unless there is a regular file of this user that no other user can write."""
    status = _status(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        raise NotARegularFile(errno.EINVAL, kind, str(path))
    if not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid():
        reason = f"another user owns it: `sudo chown {os.getuid()} {shlex.quote(str(path))}`"
        raise NotPrivate(errno.EPERM, reason, str(path))
    if stat.S_IMODE(status.st_mode) & 0o022:
        reason = f"other users can write to it: `chmod go-w {shlex.quote(str(path))}`"
        raise NotPrivate(errno.EPERM, reason, str(path))


def require_private_folder(path: Path) -> None:
    """Create a folder with mode 0700, or raise OSError if others own it or have access to it."""
    with _impossible_names_as_os_errors(path), suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = _status(path)
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    if not stat.S_ISDIR(status.st_mode) or not own or stat.S_IMODE(status.st_mode) & 0o077:
        raise NotPrivate(errno.EPERM, "not a folder of this user alone", str(path))


def _status(path: Path) -> os.stat_result:
    """Return what is at a path, of a symbolic link the link itself."""
    with _impossible_names_as_os_errors(path):
        return path.lstat()


def _create(path: Path) -> int:
    """Create a file that only this user can read, and return its descriptor."""
    descriptor = _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)  # the umask may have removed the user's own permissions
    return descriptor


def _open(path: Path, flags: int) -> int:
    with _impossible_names_as_os_errors(path):
        return os.open(path, flags | _flags("O_CLOEXEC", "O_BINARY"), 0o600)


def _replace(new: Path, path: Path) -> None:
    """Move a file over another one, and make the change survive a power cut."""
    for attempts_left in reversed(range(_REPLACE_ATTEMPTS)):
        try:
            new.replace(path)
            break
        except PermissionError:
            if os.name != "nt" or not attempts_left:
                raise
            time.sleep(_REPLACE_INTERVAL)
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # some file systems cannot sync a folder; the content is safe
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def _impossible_names_as_os_errors(path: Path) -> Iterator[None]:
    """Turn Python's ValueError for a name with a NUL or an unencodable character into OSError."""
    try:
        yield
    except ValueError:
        raise OSError(errno.EINVAL, "not a possible file name", str(path)) from None


def _flags(*names: str) -> int:
    """Return the flags of `os.open` with these names, as far as this platform has them."""
    return sum(getattr(os, name, 0) for name in names)


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"
