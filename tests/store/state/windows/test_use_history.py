"""The history that forecasts read from state.db."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state.readings import record_usage
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.store.state.windows.merge import import_readings
from claude_usage_monitor.store.state.windows.use_history import use_histories
from claude_usage_monitor.usage.forecast.estimate import Forecaster
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from tests.benchmarks.forecast import Replay, parse_life, window_of
from tests.support.lives import life

if TYPE_CHECKING:
    import sqlite3

ADA = "uuid-of-ada"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def read(connection: sqlite3.Connection, hours: float, **figures: float) -> None:
    """Store a reading; ``hours`` is since the start of both windows."""
    moment = START + timedelta(hours=hours)
    resets = {"five_hour": 5, "seven_day": 168}
    windows = tuple(
        UsageWindow(key, key, figure, START + timedelta(hours=resets[key]), "api", moment)
        for key, figure in figures.items()
    )
    record_usage(connection, ADA, Usage(windows, "api", moment))


@pytest.mark.parametrize("profile", ["office", "agents", "careful", "faults"])
def test_the_stored_history_gives_the_forecasts_of_every_reading_seen(
    profile: str, connection: sqlite3.Connection
) -> None:
    readings, truths = parse_life([json.dumps(row).encode() for row in life(profile, 5, 2)])
    replay = Replay(UTC)
    # Without the truth it judges no forecast: it only learns from the readings.
    assert [] == list(replay.answers(readings, {key: [] for key in truths}))
    now = readings[-1].read_at
    import_readings(connection, ADA, [(line.key, line.reading) for line in readings])
    stored = Forecaster(use_histories(connection, ADA, now), UTC)
    # Of the last readings, those of windows that run.
    windows = [window_of(window, now) for window in replay.tracker.windows.values()]
    for days in range(3):
        at = now + timedelta(hours=days)
        asked = [
            each._replace(utilization=60.0, resets_at=at + timedelta(hours=3), as_of=at)
            for each in windows
        ]
        ours = stored.forecasts(asked, {}, at)
        theirs = replay.forecaster.forecasts(asked, {}, at)
        assert ours.keys() == theirs.keys()
        for key, forecast in ours.items():
            assert forecast.probability == pytest.approx(theirs[key].probability, abs=0.02)
            assert forecast.expected_at_reset == pytest.approx(
                theirs[key].expected_at_reset, abs=1.0
            )


def hours_of(connection: sqlite3.Connection, key: str, at: float) -> list[tuple[float, float]]:
    now = START + timedelta(hours=at)
    use = use_histories(connection, ADA, now)[key]
    return [(round(points, 2), round(known, 2)) for _, points, known in use.hours(now.timestamp())]


def test_hours_at_a_weekly_limit_are_no_idle_hours_of_the_other_limits(
    connection: sqlite3.Connection,
) -> None:
    for hours, five, week in ((0, 0, 98), (1, 10, 100), (2, 10, 100), (3, 10, 100)):
        read(connection, hours, five_hour=five, seven_day=week)
    assert hours_of(connection, "five_hour", 3)[1:3] == [(0, 0), (0, 0)]
    assert hours_of(connection, "seven_day", 3)[-3:-1] == [(0, 0), (0, 0)]


def test_a_full_five_hour_window_is_idle_time_of_the_week(connection: sqlite3.Connection) -> None:
    """The week will have such hours again."""
    for hours, five, week in ((0, 90, 50), (1, 100, 52), (2, 100, 52), (3, 100, 52)):
        read(connection, hours, five_hour=five, seven_day=week)
    assert hours_of(connection, "five_hour", 3)[1:3] == [(0, 0), (0, 0)]
    assert hours_of(connection, "seven_day", 3)[-3:-1] == [(0, 1), (0, 1)]


def test_a_change_of_plan_rescales_the_use_before_it(connection: sqlite3.Connection) -> None:
    for hours, five, week in ((0, 0, 40), (1, 40, 44), (1.1, 10, 11), (1.2, 10, 11)):
        read(connection, hours, five_hour=five, seven_day=week)
    (change, *_) = history.plan_changes(connection, ADA)
    assert change.factor == pytest.approx(0.25)
    assert hours_of(connection, "five_hour", 1.2)[0][0] == pytest.approx(10, abs=0.1)
    now = START + timedelta(hours=1.2)
    use = use_histories(connection, ADA, now)["five_hour"]
    assert use.total_at(now.timestamp()) == pytest.approx(10, abs=0.1)


def test_a_change_of_plan_by_an_unknown_factor_restarts_the_history(
    connection: sqlite3.Connection,
) -> None:
    read(connection, 0, five_hour=0)
    read(connection, 2, five_hour=40)
    change = history.PlanChange(START + timedelta(hours=3), None)
    history.store_plan_change(connection, ADA, change)
    read(connection, 4, five_hour=50)
    assert hours_of(connection, "five_hour", 4) == [(5, 1), (0, 0)]


def test_wrong_readings_are_no_use(connection: sqlite3.Connection) -> None:
    """A zero for one reading, and the old figure once more after a reset."""
    figures = [(0.0, 30.0), (1, 40), (1.1, 0), (1.2, 40), (2, 50)]
    for hours, figure in figures:
        read(connection, hours, five_hour=figure)
    now = START + timedelta(hours=2)
    use = use_histories(connection, ADA, now)["five_hour"]
    assert use.total_at(now.timestamp()) == 50


def test_an_account_without_a_history_has_none(connection: sqlite3.Connection) -> None:
    assert use_histories(connection, ADA, START) == {}
    connection.execute("DELETE FROM tracking")
    import_readings(connection, ADA, [("monthly", Reading(START, 5.0, START + timedelta(9)))])
    assert list(use_histories(connection, ADA, START)) == ["monthly"]
