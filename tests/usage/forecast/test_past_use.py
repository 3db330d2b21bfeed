"""What a forecast knows of the past: the use by the hour, as a line, and what is usual."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.forecast.past_use import (
    DAY,
    DETAIL_SPAN,
    HOUR,
    MAX_HOURS,
    UseProfile,
    hour_of_week,
)
from tests.support.use_history import GrowingHistory

MONDAY = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
TYPICAL_RATE = 2.3  # points an hour

uses = st.lists(
    st.tuples(st.floats(0, 3 * HOUR), st.floats(1, 4 * HOUR), st.floats(0, 100)),
    min_size=1,
    max_size=30,
)


def filled(steps: list[tuple[float, float, float]]) -> tuple[GrowingHistory, float]:
    """Return a history of steps (pause, time, points) from Monday on, and its end."""
    history, at = GrowingHistory(), MONDAY
    for pause, span, points in steps:
        history.add_use(at + pause, at + pause + span, points)
        at += pause + span
    return history, at


@given(uses)
def test_hours_and_line_both_contain_every_point(steps: list[tuple[float, float, float]]) -> None:
    history, end = filled(steps)
    total = sum(points for _, _, points in steps)
    assert sum(points for _, points, _ in history.hours(end)) == pytest.approx(total)
    assert history.total_at(end) == pytest.approx(total)
    assert history.total_at(MONDAY) == 0


@given(uses, st.floats(0, 1))
def test_the_line_reaches_a_total_at_the_first_instant_that_has_it(
    steps: list[tuple[float, float, float]], share: float
) -> None:
    history, end = filled(steps)
    wanted = history.total_at(end) * share
    reached = history.instant_of_total(wanted)
    assert reached is not None
    assert history.total_at(reached) == pytest.approx(wanted, abs=1e-4)
    assert history.instant_of_total(history.total_at(end) + 1) is None


@given(uses)
def test_the_open_shares_of_the_hours_are_the_time_since_the_history_began(
    steps: list[tuple[float, float, float]],
) -> None:
    history, end = filled(steps)
    assert history.began is not None
    known = sum(known for _, _, known in history.hours(end))
    assert known * HOUR == pytest.approx(min(end - history.began, MAX_HOURS * HOUR))


def test_a_use_is_spread_evenly_over_its_hours() -> None:
    history = GrowingHistory()
    history.add_use(MONDAY + 0.5 * HOUR, MONDAY + 2.5 * HOUR, 20)
    assert [points for _, points, _ in history.hours(MONDAY + 3 * HOUR)] == [5, 10, 5, 0]


def test_time_at_the_limit_is_no_known_time() -> None:
    history = GrowingHistory()
    history.add_use(MONDAY, MONDAY + HOUR, 100)
    for until in (1.25, 1.5, 2.5):  # the same span again, each time longer
        history.add_blocked(MONDAY + HOUR, MONDAY + until * HOUR)
    hours = list(history.hours(MONDAY + 3 * HOUR))
    assert [known for _, _, known in hours] == [1, 0, 0.5, 0]
    assert history.first_blocked(MONDAY, MONDAY + 2 * HOUR) == MONDAY + HOUR
    assert history.first_blocked(MONDAY + 2 * HOUR, MONDAY + 3 * HOUR) == MONDAY + 2 * HOUR
    assert history.first_blocked(MONDAY + 2.5 * HOUR, MONDAY + 3 * HOUR) is None
    assert history.first_blocked(MONDAY, MONDAY + 0.5 * HOUR) is None


def test_hours_from_before_the_line_count_and_lengthen_the_history() -> None:
    history = GrowingHistory()
    history.add_hour(MONDAY, 12, 1800)
    history.add_use(MONDAY + HOUR, MONDAY + 2 * HOUR, 3)
    assert [(points, known) for _, points, known in history.hours(MONDAY + 2 * HOUR)] == [
        (12, 0.5),
        (3, 1),
        (0, 0),
    ]
    assert history.detail_began == MONDAY + HOUR


def test_a_history_of_months_stays_small() -> None:
    history = GrowingHistory()
    for step in range(100 * 288):
        history.add_use(MONDAY + step * 300, MONDAY + (step + 1) * 300, 0.1)
    end = MONDAY + 100 * DAY
    assert end - 2.5 * DETAIL_SPAN < (history.detail_began or 0) < end - DETAIL_SPAN
    assert len(list(history.hours(end))) == MAX_HOURS + 1
    assert sum(points for _, points, _ in history.hours(end)) == pytest.approx(0.1 * 12 * 24 * 56)


# --- the profile -------------------------------------------------------------------------------


def office_weeks(weeks: int, points: float = 10) -> GrowingHistory:
    """Return a history of use from 9:00 to 17:00 UTC on working days."""
    history = GrowingHistory()
    for day in range(weeks * 7):
        begun = MONDAY + day * DAY
        history.add_use(begun, begun + 9 * HOUR, 0)
        history.add_use(begun + 9 * HOUR, begun + 17 * HOUR, points * 8 if day % 7 < 5 else 0)
        history.add_use(begun + 17 * HOUR, begun + DAY, 0)
    return history


def test_the_profile_learns_the_hours_of_the_week() -> None:
    now = MONDAY + 4 * 7 * DAY
    profile = UseProfile(office_weeks(4), now, UTC, 10, TYPICAL_RATE)
    assert profile.rate_at(now + 12 * HOUR) == pytest.approx(10, rel=0.1)
    assert profile.rate_at(now + 3 * HOUR) < 0.3
    assert profile.rate_at(now + 5 * DAY + 12 * HOUR) < 0.5
    assert profile.history_hours == pytest.approx(4 * 7 * 24, rel=0.3)


def test_an_unseen_weekend_is_not_forecast_as_working_days() -> None:
    history = GrowingHistory()
    for day in range(3):
        history.add_use(MONDAY + day * DAY + 9 * HOUR, MONDAY + day * DAY + 17 * HOUR, 80)
    profile = UseProfile(history, MONDAY + 3 * DAY, UTC, 10, TYPICAL_RATE)
    thursday, saturday = MONDAY + 3 * DAY + 12 * HOUR, MONDAY + 5 * DAY + 12 * HOUR
    assert profile.rate_at(saturday) < 0.6 * profile.rate_at(thursday)


@pytest.mark.parametrize(
    ("days", "low", "high"), [(1, 1.0, 2.0), (7, 2.0, 3.0), (28, 2.8, 80 / 24)]
)
def test_a_short_history_is_pulled_towards_a_typical_rate(
    days: int, low: float, high: float
) -> None:
    history = GrowingHistory()
    history.add_use(MONDAY, MONDAY + days * DAY, 80 * days)
    profile = UseProfile(history, MONDAY + days * DAY, UTC, 10, 1.0)
    assert low < sum(profile.rates) / len(profile.rates) < high


def test_no_use_yet_is_forecast_as_a_typical_week() -> None:
    history = GrowingHistory()
    history.add_use(MONDAY, MONDAY + HOUR, 0)
    profile = UseProfile(history, MONDAY + HOUR, UTC, 10, 1.0)
    noon = MONDAY + 12 * HOUR
    assert profile.rate_at(noon) > profile.rate_at(noon + 5 * DAY) > 0
    assert profile.rate_at(noon) > profile.rate_at(noon - 8 * HOUR) > 0


def test_hours_at_the_limit_do_not_lower_what_is_usual() -> None:
    blocked = GrowingHistory()
    for day in range(14):
        begun = MONDAY + day * DAY + 9 * HOUR
        blocked.add_use(begun, begun + HOUR, 20)
        blocked.add_use(begun + HOUR, begun + 5 * HOUR, 0)
        blocked.add_blocked(begun + HOUR, begun + 5 * HOUR)
    now = MONDAY + 14 * DAY
    noon = now + 12 * HOUR
    idle = GrowingHistory()
    for day in range(14):
        begun = MONDAY + day * DAY + 9 * HOUR
        idle.add_use(begun, begun + HOUR, 20)
        idle.add_use(begun + HOUR, begun + 5 * HOUR, 0)
    taken_for_idle = UseProfile(idle, now, UTC, 10, TYPICAL_RATE).rate_at(noon)
    assert UseProfile(blocked, now, UTC, 10, TYPICAL_RATE).rate_at(noon) > 3 * taken_for_idle


@pytest.mark.parametrize(("factor", "expected"), [(0.0, 0.4), (1.0, 1.0), (2.0, 1.33)])
def test_the_level_follows_the_last_days(factor: float, expected: float) -> None:
    history = office_weeks(4)
    now = MONDAY + 4 * 7 * DAY
    for day in range(5):
        begun = now + day * DAY
        history.add_use(begun + 9 * HOUR, begun + 17 * HOUR, 80 * factor)
    now += 5 * DAY
    profile = UseProfile(history, now, UTC, 10, TYPICAL_RATE)
    assert profile.level(history, now) == pytest.approx(expected, abs=0.1)


def test_the_level_counts_the_present_hour_before_the_profile_is_built_again() -> None:
    history = office_weeks(4)
    now = MONDAY + 4 * 7 * DAY + 9 * HOUR
    profile = UseProfile(history, now, UTC, 10, TYPICAL_RATE)
    calm = profile.level(history, now + 1800)
    history.add_use(now, now + 1800, 30)
    assert profile.level(history, now + 1800) > 1.1 * calm


def test_the_use_ahead_follows_the_clock_of_the_user_through_a_time_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    sunday = datetime(2026, 10, 25, 0, 30, tzinfo=zone)  # clocks are set back at 3:00
    hours = [hour_of_week(sunday.timestamp() + hour * HOUR, zone) % 24 for hour in range(5)]
    assert hours == [0, 1, 2, 2, 3]
    profile = UseProfile(office_weeks(4), MONDAY + 28 * DAY, UTC, 10, TYPICAL_RATE)
    ahead = profile.use_after(MONDAY + 28 * DAY + 8.5 * HOUR, [1800, HOUR, 9 * HOUR], 0)
    assert ahead == sorted(ahead)
    assert ahead[1] - ahead[0] == pytest.approx(profile.rates[9] / 2)
    blocked = profile.use_after(MONDAY + 28 * DAY + 8.5 * HOUR, [1800, HOUR, 9 * HOUR], HOUR)
    assert blocked[:2] == [0, 0]
    assert blocked[2] == pytest.approx(ahead[2] - ahead[1])
