from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.outlook import outlook, outlook_texts, pace_texts
from claude_usage_monitor.usage.limits.windows import UsageWindow

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UTC_24H = ClockStyle(UTC)


def five_hour(utilization: float | None, left: timedelta | None) -> UsageWindow:
    resets_at = None if left is None else NOW + left
    return UsageWindow("five_hour", "5-hour", utilization, resets_at, "api", NOW)


def texts(utilization: float | None, left: timedelta | None) -> tuple[str, ...]:
    ending = outlook(five_hour(utilization, left), NOW)
    return () if ending is None else outlook_texts(ending, NOW, UTC_24H)


@pytest.mark.parametrize(
    ("utilization", "left", "expected"),
    [
        (75.0, 2.5, ("runs out in 50m, 12:50", "runs out 12:50", "out 12:50")),
        (20.0, 2.5, ("lasts until the reset, about 40 %", "lasts, about 40 %", "lasts")),
        (0.0, 2.5, ("lasts until the reset", "lasts")),
        (100.0, 2.5, ("limit reached",)),
        (104.0, 2.5, ("limit reached",)),
        (None, 2.5, ()),
        (75.0, None, ()),
        (75.0, -0.1, ()),
        (1.0, 4.99, ()),
        (50.9, 2.5, ()),
    ],
    ids=[
        "runs out", "lasts", "unused", "reached", "past 100", "unknown", "not started", "reset",
        "just begun", "on an even pace",
    ],
)  # fmt: skip
def test_says_how_a_window_ends(
    utilization: float | None, left: float | None, expected: tuple[str, ...]
) -> None:
    assert expected == texts(utilization, None if left is None else timedelta(hours=left))


@given(st.floats(0, 120), st.floats(0.001, 4.999))
def test_a_window_runs_out_before_its_reset_or_lasts_with_less_than_100_percent(
    utilization: float, hours: float
) -> None:
    window = five_hour(utilization, timedelta(hours=hours))
    ending = outlook(window, NOW)
    if ending is None or ending.kind == "reached":
        return
    if ending.kind == "runs_out":
        assert ending.runs_out_at is not None
        assert window.resets_at is not None
        assert NOW < ending.runs_out_at < window.resets_at
    else:
        assert ending.expected is not None
        assert utilization <= ending.expected <= 100


@pytest.mark.parametrize(
    ("utilization", "expected"),
    [
        (72.0, ("22 points ahead of an even pace", "22 points ahead")),
        (48.7, ("1 point behind an even pace", "1 point behind")),
        (50.5, ("on an even pace", "on pace")),
        (100.0, ()),
        (None, ()),
    ],
)
def test_says_how_a_window_compares_with_an_even_pace(
    utilization: float | None, expected: tuple[str, ...]
) -> None:
    assert expected == pace_texts(five_hour(utilization, timedelta(hours=2.5)), NOW)
