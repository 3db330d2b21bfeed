from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from claude_usage_monitor.monitor.organization.spend import spend_from_reports
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


def stored(**reports: object) -> StoredReports:
    """Return stored reports, each read at noon."""
    stored_reports = StoredReports({}, {}, {}, None, {}, {})._replace(**reports)  # type: ignore[arg-type]  # fields by name
    names = [*stored_reports.costs, *stored_reports.names, *map(day_report, stored_reports.days)]
    names += [USAGE_REPORT] if stored_reports.tokens is not None else []
    stored_reports.read_at.update(dict.fromkeys(names, NOW))
    return stored_reports


def test_without_a_report_there_is_no_spend() -> None:
    assert None is spend_from_reports(stored(), NOW, None, None)
    assert None is spend_from_reports(stored(names={"users": {"a": "A"}}), NOW, None, None)


def test_the_month_to_date_is_the_sum_of_its_days_today_included() -> None:
    spend = spend_from_reports(stored(costs={"workspace_id": costs()}), NOW, Decimal(100), None)
    assert spend is not None
    assert (Decimal("10.00"), "USD", NOW) == (spend.month_to_date, spend.currency, spend.as_of)
    assert (date(2026, 11, 1), date(2026, 11, 30)) == (spend.period_start, spend.period_end)
    assert Decimal("76.25") == spend.projected
    assert Decimal(100) == spend.budget


def test_null_is_the_default_workspace_and_an_unlisted_id_has_no_name() -> None:
    reports = stored(
        costs={"workspace_id": costs(("w1", "1"), (None, "3"), ("w9", "2"))},
        names={"workspaces": {"w1": "Research"}},
    )
    spend = spend_from_reports(reports, NOW, None, None)
    assert spend is not None
    assert spend.by_workspace == (
        NamedAmount("Default", Decimal(3)),
        NamedAmount(None, Decimal(2)),
        NamedAmount("Research", Decimal(1)),
    )


def test_without_one_days_amount_the_month_is_unknown_and_a_note_says_so() -> None:
    spend = spend_from_reports(stored(costs={"workspace_id": costs(daily=None)}), NOW, None, None)
    assert spend is not None
    assert (None, None) == (spend.month_to_date, spend.projected)
    assert "unknown" in (spend.projection_note or "")


def test_api_keys_have_names_and_are_sorted_by_tokens() -> None:
    tokens = {None: Tokens(1, 1, 1, 1), "k1": Tokens(9, 0, 0, None), "k2": Tokens(5, 0, 0, 0)}
    spend = spend_from_reports(
        stored(tokens=tokens, names={"api_keys": {"k1": "ci"}}), NOW, None, None
    )
    assert spend is not None
    assert spend.by_api_key is not None
    assert ["ci", None, "Console Playground"] == [key.name for key in spend.by_api_key]


@pytest.mark.parametrize(
    ("email", "you"),
    [
        ("ADA@example.com", You("ada@example.com", Decimal(3))),
        ("nobody@example.com", None),
        ("ada", None),
        (None, None),
    ],
)
def test_your_row_is_the_one_with_your_whole_address(email: str | None, you: You | None) -> None:
    """It is never guessed from a part of an address or the name of the computer's user."""
    days = {
        DAYS[0]: (user("ada@example.com", "1"), user(None, "4", "ci")),
        DAYS[1]: (user("ada@example.com", "2"), user("bob@example.com", None)),
    }
    reports = stored(days=days, names={"users": {"ada@example.com": "Ada"}})
    spend = spend_from_reports(reports, NOW - timedelta(days=2), None, email)
    assert spend is not None
    report = spend.claude_code
    assert report is not None
    assert you == report.you
    assert ["ci", "Ada", "bob@example.com"] == [row.name for row in report.by_user]
    assert (Decimal(7), 1, 0) == (report.month_to_date, report.unpriced, report.missing_days)
    assert 10 == report.by_user[1].sessions


def test_while_days_are_missing_there_is_no_sum() -> None:
    days = {DAYS[3]: (user("ada@example.com", "1"),)}
    spend = spend_from_reports(stored(days=days), NOW, None, "ada@example.com")
    assert spend is not None
    report = spend.claude_code
    assert report is not None
    assert (None, You("ada@example.com", None), 3) == (
        report.month_to_date,
        report.you,
        report.missing_days,
    )


def test_an_empty_report_has_no_amount_rather_than_zero() -> None:
    spend = spend_from_reports(stored(days={DAYS[0]: ()}), NOW, None, None)
    assert spend is not None
    assert spend.claude_code is not None
    assert (None, ()) == (spend.claude_code.month_to_date, spend.claude_code.by_user)


@pytest.mark.parametrize(("month", "last"), [(1, 31), (2, 29), (4, 30), (11, 30), (12, 31)])
def test_the_period_ends_on_the_last_day_of_the_month(month: int, last: int) -> None:
    now = datetime(2028, month, 4, 12, tzinfo=UTC)
    spend = spend_from_reports(stored(days={now.date(): ()}), now, None, None)
    assert spend is not None
    assert (date(2028, month, 1), date(2028, month, last)) == (spend.period_start, spend.period_end)


def test_your_projection_is_that_of_your_own_days() -> None:
    """And Claude Code's is that of everybody's; a day without a row counts as no spend."""
    row = user("ada@example.com", "6")._replace(models=(NamedAmount("opus", Decimal(6)),))
    other = user("bob@example.com", "1")._replace(models=(NamedAmount("opus", Decimal(1)),))
    days = {DAYS[0]: (row, other), DAYS[1]: (row,), DAYS[2]: (), DAYS[3]: ()}
    spend = spend_from_reports(stored(days=days), NOW, None, "ada@example.com")
    assert spend is not None
    report = spend.claude_code
    assert report is not None
    assert report.you is not None
    # Four a day in the three complete days: twelve so far, and 26.5 days to come.
    assert (Decimal(12), Decimal("118.00")) == (report.you.amount, report.you.projected)
    assert None is report.you_unknown_because
    assert (report.projected or 0) > Decimal(118)
    assert (NamedAmount("opus", Decimal(13)),) == report.by_model
    assert (3, 6) == (
        report.tokens and report.tokens.input_tokens,
        report.tokens and report.tokens[1],
    )


@pytest.mark.parametrize(
    ("email", "reason"), [(None, "no_email"), ("nobody@example.com", "no_row")]
)
def test_why_there_is_no_row_of_yours(email: str | None, reason: str) -> None:
    days = {DAYS[0]: (user("ada@example.com", "1"),)}
    spend = spend_from_reports(stored(days=days), NOW, None, email)
    assert spend is not None
    assert spend.claude_code is not None
    assert (None, reason) == (spend.claude_code.you, spend.claude_code.you_unknown_because)
