"""Files that are not what they should be: no command waits for them, none uses what is unsafe."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

_STATE = ".local/state/claude-usage-monitor"
_CONFIG = ".config/claude-usage-monitor"
_FILES = (
    f"{_CONFIG}/config.toml",
    f"{_STATE}/state.db",
    f"{_STATE}/accounts.db",
    f"{_STATE}/secrets.json",
    ".claude.json",
    ".claude/.credentials.json",
    ".claude/settings.json",
    ".claude-pace-maker/config.json",
    ".claude-pace-maker/usage.db",
)


def replace(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("file", _FILES)
def test_a_fifo_in_place_of_a_file_stops_nothing(
    command: Command, api: Api, store: Store, home: Path, file: str
) -> None:
    """SQLite and `open` wait forever for the other end of a FIFO."""
    store.login()
    replace(home / file, "FIFO")
    done = command.run("--json")
    assert "Traceback" not in done.stderr
    if file == ".claude/.credentials.json":
        assert 3 == done.returncode
    else:
        assert 0 == done.returncode
        assert json.loads(done.stdout)["accounts"][0]["windows"]


@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
@pytest.mark.parametrize("arguments", ["--json", "statusline", "doctor --json", "accounts list"])
def test_every_command_ends_whatever_its_files_are(
    command: Command, home: Path, kind: str, arguments: str
) -> None:
    for file in _FILES:
        replace(home / file, kind)
    done = command.run(*arguments.split(), stdin=b"{}")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3), done.stderr


def test_figures_are_not_stored_in_a_file_that_others_can_write(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    assert 0 == command.run("--json").returncode
    state = home / _STATE / "state.db"
    state.chmod(0o666)
    before = state.read_bytes()
    assert 0 == command.run("--json").returncode
    assert before == state.read_bytes()
    assert f"chmod 600 {state}" in command.run("doctor", "--json").stdout


@pytest.mark.parametrize("name", ["accounts.db", "secrets.json", ""])
def test_no_login_is_used_from_a_file_or_folder_that_others_can_write(
    command: Command, server: TokenServer, home: Path, name: str
) -> None:
    """The command that mends it is named, and afterwards the login is used again."""
    save_account(server.issue("Work"), "Work")
    path = home / _STATE / name
    mode = path.stat().st_mode
    path.chmod(mode | 0o002)
    done = command.run("--json", "--account", "Work")
    assert 0 != done.returncode
    assert f"chmod go-w '{path}'" in done.stdout + done.stderr
    assert [] == server.requests
    path.chmod(mode)
    assert 0 == command.run("--json", "--account", "Work").returncode


def test_settings_are_not_read_from_a_file_that_others_can_write(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    config = home / _CONFIG / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('mode = "console"\n')
    config.chmod(0o666)
    done = command.run("--json")
    assert 0 == done.returncode
    assert f"chmod go-w '{config}'" in done.stderr


def test_no_lock_is_held_in_a_folder_that_others_can_write(server: TokenServer, home: Path) -> None:
    """Another user could delete it meanwhile, so that a refresh token is sent twice."""
    saved = save_account(server.issue("Work"), "Work")
    locks = home / _STATE / "locks"
    locks.mkdir()
    locks.chmod(0o777)
    with (
        pytest.raises(Exception, match="chmod go-w"),
        registry().services.credentials.lock(saved),
    ):
        pass
