from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    MissingScope,
    NoCredentials,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.backoff import (
    WaitPolicy,
    backoff_after,
    error_wait,
    lengthened,
    next_regular_read,
    rate_limit_wait,
    report_wait,
    usage_wait,
)
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.usage.status import Problem
from tests.support.payloads import NOW

FLOOR = timedelta(seconds=180)
SPANS = st.floats(5, 86400).map(lambda seconds: timedelta(seconds=seconds))
JITTER = st.floats(0, 1)


def seconds(count: float | None) -> timedelta:
    return timedelta(seconds=count or 0)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_jitter_adds_up_to_ten_percent() -> None:
    assert [seconds(100), seconds(105), seconds(110)] == [
        lengthened(seconds(100), jitter) for jitter in (0, 0.5, 1)
    ]


# --- after a successful read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "resets", "expected"),
    [
        (300, [], 300),
        (5, [], 180),
        (600, [], 600),
        (600, [400], 460),
        (600, [60], 180),
        (600, [0], 600),
        (600, [-50], 600),
        (600, [590, 300], 360),
        (300, [299], 300),
    ],
)
def test_reads_again_after_the_interval_or_a_minute_after_a_reset(
    interval: int, resets: list[int], expected: int
) -> None:
    due = next_regular_read(
        NOW, [NOW + seconds(at) for at in resets], interval=seconds(interval), floor=FLOOR
    )
    assert seconds(expected) == due - NOW


def test_jitter_lengthens_the_interval_and_not_the_minute_after_a_reset() -> None:
    def due(*resets: timedelta) -> timedelta:
        moments = [NOW + reset for reset in resets]
        interval = minutes(10)
        return next_regular_read(NOW, moments, interval=interval, floor=FLOOR, jitter=1.0) - NOW

    assert (minutes(11), minutes(6)) == (due(), due(minutes(5)))


@given(SPANS, st.lists(st.floats(-1e5, 1e5), max_size=5), JITTER)
def test_never_reads_sooner_than_the_floor_or_later_than_the_lengthened_interval(
    interval: timedelta, resets: list[float], jitter: float
) -> None:
    moments = [NOW + seconds(at) for at in resets]
    due = next_regular_read(NOW, moments, interval=interval, floor=FLOOR, jitter=jitter)
    assert FLOOR <= due - NOW <= max(interval, FLOOR) * 1.1 + timedelta(milliseconds=1)


# --- after a failure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (10**6, 900)]
)
def test_errors_double_the_wait_from_half_a_minute_to_a_quarter_of_an_hour(
    count: int, expected: int
) -> None:
    assert seconds(expected) == error_wait(count)


@pytest.mark.parametrize(
    ("retry_after", "count", "expected"),
    [
        (None, 1, minutes(5)),
        (0, 1, minutes(5)),
        (200, 1, minutes(5)),
        (500, 1, seconds(500)),
        (599, 1, seconds(599)),
        (600, 1, minutes(10 + 15)),
        (3600, 1, minutes(60 + 15)),
        (86400, 1, minutes(24 * 60 + 15)),
        (86401, 1, minutes(24 * 60 + 15)),
        (10**9, 1, minutes(24 * 60 + 15)),
        (None, 2, minutes(10)),
        (None, 3, minutes(20)),
        (None, 4, minutes(30)),
        (None, 99, minutes(30)),
        (1700, 3, seconds(1700) + minutes(15)),
    ],
)
def test_a_rate_limit_of_the_usage_endpoint_is_waited_out(
    retry_after: int | None, count: int, expected: timedelta
) -> None:
    announced = None if retry_after is None else seconds(retry_after)
    assert expected == rate_limit_wait(announced, count)
    assert expected == usage_wait(RateLimited(retry_after=announced), count, 0.0)


@given(st.none() | SPANS, st.integers(1, 1000), JITTER)
def test_jitter_only_lengthens_a_wait(
    retry_after: timedelta | None, count: int, jitter: float
) -> None:
    without = rate_limit_wait(retry_after, count)
    assert without <= rate_limit_wait(retry_after, count, jitter)
    assert max(retry_after or seconds(0), minutes(5)) <= without <= minutes(24 * 60 + 15)
    assert error_wait(count) <= error_wait(count, jitter) <= error_wait(count) * 1.1


