from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from claude_usage_monitor.usage.limits.hours import HourTable, HourUse, hour_at
from claude_usage_monitor.usage.limits.resets import Reading, WindowTracker

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESET = START + timedelta(hours=5)
HOUR = timedelta(hours=1)


def table(*figures: tuple[float, float | None]) -> list[HourUse]:
    """Return the hours after readings: (hours since the start, utilization)."""
    tracker, hours = WindowTracker(), HourTable()
    for after, utilization in figures:
        reading = Reading(START + after * HOUR, utilization, RESET)
        for step in tracker.add({"five_hour": reading}):
            hours.add(step, reading.read_at)
    return hours.rows("five_hour")


def test_use_is_spread_evenly_over_the_time_between_two_readings() -> None:
    hours = table((0.5, 10), (2.5, 30))
    assert [START, START + HOUR, START + 2 * HOUR] == [row.hour for row in hours]
    assert [15.0, 10.0, 5.0] == pytest.approx([row.used for row in hours])
    assert [1, 0, 1] == [row.reads for row in hours]
    assert [10, None, 30] == [row.peak for row in hours]


def test_time_at_the_limit_is_counted_until_the_reset() -> None:
    hours = table((3.5, 98), (3.75, 100), (4.25, 100))
    assert sum(row.blocked_seconds for row in hours) == pytest.approx(0.625 * 3600)
    assert [0, 0, 0] == [row.blocked_seconds for row in hours[:3]]


def test_only_time_between_close_readings_was_watched() -> None:
    hours = table((0.0, 1), (0.25, 1), (0.5, 1), (1.5, 1), (1.75, 1))
    assert [1800, 900] == [row.watched_seconds for row in hours]


def test_a_reading_that_does_not_count_leaves_no_trace() -> None:
    assert table((0.5, 10), (0.6, None), (0.7, 0)) == table((0.5, 10))


def test_an_hour_begins_in_utc() -> None:
    local = datetime.fromisoformat("2026-11-02T10:59:59.9+05:30")
    assert datetime(2026, 11, 2, 5, tzinfo=UTC) == hour_at(local)
