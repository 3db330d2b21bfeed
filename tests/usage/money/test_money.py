from __future__ import annotations

from decimal import Decimal

import pytest

from claude_usage_monitor.usage.money.money import compact, money


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("47.52", "USD", "$47.52"),
        ("300.04", "EUR", "€300.04"),
        ("4523.18", "GBP", "£4,523.18"),
        ("12", "AUD", "AUD 12.00"),
        ("252.17", None, "252.17"),
        ("-3.5", "USD", "-$3.50"),
    ],
)
def test_money_has_the_currency_sign_or_its_code(
    amount: str, currency: str | None, expected: str
) -> None:
    assert expected == money(Decimal(amount), currency)


def test_ascii_money_has_no_other_signs() -> None:
    assert money(Decimal("300.04"), "EUR", ascii_only=True) == "EUR 300.04"
    assert money(Decimal("47.52"), "USD", ascii_only=True) == "$47.52"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0"),
        (950, "950"),
        (999, "999"),
        (1000, "1.0k"),
        (12_340, "12.3k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (36_200_000, "36.2M"),
        (45 * 10**9, "45.0G"),
        (10**17, "100000T"),
    ],
)
def test_compact_counts(count: int, expected: str) -> None:
    assert expected == compact(count)
