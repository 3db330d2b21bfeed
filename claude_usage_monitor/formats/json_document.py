"""The JSON document of ``--json``, version 1. Programs rely on its field names.

Unknown is ``null``, instants are UTC with a ``Z``, spans are seconds. Fields are added, never
changed or removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.json_schema import (
    ACCOUNT,
    PROBLEM,
    SAVED_RESETS,
    SERVICE,
    THROTTLING,
    WINDOW,
    Json,
    object_of,
)
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle, iso_instant
from claude_usage_monitor.usage.limits.windows import UsageWindow
from claude_usage_monitor.usage.status import AccountStatus

VERSION = 1


def render(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the document of all statuses, or of the error that prevented reading any."""
    values = document(statuses, now, options.clock, error)
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)


def render_on_one_line(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the document of `render` on one line, for a stream of documents."""
    values = document(statuses, now, options.clock, error)
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def document(
    statuses: Sequence[AccountStatus],
    now: datetime,
    clock: ClockStyle,
    error: UsageMonitorError | None = None,
) -> Json:
    """Return the document's values; `json_schema` describes them.

    If no account has figures, the top-level ``problem`` is that of the first one.
    """
    service = statuses[0].service if statuses else None
    problem = None
    if error is not None:
        problem = object_of(PROBLEM, error, now, retry_at=None)
    elif statuses and not any(status.has_figures for status in statuses):
        problem = _problem(statuses[0], now, clock)
    return {
        "version": VERSION,
        "generated_at": iso_instant(now),
        "accounts": [_account(status, now, clock) for status in statuses],
        "service": service and object_of(SERVICE, service, now),
        "problem": problem,
    }


def _account(status: AccountStatus, now: datetime, clock: ClockStyle) -> Json:
    api_now = status.api_time(now)
    usage = status.at(now).usage
    reading = usage or status.spend
    age = status.age(now)
    saved_resets = usage and usage.saved_resets
    return object_of(
        ACCOUNT,
        status,
        now,
        name=status.account.name,
        kind=status.account.kind,
        active=status.account.active,
        windows=[_window(each, status, api_now) for each in usage.windows] if usage else [],
        extra_usage=usage and usage.extra_usage,
        credit_pools=usage.credit_pools if usage else (),
        saved_resets=saved_resets and object_of(SAVED_RESETS, saved_resets, api_now),
        throttling=_throttling(status, now),
        source=reading and reading.source,
        age_seconds=None if age is None else int(age.total_seconds()),
        problem=_problem(status, now, clock),
    )


def _window(window: UsageWindow, status: AccountStatus, now: datetime) -> Json:
    use = next((use for use in status.use if use.key == window.key), None)
    return object_of(WINDOW, window, now, use=use)


def _throttling(status: AccountStatus, now: datetime) -> Json | None:
    """Return Claude Pace Maker's state."""
    throttling = status.throttling
    if throttling is None:
        return None
    return object_of(
        THROTTLING,
        throttling,
        now,
        backoff_until=throttling.backoff_until if throttling.backing_off(now) else None,
        gaps=[str(gap) for gap in throttling.gaps],
    )


def _problem(status: AccountStatus, now: datetime, clock: ClockStyle) -> Json | None:
    problem = status.problem
    if problem is None:
        return None
    message = problem_text.message(problem, now, clock)
    hint = problem_text.hint(status, now, clock, live=False)
    return object_of(PROBLEM, problem, now, message=message, hint=hint)
