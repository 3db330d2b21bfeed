from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.money.projection import UNKNOWN_DAYS, project
from claude_usage_monitor.usage.money.spend import DailySpend

FIRST = date(2026, 11, 1)  # a Sunday; the month has 30 days


def days(*amounts: str | int | None) -> list[DailySpend]:
    """Return a month's days from its first on."""
    return [
        DailySpend(FIRST + timedelta(n), None if amount is None else Decimal(amount))
        for n, amount in enumerate(amounts)
    ]


def at(day: int, hours: float = 12) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hours)


def test_an_even_month_ends_where_it_is_heading() -> None:
    found = project(days(*[10] * 20, 5), at(21))
    assert (Decimal("300.00"),) * 3 == (found.amount, found.low, found.high)
    assert found.note is None


def test_today_counts_as_it_is_and_the_rest_of_it_as_a_usual_day() -> None:
    """A quarter of the day is left: a quarter of a usual day comes to what today already cost."""
    found = project(days(10, 10, 10, 10, 40), at(5, 18))
    assert Decimal(10 * 4 + 40) + Decimal("2.5") + 25 * 10 == found.amount


@pytest.mark.parametrize(
    ("daily", "now", "words"),
    [
        (days(5), at(1), "it takes 3 complete days."),
        (days(5, 5), at(2), "it takes 3 complete days; there is one."),
        (days(5, 5, 5), at(3), "it takes 3 complete days; there are two."),
        (days(5, None, 5, 5, 5), at(5), UNKNOWN_DAYS),
    ],
)
def test_without_enough_to_go_by_there_is_no_projection_and_it_says_why(
    daily: list[DailySpend], now: datetime, words: str
) -> None:
    found = project(daily, now)
    assert None is found.amount is found.low is found.high
    assert words in (found.note or "")


def test_three_complete_days_are_enough() -> None:
    assert project(days(5, 5, 5, 1), at(4)).amount is not None


def test_from_fourteen_days_each_weekday_counts_by_itself() -> None:
    """Five days at 100 and two at 10: what is left of the month has its own weekends."""
    week = [10, 100, 100, 100, 100, 100, 10]  # from Sunday
    daily = days(*week, *week, *week[:1])
    found = project(daily[:15], at(15, 0) + timedelta(hours=24, seconds=-1))
    rest = sum((week * 5)[15:30])
    spent = sum(week * 2) + 10
    assert abs(Decimal(spent + rest) - (found.amount or 0)) < Decimal("0.01")
    assert (found.low or 0) <= (found.amount or 0) <= (found.high or 0)


def test_from_seven_days_a_begun_week_does_not_lean_to_its_own_days() -> None:
    """Seven to thirteen days: each weekday once, whichever of them came twice."""
    week = [0, 70, 70, 70, 70, 70, 0]
    found = project(days(*week, *week[:2], 0), at(10, 0))
    assert found.amount is not None
    assert abs(found.amount - (350 + 70 + 21 * 50)) < 1


def test_chance_alone_makes_no_weekday() -> None:
    """Weekdays that differ no more than days of one weekday do are all alike."""
    amounts = [10, 12, 9, 11, 10, 8, 12, 12, 9, 12, 9, 10, 12, 9]
    found = project(days(*amounts, 0), at(15, 0))
    assert found.amount is not None
    mean = Decimal(sum(amounts)) / 14
    assert abs(found.amount - (sum(amounts) + 16 * mean)) < 1


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("15", date(2026, 11, 2)),  # was reached
        ("100", date(2026, 11, 10)),
        ("300", date(2026, 11, 30)),
        ("300.01", None),
    ],
)
def test_the_day_that_uses_the_budget_up(budget: str, expected: date | None) -> None:
    found = project(days(10, 10, 10, 10, 5), at(5), Decimal(budget))
    assert expected == found.budget_reached_on


def test_a_budget_that_is_used_up_is_told_without_a_projection() -> None:
    assert FIRST == project(days(50), at(1), Decimal(50)).budget_reached_on


@given(
    st.lists(st.decimals(0, 100_000, places=6), min_size=4, max_size=30),
    st.timedeltas(timedelta(), timedelta(hours=23, minutes=59)),
)
def test_no_projection_is_below_what_is_spent(amounts: list[Decimal], time: timedelta) -> None:
    """Whatever the days were, the month ends no lower than it stands, and within its band."""
    daily = [DailySpend(FIRST + timedelta(n), amount) for n, amount in enumerate(amounts)]
    found = project(daily, at(len(amounts), 0) + time)
    spent = sum(amounts).quantize(Decimal("0.01"))  # type: ignore[union-attr] # no empty list
    assert found.amount is not None
    assert found.low is not None
    assert found.high is not None
    assert spent - Decimal("0.01") <= found.low <= found.amount <= found.high
