"""The tests' shortcut gives what the command gives that users start."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.cli import COMMANDS
from tests.support.command import Command, environ_running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.login import Store

ENDLESS = {"alerts", "serve"}
LINES = [
    ("--version",),
    ("--json",),
    ("--format", "plain"),
    ("--format", "no such"),
    ("--demo", "--account", "unknown"),
    *((name,) for name in COMMANDS if name not in ENDLESS),
    *((name, "--help") for name in COMMANDS),
    *((name, "--no-such-option") for name in COMMANDS),
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_preloaded_command_equals_one_that_starts_python(
    command: Command, store: Store, home: Path, line: tuple[str, ...]
) -> None:
    """With an expired login, which sends no request."""
    store.login(expires_in=-60)
    compare(command, line, {})


@pytest.mark.parametrize("encoding", ["ascii", "ascii:backslashreplace", "ascii:replace"])
@pytest.mark.parametrize("line", [("--format", "café €"), ("--account", "café €")])
def test_a_preloaded_command_writes_the_same_bytes_in_every_encoding(
    command: Command, home: Path, line: tuple[str, ...], encoding: str
) -> None:
    compare(command, line, {"PYTHONIOENCODING": encoding})


def test_what_the_code_of_a_test_replaces_is_replaced_where_it_was_imported_before(
    command: Command, tmp_path: Path, home: Path
) -> None:
    """With a clock that only some modules use, tests of time would pass or fail wrongly."""
    code = """
import datetime
import claude_usage_monitor.usage.clock as clock
clock.utc_now = lambda: datetime.datetime(2030, 1, 2, 3, tzinfo=datetime.UTC)
"""
    done = command.run("--demo", "--json", environ=environ_running(tmp_path, code))

    assert "2030-01-02T03:00:00Z" == json.loads(done.stdout)["generated_at"]


def compare(command: Command, line: tuple[str, ...], environ: dict[str, str]) -> None:
    environ = {"COLUMNS": "70", **environ}
    content = b'{"rate_limits": {"five_hour": {"used_percentage": 20, "resets_at": 1}}}'
    started, preloaded = (
        each.run(*line, stdin=content, environ=environ) for each in (Command(), command)
    )

    assert started.returncode == preloaded.returncode
    assert without_times(started.stdout) == without_times(preloaded.stdout)
    assert without_times(started.stderr) == without_times(preloaded.stderr)


def without_times(text: str) -> str:
    return re.sub(r"\d", "0", text)
