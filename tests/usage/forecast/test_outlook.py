from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.forecast.outlook import (
    outlook,
    outlook_phrase,
    outlook_texts,
    pace_texts,
)
from claude_usage_monitor.usage.limits.pace import Forecast
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
    window = five_hour(utilization, timedelta(hours=2.5))
    assert expected == pace_texts(window, window.elapsed_percent(NOW), NOW)


# --- by a forecast -----------------------------------------------------------------------------


def by_forecast(
    probability: float, *minutes: float | None, key: str = "five_hour", expected: float = 62.4
) -> UsageWindow:
    """Return a window that resets in 200 minutes (a week: in 3 days), with a forecast.

    ``minutes`` are those until the earliest, the median and the latest run-out.
    """
    left = timedelta(minutes=200) if key == "five_hour" else timedelta(days=3)
    window = UsageWindow(key, key, 40.0, NOW + left, "api", NOW)
    instants = [None if each is None else NOW + timedelta(minutes=each) for each in minutes]
    earliest, median, latest = (*instants, None, None, None)[:3]
    assert window.resets_at is not None
    made = Forecast(
        median, earliest, latest, probability, expected, 50, 70, "", NOW, 40.0, window.resets_at
    )
    return window._replace(forecast=made)


def sentence(window: UsageWindow, now: datetime = NOW) -> tuple[str, ...]:
    ending = outlook(window, now)
    assert ending is not None
    return outlook_texts(ending, now, UTC_24H)


def test_a_small_chance_is_calm() -> None:
    assert sentence(by_forecast(0.02)) == (
        "lasts until the reset, about 62 %", "lasts, about 62 %", "lasts",
    )  # fmt: skip
    assert sentence(by_forecast(0.09, 150))[0] == "lasts until the reset, about 62 %"
    assert sentence(by_forecast(0.09, 150, expected=120))[0] == "lasts until the reset, about 99 %"


def test_most_chances_have_an_earliest_time_only() -> None:
    """Rounded outward to five minutes, and the chance to five percent."""
    assert sentence(by_forecast(0.66, 124, 180)) == (
        "may run out, not before 14:00 (65 % likely)",
        "may run out, not before 14:00 (65 %)",
        "may run out from 14:00 (65 %)",
        "may run out from 14:00",
        "may run out 14:00",
        "may be out 14:00",
    )
    week = by_forecast(0.66, 30 * 60 + 59, 50 * 60, key="seven_day")
    assert sentence(week)[0] == "may run out, not before Sun 18:00 (65 % likely)"


def test_a_nearly_certain_run_out_has_an_interval() -> None:
    assert sentence(by_forecast(0.96, 62, 80, 126)) == (
        "runs out 13:00–14:10, 2h before the reset",
        "runs out 13:00–14:10",
        "out 13:00–14:10",
        "out 13:00",
    )
    week = by_forecast(0.96, 90, 20 * 60, 30 * 60, key="seven_day")
    assert sentence(week)[0] == "runs out 13:00–Sun 18:00, 2d before the reset"
    soon = by_forecast(0.96, 150, 178, 192)
    assert sentence(soon)[0] == "runs out 14:30–15:15, 20m before the reset"


def test_an_earliest_time_that_is_now_is_any_time() -> None:
    assert sentence(by_forecast(0.5, 3, 60))[0] == "may run out at any time (50 % likely)"


def test_an_interval_that_began_has_its_end_only() -> None:
    assert sentence(by_forecast(0.96, 3, 80, 126)) == (
        "runs out by 14:10, 2h before the reset", "runs out by 14:10", "out by 14:10",
    )  # fmt: skip


@given(st.floats(0.1, 0.92499))
def test_a_chance_is_never_said_to_be_none_or_certain(probability: float) -> None:
    text = sentence(by_forecast(probability, 124, 180 if probability >= 0.5 else None))[0]
    percent = int(text.rpartition("(")[2].removesuffix(" % likely)"))
    assert 5 <= percent <= 95
    assert abs(percent - probability * 100) <= 2.5


@given(st.floats(0, 1), st.floats(1, 100), st.floats(0, 50), st.floats(0, 50))
def test_every_answer_agrees_with_the_forecast(
    probability: float, first: float, second: float, third: float
) -> None:
    minutes = [first, first + second, first + second + third]
    kept = sum(probability >= share for share in (0.075, 0.5, 0.925))
    window = by_forecast(probability, *minutes[:kept])
    ending = outlook(window, NOW)
    assert ending is not None
    assert window.forecast is not None
    if ending.kind == "lasts":
        assert window.forecast.run_out_at is None
    else:
        assert ending.runs_out_at == window.forecast.run_out_earliest
        assert (ending.kind == "runs_out") is (window.forecast.run_out_latest is not None)


def test_an_outdated_forecast_says_nothing() -> None:
    later = NOW + timedelta(minutes=20)
    ending = outlook(by_forecast(0.96, 62, 80, 126), later)
    assert ending is None or ending.probability is None
    assert ending == outlook(by_forecast(0.96)._replace(forecast=None), later)


def test_forecasts_in_words_for_speech() -> None:
    def phrase(window: UsageWindow) -> str:
        ending = outlook(window, NOW)
        assert ending is not None
        return outlook_phrase(ending, NOW, UTC_24H, left=False)

    assert phrase(by_forecast(0.66, 124, 180)) == (
        "may run out at 14:00 at the earliest, with a chance of 65 percent"
    )
    assert phrase(by_forecast(0.3, 2)) == "may run out at any time, with a chance of 30 percent"
    assert phrase(by_forecast(0.96, 62, 80, 126)) == (
        "runs out at 13:00 at the earliest and at 14:10 at the latest"
    )
    assert phrase(by_forecast(0.96, 3, 80, 126)) == "runs out at 14:10 at the latest"
    assert phrase(by_forecast(0.02)) == "lasts until the reset with about 62 percent used"
