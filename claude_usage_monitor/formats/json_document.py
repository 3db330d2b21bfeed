"""The JSON document of ``--json``, version 1. Programs rely on its field names.

Unknown is ``null``, instants are UTC with a ``Z``, spans are seconds. Fields are added, never
changed or removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.json_values import Json, amount, instant, rounded
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle, iso_instant
from claude_usage_monitor.usage.limits.forecast import Forecast
from claude_usage_monitor.usage.limits.windows import (
    Amounts,
    CreditPool,
    ExtraUsage,
    UsageWindow,
)
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.usage.attribution.shown import WindowUse
    from claude_usage_monitor.usage.limits.saved_resets import SavedResets
    from claude_usage_monitor.usage.service import ServiceStatus

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
    values: Json = {
        "version": VERSION,
        "generated_at": iso_instant(now),
        "accounts": [_account(status, now, clock) for status in statuses],
        "service": _service(statuses[0].service if statuses else None, now),
        "problem": _error(error),
    }
    if error is None and statuses and not any(status.has_figures for status in statuses):
        values["problem"] = _problem(statuses[0], now, clock)
    return values


def _account(status: AccountStatus, now: datetime, clock: ClockStyle) -> Json:
    api_now = status.api_time(now)
    usage = status.usage.at(api_now) if status.usage else None
    reading = usage or status.spend
    age = status.age(now)
    return {
        "name": status.account.name,
        "kind": status.account.kind,
        "active": status.account.active,
        "credential_origin": status.credential_origin,
        "profile": _profile(status.profile),
        "windows": [_window(w, status, api_now) for w in usage.windows] if usage else [],
        "extra_usage": _extra_usage(usage.extra_usage) if usage and usage.extra_usage else None,
        "credit_pools": [_pool(pool) for pool in usage.credit_pools] if usage else [],
        "saved_resets": _saved_resets(usage.saved_resets, api_now) if usage else None,
        "spend": _spend(status),
        "throttling": _throttling(status, now),
        "source": reading.source if reading else None,
        "as_of": iso_instant(reading.as_of) if reading else None,
        "age_seconds": int(age.total_seconds()) if age is not None else None,
        "stale": status.stale(now),
        "next_read_at": instant(status.next_read_at),
        "problem": _problem(status, now, clock),
        "notice": status.notice,
    }


def _spend(status: AccountStatus) -> Json | None:
    if status.spend is None:
        return None
    # Takes 0.2 ms, and only organizations need it.
    from claude_usage_monitor.formats.json_spend import spend_json

    return spend_json(status.spend)


def _throttling(status: AccountStatus, now: datetime) -> Json | None:
    if status.throttling is None:
        return None
    # Takes 5 ms, and only accounts with Claude Pace Maker need it.
    from claude_usage_monitor.formats.json_throttling import throttling_json

    return throttling_json(status.throttling, now)


def _service(service: ServiceStatus | None, now: datetime) -> Json | None:
    if service is None:
        return None
    return {
        "indicator": service.indicator,
        "description": service.description,
        "components": [{"name": each.name, "status": each.status} for each in service.components],
        "incidents": [
            {
                "name": each.name,
                "impact": each.impact,
                "status": each.status,
                "started_at": instant(each.started_at),
                "url": each.url,
            }
            for each in service.incidents
        ],
        "as_of": iso_instant(service.as_of),
        "stale": service.stale(now),
    }


def _profile(profile: Profile | None) -> Json | None:
    if profile is None:
        return None
    return {
        "display_name": profile.display_name,
        "email": profile.email,
        "organization": profile.organization,
        "plan": profile.plan,
        "rate_limit_tier": profile.rate_limit_tier,
    }


def _window(window: UsageWindow, status: AccountStatus, now: datetime) -> Json:
    return {
        "key": window.key,
        "label": window.label,
        "model": window.model,
        "utilization": window.utilization,
        "severity": window.severity,
        "binding": window.binding,
        "state": window.state(now),
        "resets_at": instant(window.resets_at),
        "resets_in_seconds": window.resets_in_seconds(now),
        "window_seconds": window.window_seconds,
        "elapsed_percent": rounded(window.elapsed_percent(now), 1),
        "pace": window.pace(now),
        "pace_delta": rounded(window.pace_delta(now), 1),
        "full_at": instant(window.full_at(now)),
        "forecast": _forecast(window.forecast) if window.forecast else None,
        "source": window.source,
        "as_of": iso_instant(window.as_of),
        "amounts": _amounts(window.amounts) if window.amounts else None,
        "use": next((_use(use) for use in status.use if use.key == window.key), None),
    }


def _use(use: WindowUse) -> Json:
    return {
        "rows": [
            {"project": row.project, "points": rounded(row.points), "share": rounded(row.share)}
            for row in use.rows
        ],
        "elsewhere": rounded(use.elsewhere),
        "plus_minus": rounded(use.plus_minus, 1),
        "basis": use.basis,
        "subagents": rounded(use.subagents),
        "rebuilds": use.rebuilds,
        "as_of": iso_instant(use.as_of),
    }


def _amounts(amounts: Amounts) -> Json:
    used, limit = amount(amounts.used), amount(amounts.limit)
    return {"used": used, "limit": limit, "currency": amounts.currency}


def _forecast(forecast: Forecast) -> Json:
    return {
        "run_out_at": instant(forecast.run_out_at),
        "run_out_earliest": instant(forecast.run_out_earliest),
        "run_out_latest": instant(forecast.run_out_latest),
        "probability": round(forecast.probability, 3),
        "expected_at_reset": round(forecast.expected_at_reset, 1),
        "basis": forecast.basis,
    }


def _extra_usage(extra: ExtraUsage) -> Json:
    return {
        "enabled": extra.enabled,
        "used": amount(extra.used),
        "limit": amount(extra.limit),
        "currency": extra.currency,
        "utilization": rounded(extra.utilization),
        "disabled_reason": extra.disabled_reason,
    }


def _pool(pool: CreditPool) -> Json:
    return {
        "key": pool.key,
        "label": pool.label,
        "used": amount(pool.used),
        "limit": amount(pool.limit),
        "utilization": rounded(pool.utilization),
        "currency": pool.currency,
        "expires_at": instant(pool.expires_at),
    }


def _saved_resets(saved: SavedResets | None, now: datetime) -> Json | None:
    if saved is None:
        return None
    return {
        "count": saved.count(now),
        "use_by": instant(saved.use_by(now)),
        "clears": list(saved.clears(now)),
        "as_of": iso_instant(saved.as_of),
    }


def _problem(status: AccountStatus, now: datetime, clock: ClockStyle) -> Json | None:
    problem = status.problem
    if problem is None:
        return None
    return {
        "code": problem.code,
        "message": problem_text.message(problem, now, clock),
        "hint": problem_text.hint(status, now, clock, live=False),
        "retry_at": instant(problem.retry_at),
    }


def _error(error: UsageMonitorError | None) -> Json | None:
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "hint": error.hint, "retry_at": None}
