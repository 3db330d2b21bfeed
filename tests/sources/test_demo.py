from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.demo import demo_usage, demo_use
from claude_usage_monitor.usage.forecast.outlook import outlook
from claude_usage_monitor.usage.limits.windows import Severity
from tests.support.payloads import NOW


def test_the_demo_changes_within_minutes() -> None:
    """Figures move, a window resets, and one model limit is almost used up."""
    first = demo_usage(NOW, NOW)
    later = demo_usage(NOW + timedelta(minutes=2), NOW)
    assert first.five_hour is not None
    assert later.five_hour is not None
    assert (later.five_hour.utilization or 0) > (first.five_hour.utilization or 0)
    assert first.five_hour.state(NOW + timedelta(minutes=4)) == "reset"
    fable = first.window("seven_day:fable")
    assert fable is not None
    assert (fable.severity, fable.binding) == (Severity.HIGH, True)
    states = [
        window.state(NOW + timedelta(seconds=at))
        for at in (170, 185, 205)
        if (window := demo_usage(NOW + timedelta(seconds=at), NOW).five_hour) is not None
    ]
    assert states == ["running", "idle", "running"]


@given(st.floats(0, 86400 * 5))
def test_the_demo_has_valid_figures_at_any_age(seconds: float) -> None:
    now = NOW + timedelta(seconds=seconds)
    usage = demo_usage(now, NOW)
    assert (usage.source, len(usage.windows)) == ("demo", 3)
    for window in usage.windows:
        assert window.utilization is not None
        assert 0 <= window.utilization <= 100


@pytest.mark.parametrize("minutes", [0, 2.5, 3.1, 200, 2000])
def test_rows_and_elsewhere_are_the_percent_of_every_running_window(minutes: float) -> None:
    usage = demo_usage(NOW + timedelta(minutes=minutes), NOW)
    uses = list(demo_use(usage))
    running = [window for window in usage.windows if window.resets_at and window.utilization]
    assert [window.key for window in running] == [use.key for use in uses]
    for window, use in zip(running, uses, strict=True):
        assert window.utilization == pytest.approx(
            sum(row.points for row in use.rows) + (use.elsewhere or 0.0)
        )
        assert 100 == pytest.approx(sum(row.share for row in use.rows))
        assert use.elsewhere
        assert use.elsewhere > 1


def test_the_demo_shows_each_answer_of_a_forecast() -> None:
    usage = demo_usage(NOW, NOW)
    kinds = [getattr(outlook(window, NOW), "kind", None) for window in usage.windows]
    assert kinds == ["lasts", "may_run_out", "runs_out"]
    assert [window.key for window in usage.windows if window.binding] == ["seven_day:fable"]
