"""Computes an organization's spend this month from its stored reports."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import reduce

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
    Tokens,
    UserSpend,
    You,
    add_amounts,
    merge_user_rows,
    sort_by_amount,
)

BY_WORKSPACE, BY_MODEL = COST_REPORTS
CONSOLE_PLAYGROUND = "Console Playground"  # the reports give no key for it


def spend_from_reports(
    stored: StoredReports, now: datetime, budget: Decimal | None, email: str | None
) -> Spend | None:
    """Return the spend in the month of ``now``, or None if no report of it is stored.

    ``now`` is by the API's clock; ``email`` is the user's own address, if it is known.
    """
    read_at = {name: at for name, at in stored.read_at.items() if name not in stored.names}
    if not read_at:
        return None
    first = now.date().replace(day=1)
    costs, model_costs = stored.costs.get(BY_WORKSPACE), stored.costs.get(BY_MODEL)
    daily = tuple(DailySpend(day, costs.daily[day]) for day in sorted(costs.daily)) if costs else ()
    as_of = read_at.get(BY_WORKSPACE) or max(read_at.values())
    projection = project(daily, as_of, budget) if costs else Projection()
    return Spend(
        as_of=as_of,
        source="api",
        currency=costs.currency if costs else CURRENCY,
        period_start=first,
        period_end=first.replace(day=monthrange(first.year, first.month)[1]),
        month_to_date=reduce(add_amounts, (day.amount for day in daily)) if daily else None,
        projected=projection.amount,
        projected_low=projection.low,
        projected_high=projection.high,
        projection_note=projection.note,
        budget=budget,
        budget_reached_on=projection.budget_reached_on,
        daily=daily,
        by_workspace=_by_workspace(costs, stored) if costs else None,
        by_model=_by_model(model_costs) if model_costs else None,
        by_api_key=_by_api_key(stored),
        claude_code=_claude_code(stored, now.date(), email),
    )


def _by_workspace(costs: Costs, stored: StoredReports) -> tuple[NamedAmount, ...]:
    names = stored.names.get("workspaces", {})
    return sort_by_amount(
        NamedAmount(DEFAULT_WORKSPACE if workspace is None else names.get(workspace), amount)
        for workspace, amount in costs.groups.items()
    )


def _by_model(costs: Costs) -> tuple[NamedAmount, ...]:
    return sort_by_amount(NamedAmount(model, amount) for model, amount in costs.groups.items())


def _by_api_key(stored: StoredReports) -> tuple[KeyTokens, ...] | None:
    if stored.tokens is None:
        return None
    names = stored.names.get("api_keys", {})
    rows = [
        KeyTokens(CONSOLE_PLAYGROUND if key is None else names.get(key), *tokens)
        for key, tokens in stored.tokens.items()
    ]
    return tuple(sorted(rows, key=_most_tokens_first))


def _most_tokens_first(row: KeyTokens) -> tuple[int, str]:
    return -sum(tokens or 0 for tokens in row[1:]), (row.name or "").casefold()


def _claude_code(stored: StoredReports, today: date, email: str | None) -> ClaudeCodeSpend | None:
    if not stored.days:
        return None
    rows_by_user: dict[tuple[str | None, str | None], list[UserSpend]] = {}
    for rows in stored.days.values():
        for row in rows:
            rows_by_user.setdefault((row.name, row.email), []).append(row)
    names = stored.names.get("users", {})
    users = sort_by_amount(
        row._replace(name=names.get(row.email, row.email)) if row.email else row
        for row in map(merge_user_rows, rows_by_user.values())
    )
    missing_days = today.day - len(stored.days)
    amounts = [row.amount for row in users if row.amount is not None and not missing_days]
    as_of = stored.read_at[day_report(max(stored.days))]
    you = _you(users, stored, email, complete=not missing_days)
    all_rows = merge_user_rows(users) if users else None
    return ClaudeCodeSpend(
        as_of=as_of,
        month_to_date=sum(amounts[1:], amounts[0]) if amounts else None,
        you=you,
        by_user=users,
        missing_days=missing_days,
        you_unknown_because=None if you else "no_row" if email else "no_email",
        by_model=all_rows.models if all_rows else None,
        projected=_projected(stored, as_of, lambda _: True) if users else None,
        tokens=Tokens(*all_rows[3:7]) if all_rows else None,
    )


def _you(
    users: Sequence[UserSpend], stored: StoredReports, email: str | None, *, complete: bool
) -> You | None:
    own = next((row for row in users if email and row.email == email.lower()), None)
    if own is None or own.email is None:
        return None
    if not complete:
        return You(own.email, None)
    as_of = stored.read_at[day_report(max(stored.days))]
    projected = _projected(stored, as_of, lambda row: row.email == own.email)
    return You(own.email, own.amount, projected)


def _projected(
    stored: StoredReports, as_of: datetime, counts: Callable[[UserSpend], bool]
) -> Decimal | None:
    """Return the projection for the month of some users' rows; ``None`` while days are missing."""
    days = sorted(stored.days)
    if len(days) < as_of.day:
        return None
    daily = []
    for day in days:
        total: Decimal | None = Decimal(0)
        for row in filter(counts, stored.days[day]):
            total = add_amounts(total, row.amount)
        daily.append(DailySpend(day, total))
    return project(daily, as_of).amount