def test_jitter_lengthens_every_wait_that_may_be_shared_by_many() -> None:
    limited = RateLimited(retry_after=minutes(5))
    waits = [
        policy(error, 1, 1.0) / policy(error, 1, 0.0)
        for policy in (usage_wait, report_wait)
        for error in (limited, RateLimited())
    ]
    assert pytest.approx([1.1] * 4) == [*waits]
    assert (seconds(33), minutes(16.5)) == (error_wait(1, 1.0), error_wait(99, 1.0))
    assert minutes(5.5) == usage_wait(limited, 1, 1.0)


@pytest.mark.parametrize(
    ("retry_after", "count", "expected"),
    [
        (None, 1, minutes(1)),
        (None, 2, minutes(2)),
        (None, 4, minutes(8)),
        (None, 99, minutes(60)),
        (0, 3, minutes(4)),
        (600, 3, minutes(10)),
        (86_400, 1, minutes(24 * 60)),
        (10**9, 1, minutes(24 * 60)),
    ],
)
def test_a_rate_limit_of_the_reports_is_waited_out(
    retry_after: int | None, count: int, expected: timedelta
) -> None:
    """As long as announced, up to a day; else a minute, doubling up to an hour."""
    error = RateLimited(retry_after=None if retry_after is None else seconds(retry_after))
    assert expected == report_wait(error, count, 0.0)
    assert expected <= report_wait(error, count, 1.0) <= max(expected, minutes(60))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unauthorized(), minutes(15)),
        (CredentialsExpired(), minutes(15)),
        (NoCredentials(), minutes(15)),
        (MissingScope(), minutes(60)),
        (Forbidden(), minutes(60)),
        (ServerError(), seconds(30)),
        (Unreachable(), seconds(30)),
        (UnexpectedResponse(), seconds(30)),
    ],
)
def test_a_refused_login_waits_longer_than_a_failing_service(
    error: UsageMonitorError, expected: timedelta
) -> None:
    assert expected == usage_wait(error, 1, 0.0)
    in_a_report = minutes(15) if expected > minutes(1) else minutes(1)
    assert in_a_report == report_wait(error, 1, 0.0)


def test_a_report_waits_as_long_as_any_request_once_that_is_more_than_a_minute() -> None:
    assert [minutes(1), minutes(1), minutes(2)] == [
        report_wait(ServerError(), count, 0.0) for count in (1, 2, 3)
    ]


@pytest.mark.parametrize("policy", [usage_wait, report_wait])
def test_counts_rate_limits_and_failures_in_a_row(policy: WaitPolicy) -> None:
    backoff: Backoff | None = None
    counts = []
    errors = [ServerError(), Unreachable(), RateLimited(), RateLimited(), Unauthorized()]
    for error in [*errors, ServerError()]:
        backoff = backoff_after(error, backoff, NOW, policy, 0.5)
        counts.append((backoff.failures, backoff.rate_limits))
        count = backoff.failures or backoff.rate_limits
        assert NOW + policy(error, count, 0.5) == backoff.next_request_at
    assert [(1, 0), (2, 0), (0, 1), (0, 2), (0, 0), (1, 0)] == counts


@pytest.mark.parametrize(
    ("error", "expected"),
    [(RateLimited(), (1, 0)), (ServerError(), (0, 1)), (Unauthorized(), (0, 0))],
)
def test_the_first_error_counts_as_one(error: UsageMonitorError, expected: tuple[int, int]) -> None:
    backoff = backoff_after(error, None, NOW, usage_wait, 0.0)
    assert expected == (backoff.rate_limits, backoff.failures)


def test_a_back_off_has_the_problem_and_the_time_of_the_request() -> None:
    error = ServerError("The API has a problem (529).")
    backoff = backoff_after(error, None, NOW, usage_wait, 0.0)
    expected = Backoff(NOW, NOW + seconds(30), Problem.from_error(error), failures=1)
    assert expected == backoff
