from __future__ import annotations

from datetime import UTC, datetime, timedelta

from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.plain_text import history_lines
from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.history_view import Range
from claude_usage_monitor.usage.limits.hours import HourUse

NOW = datetime(2026, 11, 20, 14, 23, tzinfo=UTC)
OPTIONS = FormatOptions(clock=ClockStyle(UTC))


def test_each_limit_the_busiest_hour_and_the_sessions_left_are_a_line() -> None:
    lines = history_lines(demo_history(Range.HEAT, NOW, NOW, NOW), NOW, OPTIONS)
    assert lines[0].startswith("5-hour limit: ")
    assert " points used in the last 24 hours, at most " in lines[0]
    assert lines[1].startswith("7-day limit: ")
    assert lines[-2:] == [
        "Busiest: Friday 12:00, 20 points an hour",
        "About 4 to 6 full sessions left this week",
    ]


def test_without_use_nothing_is_busiest() -> None:
    view = demo_history(Range.HEAT, NOW, NOW, NOW)._replace(hours=[], use={"five_hour": []})
    lines = history_lines(view._replace(sessions_left=None), NOW, OPTIONS)
    assert lines == ["5-hour limit: 0 points used in the last 24 hours"]


def test_little_use_is_in_words() -> None:
    hour = HourUse(NOW - timedelta(hours=1), used=0.3)
    view = demo_history(Range.HEAT, NOW, NOW, NOW)._replace(hours=[], use={"seven_day": [hour]})
    (line,) = history_lines(view._replace(sessions_left=None), NOW, OPTIONS)
    assert line == "7-day limit: less than 1 point used in the last 24 hours"
