from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

SECRET_TEXT = "You've hit your limit · resets 6:01pm"


def failure(error: str) -> bytes:
    return json.dumps(
        {
            "session_id": "a",
            "transcript_path": "/home/ada/.claude/projects/a.jsonl",
            "cwd": "/home/ada",
            "hook_event_name": "StopFailure",
            "error": error,
            "last_assistant_message": SECRET_TEXT,
        }
    ).encode()


def hits(command: Command) -> int:
    document = json.loads(command.run("history", "--json").stdout)
    return sum(hit["count"] for hit in document["limits_hit"])


@pytest.mark.parametrize(
    ("error", "utilization", "expected"),
    [
        ("usage_limit", 80.0, 1),
        ("rate_limit", 99.0, 1),
        ("rate_limit", 80.0, 0),
        ("other", 99.0, 0),
    ],
)
def test_a_limit_that_claude_code_reports_is_counted(
    command: Command, api: Api, store: Store, error: str, utilization: float, expected: int
) -> None:
    store.login()
    api.answer(usage_body(datetime.now(UTC), five_hour=utilization))
    command.run("--json")
    done = command.run("hook", stdin=failure(error))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert expected == hits(command)


def test_none_of_its_texts_is_stored(command: Command, store: Store, home: Path) -> None:
    store.login()
    command.run("hook", stdin=failure("usage_limit"))
    for path in home.rglob("*"):
        if path.is_file():
            assert SECRET_TEXT.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"[]", b"{}", b'{"hook_event_name": "Stop"}', b"\xff" * 99]
)
def test_any_input_is_accepted_silently(command: Command, content: bytes) -> None:
    done = command.run("hook", stdin=content)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_without_a_login_nothing_happens(command: Command, home: Path) -> None:
    done = command.run("hook", stdin=failure("usage_limit"))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_the_help_shows_settings_that_are_json(command: Command) -> None:
    text = command.run("hook", "--help").stdout
    settings = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert "claude-usage-monitor hook" in settings["hooks"]["StopFailure"][0]["hooks"][0]["command"]
