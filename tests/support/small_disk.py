"""A real file system with little space, to be filled up."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, *, remaining: int = 0) -> None:
        """Take all the space there is, but the remaining bytes."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
        assert 0 == os.statvfs(self.path).f_bavail
        os.truncate(descriptor, os.fstat(descriptor).st_size - remaining)
        os.close(descriptor)

    def empty(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, size: str = "3m") -> Iterator[SmallDisk]:
    """Mount a file system at a folder. Skips the test where users may not mount, except in CI."""
    path.mkdir()
    mounted = (
        subprocess.run(
            [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={size},mode=700",
                "tmpfs",
                str(path),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode != 0:
        reason = f"a tmpfs cannot be mounted: {mounted.stderr.strip() if mounted else 'no mount'}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
