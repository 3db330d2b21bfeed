"""An organisation's month out of the parts that are kept of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.sources.anthropic.admin_reports import CURRENCY
from claude_usage_monitor.store.state.reports import COST_REPORTS, StoredReports, day_report
from claude_usage_monitor.usage.money.projection import Projection, project
from claude_usage_monitor.usage.money.spend import (
    DEFAULT_WORKSPACE,
    ClaudeCodeSpend,
    Costs,
    DailySpend,
    KeyTokens,
    NamedAmount,
    Spend,
    UserSpend,
    You,
    add_amounts,
    merge_user_rows,
    sort_by_amount,
)

if TYPE_CHECKING:
    from decimal import Decimal


BY_WORKSPACE, BY_MODEL = COST_REPORTS
PLAYGROUND = "Console Playground"  # what the reports leave without a key's id


def spend_of(
    stored: StoredReports, now: datetime, budget: Decimal | None, email: str | None
) -> Spend | None:
    """Return the month of ``now`` as far as it has been read; ``None`` if nothing of it has.

    ``email`` is the reader's own address, if it is known.
    """
    reports = {p: at for p, at in stored.read_at.items() if p not in stored.names}
    if not reports:
        return None
    first = now.date().replace(day=1)
    costs = stored.costs.get(BY_WORKSPACE)
    models = stored.costs.get(BY_MODEL)
    daily = _daily(costs) if costs else ()
    as_of = reports.get(BY_WORKSPACE) or max(reports.values())
    foreseen = project(daily, as_of, budget) if costs else Projection()
    month_to_date = None
    if costs is not None:
        amounts = [day.amount for day in daily]
        month_to_date = amounts[0]
        for amount in amounts[1:]:
            month_to_date = add_amounts(month_to_date, amount)
    return Spend(
        as_of=as_of,
        source="api",
        currency=costs.currency if costs else CURRENCY,
        period_start=first,
        period_end=last_day(first),
        month_to_date=month_to_date,
        projected=foreseen.amount,
        projected_low=foreseen.low,
        projected_high=foreseen.high,
        projection_note=foreseen.note,
        budget=budget,
        budget_reached_on=foreseen.budget_reached_on,
        daily=daily,
        by_workspace=_by_workspace(costs, stored) if costs else None,
        by_model=_by_model(models) if models else None,
        by_api_key=_by_api_key(stored),
        claude_code=_claude_code(stored, now.date(), email),
    )


def last_day(first: date) -> date:
    """Return the last day of the month that begins on ``first``."""
    from calendar import monthrange

    return first.replace(day=monthrange(first.year, first.month)[1])


def _daily(costs: Costs) -> tuple[DailySpend, ...]:
    return tuple(DailySpend(day, costs.daily[day]) for day in sorted(costs.daily))


def _by_workspace(costs: Costs, stored: StoredReports) -> tuple[NamedAmount, ...]:
    names = stored.names.get("workspaces", {})
    return sort_by_amount(
        NamedAmount(DEFAULT_WORKSPACE if known_as is None else names.get(known_as), amount)
        for known_as, amount in costs.groups.items()
    )


def _by_model(costs: Costs) -> tuple[NamedAmount, ...]:
    return sort_by_amount(NamedAmount(name, amount) for name, amount in costs.groups.items())


def _by_api_key(stored: StoredReports) -> tuple[KeyTokens, ...] | None:
    if stored.tokens is None:
        return None
    names = stored.names.get("api_keys", {})
    rows = [
        KeyTokens(PLAYGROUND if known_as is None else names.get(known_as), *tokens)
        for known_as, tokens in stored.tokens.items()
    ]
    return tuple(sorted(rows, key=_most_tokens_first))


def _most_tokens_first(row: KeyTokens) -> tuple[int, str]:
    return -sum(tokens or 0 for tokens in row[1:]), (row.name or "").casefold()


def _claude_code(stored: StoredReports, today: date, email: str | None) -> ClaudeCodeSpend | None:
    if not stored.days:
        return None
    users: dict[tuple[str | None, str | None], list[UserSpend]] = {}
    for rows in stored.days.values():
        for row in rows:
            users.setdefault(row[:2], []).append(row)
    names = stored.names.get("users", {})
    named = sort_by_amount(
        row._replace(name=names.get(row.email, row.email)) if row.email else row
        for row in map(merge_user_rows, users.values())
    )
    missing = today.day - len(stored.days)
    priced = [row.amount for row in named if row.amount is not None and not missing]
    mine = next((row for row in named if email and row.email == email.lower()), None)
    return ClaudeCodeSpend(
        as_of=stored.read_at[day_report(max(stored.days))],
        month_to_date=sum(priced[1:], priced[0]) if priced else None,
        you=You(mine.email, None if missing else mine.amount) if mine and mine.email else None,
        by_user=named,
        missing_days=missing,
    )
