"""Fixtures of all tests. Every test gets its own home and no network but loopback."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from pytest_httpserver import HTTPServer

from tests.support.api import Api, ThreadedServer
from tests.support.command import PROGRAM, Command
from tests.support.login import Store
from tests.support.preloaded import PreloadedCommand
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# No test depends on how fast the machine is, and others may use it, too. A law that needs more
# examples than the suite has says so; `--hypothesis-profile thorough` tries more of every other.
for _name, _examples in (("suite", 50), ("thorough", 1000)):
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("suite")

# Rewriting the assertions of all modules takes each worker 5 s, reading the rewritten ones 0.5 s.
sys.dont_write_bytecode = False

# Each stored file waits for the disk. Memory, where it is a file system, needs no waiting.
_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest creates a private folder there
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

_FOREIGN = ("CLAUDE", "ANTHROPIC", "XDG", "LC_", "SSL", "REQUESTS", "CURL", "PYTHON")
_FOREIGN_NAMES = frozenset(
    (
        "BROWSER",
        "COLORTERM",
        "COLUMNS",
        "DISPLAY",
        "FORCE_COLOR",
        "LANG",
        "LINES",
        "NETRC",
        "NO_COLOR",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
        "WAYLAND_DISPLAY",
    )
)


def pytest_xdist_auto_num_workers() -> int:
    """Run two tests per core, because most wait for servers, terminals and processes."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_collection() -> None:
    """Collect no garbage while pytest collects tests: it frees none, and takes a third longer."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the tests, which live until the process ends."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty home and an environment without the user's variables."""
    for name in os.environ:
        proxy = name.lower().endswith("_proxy")
        if proxy or name.startswith(_FOREIGN) or name in _FOREIGN_NAMES:
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    return folder


@pytest.fixture
def store(home: Path) -> Store:
    """Return Claude Code's credentials file, which does not exist yet."""
    return Store(home / ".claude" / ".credentials.json")


@pytest.fixture
def api(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return a local API that replaces the real one."""
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", httpserver.url_for("").rstrip("/"))
    return Api(httpserver)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """Return a local API with logins, which replaces the real one."""
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


@pytest.fixture
def admin_server() -> Iterator[HTTPServer]:
    """Return a server that handles several requests at once, as the Admin API does."""
    with ThreadedServer() as server:
        yield server


@pytest.fixture(scope="session")
def preloaded() -> Iterator[PreloadedCommand]:
    """Return a process that runs commands without starting Python anew."""
    with PreloadedCommand(PROGRAM) as process:
        yield process


@pytest.fixture
def command(preloaded: PreloadedCommand) -> Iterator[Command]:
    """Return the installed command."""
    with Command(preloaded) as running:
        yield running
