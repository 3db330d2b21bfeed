"""What Claude Code writes and sends has the shapes that were recorded from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.claude_code.claude import send
from tests.integration.claude_code.shapes import (
    RECORDED,
    RECORDING_VARIABLE,
    differences,
    shape_of,
    without_ids,
)
from tests.support.command import PROGRAM

if TYPE_CHECKING:
    from tests.integration.claude_code.claude import ClaudeCode

# Read at import: the fixtures of all tests hide variables of this name.
_RECORDING = os.environ.get(RECORDING_VARIABLE)
# The lines with tokens, with their account, and with the totals of the session.
_LINE_TYPES = ("assistant", "session-owner", "cost-state")
_ENDPOINTS = ("/api/oauth/usage", "/api/oauth/profile", "/v1/oauth/token", "/v1/messages")


def test_the_shapes_are_those_recorded(claude: ClaudeCode, tmp_path: Path) -> None:
    claude.log_in(expires_in=60)  # about to expire, so Claude Code refreshes it
    status, failure = tmp_path / "status", tmp_path / "failure"
    claude.configure(
        statusLine={"type": "command", "command": f"tee -a {status} | {PROGRAM} statusline"},
        hooks={"StopFailure": [{"hooks": [{"type": "command", "command": f"cat > {failure}"}]}]},
    )
    terminal = claude.open()
    send(terminal, "first prompt")
    terminal.wait_for("▸5h 41%")
    send(terminal, "/usage")
    terminal.wait_for("78% used")
    terminal.type("\x1b")
    terminal.wait_for("▸5h")
    claude.messages.limit_reached = True
    send(terminal, "second prompt")
    terminal.wait_for(lambda: failure.exists() and "}" in failure.read_text()[-2:])
    terminal.wait_for("▸5h 100%")
    config = json.loads(claude.config.read_text())
    (transcript,) = claude.folder.glob("projects/*/*.jsonl")
    lines = [json.loads(line) for line in transcript.read_text().splitlines()]

    seen = {
        "status line": shape_of(json.loads(status.read_text().splitlines()[-1])),
        "StopFailure": shape_of(json.loads(failure.read_text())),
        "credentials": shape_of(json.loads(claude.credentials.read_text())),
        "cachedUsageUtilization": shape_of(config["cachedUsageUtilization"]),
        "oauthAccount": shape_of(config["oauthAccount"]),
        "transcript": {
            line["type"]: shape_of(line)
            for line in reversed(lines)  # the first of each type
            if line["type"] in _LINE_TYPES
        },
        "requests": requests(claude),
    }

    if _RECORDING is not None:
        Path(_RECORDING).write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")
    else:
        assert [] == differences(json.loads(RECORDED.read_text()), seen)


def requests(claude: ClaudeCode) -> dict[str, Any]:
    return {
        f"{request.method} {request.path}": {
            "User-Agent": without_ids(request.user_agent),
            "body": shape_of(request.document) if request.path == "/v1/oauth/token" else {},
        }
        for request in claude.server.requests
        if request.path in _ENDPOINTS
    }
