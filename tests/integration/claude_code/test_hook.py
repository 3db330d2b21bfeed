"""Claude Code's hook ``StopFailure``, with the settings that ``docs/history.md`` shows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.claude_code.claude import send
from tests.support.command import PROGRAM, TIMEOUT

if TYPE_CHECKING:
    from tests.integration.claude_code.claude import ClaudeCode
    from tests.support.command import Command

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "history.md"


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return the file that gets one line when a hook has finished."""
    path = tmp_path / "finished"
    path.touch()
    return path


@pytest.fixture
def settings(claude: ClaudeCode, finished: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the documented settings, log in, and put our command on the PATH."""
    claude.log_in()
    monkeypatch.setenv("PATH", str(Path(PROGRAM).parent), prepend=":")
    (line,) = [line for line in DOCUMENTATION.read_text().splitlines() if '"StopFailure"' in line]
    found: dict[str, Any] = json.loads(line)
    (hook,) = found["hooks"]["StopFailure"][0]["hooks"]
    hook["command"] += f" && echo finished >> '{finished}'"
    return found


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def five_hour_hits(command: Command) -> int:
    done = command.run("history", "--json")
    assert 0 == done.returncode, done.stderr
    hits = {hit["key"]: hit["count"] for hit in json.loads(done.stdout)["limits_hit"]}
    assert 0 == hits["seven_day"]
    count: int = hits["five_hour"]
    return count


@pytest.mark.parametrize(("utilization", "expected"), [(99.0, 1), (78.0, 0)])
def test_a_limit_hit_counts_once_if_a_reading_confirms_it(
    claude: ClaudeCode,
    command: Command,
    settings: dict[str, Any],
    finished: Path,
    utilization: float,
    expected: int,
) -> None:
    """Claude Code reports a plan's limit as it reports a passing 429."""
    claude.configure(**settings)
    claude.server.figures["work"] = utilization
    assert 0 == command.run("--json").returncode
    assert 0 == five_hour_hits(command)
    claude.messages.limit_reached = True
    terminal = claude.open()
    send(terminal, "first prompt")
    terminal.wait_for(lambda: 1 == count_lines(finished))
    send(terminal, "second prompt")
    terminal.wait_for(lambda: 2 == count_lines(finished))

    assert expected == five_hour_hits(command)


def test_a_limit_hit_that_the_status_line_shows_too_counts_once(
    claude: ClaudeCode, command: Command, settings: dict[str, Any], finished: Path
) -> None:
    status_line = {"type": "command", "command": f"{PROGRAM} statusline"}
    claude.configure(statusLine=status_line, **settings)
    assert 0 == command.run("--json").returncode
    claude.messages.limit_reached = True
    terminal = claude.open()
    send(terminal, "first prompt")
    terminal.wait_for("▸5h 100%")
    terminal.wait_for(lambda: 1 == count_lines(finished))

    assert 1 == five_hour_hits(command)


def test_a_limit_hit_without_a_terminal_counts(
    claude: ClaudeCode, command: Command, settings: dict[str, Any], finished: Path
) -> None:
    """With ``-p``, Claude Code ends at once, and sends SIGTERM to the hook."""
    claude.configure(**settings)
    claude.server.figures["work"] = 99.0
    assert 0 == command.run("--json").returncode
    claude.messages.limit_reached = True
    assert 1 == claude.run("-p", "say hi").returncode
    deadline = time.monotonic() + TIMEOUT
    while 0 == count_lines(finished):
        assert time.monotonic() < deadline, "Claude Code ended the hook"
        time.sleep(0.05)

    assert 1 == five_hour_hits(command)
