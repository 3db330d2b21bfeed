"""An account with a name that every bar could misread."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.paths import config_path
from tests.integration.programs import TIMEOUT
from tests.support.command import PROGRAM, Command
from tests.support.login import TOKEN
from tests.support.saved import save_account

if TYPE_CHECKING:
    from tests.support.api import Api

# Commands in it would create a file in the working directory; formats would show something else.
HOSTILE = "#S#(touch x)%n|<b>$(touch x)`touch x`"
EXPIRES_IN = 3_600_000  # milliseconds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is the working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def script(api: Api, command: Command, tmp_path: Path) -> str:
    """Return a command that runs ours for the account with the hostile name.

    It writes its process id to a file, and passes its arguments on. Without forecasts, which depend
    on the hour and the day of the test, the 5-hour window is always the binding one.
    """
    settings = Path(config_path(os.environ))
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("forecast = false\n")
    expires_at = int(time.time() * 1000) + EXPIRES_IN
    save_account({"claudeAiOauth": {"accessToken": TOKEN, "expiresAt": expires_at}}, HOSTILE)
    assert command.run("--account", HOSTILE, "--json").returncode == 0
    path, name = tmp_path / "run-ours", tmp_path / "name"
    name.write_text(HOSTILE)
    path.write_text(
        f'#!/bin/sh\necho $$ > {tmp_path}/pid\nexec {PROGRAM} --account "$(cat {name})" "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def process_id(tmp_path: Path) -> int:
    """Return the id of the process that `script` started last."""
    return int((tmp_path / "pid").read_text())


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended (also as a zombie that its parent has not collected)."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.05)
    raise AssertionError("the stream still runs")
