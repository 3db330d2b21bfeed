"""A simulated organization: a month of spend with a weekly pattern, below its budget."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from decimal import Decimal

from claude_usage_monitor.usage.money.projection import project
from claude_usage_monitor.usage.money.spend import (
    ClaudeCodeSpend,
    DailySpend,
    NamedAmount,
    Spend,
    UserSpend,
    You,
)

_WEEK = ("230", "262", "281.5", "254", "190.25", "41.1", "23")  # dollars a day, Monday first
_BUDGET = Decimal(6500)
_CENT = Decimal("0.01")


def demo_spend(now: datetime, email: str) -> Spend:
    """Return the spend of the month of ``now``; the user is the one with this address."""
    first = now.date().replace(day=1)
    days = [first.replace(day=number) for number in range(1, now.day + 1)]
    part_of_day = Decimal(now.hour * 60 + now.minute) / 1440
    daily = [DailySpend(day, Decimal(_WEEK[day.weekday()]) + 7 * (day.day % 4)) for day in days]
    today = daily[-1]
    daily[-1] = today._replace(amount=((today.amount or 0) * part_of_day).quantize(_CENT))
    total = sum((day.amount or Decimal(0) for day in daily), Decimal(0))
    projection = project(daily, now, _BUDGET)

    def share(percent: int) -> Decimal:
        return (total * percent / 100).quantize(_CENT)

    users = (_user("Grace", "grace@example.com", share(34)), _user("Ada", email, share(27)))
    return Spend(
        as_of=now,
        source="demo",
        currency="USD",
        period_start=first,
        period_end=first.replace(day=monthrange(first.year, first.month)[1]),
        month_to_date=total,
        projected=projection.amount,
        projected_low=projection.low,
        projected_high=projection.high,
        projection_note=projection.note,
        budget=_BUDGET,
        budget_reached_on=projection.budget_reached_on,
        daily=tuple(daily),
        by_workspace=(
            NamedAmount("Claude Code", share(34) + share(27)),
            NamedAmount("Default", total - share(34) - share(27)),
        ),
        by_model=(
            NamedAmount("claude-opus-5", share(72)),
            NamedAmount("claude-sonnet-5", total - share(72)),
        ),
        claude_code=ClaudeCodeSpend(
            as_of=now,
            month_to_date=share(34) + share(27),
            you=You(email, share(27)),
            by_user=users,
        ),
    )


def _user(name: str, email: str, amount: Decimal) -> UserSpend:
    return UserSpend(name, email, amount, 91_000, 30_000, 880_000, 41_000, 68, 8229, 2222, 6, 2)
