"""An organization's spend in the JSON document."""

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
    """Return the month's amounts, unrounded."""
    return {
        "currency": spend.currency,
        "period_start": spend.period_start.isoformat(),
        "period_end": spend.period_end.isoformat(),
        "month_to_date": amount(spend.month_to_date),
        "projected": amount(spend.projected),
        "projected_low": amount(spend.projected_low),
        "projected_high": amount(spend.projected_high),
        "remaining_projected": amount(spend.remaining_projected),
        "rate_per_hour": amount(spend.rate_per_hour),
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
        "projected": amount(spend.projected),
        "you": you
        and {
            "email": you.email,
            "amount": amount(you.amount),
            "projected": amount(you.projected),
        },
        "you_unknown_because": spend.you_unknown_because,
        "by_user": _users(spend.by_user),
        "by_model": _rows(spend.by_model),
        "tokens": spend.tokens and spend.tokens._asdict(),
        "missing_days": spend.missing_days,
    }


def _users(rows: Sequence[UserSpend]) -> list[Json]:
    documents = _rows(rows) or []
    for document, row in zip(documents, rows, strict=True):
        document.pop("models")
        document["actor_type"] = row.actor_type
    return documents


def _rows(rows: Sequence[NamedAmount | KeyTokens | UserSpend] | None) -> list[Json] | None:
    """Return a table's rows, with their fields' names as keys; ``null`` if it was not read."""
    if rows is None:
        return None
    documents = [row._asdict() for row in rows]
    for document in documents:
        if "amount" in document:
            document["amount"] = amount(document["amount"])
    return documents
