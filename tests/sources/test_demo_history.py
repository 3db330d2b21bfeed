from __future__ import annotations

from datetime import UTC, datetime

import pytest

from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.usage.limits.history_view import Range

NOW = datetime(2026, 11, 20, 14, 23, tzinfo=UTC)


@pytest.mark.parametrize("shown", Range)
def test_every_range_has_something_to_show(shown: Range) -> None:
    view = demo_history(shown, NOW)
    assert {"five_hour", "seven_day"} == set(view.use)
    assert view.windows
    assert view.start < NOW <= view.end
    assert all(level.utilization <= 100 for level in view.levels)
