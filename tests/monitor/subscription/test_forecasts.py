"""Forecasts of a real account: made when a reading arrives, stored for every other process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor import get_usage
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription.forecasts import with_new_forecasts
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.threads import run_all
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.forecast.estimate import Forecaster
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.command import PROGRAM
from tests.support.payloads import as_bytes, usage_body

if TYPE_CHECKING:
    from datetime import datetime

    from claude_usage_monitor.usage.limits.pace import Forecast
    from tests.support.api import Api
    from tests.support.login import Store

FIRST = AccountStatus(CLAUDE_CODE)


class Clock:
    """This computer's clock, which a test can set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def read(
    clock: Clock | None = None, settings: Settings | None = None, *, live: bool = False
) -> AccountStatus:
    services = Services(os.environ, settings or Settings(), clock or Clock(), live=live)
    return claude_code_reader(services).read(FIRST)


def forecasts(status: AccountStatus) -> dict[str, Forecast | None]:
    assert status.usage is not None
    return {window.key: window.forecast for window in status.usage.windows}


def statusline(five_hour: int) -> None:
    """Run the status line with a figure, as Claude Code does."""
    resets_at = int((utc_now() + timedelta(hours=2, minutes=11)).timestamp())
    limits = {"five_hour": {"used_percentage": five_hour, "resets_at": resets_at}}
    subprocess.run(
        [PROGRAM, "statusline"], input=as_bytes({"rate_limits": limits}), check=True,
        capture_output=True,
    )  # fmt: skip


def json_window(key: str) -> dict[str, Any]:
    done = subprocess.run([PROGRAM, "--json"], capture_output=True, check=True)
    windows = json.loads(done.stdout)["accounts"][0]["windows"]
    return dict(next(window for window in windows if window["key"] == key))


def test_the_first_reading_gives_a_forecast_and_other_processes_show_it(
    api: Api, store: Store
) -> None:
    store.login()
    made = forecasts(read())
    five_hour = made["five_hour"]
    assert five_hour is not None
    assert 0 < five_hour.probability < 1
    assert five_hour.expected_at_reset > 78
    assert five_hour.basis == "hours of the week, little history"
    assert made["seven_day:fable"] is not None
    assert made == forecasts(read())
    shown = json_window("five_hour")["forecast"]
    assert shown["probability"] == round(five_hour.probability, 3)
    assert 1 == len(api.usage_requests)


def test_stored_forecasts_are_shown_without_the_estimator(api: Api, store: Store) -> None:
    store.login()
    read()
    probe = (
        "import sys, claude_usage_monitor as c; c.get_usage();"
        " print([n for n in sys.modules if 'forecast.estimate' in n or 'use_history' in n])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True)
    assert b"[]" == done.stdout.strip()


def test_forecasts_of_several_accounts_are_computed_one_at_a_time(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each needs memory for a history."""
    running: list[Forecaster] = []
    numbers: list[int] = []
    compute = Forecaster.forecasts

    def count_and_compute(forecaster: Forecaster, *arguments: Any) -> object:
        running.append(forecaster)
        time.sleep(0.05)  # for others to begin
        numbers.append(len(running))
        running.remove(forecaster)
        return compute(forecaster, *arguments)

    monkeypatch.setattr(Forecaster, "forecasts", count_and_compute)
    store.login()
    services = Services(os.environ, Settings(), Clock(), live=True)
    usage = claude_code_reader(services).read(FIRST).usage
    assert usage is not None
    update = partial(with_new_forecasts, services.state, "identity", usage, utc_now(), "local")
    run_all([update] * 3, "reader", 3)
    assert [1] * 4 == numbers


def test_the_library_returns_the_forecast(api: Api, store: Store) -> None:
    store.login()
    window = get_usage().five_hour
    assert window is not None
    assert window.forecast is not None


def test_a_setting_switches_forecasts_off(api: Api, store: Store) -> None:
    store.login()
    read()
    off = read(settings=Settings(forecast=False))
    assert set(forecasts(off).values()) == {None}
    assert off.usage is not None
    config = Path(os.environ["HOME"]) / ".config" / "claude-usage-monitor" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("forecast = false\n")
    assert json_window("five_hour")["forecast"] is None


def test_a_higher_figure_of_the_status_line_outdates_the_forecast_until_the_next_read(
    api: Api, store: Store
) -> None:
    store.login()
    before = forecasts(read())["five_hour"]
    statusline(90)
    after = json_window("five_hour")
    assert after["utilization"] == 90
    assert before is not None
    assert after["forecast"]["probability"] > before.probability


def test_live_mode_forecasts_figures_that_another_process_stored(api: Api, store: Store) -> None:
    store.login()
    services = Services(os.environ, Settings(), Clock(), live=True)
    subject = claude_code_reader(services)
    status = subject.read(FIRST)
    statusline(90)
    assert subject.changed()
    followed = forecasts(subject.cached_status(status))["five_hour"]
    assert followed is not None
    assert followed.utilization == 90
    one_shot = claude_code_reader(Services(os.environ, Settings(), Clock()))
    statusline(95)
    assert forecasts(one_shot.cached_status(FIRST))["five_hour"] is None


def test_a_figure_that_fell_has_no_forecast_before_a_second_reading(api: Api, store: Store) -> None:
    """The API sometimes reports 0 % once."""
    store.login()
    clock = Clock()
    read(clock)
    api.answer(as_bytes(usage_body(utc_now(), five_hour=0.0)))
    clock.ahead = timedelta(seconds=200)
    made = forecasts(read(clock))
    assert made["five_hour"] is None
    assert made["seven_day"] is not None


@pytest.mark.parametrize("hours", [1, 6])
def test_an_old_reading_has_no_forecast(api: Api, store: Store, hours: int) -> None:
    store.login()
    clock = Clock()
    read(clock)
    api.answer(b"", 529)
    clock.ahead = timedelta(hours=hours, minutes=1)
    assert set(forecasts(read(clock)).values()) == {None}
