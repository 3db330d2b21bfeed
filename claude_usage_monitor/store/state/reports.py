"""The reports of organizations, each as it was last read by any process.

A report covers one month, or is a list of names (without a month). Past months are deleted.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import date, datetime, timedelta
from decimal import Decimal

from claude_usage_monitor.light_typing import Any, NamedTuple, TypeAlias
from claude_usage_monitor.store.columns import instant, milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.money.spend import Costs, NamedAmount, Tokens, UserSpend

ReportContent: TypeAlias = Costs | dict[str, str] | dict[str | None, Tokens] | tuple[UserSpend, ...]

NAME_LISTS = ("workspaces", "users", "api_keys")
COST_REPORTS = ("workspace_id", "description")
USAGE_REPORT = "tokens"
_DAY_PREFIX = "day:"
_FIGURES = 12  # the columns of a user's row before the models

_RETENTION = timedelta(days=62)  # of reports that no process reads any more


class ReportFailure(NamedTuple):
    """Why the last request for a report failed: a stable code and a message."""

    code: str
    message: str
    failed_at: datetime


class StoredReports(NamedTuple):
    """The reports of an organization's month, and when each was read.

    ``days`` are those of the Claude Code report; ``failures`` are by the API's call.
    """

    read_at: dict[str, datetime]
    names: dict[str, dict[str, str]]
    costs: dict[str, Costs]
    tokens: dict[str | None, Tokens] | None
    days: dict[date, tuple[UserSpend, ...]]
    failures: dict[str, ReportFailure]


def day_report(day: date) -> str:
    """Return the name of a day's Claude Code report."""
    return f"{_DAY_PREFIX}{day.isoformat()}"


def record_report(  # noqa: PLR0913, PLR0917 - the columns of a row
    connection: sqlite3.Connection,
    organization_id: str,
    month: date,
    name: str,
    content: ReportContent,
    read_at: datetime,
) -> None:
    """Store a report that was requested at ``read_at``, unless a newer one is stored.

    ``month`` is its first day. Reports of earlier months are deleted.
    """
    of_month = "" if name in NAME_LISTS else month.isoformat()
    with transaction(connection):
        connection.execute(
            "INSERT INTO spend_part VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE"
            " SET read_at = ?4, content = ?5 WHERE read_at <= ?4",
            (organization_id, of_month, name, milliseconds(read_at), _as_json(content)),
        )
        connection.execute(
            "DELETE FROM spend_part WHERE (month != '' AND month < ?) OR read_at < ?",
            (month.isoformat(), milliseconds(read_at - _RETENTION)),
        )


def record_report_failure(
    connection: sqlite3.Connection, organization_id: str, call: str, failure: ReportFailure | None
) -> None:
    """Store why a call failed, or that it succeeded."""
    if failure is None:
        connection.execute(
            "DELETE FROM spend_trouble WHERE account = ? AND call = ?", (organization_id, call)
        )
        return
    connection.execute(
        "INSERT OR REPLACE INTO spend_trouble VALUES (?, ?, ?, ?, ?)",
        (organization_id, call, failure.code, failure.message, milliseconds(failure.failed_at)),
    )


def stored_reports(
    connection: sqlite3.Connection, organization_id: str, month: date
) -> StoredReports:
    """Return the stored reports of an organization's month; ``month`` is its first day."""
    reports = StoredReports({}, {}, {}, None, {}, {})
    rows = connection.execute(
        "SELECT part, read_at, content FROM spend_part WHERE account = ? AND month IN ('', ?)",
        (organization_id, month.isoformat()),
    )
    for name, read_at, content in rows:
        body = json.loads(content)
        reports.read_at[name] = instant(read_at)
        if name in NAME_LISTS:
            reports.names[name] = dict(body)
        elif name in COST_REPORTS:
            reports.costs[name] = _costs(body)
        elif name == USAGE_REPORT:
            reports = reports._replace(tokens={key: Tokens(*row) for key, row in body})
        else:
            day = date.fromisoformat(name.removeprefix(_DAY_PREFIX))
            reports.days[day] = tuple(_user(row) for row in body)
    failures = connection.execute(
        "SELECT call, code, message, met_at FROM spend_trouble WHERE account = ?",
        (organization_id,),
    )
    for call, code, message, failed_at in failures:
        reports.failures[call] = ReportFailure(code, message, instant(failed_at))
    return reports


def _as_json(content: ReportContent) -> str:
    """Return a report as JSON, with amounts as exact text."""
    body: object
    if isinstance(content, Costs):
        daily = {day.isoformat(): _amount_text(cost) for day, cost in content.daily.items()}
        groups = [[name, _amount_text(cost)] for name, cost in content.groups.items()]
        body = {"currency": content.currency, "daily": daily, "groups": groups}
    elif isinstance(content, tuple):
        body = [_user_as_json(user) for user in content]
    else:
        body = [[name, value] for name, value in content.items()]
    return json.dumps(body)


def _costs(body: dict[str, object]) -> Costs:
    daily, groups = dict(body["daily"]), list(body["groups"])  # type: ignore[call-overload] # ours
    return Costs(
        str(body["currency"]),
        {date.fromisoformat(day): _amount(text) for day, text in daily.items()},
        {name: _amount(text) for name, text in groups},
    )


def _user_as_json(user: UserSpend) -> list[object]:
    models = user.models and [[name, _amount_text(cost)] for name, cost in user.models]
    return [*user[:2], _amount_text(user.amount), *user[3:12], models]


def _user(row: list[Any]) -> UserSpend:
    """Return a user's row; an older version of this program stored no models."""
    *figures, models = row if len(row) > _FIGURES else [*row, None]
    figures[2] = _amount(figures[2])
    user = UserSpend(*figures)
    if models is None:
        return user
    return user._replace(models=tuple(NamedAmount(name, _amount(cost)) for name, cost in models))


def _amount_text(amount: Decimal | None) -> str | None:
    """Return an amount as text, with all its digits."""
    return None if amount is None else str(amount)


def _amount(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))
