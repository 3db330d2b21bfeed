"""Statuses of subscriptions, for screenshots, snapshots and property tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import cast

from claude_usage_monitor.errors import (
    CredentialsExpired,
    NoCredentials,
    RateLimited,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets
from claude_usage_monitor.usage.limits.windows import UsageWindow
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, Profile
from claude_usage_monitor.usage.throttling import (
    Gap,
    GapReason,
    Limiters,
    PacedWindow,
    Throttling,
)
from tests.support.payloads import NOW, as_bytes, usage_body

PROFILE = Profile("Ada", "ada@example.com", "Analytical Engines", "Max 5x", "default_claude_max_5x")

NORMAL = AccountStatus(
    Account("claude-code"),
    usage_from(as_bytes(usage_body()), NOW),
    PROFILE,
    "Claude Code credentials file",
    next_read_at=NOW + timedelta(minutes=5),
)


def with_body(body: object) -> AccountStatus:
    """Return the status of an account for which the API sent this body."""
    return NORMAL._replace(usage=usage_from(as_bytes(body), NOW))


# A plan of autumn 2026, with two saved resets.
_WITHOUT_FIVE_HOUR = usage_from(as_bytes({**usage_body(), "five_hour": None}), NOW)
NO_FIVE_HOUR = NORMAL._replace(
    usage=_WITHOUT_FIVE_HOUR._replace(
        saved_resets=SavedResets((ResetGrant(2, NOW + timedelta(days=12), ("seven_day",)),), NOW)
    ),
    profile=PROFILE._replace(plan="Ultra", rate_limit_tier=None),
)


def with_problem(
    error: UsageMonitorError, *, retry_in: timedelta | None = None, figures: bool = True
) -> AccountStatus:
    """Return a status with a problem, and with figures that are six minutes old or none."""
    old = usage_from(as_bytes(usage_body()), NOW - timedelta(minutes=6))
    retry_at = None if retry_in is None else NOW + retry_in
    return NORMAL._replace(
        usage=old if figures else None,
        problem=Problem.from_error(error)._replace(retry_at=retry_at),
        next_read_at=retry_at,
    )


RATE_LIMITED = with_problem(
    RateLimited("The API asked to wait 16m.", retry_after=timedelta(minutes=16)),
    retry_in=timedelta(minutes=31),
)
EXPIRED = with_problem(CredentialsExpired(expired_at=NOW - timedelta(minutes=12)))
EVERY_STATE = with_body(
    {
        "five_hour": {"utilization": 0.0, "resets_at": None},
        "seven_day": {"utilization": 100.0, "resets_at": (NOW + timedelta(days=2)).isoformat()},
        "seven_day_opus": {"utilization": None, "resets_at": (NOW + timedelta(days=1)).isoformat()},
        "seven_day_sonnet": {"utilization": 60.0, "resets_at": (NOW - timedelta(1)).isoformat()},
        "seven_day_cowork": {
            "utilization": 0.3,
            "resets_at": (NOW + timedelta(days=9)).isoformat(),
        },
        "tangelo": {"utilization": 99.7, "resets_at": (NOW + timedelta(seconds=45)).isoformat()},
        "limits": [
            {
                "kind": "weekly_scoped",
                "percent": 105,
                "resets_at": (NOW + timedelta(days=2)).isoformat(),
                "scope": {"model": {"display_name": "A model of a very long name"}},
                "is_active": True,
            }
        ],
        "extra_usage": {
            "is_enabled": False,
            "monthly_limit": 30000,
            "used_credits": 30004,
            "utilization": 100,
            "currency": "EUR",
            "disabled_reason": "out_of_credits",
        },
        "iguana_necktie": {
            "limit_dollars": 250,
            "used_dollars": 12,
            "resets_at": (NOW + timedelta(days=20)).isoformat(),
        },
    }
)


def saved(
    name: str,
    plan: str | None,
    status: AccountStatus = NORMAL,
    *,
    active: bool = False,
    email: str | None = None,
) -> AccountStatus:
    """Return the status as that of a saved account."""
    profile = None if plan is None else PROFILE._replace(plan=plan, email=email)
    return status._replace(account=Account(name, email=email, active=active), profile=profile)


def _forecast(
    window: UsageWindow, probability: float, expected: float, *minutes: float | None
) -> Forecast:
    """Return a forecast; ``minutes`` are those until the median, earliest and latest run-out."""
    assert window.utilization is not None
    assert window.resets_at is not None
    median, earliest, latest = (
        None if each is None else NOW + timedelta(minutes=each) for each in minutes
    )
    return Forecast(
        median, earliest, latest, probability, expected, expected - 10, expected + 10,
        "hours of the week, 5 weeks of history", NOW, window.utilization, window.resets_at,
    )  # fmt: skip


def _with_forecasts(status: AccountStatus) -> AccountStatus:
    """Return a status with the three answers: may run out, lasts, runs out."""
    assert status.usage is not None
    five_hour, week, fable = status.usage.windows
    forecasts = {
        five_hour.key: _forecast(five_hour, 0.66, 104, 110, 66, None),
        week.key: _forecast(week, 0.03, 62, None, None, None),
        fable.key: _forecast(fable, 0.95, 150, 360, 190, 1700),
    }
    return status._replace(usage=status.usage.with_forecasts(forecasts, NOW))


FORECAST = _with_forecasts(NORMAL)
NEAR_THE_LIMIT = with_body(
    {
        **usage_body(five_hour=98.0, fable=88),
        "limits": [
            {**row, "is_active": False}
            for row in cast("list[dict[str, object]]", usage_body(fable=88)["limits"])
        ],
        "seven_day": {
            "utilization": 62.0,
            "resets_at": (NOW + timedelta(days=3, hours=2)).isoformat(),
        },
    }
)

ALERT = NEAR_THE_LIMIT._replace(alerts=frozenset({"five_hour", "seven_day:fable"}))

USE_ROWS = (
    ProjectUse("/home/ada/work/atlas", 40.3, 60.0, 1),
    ProjectUse("/home/ada/work/orbit", 20.1, 30.0, 2),
    ProjectUse("/home/ada/notes", 5.2, 8.0, 3),
    ProjectUse("/home/ada/work/old/notes", 1.9, 1.4, 4),
    ProjectUse("/home/ada/x", 0.3, 0.4, 5),
    ProjectUse("/home/ada/y", 0.2, 0.2, 6),
)


def _use(key: str, utilization: float, elsewhere: float | None = 10.0) -> WindowUse:
    local = utilization - (elsewhere or 0.0)
    total = sum(row.points for row in USE_ROWS)
    return WindowUse(
        key,
        NOW + timedelta(hours=2, minutes=11),
        utilization,
        NOW,
        tuple(row._replace(points=row.points / total * local) for row in USE_ROWS),
        elsewhere,
        2.4,
        "from 14 past windows",
        25.0,
        3,
        9.0,
    )


USED = NORMAL._replace(use=(_use("five_hour", 78.0), _use("seven_day", 35.0, None)))

_CALM = with_body({**usage_body(five_hour=22.0, fable=17), "extra_usage": None})
_STALE = _CALM._replace(
    usage=usage_from(as_bytes(usage_body(five_hour=64.0, fable=51)), NOW - timedelta(minutes=28)),
    next_read_at=None,
)
_OFFLINE = with_problem(Unreachable(), retry_in=timedelta(seconds=30))
NOT_LOGGED_IN = with_problem(NoCredentials(), figures=False)
READING = AccountStatus(Account("claude-code"))
NO_LIMITS = with_body({})

LOGINS = {
    "normal": NORMAL,
    "rate limited": RATE_LIMITED,
    "expired": EXPIRED,
    "every state": EVERY_STATE,
    "no limits": NO_LIMITS,
    "not logged in": NOT_LOGGED_IN,
    "reading": READING,
}

TWO = (
    saved("Work", "Max 5x", active=True, email="ada@example.com"),
    saved("Private", "Pro", _CALM, email="ada@home.example"),
)
SEVERAL = (
    TWO[0],
    saved("Private", "Pro", _OFFLINE, email="ada@home.example"),
    saved("Research", "Team Premium", _CALM, email="ada@lab.example"),
)
THREE = (
    *SEVERAL[:2],
    saved("Research and Development of Analytical Engines, Cambridge", "Team Premium", _CALM),
)
TWELVE = (
    *THREE,
    saved("漢字の名前の会社", "Max 20x", NEAR_THE_LIMIT),
    saved("Reading", None, READING),
    saved("Old", "Pro", _STALE),
    saved("Logged out", "Pro", NOT_LOGGED_IN),
    saved("Waiting", "Max 5x", RATE_LIMITED),
    saved("Nothing", "Free", NO_LIMITS),
    saved("Everything", "Enterprise", EVERY_STATE),
    saved("Calm", "Pro", _CALM),
    saved("Expired", "Pro", EXPIRED),
)

PACED_WINDOWS = (
    PacedWindow("five_hour", 78.0, NOW + timedelta(hours=2, minutes=11), limited=True),
    PacedWindow("seven_day", 35.0, NOW + timedelta(days=3, hours=2, minutes=21), limited=True),
)
ON_PACE = Throttling(
    enabled=True,
    should_throttle=False,
    delay_seconds=0.0,
    decided_at=NOW - timedelta(minutes=2),
    tempo="auto",
    mode="normal",
    limiters=Limiters(five_hour=True, seven_day=True),
    windows=(replace(PACED_WINDOWS[0], utilization=40.0), PACED_WINDOWS[1]),
    as_of=NOW - timedelta(minutes=2),
    last_interaction=NOW - timedelta(minutes=3),
)
THROTTLING = replace(
    ON_PACE,
    should_throttle=True,
    delay_seconds=35.0,
    windows=PACED_WINDOWS,
    blockage_events=(
        *((("intent_validation", NOW - timedelta(minutes=9)),) * 3),
        ("intent_validation_tdd", NOW - timedelta(minutes=30)),
    ),
)
REFUSED = replace(
    THROTTLING,
    mode="fallback",
    backoff_until=NOW + timedelta(minutes=31),
    windows=tuple(replace(window, utilization=None, synthetic=True) for window in PACED_WINDOWS),
    as_of=NOW - timedelta(minutes=14),
)
AT_REST = replace(
    THROTTLING,
    decided_at=NOW - timedelta(hours=5),
    as_of=NOW - timedelta(hours=5),
    blockage_events=(),
    windows=(replace(PACED_WINDOWS[0], resets_at=NOW - timedelta(hours=1)), PACED_WINDOWS[1]),
)
UNREADABLE = Throttling(
    gaps=(Gap("config.json", GapReason.NOT_JSON), Gap("usage.db", GapReason.LOCKED))
)
# A week that is used up too fast, with the 5-hour limiter switched off.
PACED = with_body(
    {
        **usage_body(fable=40),
        "seven_day": {
            "utilization": 82.0,
            "resets_at": (NOW + timedelta(days=3, hours=2)).isoformat(),
        },
    }
)._replace(
    throttling=replace(
        THROTTLING,
        limiters=Limiters(five_hour=False, seven_day=True),
        windows=(
            replace(PACED_WINDOWS[0], limited=False),
            replace(PACED_WINDOWS[1], utilization=82.0),
        ),
    ),
)
