from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from claude_usage_monitor.sources.demo import demo_usage
from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.usage.limits.history_view import Range

NOW = datetime(2026, 11, 20, 14, 23, tzinfo=UTC)


@pytest.mark.parametrize("shown", Range)
def test_every_range_has_something_to_show(shown: Range) -> None:
    view = demo_history(shown, NOW, NOW, NOW)
    assert {"five_hour", "seven_day", "seven_day:fable"} == set(view.use)
    assert view.windows
    assert view.start < NOW <= view.end
    assert all(level.utilization <= 100 for level in view.levels)


@pytest.mark.parametrize("minutes", [0, 2, 20, 400])
def test_the_history_ends_at_the_figures_of_the_bars(minutes: int) -> None:
    now = NOW + timedelta(minutes=minutes)
    for shown in (Range.DAY, Range.WEEK):
        view = demo_history(shown, now, NOW, now)
        window = demo_usage(now, NOW).window(view.key)
        assert window is not None
        assert view.current is not None
        assert window.utilization == pytest.approx(view.current.utilization)
        assert window.resets_at == view.current.resets_at
        assert window.utilization == view.levels[-1].utilization


def test_past_weeks_were_used_and_some_sessions_were_full() -> None:
    weeks = [window.peak for window in demo_history(Range.YEAR, NOW, NOW, NOW).windows]
    sessions = [window.peak for window in demo_history(Range.MONTH, NOW, NOW, NOW).windows]
    assert min(weeks[:-1]) > 50
    assert 2 <= sum(peak == 100 for peak in sessions) <= 10
