from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

from claude_usage_monitor.errors import RateLimited, UnknownAccount
from claude_usage_monitor.formats.json_document import render
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets
from claude_usage_monitor.usage.limits.windows import Amounts, UsageWindow
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, Profile
from tests.support.payloads import NOW, as_bytes, payload, usage_body
from tests.support.spends import LIMITED, NO_COSTS
from tests.support.spends import OVER_BUDGET as ORGANIZATION
from tests.support.statuses import AT_REST, REFUSED, THROTTLING, UNREADABLE

OPTIONS = FormatOptions(clock=ClockStyle(UTC))
STATUS = AccountStatus(
    Account("claude-code"),
    usage_from(as_bytes(usage_body()), NOW - timedelta(seconds=12)),
    Profile("User", "user@example.com", "Company", "Max 5x", "default_claude_max_5x"),
    "Claude Code credentials file",
    next_read_at=NOW + timedelta(seconds=288),
)


def document(*statuses: AccountStatus, **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        render(statuses, NOW, OPTIONS, **more), parse_constant=str
    )
    return document


def account(status: AccountStatus = STATUS) -> dict[str, Any]:
    account: dict[str, Any] = document(status)["accounts"][0]
    return account


def test_the_document_has_the_documented_fields() -> None:
    """Field by field, with the example of the documentation."""
    found = document(STATUS)
    assert (
        found["version"],
        found["generated_at"],
        found["problem"],
    ) == (1, "2026-11-21T12:19:00Z", None)
    shown = found["accounts"][0]
    assert shown["profile"] == {
        "display_name": "User",
        "email": "user@example.com",
        "organization": "Company",
        "plan": "Max 5x",
        "rate_limit_tier": "default_claude_max_5x",
    }
    assert shown["windows"][0] == {
        "key": "five_hour",
        "label": "5-hour",
        "model": None,
        "utilization": 78.0,
        "severity": "elevated",
        "binding": True,
        "state": "running",
        "resets_at": "2026-11-21T14:30:00Z",
        "resets_in_seconds": 7860,
        "window_seconds": 18000,
        "elapsed_percent": 56.3,
        "pace": "over",
        "pace_delta": 21.7,
        "full_at": "2026-11-21T13:06:40Z",
        "forecast": None,
        "source": "api",
        "as_of": "2026-11-21T12:18:48Z",
        "amounts": None,
        "use": None,
    }
    assert shown["extra_usage"] == {
        "enabled": True,
        "used": 47.52,
        "limit": 140.0,
        "currency": "USD",
        "utilization": 33.94,
        "disabled_reason": None,
    }
    rest = {key: shown[key] for key in shown if key not in ("profile", "windows", "extra_usage")}
    assert rest == {
        "name": "claude-code",
        "kind": "code",
        "active": True,
        "credential_origin": "Claude Code credentials file",
        "credit_pools": [],
        "saved_resets": None,
        "spend": None,
        "throttling": None,
        "source": "api",
        "as_of": "2026-11-21T12:18:48Z",
        "age_seconds": 12,
        "stale": False,
        "next_read_at": "2026-11-21T12:23:48Z",
        "problem": None,
        "notice": None,
    }
    assert [window["binding"] for window in shown["windows"]] == [True, False, False]
    assert shown["windows"][2]["key"] == "seven_day:fable"


def test_a_credit_pool_expires() -> None:
    body = {
        "iguana_necktie": {
            "limit_dollars": 250,
            "used_dollars": 12.0,
            "resets_at": "2026-11-05T07:59:00Z",
        }
    }
    found = account(STATUS._replace(usage=usage_from(as_bytes(body), NOW)))
    assert found["credit_pools"] == [
        {
            "key": "iguana_necktie",
            "label": "Iguana necktie",
            "used": 12.0,
            "limit": 250.0,
            "utilization": 4.8,
            "currency": "USD",
            "expires_at": "2026-11-05T07:59:00Z",
        }
    ]


def test_a_window_past_its_reset_has_no_percentage() -> None:
    old = usage_from(as_bytes(usage_body(NOW - timedelta(hours=3))), NOW - timedelta(hours=3))
    session = account(STATUS._replace(usage=old))["windows"][0]
    assert (
        session["state"],
        session["utilization"],
        session["severity"],
        session["pace"],
        session["full_at"],
    ) == ("reset", None, None, None, None)
    assert session["resets_in_seconds"] < 0


def test_an_idle_window_keeps_its_percentage_and_has_no_times() -> None:
    usage = usage_from(payload("usage_2026-07_team_week100_credits93_EUR"), NOW)
    session = account(STATUS._replace(usage=usage))["windows"][0]
    assert (
        session["state"],
        session["utilization"],
        session["severity"],
        session["resets_at"],
        session["resets_in_seconds"],
        session["elapsed_percent"],
    ) == ("idle", 0.0, "normal", None, None, None)


