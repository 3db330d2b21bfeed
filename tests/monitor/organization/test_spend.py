from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from claude_usage_monitor.monitor.organization.spend import last_day, spend_of
from claude_usage_monitor.store.state.reports import USAGE_REPORT, StoredReports, day_report
from claude_usage_monitor.usage.money.spend import Costs, NamedAmount, Tokens, UserSpend, You

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)
DAYS = [date(2026, 11, n) for n in range(1, 5)]


def user(email: str | None, amount: str | None, name: str | None = None) -> UserSpend:
    figures = (1, 2, 3, 4, 5, 6, 7, 8, 9)
    return UserSpend(name, email, None if amount is None else Decimal(amount), *figures)


def costs(*groups: tuple[str | None, str | None], daily: str | None = "2.50") -> Costs:
    amounts = {name: None if amount is None else Decimal(amount) for name, amount in groups}
    return Costs("USD", dict.fromkeys(DAYS, None if daily is None else Decimal(daily)), amounts)


def kept(**parts: object) -> StoredReports:
    """Return a store with these parts, each read at noon."""
    found = StoredReports({}, {}, {}, None, {}, {})._replace(**parts)  # type: ignore[arg-type]
    names = [*found.costs, *found.names, *map(day_report, found.days)]
    names += [USAGE_REPORT] if found.tokens is not None else []
    found.read_at.update(dict.fromkeys(names, NOW))
    return found


def test_of_nothing_there_is_nothing() -> None:
    assert None is spend_of(kept(), NOW, None, None)
    assert None is spend_of(kept(names={"users": {"a": "A"}}), NOW, None, None)


def test_the_month_to_date_is_the_sum_of_its_days_today_included() -> None:
    found = spend_of(kept(costs={"workspace_id": costs()}), NOW, Decimal(100), None)
    assert found is not None
    assert (Decimal("10.00"), "USD", NOW) == (found.month_to_date, found.currency, found.as_of)
    assert (date(2026, 11, 1), date(2026, 11, 30)) == (found.period_start, found.period_end)
    assert Decimal("76.25") == found.projected
    assert Decimal(100) == found.budget


def test_what_has_no_name_is_unknown_and_null_is_the_default_workspace() -> None:
    stored = kept(
        costs={"workspace_id": costs(("w1", "1"), (None, "3"), ("w9", "2"))},
        names={"workspaces": {"w1": "Research"}},
    )
    found = spend_of(stored, NOW, None, None)
    assert found is not None
    assert found.by_workspace == (
        NamedAmount("Default", Decimal(3)),
        NamedAmount(None, Decimal(2)),
        NamedAmount("Research", Decimal(1)),
    )


def test_an_unknown_day_makes_the_month_unknown_and_says_so() -> None:
    found = spend_of(kept(costs={"workspace_id": costs(daily=None)}), NOW, None, None)
    assert found is not None
    assert (None, None) == (found.month_to_date, found.projected)
    assert "unknown" in (found.projection_note or "")


def test_keys_are_named_and_sorted_by_their_tokens() -> None:
    tokens = {None: Tokens(1, 1, 1, 1), "k1": Tokens(9, 0, 0, None), "k2": Tokens(5, 0, 0, 0)}
    found = spend_of(kept(tokens=tokens, names={"api_keys": {"k1": "ci"}}), NOW, None, None)
    assert found is not None
    assert found.by_api_key is not None
    assert ["ci", None, "Console Playground"] == [key.name for key in found.by_api_key]


@pytest.mark.parametrize(
    ("email", "you"),
    [
        ("ADA@example.com", You("ada@example.com", Decimal(3))),
        ("nobody@example.com", None),
        ("ada", None),
        (None, None),
    ],
)
def test_you_are_the_row_of_a_known_address_and_no_other(
    email: str | None, you: You | None
) -> None:
    """Never a guess: part of an address, or the name of the computer's user, is nobody."""
    days = {
        DAYS[0]: (user("ada@example.com", "1"), user(None, "4", "ci")),
        DAYS[1]: (user("ada@example.com", "2"), user("bob@example.com", None)),
    }
    stored = kept(days=days, names={"users": {"ada@example.com": "Ada"}})
    found = spend_of(stored, NOW - timedelta(days=2), None, email)
    assert found is not None
    report = found.claude_code
    assert report is not None
    assert you == report.you
    assert ["ci", "Ada", "bob@example.com"] == [row.name for row in report.by_user]
    assert (Decimal(7), 1, 0) == (report.month_to_date, report.unpriced, report.missing_days)
    assert 10 == report.by_user[1].sessions


def test_while_days_are_missing_no_sum_is_claimed() -> None:
    days = {DAYS[3]: (user("ada@example.com", "1"),)}
    found = spend_of(kept(days=days), NOW, None, "ada@example.com")
    assert found is not None
    report = found.claude_code
    assert report is not None
    assert (None, You("ada@example.com", None), 3) == (
        report.month_to_date,
        report.you,
        report.missing_days,
    )


def test_an_empty_report_is_no_amount_not_zero() -> None:
    found = spend_of(kept(days={DAYS[0]: ()}), NOW, None, None)
    assert found is not None
    assert found.claude_code is not None
    assert (None, ()) == (found.claude_code.month_to_date, found.claude_code.by_user)


def test_the_last_day_of_every_month() -> None:
    lengths = [last_day(date(2028, month, 1)).day for month in range(1, 13)]
    assert [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] == lengths
