from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.claude_code.claude import OURS, send
from tests.integration.claude_code.messages import ANSWER
from tests.support.command import PROGRAM

if TYPE_CHECKING:
    from tests.integration.claude_code.claude import ClaudeCode
    from tests.support.command import Command


def test_our_line_shows_the_figures_at_start_after_a_turn_and_at_a_limit_hit(
    claude: ClaudeCode,
) -> None:
    claude.log_in()
    claude.prompt()
    claude.show_status_line(f"{PROGRAM} statusline")
    terminal = claude.open()
    # 2.1.330 asks for its limits at start. If it calls the status line before the reply, it does
    # not call it again until the next turn.
    terminal.wait_for(lambda: "▸5h 41%" in terminal.text or "no figures yet" in terminal.text)

    claude.messages.five_hour = 0.52
    send(terminal, "first prompt")
    terminal.wait_for(ANSWER)
    terminal.wait_for("▸5h 52%")

    claude.messages.limit_reached = True
    send(terminal, "second prompt")
    terminal.wait_for("limit · resets")
    terminal.wait_for("▸5h 100%")


def test_our_line_stands_beside_another_one(claude: ClaudeCode) -> None:
    claude.log_in()
    claude.prompt()
    claude.show_status_line(f"{PROGRAM} statusline -- printf 'my line'")
    terminal = claude.open()
    send(terminal, "first prompt")
    terminal.wait_for("my line · ▸5h 41%")


@pytest.mark.parametrize("arguments", [["--json"], ["--once"]])
def test_its_figures_reach_a_live_pane_and_a_command_without_a_request(
    claude: ClaudeCode, command: Command, arguments: list[str]
) -> None:
    claude.log_in()
    claude.prompt()
    pane = command.open()
    pane.wait_for("78 %")
    claude.show_status_line(f"{PROGRAM} statusline")
    claude.messages.five_hour = 0.85
    terminal = claude.open()
    send(terminal, "first prompt")
    terminal.wait_for("▸5h 85%")

    pane.wait_for("85 %")
    output = command.run(*arguments).stdout
    if arguments == ["--json"]:
        (account,) = json.loads(output)["accounts"]
        window = account["windows"][0]
        assert ("five_hour", 85.0, "statusline") == (
            window["key"],
            window["utilization"],
            window["source"],
        )
    else:
        assert "85 %" in output
    assert 1 == len(claude.usage_requests(OURS))
