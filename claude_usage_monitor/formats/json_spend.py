"""An organisation's spend as the JSON document has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from claude_usage_monitor.formats.json_values import Json, amount
from claude_usage_monitor.usage.durations import iso_instant

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.spend import (
        ClaudeCodeSpend,
        KeyTokens,
        NamedAmount,
        Spend,
        UserSpend,
    )


def spend_json(spend: Spend) -> Json:
    """Return the month's amounts, rounded to the currency's least only by their reader."""
    return {
        "currency": spend.currency,
        "period_start": spend.period_start.isoformat(),
        "period_end": spend.period_end.isoformat(),
        "month_to_date": amount(spend.month_to_date),
        "projected": amount(spend.projected),
        "projected_low": amount(spend.projected_low),
        "projected_high": amount(spend.projected_high),
        "projection_note": spend.projection_note,
        "budget": amount(spend.budget),
        "budget_reached_on": spend.budget_reached_on and spend.budget_reached_on.isoformat(),
        "daily": [
            {"date": day.date.isoformat(), "amount": amount(day.amount)} for day in spend.daily
        ],
        "by_workspace": _rows(spend.by_workspace),
        "by_model": _rows(spend.by_model),
        "by_api_key": _rows(spend.by_api_key),
        "claude_code": _claude_code(spend.claude_code) if spend.claude_code else None,
    }


def _claude_code(spend: ClaudeCodeSpend) -> Json:
    you = spend.you
    return {
        "estimated": spend.estimated,
        "as_of": iso_instant(spend.as_of),
        "month_to_date": amount(spend.month_to_date),
        "you": {"email": you.email, "amount": amount(you.amount)} if you else None,
        "by_user": _rows(spend.by_user),
        "missing_days": spend.missing_days,
    }


def _rows(rows: Sequence[NamedAmount | KeyTokens | UserSpend] | None) -> list[Json] | None:
    """Return table rows under their own names; what has not been read is ``null``."""
    if rows is None:
        return None
    found = [row._asdict() for row in rows]
    for row in found:
        row.pop("email", None)  # it is the name where there is no other
        if "amount" in row:
            row["amount"] = amount(row["amount"])
    return found
