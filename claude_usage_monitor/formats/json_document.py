"""The JSON document of ``--json``, version 1: the field names that programs rely on.

Unknown is ``null``. Instants are UTC with a ``Z``, spans are seconds. Fields are only ever added.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

from claude_usage_monitor.usage import wording
from claude_usage_monitor.usage.durations import ClockStyle, iso_instant
from claude_usage_monitor.usage.throttling import COMPUTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from claude_usage_monitor.errors import UsageMonitorError
    from claude_usage_monitor.usage.profile import Profile
    from claude_usage_monitor.usage.status import AccountStatus
    from claude_usage_monitor.usage.throttling import PacedWindow, Throttling
    from claude_usage_monitor.usage.windows import CreditPool, ExtraUsage, UsageWindow

VERSION = 1

Json: TypeAlias = dict[str, object]


def json_document(
    statuses: Sequence[AccountStatus],
    now: datetime,
    style: ClockStyle,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the document of all statuses, or of the error that left none.

    The top-level ``problem`` is set when no account has figures.
    """
    blind = [status for status in statuses if status.usage is None]
    document: Json = {
        "version": VERSION,
        "generated_at": iso_instant(now),
        "accounts": [_account(status, now, style) for status in statuses],
        "problem": _error(error),
    }
    if error is None and len(blind) == len(statuses) > 0:
        document["problem"] = _problem(blind[0], now, style)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _account(status: AccountStatus, now: datetime, style: ClockStyle) -> Json:
    true_now = status.true_time(now)
    usage = status.usage.at(true_now) if status.usage else None
    age = status.age(now)
    return {
        "name": status.account.name,
        "kind": status.account.kind,
        "active": status.account.active,
        "credential_origin": status.credential_origin,
        "profile": _profile(status.profile),
        "windows": [_window(window, true_now) for window in usage.windows] if usage else [],
        "extra_usage": _extra_usage(usage.extra_usage) if usage and usage.extra_usage else None,
        "credit_pools": [_pool(pool) for pool in usage.credit_pools] if usage else [],
        "spend": None,
        "throttling": _throttling(status.throttling, now) if status.throttling else None,
        "source": usage.source if usage else None,
        "as_of": iso_instant(usage.as_of) if usage else None,
        "age_seconds": int(age.total_seconds()) if age is not None else None,
        "stale": status.stale(now),
        "next_read_at": _instant(status.next_read_at),
        "problem": _problem(status, now, style),
        "notice": status.notice,
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


def _window(window: UsageWindow, now: datetime) -> Json:
    left = window.time_until_reset(now)
    return {
        "key": window.key,
        "label": window.label,
        "model": window.model,
        "utilization": window.utilization,
        "severity": window.severity,
        "binding": window.binding,
        "state": window.state(now),
        "resets_at": _instant(window.resets_at),
        "resets_in_seconds": round(left.total_seconds()) if left is not None else None,
        "window_seconds": window.window_seconds,
        "elapsed_percent": _rounded(window.time_elapsed_percent(now), 1),
        "pace": window.pace(now),
        "pace_delta": _rounded(window.pace_delta(now), 1),
        "full_at": _instant(window.full_at(now)),
        "source": window.source,
        "as_of": iso_instant(window.as_of),
    }


def _extra_usage(extra: ExtraUsage) -> Json:
    return {
        "enabled": extra.enabled,
        "used": _amount(extra.used),
        "limit": _amount(extra.limit),
        "currency": extra.currency,
        "utilization": _rounded(extra.utilization),
        "disabled_reason": extra.disabled_reason,
    }


def _pool(pool: CreditPool) -> Json:
    return {
        "key": pool.key,
        "label": pool.label,
        "used": _amount(pool.used),
        "limit": _amount(pool.limit),
        "utilization": _rounded(pool.utilization),
        "currency": pool.currency,
        "expires_at": _instant(pool.expires_at),
    }


def _throttling(throttling: Throttling, now: datetime) -> Json:
    return {
        "enabled": throttling.enabled,
        "throttling": throttling.throttling(now),
        "delay_seconds": throttling.delay_seconds,
        "decided_at": _instant(throttling.decided_at),
        "window": throttling.window(now),
        "target": _rounded(throttling.target(now), 1),
        "deviation": _rounded(throttling.deviation(now), 1),
        "tempo": throttling.tempo,
        "tempo_engaged": throttling.tempo_engaged(now),
        "mode": throttling.mode,
        "limiters": asdict(throttling.limiters),
        "backoff_until": _instant(
            throttling.backoff_until if throttling.backing_off(now) else None
        ),
        "blockages": [asdict(blockage) for blockage in throttling.blockages(now)],
        "windows": [_paced(window, now) for window in throttling.windows],
        "computed": list(COMPUTED),
        "gaps": list(throttling.gaps),
        "as_of": _instant(throttling.as_of),
        "stale": throttling.stale(now),
    }


def _paced(window: PacedWindow, now: datetime) -> Json:
    return {
        "key": window.key,
        "utilization": _rounded(window.utilization, 1),
        "synthetic": window.synthetic,
        "resets_at": _instant(window.resets_at),
        "target": _rounded(window.target(now), 1),
        "deviation": _rounded(window.deviation(now), 1),
        "stale": window.stale(now),
    }


def _problem(status: AccountStatus, now: datetime, style: ClockStyle) -> Json | None:
    problem = status.problem
    if problem is None:
        return None
    return {
        "code": problem.code,
        "message": wording.message(problem, now, style),
        "hint": wording.hint(status, now, style, live=False),
        "retry_at": _instant(problem.retry_at),
    }


def _error(error: UsageMonitorError | None) -> Json | None:
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "hint": error.hint, "retry_at": None}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else iso_instant(moment)


def _rounded(figure: float | None, digits: int = 2) -> float | None:
    return None if figure is None else round(figure, digits)


def _amount(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
