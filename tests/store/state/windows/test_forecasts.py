"""Stored forecasts, and how often their intervals held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.readings import latest_usage, record_usage
from claude_usage_monitor.store.state.state_file import copy_current_rows, open_in_memory
from claude_usage_monitor.store.state.windows import forecasts
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    import sqlite3

ADA = "uuid-of-ada"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESET = START + timedelta(hours=5)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def read(
    connection: sqlite3.Connection, hours: float, utilization: float, resets_at: datetime = RESET
) -> None:
    """Store a reading; ``hours`` is since the window's start."""
    moment = START + hours * HOUR
    window = UsageWindow("five_hour", "5-hour", utilization, resets_at, "api", moment)
    record_usage(connection, ADA, Usage((window,), "api", moment))


def forecast(
    hours: float,
    utilization: float,
    earliest: float | None = None,
    median: float | None = None,
    latest: float | None = None,
    resets_at: datetime = RESET,
) -> Forecast:
    at, first, last = (
        None if each is None else START + each * HOUR for each in (median, earliest, latest)
    )
    return Forecast(
        at, first, last, 0.3, 70.25, 60.0, 90.5, "hours of the week", START + hours * HOUR,
        utilization, resets_at,
    )  # fmt: skip


def store(connection: sqlite3.Connection, made: Forecast, identity: str = ADA) -> None:
    forecasts.store_forecasts(connection, identity, {"five_hour": made})


def test_the_newest_forecast_comes_with_its_window(connection: sqlite3.Connection) -> None:
    read(connection, 2, 40)
    for made in (forecast(1, 20, 4), forecast(2, 40, 3.5, 4, 4.5)):
        store(connection, made)
    assert forecasts.stored_forecasts(connection, ADA) == {"five_hour": made}
    usage = latest_usage(connection, ADA, START + 2.1 * HOUR)
    assert usage is not None
    assert usage.five_hour is not None
    assert made == usage.five_hour.forecast
    assert usage.five_hour.binding


def test_an_outdated_forecast_is_not_shown(connection: sqlite3.Connection) -> None:
    read(connection, 2, 40)
    store(connection, forecast(2, 40))
    read(connection, 2.1, 60)
    usage = latest_usage(connection, ADA, START + 2.1 * HOUR)
    assert usage is not None
    assert usage.five_hour is not None
    assert usage.five_hour.forecast is None


def test_forecasts_belong_to_an_identity_and_leave_with_it(connection: sqlite3.Connection) -> None:
    fingerprint = identities.token_fingerprint(Secret("sk-ant-oat01-canary"))
    provisional = identities.identity_of(connection, fingerprint)
    store(connection, forecast(2, 40), provisional)
    assert forecasts.stored_forecasts(connection, ADA) == {}
    identities.link_identity(connection, fingerprint, ADA)
    assert forecasts.stored_forecasts(connection, ADA) == {"five_hour": forecast(2, 40)}
    other = open_in_memory().connection
    copy_current_rows(connection, other)
    assert forecasts.stored_forecasts(other, ADA) == {"five_hour": forecast(2, 40)}
    identities.delete_account_data(connection, ADA)
    assert forecasts.stored_forecasts(connection, ADA) == {}


def logged(connection: sqlite3.Connection) -> list[tuple[int, float]]:
    rows = connection.execute("SELECT percent, made_at FROM forecast_log ORDER BY percent")
    return [(percent, (made_at / 1000 - START.timestamp()) / 3600) for percent, made_at in rows]


def test_a_window_is_logged_once_after_each_quarter_of_its_time(
    connection: sqlite3.Connection,
) -> None:
    for quarters in range(1, 20):
        hours = quarters / 4
        read(connection, hours, quarters)
        store(connection, forecast(hours, quarters))
    assert logged(connection) == [(25, 1.25), (50, 2.5), (75, 3.75)]


def test_a_window_that_nobody_watched_in_a_quarter_is_not_logged_for_it(
    connection: sqlite3.Connection,
) -> None:
    for hours in (0.5, 3.0, 3.2):
        read(connection, hours, 10)
        store(connection, forecast(hours, 10))
    assert logged(connection) == [(50, 3.0)]


@pytest.mark.parametrize(
    ("interval", "full_after", "expected"),
    [
        ((None, None, None), None, (1, 1)),
        ((None, None, None), 4.0, (0, 1)),
        ((3.0, None, None), None, (1, 1)),
        ((3.0, None, None), 4.0, (1, 1)),
        ((4.5, None, None), 4.0, (0, 1)),
        ((3.0, 3.5, 4.5), 4.0, (1, 1)),
        ((3.0, 3.5, 3.75), 4.0, (0, 1)),
        ((3.0, 3.5, 4.5), None, (0, 1)),
    ],
)
def test_the_end_of_a_window_judges_its_interval(
    connection: sqlite3.Connection,
    interval: tuple[float | None, float | None, float | None],
    full_after: float | None,
    expected: tuple[int, int],
) -> None:
    read(connection, 2, 40)
    store(connection, forecast(2, 40, *interval))
    assert forecasts.interval_score(connection, RESET - HOUR) == (0, 0)
    read(connection, 3.9, 80)
    if full_after is not None:
        read(connection, full_after + 0.1, 100)
    read(connection, 4.5, 80 if full_after is None else 100)
    assert forecasts.interval_score(connection, RESET - HOUR / 4) == (0, 0)
    assert forecasts.interval_score(connection, RESET + HOUR) == expected
    read(connection, 6, 1, RESET + 5 * HOUR)
    assert forecasts.interval_score(connection, RESET + HOUR) == expected


def test_a_window_whose_end_nobody_saw_judges_nothing(connection: sqlite3.Connection) -> None:
    read(connection, 2, 40)
    store(connection, forecast(2, 40))
    read(connection, 3, 50)
    assert forecasts.interval_score(connection, RESET + HOUR) == (0, 0)


def test_a_window_that_was_reset_early_judges_nothing(connection: sqlite3.Connection) -> None:
    read(connection, 2, 40)
    store(connection, forecast(2, 40))
    for hours in (3.9, 4.0, 4.2):
        read(connection, hours, 0)
    assert forecasts.interval_score(connection, RESET + HOUR) == (0, 0)
