from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.usage.guard import (
    MONTHLY_BUDGET,
    RESET_DELAY,
    Decision,
    Requirement,
    Unknown,
    decide,
)
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import NOW, as_bytes, usage_body
from tests.support.spends import NO_BUDGET, OVER_BUDGET
from tests.support.statuses import EVERY_STATE, NO_LIMITS, NORMAL, NOT_LOGGED_IN, RATE_LIMITED

HOURS = timedelta(hours=1)


def decision(status: AccountStatus, min_left: float = 10, *keys: str, minutes: int = 0) -> Decision:
    return decide(status, Requirement(min_left, keys, timedelta(minutes=minutes)), NOW)


def reasons(found: Decision) -> dict[str, Unknown | None]:
    return {window.key: window.unknown for window in found.windows}


@pytest.mark.parametrize(
    ("min_left", "keys", "outcome"),
    [
        (10, (), "not_enough"),  # Fable has 6
        (6, (), "ok"),
        (6.1, (), "not_enough"),
        (22, ("five_hour",), "ok"),
        (22.5, ("five_hour",), "not_enough"),
        (10, ("five_hour", "seven_day"), "ok"),
        (10, ("seven_day_opus",), "unknown"),
        (30, ("seven_day_opus", "five_hour"), "not_enough"),  # one is known not to have enough
        (10, ("seven_day_opus", "five_hour"), "unknown"),
        (0, (), "ok"),
    ],
)
def test_every_window_must_have_enough_left(
    min_left: float, keys: tuple[str, ...], outcome: str
) -> None:
    assert outcome == decision(NORMAL, min_left, *keys).outcome


def test_it_may_be_enough_after_the_last_reset_of_those_that_are_not() -> None:
    assert NORMAL.usage is not None
    resets = {window.key: window.resets_at for window in NORMAL.usage.windows}
    assert resets["seven_day:fable"] is not None
    assert resets["five_hour"] is not None
    assert resets["seven_day:fable"] + RESET_DELAY == decision(NORMAL, 30).retry_at
    assert resets["five_hour"] + RESET_DELAY == decision(NORMAL, 30, "five_hour").retry_at
    ahead = NORMAL._replace(clock_skew=HOURS)
    found = decide(ahead, Requirement(30, ("five_hour",)), NOW + HOURS)
    assert resets["five_hour"] + RESET_DELAY + HOURS == found.retry_at


def test_it_must_last_for_the_duration() -> None:
    """The 5-hour window is full in 47 minutes at its present rate, Fable later, the week never."""
    assert "ok" == decision(NORMAL, 5, minutes=40).outcome
    found = decision(NORMAL, 5, minutes=50)
    assert ("not_enough", ["five_hour"]) == (
        found.outcome,
        [window.key for window in found.windows if window.run_out_at],
    )
    assert "ok" == decision(NORMAL, 5, "seven_day", minutes=10_000).outcome


@pytest.mark.parametrize(("hours", "outcome"), [(None, "ok"), (0.5, "not_enough"), (2, "ok")])
def test_a_forecast_counts_instead_of_the_average_pace(hours: float | None, outcome: str) -> None:
    """By its average pace, the 5-hour window is full in 47 minutes."""
    assert NORMAL.usage is not None
    window = NORMAL.usage.windows[0]
    assert window.resets_at is not None
    assert window.utilization is not None
    at = None if hours is None else NOW + timedelta(hours=hours)
    made = Forecast(at, at, at, 0.5, 90, 80, 100, "", NOW, window.utilization, window.resets_at)
    usage = NORMAL.usage._replace(windows=(window.with_forecast(made, NOW),))
    assert outcome == decision(NORMAL._replace(usage=usage), 5, minutes=60).outcome


def test_an_idle_window_is_full_headroom_and_an_unknown_one_is_not() -> None:
    assert "ok" == decision(EVERY_STATE, 100, "five_hour").outcome
    found = decision(EVERY_STATE, 10, "seven_day_opus", "seven_day_sonnet", "seven_day_cowork")
    assert "unknown" == found.outcome
    assert reasons(found) == {
        "seven_day_opus": Unknown.NO_FIGURE,
        "seven_day_sonnet": Unknown.RESET,
        "seven_day_cowork": None,
    }


def test_old_figures_are_unknown() -> None:
    old = usage_from(as_bytes(usage_body()), NOW - timedelta(minutes=15, seconds=1))
    found = decision(NORMAL._replace(usage=old), 0)
    assert ("unknown", {Unknown.STALE}) == (found.outcome, set(reasons(found).values()))
    slow = NORMAL._replace(usage=old, interval=HOURS)
    assert "ok" == decision(slow, 0).outcome
    assert "ok" == decision(RATE_LIMITED, 0).outcome  # six minutes old


def test_no_limits_are_enough_and_no_figures_are_unknown() -> None:
    assert ("ok", ()) == decision(NO_LIMITS)[:2]
    assert ("unknown", ()) == decision(NOT_LOGGED_IN)[:2]
    assert "unknown" == decision(NO_LIMITS, 0, "five_hour").outcome


def test_an_organization_is_gated_by_its_budget() -> None:
    """$4,062.55 of $4,600.00 leave 11.7 %, and the budget is reached in three days."""
    assert "ok" == decision(OVER_BUDGET, 10).outcome
    found = decision(OVER_BUDGET, 12, MONTHLY_BUDGET)
    assert ("not_enough", [MONTHLY_BUDGET]) == (found.outcome, [w.key for w in found.windows])
    assert "2026-12-01 00:01:00+00:00" == str(found.retry_at)
    assert "ok" == decision(OVER_BUDGET, 10, minutes=60).outcome
    assert "not_enough" == decision(OVER_BUDGET, 10, minutes=60 * 24 * 4).outcome
    assert {MONTHLY_BUDGET: Unknown.NO_BUDGET} == reasons(decision(NO_BUDGET))
    assert {"five_hour": Unknown.NOT_REPORTED} == reasons(decision(OVER_BUDGET, 0, "five_hour"))


@given(
    st.lists(st.none() | st.floats(0, 150), max_size=4),
    st.floats(0, 100),
)
def test_ok_means_that_every_window_is_known_to_have_enough(
    utilizations: list[float | None], min_left: float
) -> None:
    windows = tuple(
        UsageWindow(f"seven_day:{n}", "x", utilization, NOW + HOURS, "api", NOW)
        for n, utilization in enumerate(utilizations)
    )
    found = decision(NORMAL._replace(usage=Usage(windows, "api", NOW)), min_left)
    enough = [None if u is None else max(0.0, 100 - u) >= min_left for u in utilizations]
    expected = "not_enough" if False in enough else "unknown" if None in enough else "ok"
    assert expected == found.outcome
