"""When to read next. Pure: instants in, an instant out.

The usage endpoint gives about 28 requests an hour and account, shared with Claude Code itself,
so the floor between two requests is minutes, and a 429 is never probed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    Unauthorized,
    UsageMonitorError,
)
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.usage.status import Problem

AFTER_RESET = timedelta(seconds=60)  # the API itself is some seconds late
MAX_JITTER = 0.1  # of a wait, added: a wait is only ever lengthened

FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(minutes=15)

LEAST_RATE_LIMIT = timedelta(seconds=300)
REPEATED_RATE_LIMIT = timedelta(minutes=30)
LONGEST_RATE_LIMIT = timedelta(minutes=60)
LONG_BLOCK = timedelta(minutes=10)  # an announced wait from here on is often extended once,
LONG_BLOCK_MARGIN = timedelta(minutes=15)  # by about as much

LEAST_REPORTS = timedelta(seconds=60)  # between two reads of an organisation: "once per minute"


def after_success(
    now: datetime,
    resets: Iterable[datetime],
    *,
    interval: timedelta,
    floor: timedelta,
    jitter: float = 0.0,
) -> datetime:
    """Return when to read next: an interval on, or soon after a reset that comes before that.

    Never sooner than ``floor``. ``jitter`` (0–1) is the share of the jitter that is added.
    """
    regular = now + max(interval, floor) * (1 + MAX_JITTER * jitter)
    after_resets = [max(reset + AFTER_RESET, now + floor) for reset in resets if reset > now]
    return min([regular, *after_resets])


def after_error(now: datetime, failures: int, *, jitter: float = 0.0) -> datetime:
    """Return when to try again after the ``failures``-th failure in a row: 30 s doubling."""
    wait: timedelta = min(FIRST_BACKOFF * 2 ** min(failures - 1, 10), LONGEST_BACKOFF)
    return now + wait * (1 + MAX_JITTER * jitter)


def after_rate_limit(
    now: datetime, retry_after: timedelta | None, repeats: int, *, jitter: float = 0.0
) -> datetime:
    """Return when to ask again after the ``repeats``-th 429 in a row (the first is 1).

    What was asked for, at least five minutes; from the second one on doubling to half an hour; at
    most an hour, and a margin on long blocks.
    """
    asked = retry_after or timedelta()
    wait = max(asked, LEAST_RATE_LIMIT)
    if repeats > 1:
        wait = max(wait, min(LEAST_RATE_LIMIT * 2 ** min(repeats - 1, 10), REPEATED_RATE_LIMIT))
    wait = min(wait * (1 + MAX_JITTER * jitter), LONGEST_RATE_LIMIT)
    return now + wait + (LONG_BLOCK_MARGIN if asked >= LONG_BLOCK else timedelta())


def after_report_rate_limit(
    now: datetime, retry_after: timedelta | None, repeats: int, *, jitter: float = 0.0
) -> datetime:
    """Return when to ask for an organisation's reports again after the ``repeats``-th 429 in a row.

    What was asked for; without that a minute, doubling: the reports' limit is told by nobody.
    """
    wait: timedelta = LEAST_REPORTS * 2 ** min(repeats - 1, 10)
    if retry_after is not None:
        wait = max(retry_after, LEAST_REPORTS)
    return now + min(wait * (1 + MAX_JITTER * jitter), LONGEST_RATE_LIMIT)


# A token that was refused is not sent again for this long, however often its store is looked at.
_REFUSED_FOR: dict[type[UsageMonitorError], timedelta] = {
    Unauthorized: timedelta(minutes=15),
    CredentialsExpired: timedelta(minutes=15),
    MissingScope: timedelta(hours=1),
    Forbidden: timedelta(hours=1),
}
CREDENTIAL_CODES = frozenset(kind.code for kind in _REFUSED_FOR)
REFRESHABLE_CODES = frozenset((Unauthorized.code, CredentialsExpired.code))
"""Problems that another token may not have."""


def backoff_after(
    error: UsageMonitorError,
    before: Backoff | None,
    now: datetime,
    ahead: timedelta,
    *,
    jitter: float,
) -> Backoff:
    """Return what a failed request leaves behind; ``before`` tells how many of its kind there were.

    ``ahead`` is how far this computer's clock is, ``jitter`` the share (0–1) of the jitter.
    """
    rate_limits = failures = 0
    if isinstance(error, RateLimited):
        rate_limits = (before.rate_limits if before else 0) + 1
        next_request_at = after_rate_limit(now, error.retry_after, rate_limits, jitter=jitter)
    elif type(error) in _REFUSED_FOR:
        next_request_at = now + _REFUSED_FOR[type(error)]
    else:
        failures = (before.failures if before else 0) + 1
        next_request_at = after_error(now, failures, jitter=jitter)
    return Backoff(now, next_request_at, Problem.from_error(error), rate_limits, failures, ahead)