def test_saved_resets_are_null_unless_the_api_has_answered() -> None:
    assert None is account(STATUS)["saved_resets"]
    assert STATUS.usage is not None
    grant = ResetGrant(2, NOW + timedelta(days=2), ("five_hour", "seven_day"))
    usage = STATUS.usage._replace(saved_resets=SavedResets((grant,), NOW))
    assert account(STATUS._replace(usage=usage))["saved_resets"] == {
        "count": 2,
        "use_by": "2026-11-23T12:19:00Z",
        "clears": ["five_hour", "seven_day"],
        "as_of": "2026-11-21T12:19:00Z",
    }


def test_a_limit_of_money_has_its_amounts() -> None:
    assert STATUS.usage is not None
    window = UsageWindow(
        "spend_limit",
        "Spend limit",
        24.0,
        None,
        "statusline",
        NOW,
        amounts=Amounts(12.0, 50.0, "USD"),
    )
    (shown,) = account(STATUS._replace(usage=STATUS.usage._replace(windows=(window,))))["windows"]
    assert {"used": 12.0, "limit": 50.0, "currency": "USD"} == shown["amounts"]


def test_an_account_with_a_problem_is_stale_and_has_its_text_and_retry_time() -> None:
    problem = Problem.from_error(RateLimited(), NOW + timedelta(minutes=31))
    found = account(STATUS._replace(problem=problem))
    assert found["stale"] is True
    assert found["problem"]["code"] == "rate_limited"
    message = "The API refused and did not say how long. Next request 12:50 (31m)."
    assert found["problem"]["message"] == message
    assert found["problem"]["retry_at"] == "2026-11-21T12:50:00Z"
    assert document(STATUS._replace(problem=problem))["problem"] is None


def test_a_failure_is_a_document() -> None:
    no_figures = STATUS._replace(usage=None, problem=Problem.from_error(RateLimited()))
    found = document(no_figures)
    assert found["problem"] == found["accounts"][0]["problem"]
    assert tuple(
        found["accounts"][0][key] for key in ("as_of", "age_seconds", "stale", "windows")
    ) == (None, None, False, [])
    unknown = document(error=UnknownAccount("There is no account 'x'.", "Known: y."))
    assert (unknown["accounts"], unknown["problem"]["code"]) == ([], "unknown_account")


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "1e999", '"\\ud800"', "null"])
def test_the_document_is_strict_json_for_any_input(raw: str) -> None:
    body = f'{{"five_hour": {{"utilization": {raw}, "resets_at": null}}, "limits": []}}'.encode()
    found = account(STATUS._replace(usage=usage_from(body, NOW)))
    assert found["windows"][0]["utilization"] is None
    render((STATUS,), NOW, OPTIONS).encode("utf-8")


def test_throttling_has_the_documented_fields() -> None:
    """And those that say which of them are computed here or missing."""
    found = account(STATUS._replace(throttling=THROTTLING))["throttling"]
    windows = found.pop("windows")
    assert found == {
        "enabled": True,
        "throttling": True,
        "delay_seconds": 35.0,
        "decided_at": "2026-11-21T12:17:00Z",
        "window": "five_hour",
        "target": 56.3,
        "deviation": 21.7,
        "tempo": "auto",
        "tempo_engaged": False,
        "mode": "normal",
        "limiters": {"five_hour": True, "seven_day": True},
        "backoff_until": None,
        "blockages": [
            {"category": "intent_validation", "count": 3},
            {"category": "intent_validation_tdd", "count": 1},
        ],
        "computed": ["window", "target", "deviation", "tempo_engaged"],
        "gaps": [],
        "as_of": "2026-11-21T12:17:00Z",
        "stale": False,
    }
    assert windows[0] == {
        "key": "five_hour",
        "utilization": 78.0,
        "synthetic": False,
        "resets_at": "2026-11-21T14:30:00Z",
        "target": 56.3,
        "deviation": 21.7,
        "stale": False,
    }


def test_unknown_throttling_is_null_and_its_gaps_are_named() -> None:
    found = account(STATUS._replace(throttling=UNREADABLE))["throttling"]
    unknown = ("enabled", "throttling", "delay_seconds", "window", "target", "tempo", "mode")
    assert {None} == {found[key] for key in unknown}
    assert {"five_hour": None, "seven_day": None} == found["limiters"]
    assert [
        "config.json is truncated or not JSON",
        "usage.db is locked by another program",
    ] == found["gaps"]


