"""An organization's spend in a month (UTC), by workspace, model, API key and user.

Every amount is an exact `Decimal` in units of ``currency``; only displays round it. An unknown
amount is ``None``, and so is a sum with an unknown amount in it: it would be too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from claude_usage_monitor.light_typing import Literal, NamedTuple, TypeVar

_HOUR = 3600  # seconds
DEFAULT_WORKSPACE = "Default"  # the reports give it no name


class DailySpend(NamedTuple):
    """A UTC day's spend; today's is incomplete."""

    date: date
    amount: Decimal | None


class NamedAmount(NamedTuple):
    """The month's spend of a workspace, a model or another type of cost."""

    name: str | None
    amount: Decimal | None


class Tokens(NamedTuple):
    """Token counts; ``input_tokens`` are the uncached ones."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None


class KeyTokens(NamedTuple):
    """The month's tokens of an API key. The API reports no amount for a key."""

    name: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None


class UserSpend(NamedTuple):
    """API-billed Claude Code usage of one user or API key in the month.

    ``amount`` is an estimate. ``name`` is the user's name, else the e-mail address, else the key's
    name; ``email`` is ``None`` for a key.
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
    models: tuple[NamedAmount, ...] | None = None
    """The amounts by model; ``None`` if they were not stored."""

    @property
    def actor_type(self) -> Literal["user", "api_key"]:
        """Whether the row is of a person or of an API key."""
        return "api_key" if self.email is None else "user"


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost report: the cost of each day and of each group.

    A group is a workspace's id (``None`` is the default workspace), or a model or type of cost.
    """

    currency: str
    daily: dict[date, Decimal | None]
    groups: dict[str | None, Decimal | None]


class You(NamedTuple):
    """The spend of the current user, found by e-mail address; ``projected`` for the month."""

    email: str
    amount: Decimal | None
    projected: Decimal | None = None


YouUnknown = Literal["no_email", "no_row"]
"""Why there is no row of the user: no e-mail address is known, or the report has none for it."""


@dataclass(frozen=True, slots=True)
class ClaudeCodeSpend:
    """The Claude Code report of the month: API-billed usage only, estimated, an hour late.

    ``as_of`` is when its newest day was read. ``month_to_date`` is the sum of all known amounts,
    ``None`` while days of the month have not been read (``missing_days``); the rows leave them out.
    ``you`` is ``None`` for the reason ``you_unknown_because``. ``tokens`` are those of all rows.
    """

    as_of: datetime
    month_to_date: Decimal | None
    you: You | None
    by_user: tuple[UserSpend, ...]
    missing_days: int = 0
    estimated: bool = True
    you_unknown_because: YouUnknown | None = None
    by_model: tuple[NamedAmount, ...] | None = None
    projected: Decimal | None = None
    tokens: Tokens | None = None

    @property
    def unpriced(self) -> int:
        """The number of users with an unknown amount."""
        return sum(user.amount is None for user in self.by_user)


@dataclass(frozen=True, slots=True)
class Spend:
    """An organization's spend in the current month.

    ``period_start`` and ``period_end`` are the month's first and last day; ``daily`` runs from the
    first to today. ``month_to_date`` is ``None`` while the cost report cannot be read; a table is
    ``None`` until its report has been read. ``projected…`` are for the whole month.
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
        """The share of the budget that is spent, in percent; may exceed 100."""
        if self.month_to_date is None or self.budget is None:
            return None
        return float(max(self.month_to_date, 0 * self.budget) / self.budget * 100)

    @property
    def remaining_projected(self) -> Decimal | None:
        """The part of the projection that is still to come."""
        if self.projected is None or self.month_to_date is None:
            return None
        return self.projected - self.month_to_date

    @property
    def rate_per_hour(self) -> Decimal | None:
        """The average spend an hour since the month began; ``None`` in its first hour."""
        start = datetime.combine(self.period_start, datetime.min.time(), self.as_of.tzinfo)
        seconds = int((self.as_of - start).total_seconds())
        if self.month_to_date is None or seconds < _HOUR:
            return None
        return self.month_to_date * _HOUR / seconds

    def elapsed_percent(self, now: datetime) -> float:
        """Return how much of the month has passed, 0.0–100.0."""
        days = (self.period_end - self.period_start).days + 1
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = (now.date() - self.period_start).days + (now - midnight).total_seconds() / 86400
        return min(100.0, max(0.0, passed / days * 100))


def add_amounts(one: _Number | None, other: _Number | None) -> _Number | None:
    """Return the sum; ``None`` (unknown) if either amount is."""
    return None if one is None or other is None else one + other


def merge_user_rows(rows: Sequence[UserSpend]) -> UserSpend:
    """Return the sum of several rows of one user."""
    figures = [
        None if None in column else sum(column[1:], column[0])
        for column in zip(*(row[2:12] for row in rows), strict=True)
    ]
    merged = UserSpend(rows[0].name, rows[0].email, *figures)
    return merged._replace(models=_merged_models(rows))


def _merged_models(rows: Iterable[UserSpend]) -> tuple[NamedAmount, ...] | None:
    """Return the amounts by model of all rows; ``None`` if those of a row are unknown."""
    amounts: dict[str | None, Decimal | None] = {}
    for row in rows:
        if row.models is None:
            return None
        for name, amount in row.models:
            amounts[name] = add_amounts(amounts[name], amount) if name in amounts else amount
    return sort_by_amount(NamedAmount(name, amount) for name, amount in amounts.items())


def sort_by_amount(rows: Iterable[_Priced]) -> tuple[_Priced, ...]:
    """Return rows by amount, the highest first and unknown ones last, then by name."""
    return tuple(
        sorted(
            rows,
            key=lambda row: (row.amount is None, -(row.amount or 0), (row.name or "").casefold()),
        )
    )


_Number = TypeVar("_Number", "int", Decimal)
_Priced = TypeVar("_Priced", NamedAmount, UserSpend)
