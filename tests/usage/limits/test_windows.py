from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.windows import (
    Severity,
    Usage,
    UsageWindow,
    label_for,
    mark_binding,
    percent_text,
    severity_of,
    sorted_for_display,
    whole_percent,
)
from tests.support.payloads import NOW


def window(
    key: str = "five_hour",
    utilization: float | None = 78.0,
    hours_left: float | None = 131 / 60,
    *,
    is_active: bool = False,
) -> UsageWindow:
    resets_at = None if hours_left is None else NOW + timedelta(hours=hours_left)
    return UsageWindow(key, label_for(key), utilization, resets_at, "api", NOW, is_active=is_active)


@pytest.mark.parametrize(
    ("utilization", "expected"),
    [
        (0, Severity.NORMAL),
        (50, Severity.NORMAL),
        (50.49, Severity.NORMAL),
        (50.5, Severity.ELEVATED),
        (80.4, Severity.ELEVATED),
        (80.5, Severity.HIGH),
        (99.5, Severity.HIGH),
        (99.99, Severity.HIGH),
        (100, Severity.EXHAUSTED),
        (250, Severity.EXHAUSTED),
    ],
)
def test_severity_is_decided_on_the_whole_percent(utilization: float, expected: Severity) -> None:
    assert expected is severity_of(utilization)


@given(st.floats(0, 1000))
def test_whole_percent_rounds_neither_to_100_nor_to_0(utilization: float) -> None:
    whole = whole_percent(utilization)
    assert (utilization >= 100) == (whole >= 100)
    assert (utilization == 0) == (whole == 0)


def test_the_example_of_the_documentation() -> None:
    """78 % used after 56.3 % of the window: full in 47 minutes."""
    found = window()
    assert timedelta(minutes=131) == found.time_until_reset(NOW)
    assert pytest.approx(56.33, abs=0.01) == found.time_elapsed_percent(NOW)
    assert pytest.approx(21.67, abs=0.01) == found.pace_delta(NOW)
    assert found.pace(NOW) == "over"
    assert found.is_on_pace(NOW) is False
    full_at = found.full_at(NOW)
    assert full_at is not None
    assert timedelta(minutes=47) == timedelta(minutes=(full_at - NOW) // timedelta(minutes=1))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("five_hour", 18000),
        ("seven_day", 604800),
        ("seven_day:fable", 604800),
        ("seven_day_cowork", 604800),
        ("tangelo", None),
        ("weekly_cowork", None),
    ],
)
def test_the_length_comes_from_the_key(key: str, expected: int | None) -> None:
    found = window(key)
    assert expected == found.window_seconds
    assert (expected is None) == (found.pace(NOW) is None)
    assert (expected is None) == (found.time_elapsed_percent(NOW) is None)


def test_a_window_that_has_not_started_has_no_pace() -> None:
    idle = window(utilization=0.0, hours_left=None)
    assert idle.state(NOW) == "idle"
    assert idle.at(NOW).utilization == 0.0
    assert (
        idle.time_until_reset(NOW),
        idle.pace(NOW),
        idle.is_on_pace(NOW),
        idle.full_at(NOW),
    ) == (None, None, None, None)


@pytest.mark.parametrize("hours", [0, -1, -200])
def test_utilization_is_unknown_after_the_reset(hours: float) -> None:
    """The reading is from before the reset."""
    past = window(hours_left=hours)
    assert past.state(NOW) == "reset"
    assert past.at(NOW).utilization is None
    assert past.at(NOW).severity is None
    assert (past.pace(NOW), past.is_on_pace(NOW), past.full_at(NOW)) == (None, None, None)


@pytest.mark.parametrize(
    ("utilization", "expected"), [(57.3, "on"), (55.4, "on"), (57.4, "over"), (55.3, "under")]
)
def test_a_point_either_side_is_on_pace(utilization: float, expected: str) -> None:
    assert expected == window(utilization=utilization).pace(NOW)


@pytest.mark.parametrize("utilization", [0.0, 30.0, 100.0, 130.0, None])
def test_full_or_unused_windows_have_no_full_at(utilization: float | None) -> None:
    assert window(utilization=utilization).full_at(NOW) is None


@given(st.floats(0, allow_infinity=False), st.floats(-1000, 1000))
def test_any_utilization_has_a_pace_a_severity_and_a_text(
    utilization: float, hours_left: float
) -> None:
    """Subnormal and huge percentages too: a foreign number never raises an error."""
    found = window(utilization=utilization, hours_left=hours_left)
    found.full_at(NOW)
    found.pace(NOW)
    assert isinstance(found.severity, Severity)
    assert percent_text(utilization)


