"""An even pace over the user's working time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.limits.pace import WorkWeek, elapsed_percent, worked_percent

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
OFFICE = WorkWeek(frozenset(range(5)), 9 * HOUR, 18 * HOUR)


@pytest.mark.parametrize(
    ("days", "hours", "expected"),
    [
        (0, 8, 0),
        (0, 13.5, 10),
        (0, 18, 20),
        (1, 8, 20),
        (4, 18, 100),
        (6, 12, 100),
    ],
)
def test_only_working_time_counts(days: int, hours: float, expected: float) -> None:
    now = MONDAY + timedelta(days=days, hours=hours)
    assert worked_percent(MONDAY + WEEK, WEEK, now, OFFICE, UTC) == pytest.approx(expected)


def test_hours_may_pass_midnight() -> None:
    nights = WorkWeek(frozenset({0}), 22 * HOUR, 6 * HOUR)
    tuesday = MONDAY + timedelta(days=1)
    assert nights.time_between(MONDAY, MONDAY + WEEK, UTC) == 8 * HOUR
    assert nights.time_between(tuesday, tuesday + 2 * HOUR, UTC) == 2 * HOUR
    assert nights.time_between(tuesday + 6 * HOUR, MONDAY + WEEK, UTC) == timedelta()


def test_working_hours_follow_the_users_clock() -> None:
    nine_in_berlin = datetime(2026, 11, 2, 8, tzinfo=UTC)
    summer = datetime(2026, 7, 6, 7, tzinfo=UTC)
    for moment in (nine_in_berlin, summer):
        assert OFFICE.time_between(moment - HOUR, moment, BERLIN) == timedelta()
        assert OFFICE.time_between(moment, moment + HOUR, BERLIN) == HOUR


def test_a_window_without_working_time_counts_all_of_its_time() -> None:
    saturday = MONDAY + timedelta(days=5, hours=10)
    length = 5 * HOUR
    assert worked_percent(saturday + length, length, saturday + 2.5 * HOUR, OFFICE, UTC) == 50


@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 23),
    st.integers(1, 24),
    st.floats(-1, 200),
    st.sampled_from([UTC, BERLIN, None]),
)
def test_the_share_is_between_0_and_100_and_never_falls(
    days: set[int], begin: int, end: int, hours: float, zone: ZoneInfo | None
) -> None:
    work = WorkWeek(frozenset(days), begin * HOUR, end * HOUR)
    now = MONDAY + hours * HOUR
    share = worked_percent(MONDAY + WEEK, WEEK, now, work, zone)
    later = worked_percent(MONDAY + WEEK, WEEK, now + HOUR, work, zone)
    assert 0 <= share <= later <= 100


@given(st.floats(0, 168))
def test_working_always_is_the_calendar(hours: float) -> None:
    now = MONDAY + hours * HOUR
    share = worked_percent(MONDAY + WEEK, WEEK, now, WorkWeek(), UTC)
    assert share == pytest.approx(elapsed_percent(MONDAY + WEEK, WEEK, now), abs=1e-6)
