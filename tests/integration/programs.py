"""Programs that run beside our command in a test, and end with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TIMEOUT = 60.0  # seconds; generous, because the machine may be busy
# Read at import: the fixtures of all tests hide the user's variables.
IN_CI = bool(os.environ.get("CI"))


def required(program: str, package: str) -> str:
    """Return the path of a program. Skips the test where it is not installed, except in CI."""
    path = shutil.which(program)
    if path is None:
        if IN_CI:
            pytest.fail(f"CI needs the Debian package {package}")
        pytest.skip(f"{program} (Debian package {package}) is not installed")
    return path


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def fetch(url: str) -> str:
    """Return the body at a URL of loopback."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=TIMEOUT) as answer:
        text: str = answer.read().decode()
        return text


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition is true; connections that fail meanwhile count as false."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"still not: {what}")


class Programs:
    """Starts programs, each with its output in a file, and ends them at the end of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Start a program."""
        number = len(self._running)
        with (self._folder / f"program-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                arguments,
                cwd=self._folder,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running:
            process.kill()  # some would wait for servers that have ended
            process.wait()
