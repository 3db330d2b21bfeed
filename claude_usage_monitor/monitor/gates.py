"""What keeps a token from asking again after a failure, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    Unauthorized,
    UsageMonitorError,
)
from claude_usage_monitor.monitor import backoff
from claude_usage_monitor.store.state.ledger import Gate
from claude_usage_monitor.usage.status import Problem

if TYPE_CHECKING:
    from datetime import datetime

# A token that was refused is not sent again for this long, however often its store is looked at.
_REFUSED_FOR: dict[type[UsageMonitorError], timedelta] = {
    Unauthorized: timedelta(minutes=15),
    CredentialsExpired: timedelta(minutes=15),
    MissingScope: timedelta(hours=1),
    Forbidden: timedelta(hours=1),
}
CREDENTIAL_CODES = frozenset(kind.code for kind in _REFUSED_FOR)
RENEWED_FOR = frozenset((Unauthorized.code, CredentialsExpired.code))
"""Problems that another token may not have."""


def gate_after(
    error: UsageMonitorError, before: Gate | None, now: datetime, ahead: timedelta, *, chance: float
) -> Gate:
    """Return what a failed request leaves behind; ``before`` tells how many of its kind there were.

    ``ahead`` is how far this computer's clock is, ``chance`` the share (0–1) of the jitter.
    """
    rate_limits = failures = 0
    if isinstance(error, RateLimited):
        rate_limits = (before.rate_limits if before else 0) + 1
        next_at = backoff.after_rate_limit(now, error.retry_after, rate_limits, chance=chance)
    elif type(error) in _REFUSED_FOR:
        next_at = now + _REFUSED_FOR[type(error)]
    else:
        failures = (before.failures if before else 0) + 1
        next_at = backoff.after_error(now, failures, chance=chance)
    return Gate(now, next_at, Problem.from_error(error), rate_limits, failures, ahead)