def test_throttling_in_fallback_and_at_rest() -> None:
    refused = account(STATUS._replace(throttling=REFUSED))["throttling"]
    assert ("fallback", "2026-11-21T12:50:00Z") == (refused["mode"], refused["backoff_until"])
    assert [(True, None, None), (True, None, None)] == [
        (window["synthetic"], window["utilization"], window["deviation"])
        for window in refused["windows"]
    ]
    assert (None, None) == (refused["window"], refused["target"])
    at_rest = account(STATUS._replace(throttling=AT_REST))["throttling"]
    assert (None, 35.0, True) == (
        at_rest["throttling"],
        at_rest["delay_seconds"],
        at_rest["stale"],
    )
    assert [True, False] == [window["stale"] for window in at_rest["windows"]]


def test_spend_has_the_documented_fields() -> None:
    """Field by field; unknown is null, never 0."""
    shown = account(ORGANIZATION)
    assert ("console", [], "api", "2026-11-21T12:17:00Z", 120) == (
        shown["kind"],
        shown["windows"],
        shown["source"],
        shown["as_of"],
        shown["age_seconds"],
    )
    spend = shown["spend"]
    daily, by_model, by_workspace = (
        spend.pop(name) for name in ("daily", "by_model", "by_workspace")
    )
    assert {"date": "2026-11-01", "amount": 30.0} == daily[0]
    assert 21 == len(daily)
    assert ["claude-opus-5", "claude-sonnet-5", "Web search"] == [row["name"] for row in by_model]
    assert {"name": None, "amount": None} == by_workspace[-1]
    claude_code = spend.pop("claude_code")
    users = claude_code.pop("by_user")
    assert {
        "currency": "USD",
        "period_start": "2026-11-01",
        "period_end": "2026-11-30",
        "month_to_date": 4062.55,
        "projected": 5718.54,
        "projected_low": 5665.28,
        "projected_high": 5771.79,
        "remaining_projected": 1655.99,
        "rate_per_hour": pytest.approx(8.2525, abs=1e-4),
        "projection_note": None,
        "budget": 4600.0,
        "budget_reached_on": "2026-11-24",
        "by_api_key": [
            {
                "name": "ci-pipeline",
                "input_tokens": 4_100_000,
                "output_tokens": 1_200_000,
                "cache_read_tokens": 30_000_000,
                "cache_creation_tokens": 900_000,
            },
            {
                "name": None,
                "input_tokens": 12_000,
                "output_tokens": 800,
                "cache_read_tokens": None,
                "cache_creation_tokens": 0,
            },
        ],
    } == spend
    assert {
        "estimated": True,
        "as_of": "2026-11-21T11:39:00Z",
        "month_to_date": 664.58,
        "projected": 968.2,
        "you": {"email": "ada@example.com", "amount": 310.4, "projected": 452.18},
        "you_unknown_because": None,
        "by_model": [{"name": "claude-opus-5", "amount": 664.58}],
        "tokens": {
            "input_tokens": 273_000,
            "output_tokens": 90_000,
            "cache_read_tokens": 2_640_000,
            "cache_creation_tokens": 123_000,
        },
        "missing_days": 0,
    } == claude_code
    assert {
        "name": "nightly-build",
        "email": None,
        "actor_type": "api_key",
        "amount": None,
        "input_tokens": 91_000,
        "output_tokens": 30_000,
        "cache_read_tokens": 880_000,
        "cache_creation_tokens": 41_000,
        "sessions": 68,
        "lines_added": 8229,
        "lines_removed": 2222,
        "commits": 6,
        "pull_requests": 2,
    } == users[-1]


def test_reports_of_an_organization_that_were_not_read_are_null() -> None:
    spend = account(NO_COSTS)["spend"]
    for name in ("month_to_date", "projected", "budget", "by_workspace", "by_model", "by_api_key"):
        assert spend[name] is None
    assert (None, None, 12) == (
        spend["claude_code"]["month_to_date"],
        spend["claude_code"]["you"],
        spend["claude_code"]["missing_days"],
    )


def test_a_problem_of_an_organization_with_figures_is_not_the_documents() -> None:
    assert None is document(LIMITED)["problem"]
    assert "rate_limited" == account(LIMITED)["problem"]["code"]
    assert account(LIMITED)["stale"]


def test_a_forecast_has_the_documented_fields() -> None:
    in_an_hour = NOW + timedelta(hours=1)
    assert STATUS.usage is not None
    window = STATUS.usage.windows[0]
    assert window.resets_at is not None
    made = Forecast(
        in_an_hour, NOW + timedelta(minutes=30), None, 0.61234, 104.26, 90.0, 120.0,
        "hours of the week, 9 days of history", NOW, 78.0, window.resets_at,
    )  # fmt: skip
    usage = STATUS.usage.with_forecasts({"five_hour": made}, NOW)
    assert account(STATUS._replace(usage=usage))["windows"][0]["forecast"] == {
        "run_out_at": "2026-11-21T13:19:00Z",
        "run_out_earliest": "2026-11-21T12:49:00Z",
        "run_out_latest": None,
        "probability": 0.612,
        "expected_at_reset": 104.3,
        "basis": "hours of the week, 9 days of history",
    }
