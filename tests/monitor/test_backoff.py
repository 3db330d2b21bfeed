from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.monitor.backoff import (
    after_error,
    after_rate_limit,
    after_report_rate_limit,
    after_success,
)
from tests.support.payloads import NOW

FLOOR = timedelta(seconds=180)
SPANS = st.floats(5, 86400).map(lambda seconds: timedelta(seconds=seconds))
CHANCES = st.floats(0, 1)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.mark.parametrize(
    ("interval", "resets", "expected"),
    [
        (300, [], 300),
        (5, [], 180),
        (600, [], 600),
        (600, [400], 460),
        (600, [60], 180),
        (600, [-50], 600),
        (600, [590, 300], 360),
        (300, [299], 300),
    ],
)
def test_the_next_read_is_an_interval_on_or_a_minute_after_a_reset(
    interval: int, resets: list[int], expected: int
) -> None:
    due = after_success(
        NOW,
        [NOW + timedelta(seconds=at) for at in resets],
        interval=timedelta(seconds=interval),
        floor=FLOOR,
    )
    assert timedelta(seconds=expected) == due - NOW


@given(SPANS, st.lists(st.floats(-1e5, 1e5), max_size=5), CHANCES)
def test_no_read_is_sooner_than_the_floor_nor_later_than_the_interval_and_its_jitter(
    interval: timedelta, resets: list[float], jitter: float
) -> None:
    moments = [NOW + timedelta(seconds=at) for at in resets]
    due = after_success(NOW, moments, interval=interval, floor=FLOOR, jitter=jitter)
    assert FLOOR <= due - NOW <= max(interval, FLOOR) * 1.1 + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (10**6, 900)]
)
def test_errors_back_off_from_half_a_minute_to_a_quarter_of_an_hour(
    failures: int, seconds: int
) -> None:
    assert timedelta(seconds=seconds) == after_error(NOW, failures) - NOW


@pytest.mark.parametrize(
    ("retry_after", "repeats", "expected"),
    [
        (None, 1, minutes(5)),
        (0, 1, minutes(5)),
        (200, 1, minutes(5)),
        (500, 1, timedelta(seconds=500)),
        (600, 1, minutes(10 + 15)),
        (3600, 1, minutes(60 + 15)),
        (86400, 1, minutes(60 + 15)),
        (None, 2, minutes(10)),
        (None, 3, minutes(20)),
        (None, 4, minutes(30)),
        (None, 99, minutes(30)),
        (1700, 3, timedelta(seconds=1700) + minutes(15)),
    ],
)
def test_a_rate_limit_is_waited_out(
    retry_after: int | None, repeats: int, expected: timedelta
) -> None:
    asked = None if retry_after is None else timedelta(seconds=retry_after)
    assert expected == after_rate_limit(NOW, asked, repeats) - NOW


@given(st.none() | SPANS, st.integers(1, 1000), CHANCES)
def test_a_wait_is_only_ever_lengthened(
    retry_after: timedelta | None, repeats: int, jitter: float
) -> None:
    plain = after_rate_limit(NOW, retry_after, repeats)
    assert plain <= after_rate_limit(NOW, retry_after, repeats, jitter=jitter)
    assert minutes(5) <= plain - NOW <= minutes(75)
    assert after_error(NOW, repeats) <= after_error(NOW, repeats, jitter=jitter)


@pytest.mark.parametrize(
    ("retry_after", "repeats", "expected"),
    [
        (None, 1, minutes(1)),
        (None, 2, minutes(2)),
        (None, 4, minutes(8)),
        (None, 99, minutes(60)),
        (0, 3, minutes(1)),
        (600, 3, minutes(10)),
        (86_400, 1, minutes(60)),
    ],
)
def test_a_rate_limit_of_the_reports_is_waited_out(
    retry_after: int | None, repeats: int, expected: timedelta
) -> None:
    """What was asked for; without that a minute, doubling. Never less than a minute."""
    asked = None if retry_after is None else timedelta(seconds=retry_after)
    assert expected == after_report_rate_limit(NOW, asked, repeats) - NOW
    assert expected <= after_report_rate_limit(NOW, asked, repeats, jitter=1.0) - NOW
