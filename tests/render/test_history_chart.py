from __future__ import annotations

from datetime import UTC, datetime, timedelta

from claude_usage_monitor.render.history_chart import bars, heat_rows, sparkline
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.limits.history_view import HeatMap
from claude_usage_monitor.usage.limits.hours import HourUse

NOW = datetime(2026, 11, 20, 14, 23, tzinfo=UTC)
OPTIONS = RenderOptions()


def test_a_column_fills_its_share_of_the_height_and_is_visible_above_zero() -> None:
    lines = [line.plain for line in bars([100.0, 50.0, 0.1, 0.0, None], 2, OPTIONS)]
    assert ["█    ", "██▁  "] == lines
    ascii_lines = [line.plain for line in bars([100.0, 0.1], 1, RenderOptions(glyphs=ASCII))]
    assert ["#."] == ascii_lines


def test_a_sparkline_ends_with_the_present_hour() -> None:
    hour = NOW.replace(minute=0)
    hours = [HourUse(hour, used=4.0), HourUse(hour - timedelta(hours=2), used=8.0)]
    line, highest = sparkline(hours, NOW, 4, OPTIONS)
    assert (" █ ▄", 8.0) == (line.plain, highest)
    assert ("    ", 0.0) == (sparkline([], NOW, 4, OPTIONS)[0].plain, 0.0)


def test_the_shade_is_the_share_of_the_busiest_hour() -> None:
    days = [[0.0] * 24 for _ in range(7)]
    days[0][0], days[6][23] = 10.0, 0.01
    rows = heat_rows(HeatMap(tuple(map(tuple, days))), 40, OPTIONS)
    assert "Mon █" in rows[1].plain
    assert "·" == rows[7].plain[27]
    assert rows[1].plain.endswith("10")
