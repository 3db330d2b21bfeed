from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from claude_usage_monitor.formats.account_list import Row, document, table
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Account, Problem
from tests.support.payloads import NOW

STYLE = ClockStyle()
SAVED_AT = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
MINE = Row(
    Account("claude-code", "code", "user@example.com", active=True),
    "Max 5x",
    "Claude Code credentials file",
    None,
)
WORK = Row(
    Account("Work", "code", "work@example.com", active=False, saved_at=SAVED_AT),
    "Pro",
    "encrypted file",
    Problem(
        "credentials_expired",
        "The login has ended.",
        "Log in again: `claude-usage-monitor accounts add Work --login --replace`.",
        since=NOW - timedelta(minutes=12),
    ),
)
ORG = Row(Account("会社", "console", None, active=False), None, "Secret Service keyring", None)
NOTHING = Row(
    Account("new", active=False),
    None,
    None,
    Problem("rate_limited", "The API asked to wait 10m.", "", NOW + timedelta(minutes=31)),
)


def test_the_table() -> None:
    expected = """\
  Name         E-mail            Plan          Login
* claude-code  user@example.com  Max 5x        Claude Code credentials file
  Work         work@example.com  Pro           encrypted file
    ! The login expired 12 minutes ago.
      Log in again: `claude-usage-monitor accounts add Work --login --replace`.
  会社         -                 organization  Secret Service keyring
  new          -                 -             no login
    ! The API asked to wait 10m. Next request 12:50 (31m).
* shown by default
"""
    assert expected == table([MINE, WORK, ORG, NOTHING], NOW, STYLE, 80)


def test_where_the_columns_do_not_fit_each_account_has_several_lines() -> None:
    expected = """\
* claude-code
    user@example.com
    Max 5x
    Claude Code credentials
    file
  会社
    organization
    Secret Service keyring
* shown by default
"""
    assert expected == table([MINE, ORG], NOW, STYLE, 28)
    assert 4 == len(table([MINE, ORG], NOW, STYLE, 28, is_terminal=False).splitlines())


@pytest.mark.parametrize("width", [1, 20, 30, 40, 60, 80, 100])
def test_a_problem_is_wrapped_to_the_width(width: int) -> None:
    """No word is lost. A name is on one line at every width, so that it can be copied."""
    lines = table([MINE, WORK, ORG, NOTHING], NOW, STYLE, width).splitlines()
    wrapped = [line for line in lines if line.startswith("    ")]
    assert all(cell_len(line) <= max(width, 20) or " " not in line.strip() for line in wrapped)
    words = " ".join(line.strip().removeprefix("! ") for line in wrapped).replace("- ", "-")
    assert "accounts add Work --login --replace`." in words
    assert (6 if width >= 80 else 5) == len(lines) - len(wrapped)  # without the headings


@pytest.mark.parametrize(
    "name", ["a", "仕事用", "ß" * 64, "한국어 계정", "🙂", "e\u0301e\u0301", "ｆｕｌｌ"]
)
def test_columns_line_up_in_every_script(name: str) -> None:
    """Measured in the cells of a terminal."""
    row = ORG._replace(account=Account(name, "console", active=False))
    lines = table([MINE, row], NOW, STYLE, 200).splitlines()[1:3]
    columns = [
        line.index(last) for line, last in zip(lines, ("Claude Code", "Secret"), strict=True)
    ]
    cells = [cell_len(line[:at]) for line, at in zip(lines, columns, strict=True)]
    assert cells[0] == cells[1]


def test_no_line_ends_with_blanks() -> None:
    lines = table([MINE, WORK, ORG, NOTHING], NOW, STYLE, 80).split("\n")
    assert [line.rstrip() for line in lines] == lines
    assert "" == lines[-1]


def test_the_document_has_the_documented_fields() -> None:
    accounts = json.loads(document([WORK, MINE], NOW, STYLE))
    assert {
        "version": 1,
        "accounts": [
            {
                "name": "Work",
                "kind": "code",
                "email": "work@example.com",
                "plan": "Pro",
                "active": False,
                "saved_at": "2026-11-01T08:30:00Z",
                "stored_in": "encrypted file",
                "problem": {
                    "code": "credentials_expired",
                    "message": "The login expired 12 minutes ago.",
                    "hint": WORK.problem.hint if WORK.problem else None,
                    "retry_at": None,
                },
            },
            {
                "name": "claude-code",
                "kind": "code",
                "email": "user@example.com",
                "plan": "Max 5x",
                "active": True,
                "saved_at": None,
                "stored_in": "Claude Code credentials file",
                "problem": None,
            },
        ],
    } == accounts


def test_unknown_fields_are_null() -> None:
    (account,) = json.loads(document([NOTHING], NOW, STYLE))["accounts"]
    assert [None] * 4 == [account[key] for key in ("email", "plan", "saved_at", "stored_in")]
    assert "2026-11-21T12:50:00Z" == account["problem"]["retry_at"]


def test_the_document_does_not_escape_names() -> None:
    text = document([ORG], NOW, STYLE)
    assert "会社" in text
    assert "console" == json.loads(text)["accounts"][0]["kind"]
