"""The projection of a month's spend, from its daily amounts.

The expected cost of a day comes from complete days only: their mean; from seven days on the mean of
the weekdays' means, so that a partial week has no extra weight; from fourteen days on a cost for
each weekday. Today counts as its cost so far plus the expected cost of the rest.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.money.spend import DailySpend

MIN_COMPLETE_DAYS = 3  # two days say nothing about the spread
WEEK = 7
MIN_DAYS_FOR_WEEKDAYS = 14  # each weekday twice
_BAND = Decimal("1.2816")  # standard deviations: the 80 % interval of a normal distribution
_CENT = Decimal("0.01")
_DAY_SECONDS = 86_400
_ZERO = Decimal(0)

UNKNOWN_DAYS = "No projection: the amounts of some days are unknown."


class Projection(NamedTuple):
    """The month's expected total, and its 80 % interval from ``low`` to ``high``.

    Without an amount, ``note`` says why. ``budget_reached_on`` is the day on which the spend
    reached, or will reach, the budget; ``None`` if that is not this month.
    """

    amount: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    note: str | None = None
    budget_reached_on: date | None = None


class _DailyCost(NamedTuple):
    """The expected cost by weekday (Monday first), its spread, and the number of days behind it."""

    by_weekday: tuple[Decimal, ...]
    spread: Decimal
    days: int


def project(
    daily: Sequence[DailySpend], as_of: datetime, budget: Decimal | None = None
) -> Projection:
    """Return the projection for the month of ``as_of``.

    ``daily`` has that month's days from the first on, without gaps; the day of ``as_of`` is
    incomplete.
    """
    today = as_of.date()
    known = [day.amount for day in daily if day.amount is not None and day.date <= today]
    if len(known) < len(daily):
        return Projection(note=UNKNOWN_DAYS)
    reached = _reached(daily, budget)
    complete = [(day.date, day.amount or _ZERO) for day in daily if day.date < today]
    if len(complete) < MIN_COMPLETE_DAYS:
        have = ("", "; there is one", "; there are two")[len(complete)]
        note = f"No projection yet: it takes {MIN_COMPLETE_DAYS} complete days{have}."
        return Projection(note=note, budget_reached_on=reached)
    cost = _daily_cost(complete)
    spent = sum(known, _ZERO)
    rest_of_today = _rest_of_day(as_of)
    ahead = [(today, rest_of_today * cost.by_weekday[today.weekday()])]
    last = today.replace(day=monthrange(today.year, today.month)[1])
    for offset in range(1, (last - today).days + 1):
        day = today + timedelta(days=offset)
        ahead.append((day, cost.by_weekday[day.weekday()]))
    expected = sum((amount for _, amount in ahead), spent)
    days_left = rest_of_today + len(ahead) - 1
    # The spread of the days themselves, and the uncertainty of the expected cost.
    variance = cost.spread**2 * (days_left + days_left**2 / cost.days)
    margin = _BAND * variance.sqrt()
    return Projection(
        amount=expected.quantize(_CENT),
        low=max(expected - margin, min(spent, expected)).quantize(_CENT),
        high=(expected + margin).quantize(_CENT),
        budget_reached_on=reached or _will_reach(spent, ahead, budget),
    )


def _daily_cost(complete: Sequence[tuple[date, Decimal]]) -> _DailyCost:
    amounts = [amount for _, amount in complete]
    days = min(len(complete), WEEK)  # costs drift: more days do not make the estimate more certain
    means: list[Decimal] = []
    if len(complete) >= WEEK:
        means = [_mean([a for day, a in complete if day.weekday() == n]) for n in range(WEEK)]
    mean = _mean(means or amounts)
    if len(complete) < MIN_DAYS_FOR_WEEKDAYS:
        spread = _spread(amounts, [mean] * len(amounts), parameters=1)
        return _DailyCost((mean,) * WEEK, spread, days)
    spread = _spread(amounts, [means[day.weekday()] for day, _ in complete], parameters=WEEK)
    # Shrink the weekdays' means towards their mean by the share of their variance that is noise.
    between = sum(((weekday - mean) ** 2 for weekday in means), _ZERO) / (WEEK - 1)
    noise = spread**2 * WEEK / len(complete)
    shrinkage = max(_ZERO, 1 - noise / between) if between else _ZERO
    by_weekday = tuple(mean + shrinkage * (weekday - mean) for weekday in means)
    return _DailyCost(by_weekday, spread, days)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, _ZERO) / len(amounts)


def _spread(amounts: Sequence[Decimal], fitted: Sequence[Decimal], parameters: int) -> Decimal:
    """Return the standard deviation of amounts from their fitted values."""
    squares = sum(((a - f) ** 2 for a, f in zip(amounts, fitted, strict=True)), _ZERO)
    return (squares / (len(amounts) - parameters)).sqrt()


def _rest_of_day(as_of: datetime) -> Decimal:
    """Return the share of the day that is left, 0–1."""
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    return 1 - Decimal(int((as_of - midnight).total_seconds())) / _DAY_SECONDS


def _reached(daily: Sequence[DailySpend], budget: Decimal | None) -> date | None:
    """Return the day on which the spend reached the budget, if it has."""
    if budget is None:
        return None
    spent = _ZERO
    for day in daily:
        spent += day.amount or _ZERO
        if spent >= budget:
            return day.date
    return None


def _will_reach(
    spent: Decimal, ahead: Sequence[tuple[date, Decimal]], budget: Decimal | None
) -> date | None:
    """Return the day on which the spend will reach the budget, if that is this month."""
    if budget is None:
        return None
    for day, amount in ahead:
        spent += amount
        if spent >= budget:
            return day
    return None
