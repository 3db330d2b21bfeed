from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.integration.claude_code.claude import CLAUDE_CODE, OURS, send
from tests.support.command import PROGRAM

if TYPE_CHECKING:
    from tests.integration.claude_code.claude import ClaudeCode
    from tests.support.command import Command


def five_hour(output: str | bytes) -> dict[str, Any]:
    (account,) = json.loads(output)["accounts"]
    window: dict[str, Any] = account["windows"][0]
    assert "five_hour" == window["key"]
    return window


def test_the_figures_of_slash_usage_are_shown_without_a_request(
    claude: ClaudeCode, command: Command
) -> None:
    claude.log_in()
    assert 78.0 == five_hour(command.run("--json").stdout)["utilization"]
    terminal = claude.open()
    requested_before = len(claude.usage_requests(CLAUDE_CODE))
    claude.server.figures["work"] = 88.0
    send(terminal, "/usage")
    terminal.wait_for("88% used")
    terminal.wait_for(lambda: "cachedUsageUtilization" in claude.config.read_text())

    window = five_hour(command.run("--json").stdout)

    assert (88.0, "claude-json") == (window["utilization"], window["source"])
    assert requested_before < len(claude.usage_requests(CLAUDE_CODE))
    assert 1 == len(claude.usage_requests(OURS))


def test_twenty_commands_beside_it_send_one_request(claude: ClaudeCode) -> None:
    claude.log_in()
    claude.show_status_line(f"{PROGRAM} statusline")
    terminal = claude.open()
    running = [subprocess.Popen([PROGRAM, "--json"], stdout=subprocess.PIPE) for _ in range(20)]
    send(terminal, "meanwhile")
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [0] * 20 == [process.returncode for process in running]
    assert {"five_hour"} == {five_hour(output)["key"] for output in outputs}
    assert 1 == len(claude.usage_requests(OURS))
