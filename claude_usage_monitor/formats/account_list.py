"""The list of accounts, as text and as a JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from claude_usage_monitor.formats.json_schema import PROBLEM, Json, fields, object_of, plain
from claude_usage_monitor.formats.text_layout import aligned, cell_len, wrapped
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Account, Problem

VERSION = 1
_ACTIVE, _NOT_ACTIVE = "* ", "  "
_HEADINGS = ("Name", "E-mail", "Plan", "Login")
_UNKNOWN = "-"
_MIN_WIDTH = 20  # columns for wrapped text


class Row(NamedTuple):
    """An account in the list; ``stored_in`` is the store of its login."""

    account: Account
    plan: str | None
    stored_in: str | None
    problem: Problem | None


def table(
    rows: Sequence[Row], now: datetime, clock: ClockStyle, width: int, *, is_terminal: bool = True
) -> str:
    """Return the accounts as text: headings, a line for each, and its problem below.

    In a terminal that is too narrow for them, each account has several lines. The active account,
    which is shown by default, has a mark.
    """
    headings, *lines = aligned([_HEADINGS, *map(_cells, rows)])
    fits = max(map(cell_len, (headings, *lines))) + len(_ACTIVE) <= width
    in_columns = fits or not is_terminal
    width = max(width, _MIN_WIDTH)
    text = [_NOT_ACTIVE + headings] if in_columns else []
    for row, line in zip(rows, lines, strict=True):
        mark = _ACTIVE if row.account.active else _NOT_ACTIVE
        text += [mark + line] if in_columns else _block(row, mark, width)
        if row.problem is not None:
            text += wrapped(problem_text.message(row.problem, now, clock), width, "    ! ")
            text += wrapped(row.problem.hint, width, "      ")
    if len(rows) > 1:
        text.append(f"{_ACTIVE}shown by default")
    return "\n".join(text) + "\n"


def _block(row: Row, mark: str, width: int) -> list[str]:
    """Return an account's cells on lines of their own; its name stays whole, to be copied."""
    name, *others = _cells(row)
    lines = [mark + name]
    for cell in others:
        if cell != _UNKNOWN:
            lines += wrapped(cell, width, "    ")
    return lines


def _cells(row: Row) -> tuple[str, str, str, str]:
    plan = "organization" if row.account.kind == "console" else row.plan or _UNKNOWN
    return row.account.name, row.account.email or _UNKNOWN, plan, row.stored_in or "no login"


def document(rows: Sequence[Row], now: datetime, clock: ClockStyle) -> str:
    """Return the accounts as a JSON document."""
    accounts = {"version": VERSION, "accounts": [_account(row, now, clock) for row in rows]}
    return json.dumps(accounts, indent=2, ensure_ascii=False)


def _account(row: Row, now: datetime, clock: ClockStyle) -> Json:
    account, problem = row.account, row.problem
    return {
        **fields(account, "name", "kind", "email"),
        "plan": row.plan,
        "active": account.active,
        "saved_at": plain(account.saved_at),
        "stored_in": row.stored_in,
        "problem": problem
        and object_of(PROBLEM, problem, now, message=problem_text.message(problem, now, clock)),
    }