@pytest.mark.parametrize(
    ("utilization", "expected"),
    [
        (0.0, "0"),
        (5e-324, "<1"),
        (0.49, "<1"),
        (0.5, "1"),
        (1.4, "1"),
        (99.5, ">99"),
        (100.0, "100"),
    ],
)
def test_a_percent_text_claims_neither_0_nor_100(utilization: float, expected: str) -> None:
    assert expected == percent_text(utilization)


def test_on_pace_includes_the_pace_itself_and_a_point_on_either_side() -> None:
    assert [True, False] == [window("five_hour", u, 2.5).is_on_pace(NOW) for u in (50.0, 50.1)]
    assert ["under", "on", "on", "on", "over"] == [
        window("five_hour", u, 2.5).pace(NOW) for u in (48.9, 49.0, 50.0, 51.0, 51.1)
    ]


@given(st.floats(0.1, 99.9), st.floats(0.001, 4.999))
def test_full_at_is_before_the_reset_exactly_when_over_pace(
    utilization: float, hours_left: float
) -> None:
    found = window(utilization=utilization, hours_left=hours_left)
    delta, full_at = found.pace_delta(NOW), found.full_at(NOW)
    assert delta is not None
    if full_at is None:
        assert delta <= 1e-6
    else:
        assert delta >= -1e-6
        assert found.resets_at is not None
        assert NOW - timedelta(seconds=1) <= full_at <= found.resets_at


def test_a_window_with_a_reset_beyond_its_length_has_not_started() -> None:
    assert window(hours_left=9).time_elapsed_percent(NOW) == 0.0
    assert window(hours_left=9).full_at(NOW) is None


def binding_key(*windows: UsageWindow, flags_as_of: datetime = NOW) -> str | None:
    binding = [w.key for w in mark_binding(windows, NOW, flags_as_of) if w.binding]
    assert len(binding) <= 1
    return binding[0] if binding else None


# Windows that will not be full before their reset: 2.5 of 5 hours, 84 of 168 hours are over.
UNDER_PACE = window("five_hour", 40, 2.5), window("seven_day", 45, 84)


def test_an_exhausted_window_binds_and_of_several_the_one_that_resets_last() -> None:
    """It also binds before a window that is about to be full, and before a flag."""
    exhausted = window("seven_day", 100, 70), window("five_hour", 120, 1)
    assert binding_key(*exhausted, window("seven_day:fable", 99, 80, is_active=True)) == "seven_day"
    assert binding_key(*exhausted, window("seven_day:fable", 101, 71)) == "seven_day:fable"
    assert binding_key(*exhausted, window("odd", 100, None)) == "odd"


def test_then_the_window_that_will_be_full_first_binds() -> None:
    five_hour, week = window("five_hour", 80, 1), window("seven_day", 82, 84)
    fable = window("seven_day:fable", 40, 84, is_active=True)
    assert binding_key(five_hour) == "five_hour"
    assert binding_key(window("five_hour", 78, 2.2), week, fable) == "five_hour"
    assert binding_key(*UNDER_PACE[:1], week, fable) == "seven_day"


def test_then_the_window_that_the_api_flags_binds() -> None:
    flagged = window("seven_day:fable", 10, 84, is_active=True)
    assert binding_key(*UNDER_PACE, flagged) == "seven_day:fable"
    assert binding_key(*UNDER_PACE, flagged._replace(utilization=0.0)) == "seven_day:fable"


def test_a_flag_that_is_older_than_a_figure_does_not_count() -> None:
    """After the flag a status line may have reported another window as nearly full."""
    flagged = window("seven_day:fable", 10, 84, is_active=True)
    newer = UNDER_PACE[0]._replace(as_of=NOW + timedelta(seconds=1))
    assert binding_key(newer, flagged) == "five_hour"
    assert binding_key(newer, flagged, flags_as_of=NOW + timedelta(seconds=1)) == "seven_day:fable"


def test_then_the_highest_utilization_binds_and_of_equals_the_earlier_reset() -> None:
    assert binding_key(*UNDER_PACE) == "seven_day"
    assert binding_key(window("seven_day", 40, 84), UNDER_PACE[0]) == "five_hour"
    assert binding_key(window("five_hour", 40, None), window("seven_day", 40, 84)) == "seven_day"


def test_a_window_of_unknown_utilization_does_not_bind() -> None:
    assert binding_key(window(utilization=None, is_active=True)) is None
    assert binding_key(window(utilization=0.0)) is None
    assert binding_key() is None


def test_binding_is_decided_again_after_a_reset() -> None:
    week = window("seven_day", 45, 84)
    usage = Usage((window("five_hour", 90, -1, is_active=True), week), "api", NOW)
    assert [w.key for w in usage.at(NOW - timedelta(hours=2)).windows if w.binding] == ["five_hour"]
    assert [w.key for w in usage.at(NOW).windows if w.binding] == ["seven_day"]


