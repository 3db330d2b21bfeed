from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from claude_usage_monitor.usage.limits.history import (
    SEVEN_DAY,
    LimitHits,
    SessionsLeft,
    history_of,
    sessions_left,
    sessions_text,
    watched_share,
)
from claude_usage_monitor.usage.limits.hours import HourUse
from claude_usage_monitor.usage.limits.resets import WindowInstance

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
LENGTH = 5 * HOUR


def session(number: int, peak: float = 60.0) -> WindowInstance:
    """Return the 5-hour window of a day."""
    start = START + timedelta(days=number)
    full_at = start + 3 * HOUR if peak >= 100 else None
    window = WindowInstance("five_hour", start, start + LENGTH, start, start + HOUR, peak, peak)
    window = window._replace(full_at=full_at, full_since=full_at, watched=HOUR)
    return window.closed(start + LENGTH, "reset")


def week(utilization: float) -> WindowInstance:
    seen = START + HOUR
    end = START + timedelta(days=7)
    return WindowInstance(SEVEN_DAY, START, end, seen, seen, utilization, utilization)


def weekly_hours(points: float, days: int = 10) -> list[HourUse]:
    return [HourUse(START + timedelta(days=day), used=points, reads=12) for day in range(days)]


def test_windows_with_what_they_add_up_to() -> None:
    windows = [session(1, 100.0), session(0, 100.0), session(2)]
    now = START + timedelta(days=3)
    history = history_of([*windows, week(50)], {}, START, now)
    first = history.windows[0]
    assert ("five_hour", "reset", 100.0, 2 * HOUR, 0.2) == (
        first.key,
        first.end,
        first.peak,
        first.blocked,
        first.watched_share,
    )
    assert (LimitHits("five_hour", 2, 4 * HOUR), LimitHits(SEVEN_DAY, 0, 0 * HOUR)) == (
        history.limits_hit
    )
    assert ("open", None) == (history.windows[3].end, history.windows[3].ended_at)
    assert history.watched_share is None


def test_a_running_window_at_its_limit_is_blocked_until_now() -> None:
    window = session(0, 100.0)._replace(
        end="open", ended_at=None, full_since=START + 3 * HOUR, blocked=0 * HOUR, full_until=None
    )
    (shown,) = history_of([window], {}, START, START + 4 * HOUR).windows
    assert HOUR == shown.blocked
    (shown,) = history_of([window], {}, START, START + 9 * HOUR).windows
    assert (2 * HOUR, "reset") == (shown.blocked, shown.end)


def test_the_watched_share_counts_each_hour_once() -> None:
    rows = [HourUse(START + number * HOUR, watched_seconds=1800, reads=6) for number in range(4)]
    unwatched = HourUse(START - 9 * HOUR, used=3.0)
    hours = {"five_hour": [unwatched, *rows], SEVEN_DAY: rows}
    assert 0.5 == watched_share(hours, START - 9 * HOUR, START + 4 * HOUR)
    assert 0.25 == watched_share(hours, START, START + 8 * HOUR)
    assert watched_share({}, START, START + HOUR) is None


class TestSessionsLeft:
    sessions = tuple(session(day, 50.0 + 5 * (day % 2)) for day in range(8))

    def test_the_past_rate_divides_what_is_left_of_the_week(self) -> None:
        left = sessions_left(self.sessions, weekly_hours(5.5), week(40), START + 2 * HOUR)
        assert SessionsLeft(5.5, 6.0) == left

    def test_too_little_is_known(self) -> None:
        now = START + 2 * HOUR
        hours = weekly_hours(5.5)
        assert sessions_left(self.sessions[:5], hours, week(40), now) is None
        assert sessions_left([session(day, 20.0) for day in range(8)], hours, week(40), now) is None
        assert sessions_left(self.sessions, [], week(40), now) is None
        assert sessions_left(self.sessions, hours, None, now) is None
        assert sessions_left(self.sessions, hours, week(40), START + timedelta(days=8)) is None

    def test_a_full_week_has_none_left(self) -> None:
        left = sessions_left(self.sessions, weekly_hours(5.5), week(100), START + HOUR)
        assert SessionsLeft(0.0, 0.0) == left

    @pytest.mark.parametrize(
        ("low", "high", "text"),
        [
            (4.2, 5.9, "about 4–6 full sessions left this week"),
            (1.0, 1.0, "about 1 full session left this week"),
            (0.0, 0.0, "about 0 full sessions left this week"),
        ],
    )
    def test_in_words(self, low: float, high: float, text: str) -> None:
        assert text == sessions_text(SessionsLeft(low, high))
