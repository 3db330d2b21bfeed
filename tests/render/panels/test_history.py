from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from claude_usage_monitor.render.panels.history import history_lines, no_history_lines
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.history_view import HistoryView, Range
from claude_usage_monitor.usage.limits.pace import Forecast

NOW = datetime(2026, 11, 20, 14, 23, tzinfo=UTC)
OPTIONS = RenderOptions(clock=ClockStyle(UTC))


def drawn(shown: Range, width: int, height: int, options: RenderOptions = OPTIONS) -> list[str]:
    return [
        line.plain
        for line in history_lines(demo_history(shown, NOW, NOW, NOW), NOW, width, height, options)
    ]


@given(
    shown=st.sampled_from(Range),
    width=st.integers(1, 120),
    height=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_every_size_is_filled_and_never_exceeded(
    shown: Range, width: int, height: int, ascii_only: bool
) -> None:
    options = RenderOptions(clock=ClockStyle(UTC), glyphs=ASCII) if ascii_only else OPTIONS
    lines = drawn(shown, width, height, options)
    assert 0 < len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert not ascii_only or all(line.isascii() for line in lines)


def test_a_narrow_pane_has_one_sparkline_a_limit() -> None:
    lines = drawn(Range.DAY, 28, 10)
    assert "5-hour" in lines[1]
    assert "█" in lines[2]
    assert "7-day" in lines[3]
    assert "Fable" in lines[5]
    assert "points used an hour" in lines[7]
    assert "4–6 full sessions" in lines[8]


@pytest.mark.parametrize(
    ("shown", "width", "caption"),
    [
        (Range.WEEK, 28, "points used in 8 hours"),
        (Range.WEEK, 40, "points used in 6 hours"),
        (Range.MONTH, 28, "highest, 30 days"),
        (Range.YEAR, 40, "highest, a year"),
    ],
)
def test_the_range_changes_the_lines_of_a_narrow_pane(
    shown: Range, width: int, caption: str
) -> None:
    day, lines = drawn(Range.DAY, width, 10), drawn(shown, width, 10)
    assert shown.value in lines[0]
    assert any(caption in line for line in lines)
    assert day[2] != lines[2]
    assert any(mark in lines[2] for mark in "▁▂▃▄▅▆▇█")


@pytest.mark.parametrize(
    ("shown", "width", "keys"),
    [
        (Range.DAY, 60, " ← → range · ↑ ↓ window · h or Esc goes back "),
        (Range.YEAR, 28, " ← → ↑ ↓ · h back "),
        (Range.DAY, 28, " ← → range · h back "),  # every window has a line
    ],
)
def test_the_border_names_the_keys_that_change_something(
    shown: Range, width: int, keys: str
) -> None:
    assert keys in drawn(shown, width, 14)[-1]


def test_a_day_shows_the_windows_the_pace_the_present_and_the_reset() -> None:
    text = "\n".join(drawn(Range.DAY, 60, 16))
    for mark in ("100 ", " 50 ", "  0 ", "│", "┊", "·", "█", "now", "08", "24 hours"):
        assert mark in text, mark


def test_the_running_week_is_shown_until_its_reset() -> None:
    lines = drawn(Range.WEEK, 60, 14)
    assert "7-day" in lines[0]
    assert "now" in lines[-4]
    assert "Mon" in lines[-4]


def test_a_month_and_a_year_show_peaks() -> None:
    assert "Highest 5-hour window that began each day" in "\n".join(drawn(Range.MONTH, 60, 14))
    assert "\n│ hit" in "\n".join(drawn(Range.YEAR, 60, 14))


def test_the_hours_of_the_week_name_the_busiest_one() -> None:
    text = "\n".join(drawn(Range.HEAT, 60, 14))
    assert "busiest: Friday 12:00, 20 points an hour" in text
    narrow = drawn(Range.HEAT, 28, 12)
    assert "Fri 12:00 20 points an hour" == narrow[8]
    assert narrow[1].startswith("Mon ")


def test_the_forecast_s_range_is_drawn_ahead() -> None:
    view = demo_history(Range.WEEK, NOW, NOW, NOW)
    assert view.current is not None
    used = view.current.utilization
    forecast = Forecast(
        None, None, None, 0.1, used + 20, used + 10, 95.0, "", NOW, used, view.current.resets_at
    )
    lines = history_lines(view._replace(forecast=forecast), NOW, 60, 16, OPTIONS)
    text = "\n".join(line.plain for line in lines)
    assert "░" in text
    assert "80 % range" in text


@pytest.mark.parametrize("shown", Range)
def test_a_history_without_any_use(shown: Range) -> None:
    view = HistoryView(shown, "five_hour", {"five_hour": []}, NOW - timedelta(days=1), NOW)
    for size in ((60, 16), (28, 10)):
        assert history_lines(view, NOW, *size, OPTIONS)


@pytest.mark.parametrize("width", [20, 28, 60])
def test_an_account_without_windows_says_so_and_how_to_go_back(width: int) -> None:
    lines = [line.plain.strip() for line in no_history_lines(width, 10, OPTIONS)]
    assert "This account has no stored windows. Press h to go back." == " ".join(lines)
