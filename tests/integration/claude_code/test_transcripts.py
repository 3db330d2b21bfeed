"""The transcripts that Claude Code writes, in ``usage``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.claude_code.messages import INPUT_TOKENS, OUTPUT_TOKENS

if TYPE_CHECKING:
    from tests.integration.claude_code.claude import ClaudeCode
    from tests.support.command import Command


def totals(command: Command, *arguments: str) -> dict[str, Any]:
    done = command.run("usage", "--since", "2026-01-01", "--json", *arguments)
    assert 0 == done.returncode, done.stderr
    document = json.loads(done.stdout)
    found: dict[str, Any] = document["totals"]
    return found


def test_the_sums_are_those_of_the_replies(claude: ClaudeCode, command: Command) -> None:
    claude.log_in()
    for _ in range(2):
        claude.prompt()
    found = totals(command)
    assert (2 * INPUT_TOKENS, 2 * OUTPUT_TOKENS) == (found["input"], found["output"])
    assert 2 == found["messages"]


def test_a_session_counts_for_the_account_that_it_names(
    claude: ClaudeCode, command: Command
) -> None:
    """Each session's line ``session-owner`` names the account."""
    claude.log_in("work")
    assert 0 == command.run("accounts", "add", "Work", "--from-claude-code").returncode
    for _ in range(2):
        claude.prompt()
    claude.log_in("home")
    claude.prompt()
    assert 0 == command.run("--json").returncode
    assert 0 == command.run("--account", "Work", "--json").returncode
    assert 1 == totals(command)["messages"]
    assert 2 == totals(command, "--account", "Work")["messages"]
