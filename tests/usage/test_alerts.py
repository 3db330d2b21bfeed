from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.usage.alerts import (
    Alert,
    AlertRules,
    AlertSettings,
    budget_alert,
    is_quiet,
    marked_limits,
)
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.resets import WindowInstance
from claude_usage_monitor.usage.limits.windows import ExtraUsage, Usage, UsageWindow
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
RESET = NOW + timedelta(hours=2)
CLOCK = ClockStyle(UTC)


def instance(used: float, **more: object) -> WindowInstance:
    start = RESET - timedelta(hours=5)
    window = WindowInstance("five_hour", start, RESET, start, NOW, used, used, id=7)
    return window._replace(**cast("Any", more))


def status(used: float, extra: float | None = None, **more: object) -> AccountStatus:
    window = UsageWindow("five_hour", "5-hour", used, RESET, "api", NOW)
    money = ExtraUsage(True, None, None, "USD", extra) if extra is not None else None
    return AccountStatus(CLAUDE_CODE, Usage((window,), "api", NOW, money), **cast("Any", more))


def alerts(
    shown: AccountStatus,
    current: WindowInstance | None = None,
    ended: Sequence[WindowInstance] = (),
    now: datetime = NOW,
    **settings: object,
) -> list[Alert]:
    rules = AlertRules(AlertSettings(**cast("Any", settings)))
    return rules.alerts(shown, {"five_hour": current or instance(50.0)}, ended, now, CLOCK)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (79.9, []),
        (82.0, [("threshold", "level 80", ())]),
        (96.0, [("threshold", "level 95", ("level 80",))]),
        (100.0, [("exhausted", "exhausted", ("level 80", "level 95"))]),
    ],
)
def test_only_the_highest_level_is_worth_a_word(used: float, expected: list[object]) -> None:
    found = alerts(status(used))
    assert expected == [(alert.event, alert.rule, alert.also) for alert in found]
    assert {"7"} >= {alert.instance for alert in found}


def test_the_text_is_the_fact_and_the_time_left() -> None:
    (alert,) = alerts(status(82.0))
    assert "5-hour at 82 %, resets 16:00 (2h 0m)" == alert.text


def test_old_demo_and_unknown_figures_call_for_none() -> None:
    assert [] == alerts(status(82.0), now=NOW + timedelta(hours=1))
    assert [] == alerts(status(82.0, problem=Problem("server_error", "", "")))
    assert [] == alerts(status(82.0), instance(82.0, resets_at=RESET + timedelta(hours=1)))
    assert [] == alerts(status(82.0), windows=("seven_day",))
    assert [] == alerts(status(82.0), events=("reset",))


def test_a_reset_is_worth_a_word_if_much_was_used() -> None:
    ended = [
        instance(peak, end="early", ended_at=NOW, id=number)
        for number, peak in enumerate((89.0, 90.0))
    ]
    (alert,) = alerts(status(2.0), ended=ended)
    assert ("reset", "1") == (alert.event, alert.instance)
    assert "5-hour has reset, earlier than planned" == alert.text


def test_a_window_below_its_limit_again_has_recovered() -> None:
    current = instance(70.0, full_at=NOW, full_until=NOW)
    assert ["recovered"] == [alert.event for alert in alerts(status(70.0), current)]


def test_levels_of_extra_usage_are_of_the_month() -> None:
    (alert,) = alerts(status(10.0, extra=85.0))
    assert ("extra_usage", "extra usage 2026-11", 80.0) == (
        alert.event,
        alert.instance,
        alert.level,
    )


def test_a_missing_login_is_one_episode() -> None:
    shown = status(10.0, problem=Problem("unauthorized", "Refused.", "Log in."))
    (alert,) = alerts(shown)
    assert ("login", "Refused. Log in.") == (alert.event, alert.text)


@pytest.mark.parametrize(
    "code", ["no_credentials", "permission_denied", "secret_store_unavailable"]
)
def test_every_problem_that_needs_a_login_is_worth_a_word(code: str) -> None:
    assert exit_code_for(code) == ExitCode.LOGIN_NEEDED
    (alert,) = alerts(status(10.0, problem=Problem(code, "Refused.", "Log in.")))
    assert "login" == alert.event


def test_a_forecast_must_say_so_twice() -> None:
    rules = AlertRules(AlertSettings(predict=True, levels=()))
    found = []
    readings = ((0, 0.6), (3, 0.6), (6, 0.4), (7, 0.6), (8, 0.4), (9, 0.2), (10, 0.6), (11, 0.4))
    for minutes, probability in readings:
        at = NOW + timedelta(minutes=minutes)
        forecast = Forecast(None, at, None, probability, 110, 90, 130, "", at, 60.0, RESET)
        window = UsageWindow("five_hour", "5-hour", 60.0, RESET, "api", at, forecast=forecast)
        shown = AccountStatus(CLAUDE_CODE, Usage((window,), "api", at))
        current = {"five_hour": instance(60.0)}
        found.append([alert.event for alert in rules.alerts(shown, current, (), at, CLOCK)])
    assert [[], [], [], ["runs_out"], ["runs_out"], [], [], []] == found


def test_an_alert_marks_its_limit_unless_it_is_about_a_passing_event() -> None:
    found = alerts(status(96.0, extra=85.0), ended=[instance(95.0, end="early", ended_at=NOW)])
    assert {"threshold", "extra_usage", "reset"} == {alert.event for alert in found}
    assert {"five_hour", "extra_usage"} == marked_limits(found)
    recovered = instance(70.0, full_at=NOW, full_until=NOW)
    assert frozenset() == marked_limits(alerts(status(70.0), recovered))


def test_an_organization_s_budget() -> None:
    def spent(amount: str) -> Alert | None:
        spend = SimpleNamespace(
            budget=Decimal(100), month_to_date=Decimal(amount), period_start=NOW.date()
        )
        shown = AccountStatus(CLAUDE_CODE)._replace(spend=cast("Any", spend))
        return budget_alert(shown, AlertSettings(), NOW)

    assert spent("79") is None
    alert = spent("101")
    assert alert is not None
    assert ("budget", 100.0, "budget 2026-11") == (alert.event, alert.level, alert.instance)


@pytest.mark.parametrize(
    ("quiet", "hour", "expected"),
    [
        (None, 3, False),
        ((time(22), time(8)), 3, True),
        ((time(22), time(8)), 8, False),
        ((time(22), time(8)), 22, True),
        ((time(12), time(13)), 12, True),
        ((time(12), time(13)), 14, False),
    ],
)
def test_quiet_hours(quiet: tuple[time, time] | None, hour: int, expected: bool) -> None:
    assert expected is is_quiet(quiet, NOW.replace(hour=hour), CLOCK)
