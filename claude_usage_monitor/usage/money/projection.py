"""Where a month's spend will end. Pure: a daily series in, an amount with its band out.

Only complete days say what a day costs: their mean; from seven on with each weekday counted once,
since a part of a week would lean to its own days; from fourteen on each weekday by itself. Today
counts as it is, and for the part of it that is left as a usual day.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.spend import DailySpend

MIN_COMPLETE_DAYS = 3  # complete ones: two say nothing about each other's spread
WEEK = 7
WEEKDAYS_FROM = 14  # each weekday twice
_BAND = Decimal("1.2816")  # deviations: four of five of what is normally distributed
_CENT = Decimal("0.01")
_DAY_SECONDS = 86_400
_ZERO = Decimal(0)

UNKNOWN_DAYS = "No projection: the amounts of some days are unknown."


class Projection(NamedTuple):
    """A month's end: ``amount``, likely between ``low`` and ``high``.

    Without an amount ``note`` says why. ``budget_reached_on`` is the day on which the budget was,
    or will be, used up; ``None`` if that is not this month.
    """

    amount: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    note: str | None = None
    budget_reached_on: date | None = None


class _Rhythm(NamedTuple):
    """What a day costs: by weekday (Monday first), its spread, and how many days vouch for it."""

    usual: tuple[Decimal, ...]
    spread: Decimal
    days: int


def project(
    daily: Sequence[DailySpend], as_of: datetime, budget: Decimal | None = None
) -> Projection:
    """Return where the month of ``as_of`` will end.

    ``daily`` are that month's days from the first on, without a gap; the one of ``as_of`` is what
    there is so far.
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
    rhythm = _rhythm(complete)
    spent = sum(known, _ZERO)
    left = _share_left(as_of)
    ahead = [(today, left * rhythm.usual[today.weekday()])]
    last = today.replace(day=monthrange(today.year, today.month)[1])
    for offset in range(1, (last - today).days + 1):
        day = today + timedelta(days=offset)
        ahead.append((day, rhythm.usual[day.weekday()]))
    expected = sum((amount for _, amount in ahead), spent)
    days_left = left + len(ahead) - 1
    variance = rhythm.spread**2 * (days_left + days_left**2 / rhythm.days)
    margin = _BAND * variance.sqrt()
    return Projection(
        amount=expected.quantize(_CENT),
        low=max(expected - margin, min(spent, expected)).quantize(_CENT),
        high=(expected + margin).quantize(_CENT),
        budget_reached_on=reached or _will_reach(spent, ahead, budget),
    )


def _rhythm(complete: Sequence[tuple[date, Decimal]]) -> _Rhythm:
    amounts = [amount for _, amount in complete]
    evidence = min(len(complete), WEEK)  # what a day costs drifts: no month is known too well
    if len(complete) < WEEK:
        mean = _mean(amounts)
        return _Rhythm((mean,) * WEEK, _spread(amounts, [mean] * len(amounts), 1), evidence)
    means = [_mean([a for day, a in complete if day.weekday() == n]) for n in range(WEEK)]
    mean = _mean(means)
    if len(complete) < WEEKDAYS_FROM:
        return _Rhythm((mean,) * WEEK, _spread(amounts, [mean] * len(amounts), 1), evidence)
    fitted = [means[day.weekday()] for day, _ in complete]
    spread = _spread(amounts, fitted, WEEK)
    # A weekday differs from the mean by its rhythm and by chance: chance's part is taken off.
    between = sum(((found - mean) ** 2 for found in means), _ZERO) / (WEEK - 1)
    by_chance = spread**2 * WEEK / len(complete)
    rhythm = max(_ZERO, 1 - by_chance / between) if between else _ZERO
    return _Rhythm(tuple(mean + rhythm * (found - mean) for found in means), spread, evidence)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, _ZERO) / len(amounts)


def _spread(amounts: Sequence[Decimal], fitted: Sequence[Decimal], parameters: int) -> Decimal:
    """Return the standard deviation of days from what was fitted to them."""
    squares = sum(((a - f) ** 2 for a, f in zip(amounts, fitted, strict=True)), _ZERO)
    return (squares / (len(amounts) - parameters)).sqrt()


def _share_left(as_of: datetime) -> Decimal:
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    return 1 - Decimal(int((as_of - midnight).total_seconds())) / _DAY_SECONDS


def _reached(daily: Sequence[DailySpend], budget: Decimal | None) -> date | None:
    """Return the day on which the budget was used up, if it is."""
    spent = _ZERO
    for day in daily:
        spent += day.amount or _ZERO
        if budget is not None and spent >= budget:
            return day.date
    return None


def _will_reach(
    spent: Decimal, ahead: Sequence[tuple[date, Decimal]], budget: Decimal | None
) -> date | None:
    """Return the day on which the budget will be used up, if that is this month."""
    for day, amount in ahead:
        spent += amount
        if budget is not None and spent >= budget:
            return day
    return None
