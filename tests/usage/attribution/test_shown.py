from __future__ import annotations

from datetime import UTC, datetime, timedelta

from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
RESET = NOW + timedelta(hours=2)
USE = WindowUse(
    "five_hour",
    RESET,
    40.0,
    NOW,
    (ProjectUse("/a", 20.0, 66.7), ProjectUse("/b", 10.0, 33.3)),
    10.0,
    1.5,
    "from 9 past windows",
    5.0,
    1,
    2.0,
)


def test_json_and_back() -> None:
    assert USE == WindowUse.from_json(USE.as_json())


def test_a_newer_reading_scales_all_parts() -> None:
    newer = USE.at(60.0, RESET + timedelta(seconds=1), NOW + timedelta(minutes=5))
    assert newer is not None
    assert 60.0 == sum(row.points for row in newer.rows) + (newer.elsewhere or 0.0)
    assert (30.0, 15.0, 7.5, 3.0) == (
        newer.rows[0].points,
        newer.elsewhere,
        newer.subagents,
        newer.rebuilt,
    )


def test_another_window_or_an_old_one_tells_nothing() -> None:
    assert USE.at(40.0, RESET + timedelta(hours=5), NOW) is None
    assert USE.at(60.0, RESET, NOW + timedelta(hours=1)) is None
    assert USE == USE.at(40.0, RESET, NOW + timedelta(hours=1))
