from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.demo import demo_usage
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
