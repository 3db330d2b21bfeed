"""What is kept of an organisation's reports: each part as it was last read, by any process.

A part is a report of one month, or a list of names (which belongs to none). Months that are over
are dropped, so that this does not grow.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.readings import milliseconds
from claude_usage_monitor.usage.money.spend import Costs, Tokens, UserSpend

if TYPE_CHECKING:
    import sqlite3

ReportContent: TypeAlias = (
    "Costs | dict[str, str] | dict[str | None, Tokens] | tuple[UserSpend, ...]"
)

NAME_LISTS = ("workspaces", "users", "api_keys")
COST_REPORTS = ("workspace_id", "description")
USAGE_REPORT = "tokens"
DAYS = "day:"  # and its date

_KEPT = timedelta(days=62)  # what nobody has read since then is nobody's any more


class ReportFailure(NamedTuple):
    """What the last request of a call met: a stable code, and the words for it."""

    code: str
    message: str
    failed_at: datetime


class StoredReports(NamedTuple):
    """All that is kept of an organisation's month, and when each part was read.

    ``days`` are those of the Claude Code report; ``failures`` is by call.
    """

    read_at: dict[str, datetime]
    names: dict[str, dict[str, str]]
    costs: dict[str, Costs]
    tokens: dict[str | None, Tokens] | None
    days: dict[date, tuple[UserSpend, ...]]
    failures: dict[str, ReportFailure]


def day_report(day: date) -> str:
    """Return the name of a day's part."""
    return f"{DAYS}{day.isoformat()}"


def record_report(  # noqa: PLR0913, PLR0917 - a part's columns
    connection: sqlite3.Connection,
    account: str,
    month: date,
    part: str,
    content: ReportContent,
    read_at: datetime,
) -> None:
    """Keep a part that was asked for at ``read_at``, unless a newer one is kept.

    ``month`` is its first day. Months before it are dropped.
    """
    of_month = "" if part in NAME_LISTS else month.isoformat()
    with transaction(connection):
        connection.execute(
            "INSERT INTO spend_part VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE"
            " SET read_at = ?4, content = ?5 WHERE read_at <= ?4",
            (account, of_month, part, milliseconds(read_at), json.dumps(_packed(content))),
        )
        connection.execute(
            "DELETE FROM spend_part WHERE (month != '' AND month < ?) OR read_at < ?",
            (month.isoformat(), milliseconds(read_at - _KEPT)),
        )


def record_report_failure(
    connection: sqlite3.Connection, account: str, call: str, failures: ReportFailure | None
) -> None:
    """Keep what a call met, or that it met nothing."""
    if failures is None:
        connection.execute(
            "DELETE FROM spend_trouble WHERE account = ? AND call = ?", (account, call)
        )
        return
    connection.execute(
        "INSERT OR REPLACE INTO spend_trouble VALUES (?, ?, ?, ?, ?)",
        (account, call, failures.code, failures.message, milliseconds(failures.failed_at)),
    )


def stored_reports(connection: sqlite3.Connection, account: str, month: date) -> StoredReports:
    """Return what is kept of an organisation's month; ``month`` is its first day."""
    found = StoredReports({}, {}, {}, None, {}, {})
    rows = connection.execute(
        "SELECT part, read_at, content FROM spend_part WHERE account = ? AND month IN ('', ?)",
        (account, month.isoformat()),
    )
    for part, read_at, content in rows:
        body = json.loads(content)
        found.read_at[part] = datetime.fromtimestamp(read_at / 1000, UTC)
        if part in NAME_LISTS:
            found.names[part] = dict(body)
        elif part in COST_REPORTS:
            found.costs[part] = _costs(body)
        elif part == USAGE_REPORT:
            found = found._replace(tokens={name: Tokens(*row) for name, row in body})
        else:
            day = date.fromisoformat(part.removeprefix(DAYS))
            found.days[day] = tuple(_user(row) for row in body)
    troubles = connection.execute(
        "SELECT call, code, message, met_at FROM spend_trouble WHERE account = ?", (account,)
    )
    for call, code, message, failed_at in troubles:
        found.failures[call] = ReportFailure(
            code, message, datetime.fromtimestamp(failed_at / 1000, UTC)
        )
    return found


def _packed(content: ReportContent) -> object:
    """Return a part as JSON can hold it: amounts as text, exact."""
    if isinstance(content, Costs):
        daily = {day.isoformat(): _text(amount) for day, amount in content.daily.items()}
        groups = [[name, _text(amount)] for name, amount in content.groups.items()]
        return {"currency": content.currency, "daily": daily, "groups": groups}
    if isinstance(content, tuple):
        return [[*user[:2], _text(user.amount), *user[3:]] for user in content]
    return [[known_as, value] for known_as, value in content.items()]


def _costs(body: dict[str, object]) -> Costs:
    daily, groups = dict(body["daily"]), list(body["groups"])  # type: ignore[call-overload] # ours
    return Costs(
        str(body["currency"]),
        {date.fromisoformat(day): _decimal(amount) for day, amount in daily.items()},
        {name: _decimal(amount) for name, amount in groups},
    )


def _user(row: list[object]) -> UserSpend:
    row[2] = _decimal(row[2])
    return UserSpend._make(row)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _decimal(amount: object) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))
