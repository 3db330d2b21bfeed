"""A problem in words that are true at this moment: "expired 12 minutes ago", "wait (31m)"."""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.usage.durations import ClockStyle, clock_time, countdown, span_in_words
from claude_usage_monitor.usage.status import AccountStatus, Problem

_RETRIED = frozenset(("unreachable", "server_error", "unexpected_response"))
_SHORT = {
    "no_credentials": "not logged in",
    "credentials_expired": "login expired",
    "unauthorized": "login refused",
    "missing_scope": "wrong scope",
    "forbidden": "not allowed",
    "rate_limited": "429: wait",
    "unreachable": "offline",
    "server_error": "API error",
    "unexpected_response": "not figures",
    "secret_store_unavailable": "keychain shut",
    "accounts_unavailable": "list unusable",
    "unknown_account": "removed",
}


def message(problem: Problem, now: datetime, style: ClockStyle) -> str:
    """Return what happened, with the times as they are now."""
    if problem.code == "credentials_expired" and problem.since is not None:
        return f"The login expired {span_in_words(now - problem.since)} ago."
    if problem.code == "rate_limited" and problem.retry_at is not None and problem.retry_at > now:
        until = clock_time(problem.retry_at, now, style)
        what = problem.message.removesuffix(".")
        return f"{what} until {until} ({countdown(problem.retry_at - now)})."
    return problem.message


def hint(status: AccountStatus, now: datetime, style: ClockStyle, *, live: bool) -> str:
    """Return what to do about the status's problem, and when it is tried again."""
    problem = status.problem
    if problem is None:
        return ""
    words = problem.hint
    if problem.code == "rate_limited" and status.as_of is not None:
        minute = status.as_of - timedelta(seconds=30)  # never rounded into the future
        as_of = clock_time(minute, status.api_time(now), style)
        words = f"Figures stay as of {as_of}. {words}"
    elif problem.code in _RETRIED and problem.retry_at is not None and problem.retry_at > now:
        again = "Trying again" if live else "Try again"
        when = f"{again} in {countdown(problem.retry_at - now)}."
        return when if problem.code == "server_error" else f"{words} {when}"
    return words


def short(problem: Problem, now: datetime) -> str:
    """Return the problem in two or three words, for panes without room for a sentence."""
    words = _SHORT.get(problem.code, problem.code)
    if problem.code == "rate_limited" and problem.retry_at is not None and problem.retry_at > now:
        return f"{words} {countdown(problem.retry_at - now, compact=True)}"
    return words
