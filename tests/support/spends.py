"""Statuses of an organization, for screenshots, snapshots and property tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from claude_usage_monitor.errors import NoCredentials, RateLimited, Unauthorized
from claude_usage_monitor.usage.money.projection import project
from claude_usage_monitor.usage.money.spend import (
    ClaudeCodeSpend,
    DailySpend,
    KeyTokens,
    NamedAmount,
    Spend,
    Tokens,
    UserSpend,
    You,
)
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, Profile
from tests.support.payloads import NOW

_WEEK = ("230", "262", "281.5", "254", "190.25", "41.1", "23")  # Monday first
_FIRST, _LAST = date(2026, 11, 1), date(2026, 11, 30)


def _month(day: date) -> tuple[DailySpend, ...]:
    """Return the days of the month up to ``day``, with a weekly pattern."""
    days = [_FIRST.replace(day=number) for number in range(1, day.day + 1)]
    return tuple(DailySpend(d, Decimal(_WEEK[d.weekday()]) + 7 * (d.day % 4)) for d in days)


def _user(name: str, email: str | None, amount: str | None) -> UserSpend:
    figures = (91_000, 30_000, 880_000, 41_000, 68, 8229, 2222, 6, 2)
    cost = None if amount is None else Decimal(amount)
    models = (NamedAmount("claude-opus-5", cost),)
    return UserSpend(name, email, cost, *figures, models=models)


def with_budget(budget: str | None) -> AccountStatus:
    """Return the organization's status two minutes after a read, with a budget."""
    amount = None if budget is None else Decimal(budget)
    daily = _month(NOW.date())
    projection = project(daily, NOW, amount)
    spent = sum((day.amount or Decimal(0) for day in daily), Decimal(0))

    def share(part: str) -> Decimal:
        return spent * Decimal(part)

    spend = Spend(
        NOW - timedelta(minutes=2),
        "api",
        "USD",
        _FIRST,
        _LAST,
        spent,
        *projection[:4],
        amount,
        projection.budget_reached_on,
        daily,
        by_workspace=(
            NamedAmount("Claude Code", share("0.61")),
            NamedAmount("Default", share("0.27")),
            NamedAmount("Research", share("0.116")),
            NamedAmount("Évaluation des modèles de langage", share("0.004")),
            NamedAmount(None, None),
        ),
        by_model=(
            NamedAmount("claude-opus-5", share("0.7")),
            NamedAmount("claude-sonnet-5", share("0.28")),
            NamedAmount("Web search", share("0.02")),
        ),
        by_api_key=(
            KeyTokens("ci-pipeline", 4_100_000, 1_200_000, 30_000_000, 900_000),
            KeyTokens(None, 12_000, 800, None, 0),
        ),
        claude_code=ClaudeCodeSpend(
            NOW - timedelta(minutes=40),
            Decimal("664.58"),
            You("ada@example.com", Decimal("310.4"), Decimal("452.18")),
            (
                _user("Grace Hopper", "grace@example.com", "354.18"),
                _user("Ada Lovelace", "ada@example.com", "310.4"),
                _user("nightly-build", None, None),
            ),
            by_model=(NamedAmount("claude-opus-5", Decimal("664.58")),),
            projected=Decimal("968.20"),
            tokens=Tokens(273_000, 90_000, 2_640_000, 123_000),
        ),
    )
    return AccountStatus(
        Account("console", "console"),
        spend=spend,
        profile=Profile(organization="Acme Corporation"),
        credential_origin="ANTHROPIC_ADMIN_API_KEY variable",
        next_read_at=NOW + timedelta(minutes=3),
    )


def _bare(**more: object) -> Spend:
    return replace(Spend(NOW, "api", "USD", _FIRST, _LAST), **more)  # type: ignore[arg-type]  # fields by name


ORGANIZATION = with_budget("6000")
NO_BUDGET = with_budget(None)
OVER_BUDGET = with_budget("4600")
USED_UP = with_budget("2500")
TOO_EARLY = ORGANIZATION._replace(
    spend=_bare(
        month_to_date=Decimal("45.10"),
        daily=_month(_FIRST.replace(day=2)),
        projection_note="No projection yet: it takes 3 complete days; there is one.",
        by_workspace=(NamedAmount("Default", Decimal("45.10")),),
        claude_code=ClaudeCodeSpend(NOW, None, None, ()),
    ),
)
NO_COSTS = ORGANIZATION._replace(
    spend=_bare(
        claude_code=ClaudeCodeSpend(NOW, None, None, (_user("Ada", "ada@example.com", "3"),), 12)
    ),
    notice="This key may not call cost_report (403, request req_7): needs read:billing.",
)
REFUSED = ORGANIZATION._replace(
    problem=Problem.from_error(Unauthorized("The API refuses this Admin key (401).")),
    next_read_at=None,
)
LIMITED = ORGANIZATION._replace(
    problem=Problem.from_error(
        RateLimited("The Admin API asked to wait 10m (429)."), NOW + timedelta(minutes=31)
    ),
)
READING = AccountStatus(Account("console", "console"))
NO_KEY = READING._replace(
    problem=Problem.from_error(NoCredentials("There is no Admin API key.", "Set it."))
)

ORGANIZATIONS = {
    "organization": ORGANIZATION,
    "no budget": NO_BUDGET,
    "over budget": OVER_BUDGET,
    "used up": USED_UP,
    "too early": TOO_EARLY,
    "no costs": NO_COSTS,
    "refused": REFUSED,
    "limited": LIMITED,
    "no key": NO_KEY,
    "reading organization": READING,
}
