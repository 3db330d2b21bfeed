"""What Pace Maker estimates while the API refuses it, redone by its rule."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from claude_usage_monitor.sources.pace_maker.estimate import windows_from
from claude_usage_monitor.sources.pace_maker.rows import Rows
from claude_usage_monitor.usage.throttling import Limiters
from tests.support.payloads import NOW

HOUR = timedelta(hours=1)
BEGAN = NOW - HOUR
STATE: dict[str, object] = {
    "state": "fallback",
    "baseline_5h": 40.0,
    "baseline_7d": 20.0,
    "resets_at_5h": (NOW + HOUR).isoformat(),
    "resets_at_7d": (NOW + timedelta(days=2)).replace(tzinfo=None).isoformat(),
    "tier": "5x",
    "entered_at": BEGAN.timestamp(),
}
COSTS = ((BEGAN.timestamp() + 60, 10.0), (BEGAN.timestamp() + 120, 2.0))


def estimated(
    costs: tuple[tuple[object, object], ...] = COSTS,
    coefficients: dict[str, object] | None = None,
    **state: object,
) -> tuple[list[float | None], list[datetime | None]]:
    rows = Rows({}, {}, {**STATE, **state}, {}, {}, costs=costs, coefficients=coefficients)
    windows, _ = windows_from(rows, NOW, Limiters(), timedelta(), synthetic=True)
    assert all(window.synthetic for window in windows)
    used = [None if w.utilization is None else round(w.utilization, 3) for w in windows]
    return used, [window.resets_at for window in windows]


def test_baseline_plus_dollars_times_the_tiers_coefficient() -> None:
    """Twelve dollars: 0.75 percent each of the five-hour window, 0.11 of the week."""
    assert [49.0, 21.32] == estimated()[0]
    assert [42.25, 20.33] == estimated(tier="20x")[0]
    assert [49.0, 21.32] == estimated(tier="a tier of the future")[0]


def test_calibrated_coefficients_win() -> None:
    coefficients: dict[str, object] = {"coefficient_5h": 0.01, "coefficient_7d": 0.002}
    assert [52.0, 22.4] == estimated(coefficients=coefficients)[0]


def test_an_estimate_is_never_above_a_hundred() -> None:
    assert [100.0, 100.0] == estimated(((BEGAN.timestamp(), 100_000.0),))[0]


def test_costs_from_before_do_not_count() -> None:
    assert [40.0, 20.0] == estimated(((BEGAN.timestamp() - 1, 10.0),))[0]


def test_a_window_that_has_reset_meanwhile_rolls_on() -> None:
    """Only what was spent since its last reset counts; the baseline is gone."""
    reset = NOW - timedelta(minutes=59)  # after the first cost, before the second, by a second
    costs = ((reset.timestamp() - 1, 10.0), (reset.timestamp() + 1, 2.0))
    used, resets = estimated(costs, resets_at_5h=reset.isoformat())
    assert [1.5, 21.32] == used
    assert reset + timedelta(hours=5) == resets[0]
    _, resets = estimated(costs, resets_at_5h=(reset - timedelta(hours=20)).isoformat())
    assert reset + timedelta(hours=5) == resets[0]


def test_what_it_rolled_on_itself_is_taken_off() -> None:
    assert [1.5, 21.32] == estimated(rollover_cost_5h=10.0)[0]
    assert [0.0, 21.32] == estimated(rollover_cost_5h=50.0)[0]


def test_what_it_does_not_tell_is_unknown() -> None:
    used, resets = estimated(baseline_5h=None, resets_at_7d="soon", tier=None)
    assert [None, 21.32] == used
    assert resets[1] is None


def test_an_estimate_holds_until_the_next_window_resets() -> None:
    rows = Rows({}, {}, STATE, {}, {})
    assert NOW + HOUR == windows_from(rows, NOW, Limiters(), timedelta(), synthetic=True)[1]


@pytest.mark.parametrize(
    ("percent", "resets_at", "expected"),
    [
        (78.0, "2026-11-21T14:30:00Z", 78.0),
        (0.0, "2026-11-21T14:30:00", 0.0),
        (0.0, None, None),  # how it stores what it was not told
        (5.0, None, 5.0),
        (-1, "2026-11-21T14:30:00Z", None),
    ],
)
def test_reported_figures_are_as_they_stand(
    percent: object, resets_at: object, expected: float | None
) -> None:
    snapshot = {"five_hour_util": percent, "five_hour_resets_at": resets_at}
    rows = Rows({}, {}, {}, {}, snapshot)
    windows, until = windows_from(rows, NOW, Limiters(five_hour=True), timedelta(), synthetic=False)
    assert (expected, None) == (windows[0].utilization, until)
    assert [True, None] == [window.limited for window in windows]


def test_without_any_figures_there_are_no_windows() -> None:
    rows = Rows({}, {}, {}, {}, {})
    assert ((), None) == windows_from(rows, NOW, Limiters(), timedelta(), synthetic=False)
