from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.throttling import (
    DEFAULT_PRELOAD,
    FIVE_HOURS,
    SEVEN_DAYS,
    five_hour_target,
    seven_day_target,
    weekday_time,
)

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
SPANS = st.timedeltas(timedelta(), SEVEN_DAYS)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, 10.0), (15, 10.0), (30, 10.0), (60, 20.0), (150, 50.0), (300, 100.0), (303, 100.0)],
)
def test_the_five_hour_target_is_proportional_from_ten_percent_on(
    minutes: int, expected: float
) -> None:
    assert expected == five_hour_target(MONDAY + FIVE_HOURS, MONDAY + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0, 10.0),  # the preload: twelve of its 120 weekday hours
        (8, 10.0),
        (16, 13.333),
        (60, 50.0),
        (120, 100.0),  # Friday's end
        (132, 100.0),  # Saturday
        (168, 100.0),
        (169, 100.0),
    ],
)
def test_the_seven_day_target_counts_weekday_hours(hours: int, expected: float) -> None:
    found = seven_day_target(MONDAY + SEVEN_DAYS, MONDAY + timedelta(hours=hours), DEFAULT_PRELOAD)
    assert expected == pytest.approx(found, abs=0.001)


def test_a_weekend_is_not_counted() -> None:
    thursday = MONDAY + timedelta(days=3)
    ends = [
        seven_day_target(thursday + SEVEN_DAYS, thursday + timedelta(days=days), timedelta())
        for days in (0, 1, 2, 3, 4, 5, 7)
    ]
    assert [0.0, 20.0, 40.0, 40.0, 40.0, 60.0, 100.0] == ends


@given(INSTANTS)
def test_any_seven_days_have_five_weekdays(start: datetime) -> None:
    assert timedelta(days=5) == weekday_time(start, start + SEVEN_DAYS)


@given(INSTANTS, SPANS, SPANS)
def test_weekday_time_adds_up(start: datetime, first: timedelta, second: timedelta) -> None:
    middle, end = start + first, start + first + second
    assert weekday_time(start, end) == weekday_time(start, middle) + weekday_time(middle, end)


@given(INSTANTS, SPANS, SPANS, st.timedeltas(timedelta(), timedelta(days=30)))
def test_a_target_never_falls_and_is_a_percentage(
    start: datetime, first: timedelta, second: timedelta, preload: timedelta
) -> None:
    earlier, later = sorted((start + first, start + second))
    weekly = [seven_day_target(start + SEVEN_DAYS, now, preload) for now in (earlier, later)]
    hourly = [five_hour_target(start + FIVE_HOURS, now) for now in (earlier, later)]
    for before, after in (weekly, hourly):
        assert 0.0 <= before <= after <= 100.0
