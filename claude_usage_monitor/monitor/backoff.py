"""When the next request may be sent. Pure: no clock, no randomness, nothing stored.

The usage endpoint allows about 28 requests per account and hour, including Claude Code's own. So
requests are minutes apart, and after a 429 no request is sent just to check whether it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.errors import (
    CredentialError,
    Forbidden,
    MissingScope,
    RateLimited,
    UsageMonitorError,
)
from claude_usage_monitor.light_typing import TypeAlias
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.usage.durations import MAX_WAIT
from claude_usage_monitor.usage.status import Problem

MIN_REPORT_INTERVAL = timedelta(seconds=60)  # Anthropic: reports "once per minute"

_MAX_JITTER = 0.1  # of a wait, so that several processes do not send at the same moment
_RESET_DELAY = timedelta(seconds=60)  # the API shows a reset some seconds late

_MIN_ERROR_WAIT = timedelta(seconds=30)
_MAX_ERROR_WAIT = timedelta(minutes=15)

_MIN_RATE_LIMIT_WAIT = timedelta(minutes=5)
_MAX_DOUBLED_RATE_LIMIT_WAIT = timedelta(minutes=30)
_MAX_RATE_LIMIT_WAIT = timedelta(minutes=60)  # unless the API asks for more
_LONG_BLOCK = timedelta(minutes=10)  # the API often extends an announced wait this long once
_LONG_BLOCK_MARGIN = timedelta(minutes=15)  # the usual extension

_REFUSED_WAIT = timedelta(minutes=15)  # meanwhile, the login may be renewed or replaced
_FORBIDDEN_WAIT = timedelta(hours=1)  # only an admin or another token helps

WaitPolicy: TypeAlias = Callable[[UsageMonitorError, int, float], timedelta]
"""Returns the wait after an error; takes the error, how many in a row, and the jitter (0-1)."""


def lengthened(wait: timedelta, jitter: float) -> timedelta:
    """Return the wait plus up to ten percent, scaled by ``jitter`` (0-1)."""
    return wait * (1 + _MAX_JITTER * jitter)


def next_regular_read(
    last_read: datetime,
    resets: Iterable[datetime],
    *,
    interval: timedelta,
    floor: timedelta,
    jitter: float = 0.0,
) -> datetime:
    """Return the end of the interval, or a moment after a window's reset if that is sooner.

    The result is at least ``floor`` after the last read.
    """
    end_of_interval = last_read + lengthened(max(interval, floor), jitter)
    after_resets = [
        max(reset + _RESET_DELAY, last_read + floor) for reset in resets if reset > last_read
    ]
    return min([end_of_interval, *after_resets])


def backoff_after(
    error: UsageMonitorError,
    previous: Backoff | None,
    now: datetime,
    wait_after: WaitPolicy,
    jitter: float,
) -> Backoff:
    """Return the back-off after a failed request; ``previous`` is the one before the request."""
    rate_limits = failures = 0
    if isinstance(error, RateLimited):
        rate_limits = (previous.rate_limits if previous else 0) + 1
    elif not isinstance(error, CredentialError):
        failures = (previous.failures if previous else 0) + 1
    wait = wait_after(error, rate_limits or failures, jitter)
    return Backoff(now, now + wait, Problem.from_error(error), rate_limits, failures)


def usage_wait(error: UsageMonitorError, count: int, jitter: float) -> timedelta:
    """Return the wait after a failed request for usage. A `WaitPolicy`."""
    if isinstance(error, RateLimited):
        return rate_limit_wait(error.retry_after, count, jitter)
    if isinstance(error, CredentialError):
        return _FORBIDDEN_WAIT if isinstance(error, MissingScope | Forbidden) else _REFUSED_WAIT
    return error_wait(count, jitter)


def report_wait(error: UsageMonitorError, count: int, jitter: float) -> timedelta:
    """Return the wait after a failed request for an organization's reports. A `WaitPolicy`.

    A 429 without a Retry-After header doubles the wait: the limit of this API is not documented.
    """
    if isinstance(error, RateLimited):
        announced = _announced(error.retry_after)
        wait = announced or _doubled(MIN_REPORT_INTERVAL, count, _MAX_RATE_LIMIT_WAIT)
        return _at_least(announced, max(wait, MIN_REPORT_INTERVAL), jitter)
    if isinstance(error, CredentialError):
        return _REFUSED_WAIT
    return max(error_wait(count, jitter), MIN_REPORT_INTERVAL)


def error_wait(count: int, jitter: float = 0.0) -> timedelta:
    """Return the wait after the ``count``-th error in a row: 30 s, doubling to 15 min."""
    return lengthened(_doubled(_MIN_ERROR_WAIT, count, _MAX_ERROR_WAIT), jitter)


def rate_limit_wait(retry_after: timedelta | None, count: int, jitter: float = 0.0) -> timedelta:
    """Return the wait after the ``count``-th 429 in a row of an account.

    This is the announced wait, but at least 5 min; the minimum doubles with each further 429, up to
    30 min. An announced wait of more than 24 hours counts as 24 hours. A long one is extended by a
    margin.
    """
    announced = _announced(retry_after)
    wait = max(announced, _doubled(_MIN_RATE_LIMIT_WAIT, count, _MAX_DOUBLED_RATE_LIMIT_WAIT))
    margin = _LONG_BLOCK_MARGIN if announced >= _LONG_BLOCK else timedelta()
    return _at_least(announced, wait, jitter) + margin


def _announced(retry_after: timedelta | None) -> timedelta:
    return min(retry_after or timedelta(), MAX_WAIT)


def _at_least(announced: timedelta, wait: timedelta, jitter: float) -> timedelta:
    """Return the wait with jitter: at most 60 min, but never less than the API announced."""
    return max(announced, min(lengthened(wait, jitter), _MAX_RATE_LIMIT_WAIT))


def _doubled(first: timedelta, count: int, longest: timedelta) -> timedelta:
    """Return the ``count``-th wait of a series that doubles up to ``longest``."""
    wait: timedelta = first * 2 ** min(count - 1, 10)  # at most 2**10: avoids an overflow
    return min(wait, longest)
