from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from claude_usage_monitor.usage.limits.history_view import (
    HeatMap,
    HistoryView,
    Level,
    Peak,
    Range,
    columns_of_levels,
    columns_of_windows,
    heat_map,
    key_of,
    span_of,
)
from claude_usage_monitor.usage.limits.hours import HourUse
from claude_usage_monitor.usage.limits.resets import WindowInstance

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
RESET = START + 5 * HOUR


def view(*levels: Level, hours: float = 10) -> HistoryView:
    return HistoryView(Range.DAY, "five_hour", {}, START, START + hours * HOUR, levels)


def test_ranges_follow_each_other() -> None:
    assert Range.WEEK is Range.DAY.step(1)
    assert Range.DAY is Range.DAY.step(-1)
    assert Range.HEAT is Range.HEAT.step(1)


def test_a_range_shows_sessions_or_weeks() -> None:
    keys = ["seven_day", "five_hour"]
    assert "five_hour" == key_of(Range.DAY, keys)
    assert "seven_day" == key_of(Range.YEAR, keys)
    assert "seven_day" == key_of(Range.DAY, ["seven_day"])
    assert "other" == key_of(Range.DAY, ["other"])
    assert key_of(Range.DAY, []) is None


def test_the_running_week_is_shown_whole() -> None:
    week = WindowInstance("seven_day", START, START + timedelta(days=7), START, START, 1.0, 1.0)
    now = START + timedelta(days=3)
    assert (START, week.resets_at) == span_of(Range.WEEK, week, now)
    assert (now - timedelta(days=7), now) == span_of(Range.WEEK, None, now)


def test_levels_are_known_where_the_readings_around_hardly_differ() -> None:
    levels = [
        Level(START + hour * HOUR, used, RESET) for hour, used in ((0, 10.0), (3, 12.0), (5, 40.0))
    ]
    assert [10.0, 10.0, 10.0, 12.0, None, 40.0, None] == columns_of_levels(view(*levels), 10)[:7]


def test_after_a_reset_the_new_window_is_drawn() -> None:
    later = RESET + 5 * HOUR
    columns = columns_of_levels(
        view(Level(START + 4.5 * HOUR, 90.0, RESET), Level(START + 5.5 * HOUR, 2.0, later)), 1
    )
    assert [2.0] == columns


def test_peaks_and_hits_of_the_windows_in_a_column() -> None:
    windows = [
        WindowInstance("five_hour", START + at * HOUR, RESET, START, START, peak, peak)._replace(
            full_at=START if peak >= 100 else None
        )
        for at, peak in ((0, 30.0), (1, 100.0), (7, 50.0))
    ]
    shown = view()._replace(windows=windows)
    assert [Peak(100.0, 1), Peak(50.0, 0)] == columns_of_windows(shown, 2)


def test_the_heat_map_is_in_local_time() -> None:
    hours = [HourUse(START + week * timedelta(days=7), used=6.0) for week in range(3)]
    heat = heat_map(hours, timezone(timedelta(hours=2)))
    assert (9.0, (0, 2)) == (heat.highest, heat.busiest)
    assert heat_map([], UTC).busiest is None
    assert isinstance(heat, HeatMap)
