"""What an organisation spends in a month (UTC): amounts, whose they are, and where they will end.

Every amount is a `Decimal` in ``currency`` units, exact as it came; it is rounded only for display.
Unknown is ``None``, and a sum with an unknown in it is unknown: it would be too low otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from decimal import Decimal

DEFAULT_WORKSPACE = "Default"  # the one the reports leave unnamed


class DailySpend(NamedTuple):
    """A UTC day's spend; today's is what there is so far."""

    date: date
    amount: Decimal | None


class NamedAmount(NamedTuple):
    """The month's spend of a workspace, or of a model or another type of cost."""

    name: str | None
    amount: Decimal | None


class Tokens(NamedTuple):
    """So many tokens of each kind; ``input_tokens`` are those that no cache had."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None


class KeyTokens(NamedTuple):
    """The month's tokens of an API key. The API prices no key: there is no amount."""

    name: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None


class UserSpend(NamedTuple):
    """A user's month of API-billed Claude Code, or an API key's; ``amount`` is an estimate.

    ``name`` is the user's name, else the e-mail address, else the key's name. ``email`` is ``None``
    for a key.
    """

    name: str | None
    email: str | None
    amount: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None
    sessions: int | None
    lines_added: int | None
    lines_removed: int | None
    commits: int | None
    pull_requests: int | None


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost report: what each day cost, and each group of the kind that was asked for.

    Groups are ids of workspaces (``None`` is the default one), or models and types of cost.
    """

    currency: str
    daily: dict[date, Decimal | None]
    groups: dict[str | None, Decimal | None]


class You(NamedTuple):
    """The row of the user whose e-mail address is known to be the reader's."""

    email: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class ClaudeCodeSpend:
    """The Claude Code report of the month: API-billed use only, estimated, about an hour late.

    ``as_of`` is when its newest day was read; ``month_to_date`` the sum of what has a price. While
    days of the month are not read yet (``missing_days``) that is unknown, and rows are of the rest.
    """

    as_of: datetime
    month_to_date: Decimal | None
    you: You | None
    by_user: tuple[UserSpend, ...]
    missing_days: int = 0
    estimated: bool = True

    @property
    def unpriced(self) -> int:
        """How many users have an amount that is not known."""
        return sum(user.amount is None for user in self.by_user)


@dataclass(frozen=True, slots=True)
class Spend:
    """An organisation's month so far, as of one instant.

    ``period_start`` and ``period_end`` are its first and last day; ``daily`` runs from the first
    to today. ``month_to_date`` is ``None`` while the cost report cannot be read, a table ``None``
    until its report has been read. ``projected…`` are for the whole month.
    """

    as_of: datetime
    source: str
    currency: str | None
    period_start: date
    period_end: date
    month_to_date: Decimal | None = None
    projected: Decimal | None = None
    projected_low: Decimal | None = None
    projected_high: Decimal | None = None
    projection_note: str | None = None
    budget: Decimal | None = None
    budget_reached_on: date | None = None
    daily: tuple[DailySpend, ...] = ()
    by_workspace: tuple[NamedAmount, ...] | None = None
    by_model: tuple[NamedAmount, ...] | None = None
    by_api_key: tuple[KeyTokens, ...] | None = None
    claude_code: ClaudeCodeSpend | None = None

    @property
    def budget_percent(self) -> float | None:
        """How much of the budget is spent, in percent; may exceed 100."""
        if self.month_to_date is None or self.budget is None:
            return None
        return float(max(self.month_to_date, 0 * self.budget) / self.budget * 100)

    def elapsed_percent(self, now: datetime) -> float:
        """Return how much of the month has passed, 0.0-100.0."""
        days = (self.period_end - self.period_start).days + 1
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = (now.date() - self.period_start).days + (now - midnight).total_seconds() / 86400
        return min(100.0, max(0.0, passed / days * 100))


def add_amounts(one: _Figure | None, other: _Figure | None) -> _Figure | None:
    """Return the sum of two figures; unknown if one of them is."""
    return None if one is None or other is None else one + other


def merge_user_rows(rows: Sequence[UserSpend]) -> UserSpend:
    """Return the rows of one user as one."""
    figures = [
        None if None in column else sum(column[1:], column[0])
        for column in zip(*(row[2:] for row in rows), strict=True)
    ]
    return UserSpend(rows[0].name, rows[0].email, *figures)


def sort_by_amount(rows: Iterable[_Priced]) -> tuple[_Priced, ...]:
    """Return rows by amount, the highest first and the unknown last; then by name."""
    return tuple(
        sorted(
            rows,
            key=lambda row: (row.amount is None, -(row.amount or 0), (row.name or "").casefold()),
        )
    )


_Figure = TypeVar("_Figure", "int", "Decimal")
_Priced = TypeVar("_Priced", NamedAmount, UserSpend)
