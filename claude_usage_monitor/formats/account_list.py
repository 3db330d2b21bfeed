"""The list of accounts, as text and as a JSON document."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle, iso_instant
from claude_usage_monitor.usage.status import Account, Problem

VERSION = 1
_GAP = 2
_ACTIVE, _NOT_ACTIVE = "* ", "  "
_HEADINGS = ("Name", "E-mail", "Plan", "Login")
_MIN_WIDTH = 20  # columns for a problem's text


class Row(NamedTuple):
    """An account in the list; ``stored_in`` is the store of its login."""

    account: Account
    plan: str | None
    stored_in: str | None
    problem: Problem | None


def table(rows: Sequence[Row], now: datetime, clock: ClockStyle, width: int) -> str:
    """Return the accounts as text: headings, a line for each, and its problem below.

    The active account, which is shown by default, has a mark.
    """
    cells = [_HEADINGS, *map(_cells, rows)]
    widths = [max(_cell_len(each[column]) for each in cells) for column in range(4)]
    lines = [_line(_NOT_ACTIVE, _HEADINGS, widths)]
    for row in rows:
        lines.append(_line(_ACTIVE if row.account.active else _NOT_ACTIVE, _cells(row), widths))
        if row.problem is not None:
            lines += _wrap(problem_text.message(row.problem, now, clock), width, "    ! ")
            lines += _wrap(row.problem.hint, width, "      ")
    if len(rows) > 1:
        lines.append(f"{_ACTIVE}shown by default")
    return "\n".join(lines) + "\n"


def _line(mark: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - _cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return (mark + (" " * _GAP).join(padded)).rstrip()


def _cells(row: Row) -> tuple[str, str, str, str]:
    kind = "organization" if row.account.kind == "console" else row.plan or "-"
    return row.account.name, row.account.email or "-", kind, row.stored_in or "no login"


def _cell_len(text: str) -> int:
    """Return the number of columns in a terminal, where East Asian wide characters take two."""
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def _wrap(text: str, width: int, start: str) -> list[str]:
    indent = " " * len(start)
    return textwrap.wrap(
        text,
        max(width, _MIN_WIDTH),
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,  # a path or a command can be copied
        break_on_hyphens=False,
    )


def document(rows: Sequence[Row], now: datetime, clock: ClockStyle) -> str:
    """Return the accounts as a JSON document."""
    accounts = {"version": VERSION, "accounts": [_account(row, now, clock) for row in rows]}
    return json.dumps(accounts, indent=2, ensure_ascii=False)


def _account(row: Row, now: datetime, clock: ClockStyle) -> dict[str, object]:
    account, problem = row.account, row.problem
    return {
        "name": account.name,
        "kind": account.kind,
        "email": account.email,
        "plan": row.plan,
        "active": account.active,
        "saved_at": iso_instant(account.saved_at) if account.saved_at else None,
        "stored_in": row.stored_in,
        "problem": problem
        and {
            "code": problem.code,
            "message": problem_text.message(problem, now, clock),
            "hint": problem.hint,
            "retry_at": iso_instant(problem.retry_at) if problem.retry_at else None,
        },
    }
