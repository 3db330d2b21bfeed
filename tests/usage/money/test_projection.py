from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import sqrt
from statistics import mean, stdev, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.money.projection import UNKNOWN_DAYS, project
from claude_usage_monitor.usage.money.spend import DailySpend

FIRST = date(2026, 11, 1)  # a Sunday; the month has 30 days


def days(*amounts: str | int | None) -> list[DailySpend]:
    """Return daily amounts from the first of the month on."""
    return [
        DailySpend(FIRST + timedelta(n), None if amount is None else Decimal(amount))
        for n, amount in enumerate(amounts)
    ]


def at(day: int, hours: float = 12) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hours)


def test_equal_days_project_to_their_multiple() -> None:
    found = project(days(*[10] * 20, 5), at(21))
    assert (Decimal("300.00"),) * 3 == (found.amount, found.low, found.high)
    assert found.note is None


def test_today_counts_with_its_spend_plus_the_rest_of_an_expected_day() -> None:
    """With a quarter of the day left, a quarter of an expected day is added."""
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
def test_too_few_days_give_a_note_and_no_projection(
    daily: list[DailySpend], now: datetime, words: str
) -> None:
    found = project(daily, now)
    assert None is found.amount is found.low is found.high
    assert words in (found.note or "")


def test_three_complete_days_are_enough() -> None:
    assert project(days(5, 5, 5, 1), at(4)).amount is not None


def test_from_fourteen_days_each_weekday_has_its_own_cost() -> None:
    """Weekdays cost 100 and weekends 10, also in the rest of the month."""
    week = [10, 100, 100, 100, 100, 100, 10]  # from Sunday
    daily = days(*week, *week, *week[:1])
    found = project(daily[:15], at(15, 0) + timedelta(hours=24, seconds=-1))
    rest = sum((week * 5)[15:30])
    spent = sum(week * 2) + 10
    assert abs(Decimal(spent + rest) - (found.amount or 0)) < Decimal("0.01")
    assert (found.low or 0) <= (found.amount or 0) <= (found.high or 0)


def test_from_seven_days_a_partial_week_has_no_extra_weight() -> None:
    """With seven to thirteen days each weekday counts once, also one that occurred twice."""
    week = [0, 70, 70, 70, 70, 70, 0]
    found = project(days(*week, *week[:2], 0), at(10, 0))
    assert found.amount is not None
    assert abs(found.amount - (350 + 70 + 21 * 50)) < 1


def test_weekdays_that_differ_by_noise_alone_get_the_same_cost() -> None:
    """Their means differ no more than the days of one weekday do."""
    amounts = [10, 12, 9, 11, 10, 8, 12, 12, 9, 12, 9, 10, 12, 9]
    found = project(days(*amounts, 0), at(15, 0))
    assert found.amount is not None
    average = Decimal(sum(amounts)) / 14
    assert abs(found.amount - (sum(amounts) + 16 * average)) < 1


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("15", date(2026, 11, 2)),  # was reached
        ("100", date(2026, 11, 10)),
        ("300", date(2026, 11, 30)),
        ("300.01", None),
    ],
)
def test_the_day_that_reaches_the_budget(budget: str, expected: date | None) -> None:
    found = project(days(10, 10, 10, 10, 5), at(5), Decimal(budget))
    assert expected == found.budget_reached_on


def test_a_reached_budget_is_reported_without_a_projection() -> None:
    assert FIRST == project(days(50), at(1), Decimal(50)).budget_reached_on


@given(
    st.lists(st.decimals(0, 100_000, places=6), min_size=4, max_size=30),
    st.timedeltas(timedelta(), timedelta(hours=23, minutes=59)),
)
def test_no_projection_is_below_the_spend_so_far(amounts: list[Decimal], time: timedelta) -> None:
    """The projection also lies within its own interval."""
    daily = [DailySpend(FIRST + timedelta(n), amount) for n, amount in enumerate(amounts)]
    found = project(daily, at(len(amounts), 0) + time)
    spent = sum(amounts).quantize(Decimal("0.01"))  # type: ignore[union-attr] # no empty list
    assert found.amount is not None
    assert found.low is not None
    assert found.high is not None
    assert spent - Decimal("0.01") <= found.low <= found.amount <= found.high


def test_the_interval_has_the_spread_of_the_days_and_of_their_mean() -> None:
    """Four days of spread s leave n days with a variance of s² (n + n²/4)."""
    found = project(days(10, 20, 30, 40, 0), at(5))
    days_left = 25.5
    spread = stdev([10, 20, 30, 40])
    margin = 1.2816 * spread * sqrt(days_left + days_left**2 / 4)
    expected = 100 + 25 * days_left
    assert pytest.approx((expected, expected - margin, expected + margin), abs=0.01) == (
        float(found.amount or 0),
        float(found.low or 0),
        float(found.high or 0),
    )


def test_with_more_than_a_week_the_mean_is_as_uncertain_as_that_of_seven_days() -> None:
    amounts = [10, 20, 30, 40, 30, 20, 10, 10, 20, 30]
    found = project(days(*amounts, 0), at(11, 0))
    weekday_means = [20 / 2, 40 / 2, 60 / 2, 40, 30, 20, 10]
    average = mean(weekday_means)
    squares = sum((amount - average) ** 2 for amount in amounts)
    margin = 1.2816 * sqrt(squares / 9) * sqrt(20 + 20**2 / 7)
    expected = sum(amounts) + 20 * average
    assert pytest.approx(expected, abs=0.01) == float(found.amount or 0)
    assert pytest.approx(expected + margin, abs=0.01) == float(found.high or 0)


def test_weekdays_are_shrunk_towards_their_mean_by_the_share_of_noise() -> None:
    first = [0, 10, 20, 30, 40, 50, 60]  # from Sunday
    second = [8, 2, 28, 22, 48, 42, 68]
    found = project(days(*first, *second, 0), at(15, 0))
    means = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    residual = sum((a - b) ** 2 / 2 for a, b in zip(first, second, strict=True)) / 7
    shrinkage = 1 - residual * 7 / 14 / variance(means)
    costs = [mean(means) + shrinkage * (each - mean(means)) for each in means]
    expected = sum(first + second) + sum((costs * 5)[14:30])
    assert 0.9 < shrinkage < 1
    assert pytest.approx(expected, abs=0.01) == float(found.amount or 0)
    margin = 1.2816 * sqrt(residual * (16 + 16**2 / 7))
    assert pytest.approx(expected + margin, abs=0.01) == float(found.high or 0)