def test_windows_have_named_properties() -> None:
    usage = Usage((window("seven_day_opus"), window("five_hour")), "api", NOW)
    assert usage.seven_day_opus is usage.windows[0]
    assert usage.five_hour is usage.windows[1]
    assert (usage.seven_day, usage.seven_day_sonnet) == (None, None)
    assert usage.five_hour_on_pace(NOW) is False
    assert usage.seven_day_on_pace(NOW) is None


def test_windows_are_sorted_as_in_the_table_and_others_after() -> None:
    keys = ["tangelo", "seven_day:fable", "seven_day", "five_hour", "seven_day_sonnet"]
    expected = ["five_hour", "seven_day", "seven_day_sonnet", "tangelo", "seven_day:fable"]
    assert expected == [w.key for w in sorted_for_display([window(key) for key in keys])]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("five_hour", "5-hour"),
        ("seven_day_routines", "Routines"),
        ("iguana_necktie", "Iguana necktie"),
        ("monthly:fable", "Monthly fable"),
        ("seven_day_", "seven_day_"),
    ],
)
def test_labels_come_from_the_table_or_from_the_key(key: str, label: str) -> None:
    assert label == label_for(key)


def test_now_defaults_to_the_clock() -> None:
    """Callers of the library may leave out the time."""
    found = window()._replace(resets_at=None)
    assert found.state() == "idle"
    assert found.is_on_pace() is None
    assert window(hours_left=-(10**5)).state() == "reset"


# --- calls of the library -------------------------------------------------------------------------


def test_a_window_has_the_figures_of_the_json_document() -> None:
    assert 131 * 60 == window().resets_in_seconds(NOW)
    assert window().time_elapsed_percent(NOW) == window().elapsed_percent(NOW)
    assert (None, None) == (
        window(hours_left=None).resets_in_seconds(NOW),
        window(hours_left=None).elapsed_percent(NOW),
    )


def test_a_length_in_hours_stands_in_for_one_that_the_key_does_not_name() -> None:
    unknown = window("tangelo", utilization=60.0, hours_left=5)
    assert None is unknown.is_on_pace(NOW)
    assert 50.0 == unknown.time_elapsed_percent(NOW, hours=10)
    assert (False, True) == (unknown.is_on_pace(NOW, hours=10), unknown.is_on_pace(NOW, hours=20))
    assert 10.0 == unknown.pace_delta(NOW, hours=10)
    assert None is unknown.time_elapsed_percent(NOW, hours=0)


@pytest.mark.parametrize("now", [5, "now", NOW.replace(tzinfo=None)])
def test_a_now_that_is_no_aware_datetime_gives_our_error_with_a_hint(now: Any) -> None:
    for call in (
        window().time_elapsed_percent,
        window().is_on_pace,
        window().time_until_reset,
        window().state,
        window().full_at,
    ):
        with pytest.raises(InvalidSetting, match="timezone-aware datetime") as caught:
            call(now)
        assert "hours=5" in caught.value.hint


def forecast(row: UsageWindow, hours: float | None) -> UsageWindow:
    """Return a window with a forecast that it runs out after some hours, or lasts."""
    assert row.resets_at is not None
    assert row.utilization is not None
    at = None if hours is None else NOW + timedelta(hours=hours)
    made = Forecast(
        at, at, at, 0.9 if at else 0.1, 90, 80, 100, "", NOW, row.utilization, row.resets_at
    )
    return row.with_forecast(made, NOW)


def test_the_forecast_decides_the_binding_window_where_there_is_one() -> None:
    over_pace, week = window("five_hour", 78, 2.2), window("seven_day", 35, 74)
    assert over_pace.full_at(NOW) is not None
    assert binding_key(over_pace, week) == "five_hour"
    # It lasts by its forecast, and the week runs out by its own.
    assert binding_key(forecast(over_pace, None), forecast(week, 20)) == "seven_day"
    assert binding_key(forecast(over_pace, 2), forecast(week, 20)) == "five_hour"
    # A window without a forecast counts by its average pace.
    assert binding_key(forecast(over_pace, 2), window("seven_day", 99.9, 74)) == "seven_day"
    assert binding_key(forecast(over_pace, None), window("seven_day", 99.9, 1)) == "seven_day"


def test_an_outdated_forecast_does_not_count() -> None:
    week = window("seven_day", 35, 74)
    outdated = forecast(week, 20)
    assert outdated.forecast is not None
    assert outdated.at(NOW + timedelta(hours=2)).forecast is None
    assert outdated._replace(utilization=50.0).at(NOW).forecast is None
    usage = Usage((outdated._replace(utilization=50.0), window("odd", 70, 1)), "api", NOW)
    assert [each.key for each in usage.at(NOW).windows if each.binding] == ["odd"]
