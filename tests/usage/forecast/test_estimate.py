"""The estimator: its laws, when it says nothing, and what it says of simple lives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.usage.forecast.estimate import (
    Curve,
    Forecaster,
    RunningWindow,
    estimate_window,
)
from claude_usage_monitor.usage.forecast.past_use import DAY, HOUR, UseProfile
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.windows import UsageWindow
from tests.support.use_history import GrowingHistory, history_of

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
TYPICAL_RATE = 2.3  # points an hour


def window(
    utilization: float | None,
    now: datetime,
    left: timedelta | None,
    key: str = "five_hour",
    age: timedelta = timedelta(),
) -> UsageWindow:
    resets_at = None if left is None else now + left
    return UsageWindow(key, key, utilization, resets_at, "api", now - age)


def worked(days: int, points_an_hour: float, key: str = "five_hour") -> Forecaster:
    """Return a forecaster that knows days with use from 9:00 to 17:00 UTC, from Monday on."""
    forecaster = Forecaster(zone=UTC)
    history = history_of(forecaster, key)
    for day in range(days):
        begun = MONDAY.timestamp() + day * DAY
        history.add_use(begun, begun + 9 * HOUR, 0)
        for hour in range(9, 17):
            start = begun + hour * HOUR
            history.add_use(start, start + HOUR, points_an_hour)
        history.add_use(begun + 17 * HOUR, begun + DAY, 0)
    return forecaster


def forecast(forecaster: Forecaster, row: UsageWindow, now: datetime) -> Forecast | None:
    return forecaster.forecasts([row], {}, now).get(row.key)


# --- laws --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    utilization=st.floats(0, 99.9),
    elapsed=st.floats(0.02, 0.99),
    key=st.sampled_from(["five_hour", "seven_day", "seven_day_opus"]),
    days=st.integers(0, 12),
    rate=st.floats(0, 60),
)
@example(utilization=0, elapsed=0.5, key="five_hour", days=1, rate=5e-324)
def test_every_statement_agrees_with_every_other(
    utilization: float, elapsed: float, key: str, days: int, rate: float
) -> None:
    forecaster = worked(days, rate, key)
    now = MONDAY + timedelta(days=days, hours=11)
    length = window(0, now, timedelta(), key).length
    assert length is not None
    resets_at = now + length * (1 - elapsed)
    history_of(forecaster, key).add_use(now.timestamp() - HOUR, now.timestamp(), rate)
    found = forecast(forecaster, window(utilization, now, resets_at - now, key), now)
    assert found is not None
    instants = (found.run_out_earliest, found.run_out_at, found.run_out_latest)
    known = [instant for instant in instants if instant is not None]
    assert instants[: len(known)] == tuple(known)
    assert known == sorted(known)
    assert all(now <= instant <= resets_at + timedelta(milliseconds=1) for instant in known)
    assert 0 <= found.probability <= 1
    assert (found.run_out_at is not None) is (found.probability >= 0.5)
    assert (found.run_out_earliest is not None) is (found.probability >= 0.075)
    assert utilization <= found.expected_low <= found.expected_high
    assert utilization <= found.expected_at_reset


@given(st.floats(0, 99), st.floats(0, 99), st.floats(0.5, 40))
def test_more_used_is_never_less_likely_to_run_out(
    first: float, second: float, rate: float
) -> None:
    forecaster = worked(10, rate)
    now = MONDAY + timedelta(days=10, hours=11)
    low, high = (
        forecast(forecaster, window(each, now, timedelta(hours=3)), now)
        for each in sorted((first, second))
    )
    assert low is not None
    assert high is not None
    assert low.probability <= high.probability + 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_quantile_is_where_the_curve_reaches_it(rises: list[float], share: float) -> None:
    total = sum(rises) or 1.0
    passed, full_by = 0.0, []
    for rise in rises:
        passed += rise / total * 0.9
        full_by.append(passed)
    curve = Curve(1000.0, 1000.0 + 10 * len(rises) - 5, 10.0, tuple(full_by))
    found = curve.quantile(share)
    if share > curve.probability:
        assert found is None
    else:
        assert found is not None
        assert curve.start <= found <= curve.end


# --- no forecast -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "silent",
    [
        lambda now: window(None, now, timedelta(hours=2)),
        lambda now: window(30, now, None),
        lambda now: window(100, now, timedelta(hours=2)),
        lambda now: window(30, now, timedelta(hours=2), "monthly"),
        lambda now: window(30, now, timedelta(hours=2), age=timedelta(minutes=16)),
        lambda now: window(30, now, timedelta(days=2), "seven_day", timedelta(minutes=61)),
        lambda now: window(30, now, timedelta(hours=4, minutes=56)),
        lambda now: window(30, now, timedelta(hours=-1)),
    ],
    ids=["unknown", "idle", "full", "length", "old", "old week", "just started", "reset"],
)
def test_a_window_of_which_too_little_is_known_has_no_forecast(
    silent: Callable[[datetime], UsageWindow],
) -> None:
    now = MONDAY + timedelta(days=8, hours=11)
    row = silent(now)
    forecaster = worked(8, 20, row.key)
    assert forecaster.forecasts([row], {}, now) == {}


def test_a_limit_without_a_history_has_no_forecast() -> None:
    now = MONDAY + timedelta(hours=11)
    assert Forecaster(zone=UTC).forecasts([window(30, now, timedelta(hours=2))], {}, now) == {}


def test_a_window_that_began_late_is_judged_by_its_own_start() -> None:
    """After an early reset the reset time may stay, although the window has just started."""
    now = MONDAY + timedelta(days=8, hours=11)
    row = window(1, now, timedelta(days=3), "seven_day")
    forecaster = worked(8, 2, "seven_day")
    starts = {"seven_day": now - timedelta(minutes=1)}
    assert forecaster.forecasts([row], starts, now) == {}
    assert forecaster.forecasts([row], {}, now) != {}


def test_a_reset_in_a_thousand_years_is_no_reset_to_forecast() -> None:
    now = MONDAY + timedelta(days=8, hours=11)
    row = window(30, now, timedelta(days=365_000))
    assert worked(8, 2).forecasts([row], {"five_hour": now - timedelta(hours=1)}, now) == {}


@pytest.mark.parametrize("utilization", [-1e308, -1.0, 1e-300, 99.999999])
def test_odd_figures_have_finite_forecasts(utilization: float) -> None:
    now = MONDAY + timedelta(days=8, hours=11)
    found = forecast(worked(8, 20), window(utilization, now, timedelta(hours=2)), now)
    assert found is not None
    assert 0 <= found.probability <= 1


# --- what it says ------------------------------------------------------------------------------


def test_a_heavy_day_runs_out_and_a_light_one_lasts() -> None:
    now = MONDAY + timedelta(days=10, hours=11)
    heavy = forecast(worked(10, 30), window(85, now, timedelta(hours=3)), now)
    light = forecast(worked(10, 3), window(20, now, timedelta(hours=3)), now)
    assert heavy is not None
    assert light is not None
    assert heavy.probability > 0.8
    assert heavy.run_out_at is not None
    assert heavy.expected_at_reset > 100
    assert light.probability < 0.1
    assert (light.run_out_at, light.run_out_earliest, light.run_out_latest) == (None, None, None)


def test_nights_are_not_projected_like_working_hours() -> None:
    forecaster = worked(12, 15)
    evening = MONDAY + timedelta(days=11, hours=16, minutes=50)
    found = forecast(forecaster, window(60, evening, timedelta(hours=4)), evening)
    assert found is not None
    assert found.probability < 0.35
    assert found.run_out_at is None
    assert window(60, evening, timedelta(hours=4)).full_at(evening) is not None


def test_the_present_rate_counts_for_the_next_hour() -> None:
    now = MONDAY + timedelta(days=10, hours=22)  # usually nothing is used at this time
    row = window(60, now, timedelta(hours=3))
    quiet = forecast(worked(10, 15), row, now)
    busy_night = worked(10, 15)
    history_of(busy_night, "five_hour").add_use(now.timestamp() - HOUR, now.timestamp(), 40)
    busy = forecast(busy_night, row, now)
    assert quiet is not None
    assert busy is not None
    assert busy.expected_at_reset > quiet.expected_at_reset + 20


def test_little_history_gives_a_wider_range() -> None:
    def width(days: int) -> float:
        now = MONDAY + timedelta(days=days, hours=12)
        forecaster = worked(days, 10)
        history_of(forecaster, "five_hour").add_use(now.timestamp() - 3 * HOUR, now.timestamp(), 30)
        found = forecast(forecaster, window(30, now, timedelta(hours=2)), now)
        assert found is not None
        return (found.expected_high - found.expected_low) / (found.expected_at_reset - 30)

    assert width(0) > width(1) > width(20)


def test_a_full_week_keeps_the_five_hour_window_from_running_out_until_its_reset() -> None:
    now = MONDAY + timedelta(days=10, hours=11)
    forecaster = worked(10, 30)
    history_of(forecaster, "seven_day")
    row = window(70, now, timedelta(hours=3))
    full_week = window(100, now, timedelta(days=1), "seven_day")
    (key,) = found = forecaster.forecasts([row, full_week], {}, now)
    assert key == "five_hour"
    assert found[key].probability == 0
    assert found[key].expected_at_reset == 70
    soon = window(100, now, timedelta(hours=1), "seven_day")
    after = forecaster.forecasts([row, soon], {}, now)["five_hour"]
    assert 0 < after.probability
    assert after.run_out_at is None or after.run_out_at > now + timedelta(hours=1)


def test_a_week_that_runs_out_first_stops_the_five_hour_window() -> None:
    now = MONDAY + timedelta(days=10, hours=11)
    forecaster = worked(10, 30)
    for day in range(10):
        begun = MONDAY.timestamp() + day * DAY + 9 * HOUR
        history_of(forecaster, "seven_day").add_use(begun, begun + 8 * HOUR, 60)
    row = window(70, now, timedelta(hours=3))
    alone = forecaster.forecasts([row], {}, now)["five_hour"]
    week = window(99, now, timedelta(days=1), "seven_day")
    stopped = forecaster.forecasts([row, week], {}, now)
    assert stopped["seven_day"].probability > 0.95
    assert stopped["five_hour"].probability < 0.7 * alone.probability


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(minutes=50), "average, no history"),
        (timedelta(hours=5), "hours of the week, little history"),
        (timedelta(hours=30), "hours of the week, 1 day of history"),
        (timedelta(days=9), "hours of the week, 9 days of history"),
        (timedelta(days=30), "hours of the week, 4 weeks of history"),
        (timedelta(days=300), "hours of the week, 8 weeks of history"),
    ],
)
def test_the_basis_names_the_amount_of_history(span: timedelta, expected: str) -> None:
    forecaster = Forecaster(zone=UTC)
    now = MONDAY + timedelta(hours=12)
    history_of(forecaster, "five_hour").add_use((now - span).timestamp(), now.timestamp(), 20)
    found = forecast(forecaster, window(20, now, timedelta(hours=2)), now)
    assert found is not None
    assert found.basis == expected


def test_the_cost_does_not_grow_with_the_readings_of_a_window() -> None:
    """An estimate looks at the last hours, not at every reading that it has ever seen."""
    history = GrowingHistory()
    for step in range(20_000):
        history.add_use(MONDAY.timestamp() + step * 30, MONDAY.timestamp() + (step + 1) * 30, 0.01)
    now = MONDAY.timestamp() + 20_000 * 30
    since = now - 3 * HOUR
    assert len(list(history.uses_since(since))) == 360
    profile = UseProfile(history, now, UTC, 10, TYPICAL_RATE)
    running = RunningWindow(40, now - 3 * HOUR, now + 2 * HOUR, 5 * HOUR)
    assert len(estimate_window(running, history, profile, now).curve.full_by) == 12


# --- does it still apply? ----------------------------------------------------------------------


def test_a_forecast_applies_until_its_window_or_its_figures_change() -> None:
    now = MONDAY + timedelta(days=10, hours=11)
    row = window(40, now, timedelta(hours=3))
    found = forecast(worked(10, 10), row, now)
    assert found is not None
    resets_at, length = row.resets_at, timedelta(hours=5)
    assert resets_at is not None
    minute = timedelta(minutes=1)
    assert found.fits(40, resets_at, length, now)
    assert found.fits(41.9, resets_at + timedelta(seconds=1), length, now + 14 * minute)
    assert not found.fits(43, resets_at, length, now)
    assert not found.fits(37, resets_at, length, now)
    assert not found.fits(None, resets_at, length, now)
    assert not found.fits(40, None, length, now)
    assert not found.fits(40, resets_at + timedelta(hours=1), length, now)
    assert not found.fits(40, resets_at, length, now + 16 * minute)
    assert not found.fits(40, resets_at, length, resets_at)
    assert found.fits(40, resets_at, timedelta(days=7), now + 59 * minute)
