from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.demo_organization import demo_spend


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)))  # noqa: DTZ001 - made aware
def test_the_demo_has_valid_figures_on_every_day(moment: datetime) -> None:
    """Also in the first minutes of a month, and its rows add up."""
    spend = demo_spend(moment.replace(tzinfo=UTC), "ada@example.com")
    assert "demo" == spend.source
    assert spend.month_to_date is not None
    assert spend.month_to_date >= 0
    assert moment.day == len(spend.daily)
    assert spend.period_end + timedelta(days=1) == (spend.period_end + timedelta(days=1)).replace(
        day=1
    )
    for rows in (spend.by_workspace, spend.by_model):
        assert spend.month_to_date == sum(row.amount or 0 for row in rows or ())
    report = spend.claude_code
    assert report is not None
    assert report.month_to_date == sum(row.amount or 0 for row in report.by_user)
    assert report.you is not None
