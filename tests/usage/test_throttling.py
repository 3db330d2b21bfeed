from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from claude_usage_monitor.usage.throttling import (
    Blockage,
    Gap,
    GapReason,
    Limiters,
    PacedWindow,
    Throttling,
)
from tests.support.payloads import NOW
from tests.support.statuses import AT_REST, ON_PACE, PACED_WINDOWS, THROTTLING

HOUR = timedelta(hours=1)


def test_the_last_decision_says_whether_it_throttles() -> None:
    assert THROTTLING.throttling(NOW) is True
    assert ON_PACE.throttling(NOW) is False
    assert Throttling().throttling(NOW) is None


def test_switched_off_it_does_not_throttle() -> None:
    assert replace(THROTTLING, enabled=False).throttling(NOW) is False


def test_a_decision_is_in_force_for_two_polls() -> None:
    decided_at = NOW - timedelta(minutes=10)
    subject = replace(THROTTLING, decided_at=decided_at)
    assert (True, False) == (subject.throttling(NOW), subject.stale(NOW))
    second = timedelta(seconds=1)
    assert (None, True) == (subject.throttling(NOW + second), subject.stale(NOW + second))
    slower = replace(subject, poll_interval=timedelta(minutes=10))
    assert slower.throttling(NOW + second) is True


def test_each_window_can_be_stale() -> None:
    assert [True, False] == [window.stale(NOW) for window in AT_REST.windows]
    passed = replace(PACED_WINDOWS[0], resets_at=NOW - timedelta(minutes=5))
    assert (False, 100.0) == (passed.stale(NOW), passed.target(NOW))
    later = NOW + timedelta(seconds=1)
    assert (True, None, None) == (
        passed.stale(later),
        passed.target(later),
        passed.deviation(later),
    )


def test_the_state_is_stale_if_every_window_is() -> None:
    old = tuple(replace(window, resets_at=NOW - HOUR) for window in PACED_WINDOWS)
    subject = replace(THROTTLING, windows=old)
    assert (True, None, None) == (subject.stale(NOW), subject.window(NOW), subject.target(NOW))


def test_it_paces_by_the_window_most_over_its_target() -> None:
    assert "five_hour" == THROTTLING.window(NOW)
    assert (56.3, 21.7) == (
        round(THROTTLING.target(NOW) or 0, 1),
        round(THROTTLING.deviation(NOW) or 0, 1),
    )
    weekly = replace(
        THROTTLING, windows=(PACED_WINDOWS[0], replace(PACED_WINDOWS[1], utilization=99.0))
    )
    assert "seven_day" == weekly.window(NOW)


@pytest.mark.parametrize(
    "change",
    [{"limited": False}, {"resets_at": None}, {"utilization": None}, {"resets_at": NOW - HOUR}],
)
def test_it_does_not_pace_by_a_window_that_is_off_not_started_unknown_or_stale(
    change: dict[str, object],
) -> None:
    first = replace(PACED_WINDOWS[0], **change)  # type: ignore[arg-type] # by name
    assert "seven_day" == replace(THROTTLING, windows=(first, PACED_WINDOWS[1])).window(NOW)


def test_of_equal_windows_it_paces_by_the_first() -> None:
    five = PacedWindow("five_hour", 100.0, NOW)
    seven = PacedWindow("seven_day", 100.0, NOW)
    assert "five_hour" == Throttling(windows=(five, seven)).window(NOW)


@pytest.mark.parametrize(
    ("tempo", "minutes_away", "expected"),
    [
        ("on", 0, True),
        ("off", 60, False),
        ("auto", 9, False),
        ("auto", 10, True),
        ("auto", None, True),
        (None, 60, None),
    ],
)
def test_automatic_tempo_is_engaged_while_the_user_is_away(
    tempo: str | None, minutes_away: int | None, expected: bool | None
) -> None:
    away = None if minutes_away is None else NOW - timedelta(minutes=minutes_away)
    subject = Throttling(tempo=tempo, last_interaction=away)  # type: ignore[arg-type] # a literal
    assert expected is subject.tempo_engaged(NOW)


def test_counts_the_blockages_of_the_last_hour_by_category() -> None:
    assert (
        Blockage("intent_validation", 3),
        Blockage("intent_validation_tdd", 1),
    ) == THROTTLING.blockages(NOW)
    later = NOW + timedelta(minutes=40)
    assert (Blockage("intent_validation", 3),) == THROTTLING.blockages(later)
    assert () == THROTTLING.blockages(NOW + HOUR)


def test_a_back_off_ends() -> None:
    subject = Throttling(backoff_until=NOW)
    assert (True, False) == (subject.backing_off(NOW - HOUR), subject.backing_off(NOW))
    assert not Throttling().backing_off(NOW)


def test_the_default_time_is_now() -> None:
    subject = Throttling(
        enabled=True, limiters=Limiters(five_hour=True), windows=(replace(PACED_WINDOWS[0]),)
    )
    assert subject.throttling() is None
    assert subject.stale()


def test_an_estimated_window_is_never_stale_and_has_a_target_until_its_reset() -> None:
    window = replace(PACED_WINDOWS[0], utilization=None, synthetic=True)
    assert (False, 56.3, None) == (
        window.stale(NOW),
        round(window.target(NOW) or 0, 1),
        window.deviation(NOW),
    )
    later = NOW + 3 * HOUR
    assert (False, None) == (window.stale(later), window.target(later))


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (Gap("usage.db", GapReason.LOCKED), "usage.db is locked by another program"),
        (
            Gap("api_cache", GapReason.MISSING_COLUMNS, ("timestamp", "raw_response")),
            "api_cache has no timestamp, raw_response",
        ),
        (
            Gap("config.json", GapReason.UNUSABLE_VALUE, ("enabled",)),
            "config.json has an unusable value: enabled",
        ),
    ],
)
def test_a_gap_names_the_part_and_the_reason(gap: Gap, expected: str) -> None:
    assert expected == str(gap)
