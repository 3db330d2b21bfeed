from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from claude_usage_monitor.usage.money.spend import (
    NamedAmount,
    Spend,
    UserSpend,
    add_amounts,
    merge_user_rows,
    sort_by_amount,
)

MONTH = Spend(
    datetime(2026, 11, 16, tzinfo=UTC), "api", "USD", date(2026, 11, 1), date(2026, 11, 30)
)


@pytest.mark.parametrize(
    ("spent", "budget", "expected"),
    [
        ("45", "60", 75.0),
        ("90", "60", 150.0),
        ("-3", "60", 0.0),
        (None, "60", None),
        ("1", None, None),
    ],
)
def test_budget_percent(spent: str | None, budget: str | None, expected: float | None) -> None:
    found = replace(
        MONTH,
        month_to_date=None if spent is None else Decimal(spent),
        budget=None if budget is None else Decimal(budget),
    )
    assert expected == found.budget_percent


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 1, tzinfo=UTC), 0.0),
        (datetime(2026, 11, 16, tzinfo=UTC), 50.0),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), 29.5 / 30 * 100),
        (datetime(2026, 11, 2, 0, 30, 36, tzinfo=UTC), (1 + 1836 / 86_400) / 30 * 100),
        (datetime(2026, 12, 5, tzinfo=UTC), 100.0),
        (datetime(2026, 10, 5, tzinfo=UTC), 0.0),
    ],
)
def test_elapsed_percent_of_the_month(moment: datetime, expected: float) -> None:
    assert expected == pytest.approx(MONTH.elapsed_percent(moment))


def test_a_sum_with_an_unknown_in_it_is_unknown() -> None:
    assert add_amounts(2, 3) == 5
    assert add_amounts(Decimal("0.1"), Decimal("0.2")) == Decimal("0.3")
    assert add_amounts(None, 3) is None
    assert add_amounts(2, None) is None


def test_rows_are_sorted_by_amount_and_unknown_ones_come_last() -> None:
    rows = [
        NamedAmount("b", Decimal(1)),
        NamedAmount(None, None),
        NamedAmount("A", Decimal(1)),
        NamedAmount("c", Decimal(9)),
    ]
    assert ["c", "A", "b", None] == [row.name for row in sort_by_amount(rows)]


def test_rows_of_one_user_are_added_up() -> None:
    """Every count is summed; one unknown makes its sum unknown."""
    one = UserSpend("Ada", "ada@example.com", Decimal("1.5"), 1, 2, 3, 4, 5, 6, 7, 8, 9)
    two = UserSpend("Ada", "ada@example.com", Decimal("0.5"), 10, 20, 30, 40, None, 60, 70, 80, 90)
    expected = (Decimal("2.0"), 11, 22, 33, 44, None, 66, 77, 88, 99)
    assert ("Ada", "ada@example.com", *expected, None) == merge_user_rows([one, two])
    assert one == merge_user_rows([one])
