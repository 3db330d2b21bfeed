"""The JSON document of ``--json``, version 1: the field names that programs rely on.

Unknown is ``null``. Instants are UTC with a ``Z``, spans are seconds. Fields are only ever added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from claude_usage_monitor.usage import wording
from claude_usage_monitor.usage.durations import ClockStyle, iso_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from claude_usage_monitor.errors import UsageMonitorError
    from claude_usage_monitor.usage.profile import Profile
    from claude_usage_monitor.usage.spend import (
        ClaudeCodeSpend,
        KeyTokens,
        NamedAmount,
        Spend,
        UserSpend,
    )
    from claude_usage_monitor.usage.status import AccountStatus
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
    blind = [status for status in statuses if not status.has_figures]
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
    reading = usage or status.spend
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
        "spend": _spend(status.spend) if status.spend else None,
        "throttling": None,
        "source": reading.source if reading else None,
        "as_of": iso_instant(reading.as_of) if reading else None,
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


def _spend(spend: Spend) -> Json:
    return {
        "currency": spend.currency,
        "period_start": spend.period_start.isoformat(),
        "period_end": spend.period_end.isoformat(),
        "month_to_date": _amount(spend.month_to_date),
        "projected": _amount(spend.projected),
        "projected_low": _amount(spend.projected_low),
        "projected_high": _amount(spend.projected_high),
        "projection_note": spend.projection_note,
        "budget": _amount(spend.budget),
        "budget_reached_on": spend.budget_reached_on and spend.budget_reached_on.isoformat(),
        "daily": [
            {"date": day.date.isoformat(), "amount": _amount(day.amount)} for day in spend.daily
        ],
        "by_workspace": _rows(spend.by_workspace),
        "by_model": _rows(spend.by_model),
        "by_api_key": _rows(spend.by_api_key),
        "claude_code": _claude_code(spend.claude_code) if spend.claude_code else None,
    }


def _claude_code(spend: ClaudeCodeSpend) -> Json:
    you = spend.you
    return {
        "estimated": spend.estimated,
        "as_of": iso_instant(spend.as_of),
        "month_to_date": _amount(spend.month_to_date),
        "you": {"email": you.email, "amount": _amount(you.amount)} if you else None,
        "by_user": _rows(spend.by_user),
        "missing_days": spend.missing_days,
    }


def _rows(rows: Sequence[NamedAmount | KeyTokens | UserSpend] | None) -> list[Json] | None:
    """Return table rows under their own names; what has not been read is ``null``."""
    if rows is None:
        return None
    found = [row._asdict() for row in rows]
    for row in found:
        row.pop("email", None)  # it is the name where there is no other
        if "amount" in row:
            row["amount"] = _amount(row["amount"])
    return found


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
