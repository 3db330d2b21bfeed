"""The text of a problem at a given time: "expired 12 minutes ago", "Next request 14:52 (31m)"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from claude_usage_monitor.usage.durations import (
    DAY,
    MINUTE,
    ClockStyle,
    clock_time,
    countdown,
    span_in_words,
)
from claude_usage_monitor.usage.status import AccountStatus, Problem

_RETRIED = frozenset(("unreachable", "server_error", "unexpected_response"))
_LONG_AGO = 365 * DAY  # from then on, the exact age of a login is not shown
_SUMMARIES = {
    "no_credentials": "not logged in",
    "permission_denied": "no permission",
    "credentials_expired": "login expired",
    "unauthorized": "login refused",
    "missing_scope": "wrong scope",
    "forbidden": "not allowed",
    "rate_limited": "429: wait",
    "unreachable": "offline",
    "server_error": "API error",
    "unexpected_response": "bad reply",
    "secret_store_unavailable": "keyring locked",
    "accounts_unavailable": "no accounts.db",
    "unknown_account": "removed",
}


def message(problem: Problem, now: datetime, style: ClockStyle) -> str:
    """Return what happened, with times relative to ``now``."""
    if problem.code == "credentials_expired" and problem.since is not None:
        return _expired(now - problem.since)
    if problem.code == "rate_limited" and problem.retry_at is not None and problem.retry_at > now:
        next_request = clock_time(problem.retry_at, now, style)
        left = countdown(problem.retry_at - now)
        return f"{problem.message} Next request {next_request} ({left})."
    return problem.message


def wrong_clock(skew: timedelta, span_text: Callable[[timedelta], str]) -> str:
    """Return that this computer's clock differs from the API's; ``skew`` is how far it is ahead."""
    side = "ahead of" if skew > timedelta() else "behind"
    return f"This clock is {span_text(abs(skew))} {side} the API's: times here follow the API."


def _expired(span: timedelta) -> str:
    if span < MINUTE:
        return "The login has just expired."
    if span > _LONG_AGO:
        return "The login expired more than a year ago."
    return f"The login expired {span_in_words(span)} ago."


def hint(status: AccountStatus, now: datetime, style: ClockStyle, *, live: bool) -> str:
    """Return what the user can do about the problem, and when the next try is due."""
    problem = status.problem
    if problem is None:
        return ""
    text = problem.hint
    if problem.code == "rate_limited" and status.as_of is not None:
        minute = status.as_of - timedelta(seconds=30)  # clock_time rounds: never into the future
        as_of = clock_time(minute, status.api_time(now), style)
        text = f"Figures stay as of {as_of}. {text}"
    elif problem.code in _RETRIED and problem.retry_at is not None and problem.retry_at > now:
        retry = "Trying again" if live else "Try again"
        when = f"{retry} in {countdown(problem.retry_at - now)}."
        if problem.code == "unreachable":
            return f"{text.removesuffix('.')}; {when.lower()}"
        return when if problem.code == "server_error" else f"{text} {when}"
    return text


def short(problem: Problem, now: datetime) -> str:
    """Return the problem in two or three words, for narrow panes."""
    summary = _SUMMARIES.get(problem.code, problem.code)
    if problem.code == "rate_limited" and problem.retry_at is not None and problem.retry_at > now:
        return f"{summary} {countdown(problem.retry_at - now, compact=True)}"
    return summary
