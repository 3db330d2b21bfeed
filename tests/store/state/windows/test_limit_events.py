from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state.readings import latest_usage, record_usage
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.store.state.windows.limit_events import record_event
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow

if TYPE_CHECKING:
    import sqlite3

    from claude_usage_monitor.store.state.windows.limit_events import Kind
    from claude_usage_monitor.usage.limits.reading_sources import Source

ADA = "uuid-of-ada"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ENDS = {"five_hour": START + timedelta(hours=5), "seven_day": START + timedelta(days=5)}


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def read(
    connection: sqlite3.Connection, at: float, source: Source = "api", **figures: float
) -> None:
    moment = START + at * MINUTE
    windows = tuple(
        UsageWindow(key, key, used, ENDS[key], source, moment) for key, used in figures.items()
    )
    record_usage(connection, ADA, Usage(windows, source, moment))


def event(connection: sqlite3.Connection, at: float, kind: Kind) -> None:
    moment = START + at * MINUTE
    record_event(connection, ADA, kind, latest_usage(connection, ADA, moment), moment)


def hits(connection: sqlite3.Connection) -> dict[str, float]:
    """Return when each window was full, in minutes."""
    return {
        window.key: (window.full_at - START) / MINUTE
        for window in history.windows(connection, ADA)
        if window.full_at is not None
    }


def test_a_usage_limit_is_a_hit_of_the_binding_window_whatever_its_figure(
    connection: sqlite3.Connection,
) -> None:
    read(connection, 10, five_hour=60.0, seven_day=50.0)
    event(connection, 12, "usage_limit")
    event(connection, 13, "usage_limit")
    read(connection, 15, five_hour=61.0, seven_day=50.0)
    assert {"five_hour": 12.0} == hits(connection)


@pytest.mark.parametrize(
    ("read_at", "utilization", "source", "expected"),
    [
        (25, 99.0, "api", True),
        (15, 99.0, "api", True),
        (9, 100.0, "api", True),  # full before, and counted by its figure
        (35, 99.0, "api", False),
        (25, 98.9, "api", False),
        (25, 99.5, "statusline", True),
    ],
)
def test_a_rate_limit_is_a_hit_if_a_reading_confirms_it(
    connection: sqlite3.Connection,
    read_at: float,
    utilization: float,
    source: Source,
    expected: bool,
) -> None:
    read(connection, 5, five_hour=60.0)
    if read_at < 20:
        read(connection, read_at, source, five_hour=utilization)
    event(connection, 20, "rate_limit")
    if read_at > 20:
        read(connection, read_at, source, five_hour=utilization)
    assert expected is bool(hits(connection))


def test_the_time_at_the_limit_lasts_until_the_reset(connection: sqlite3.Connection) -> None:
    read(connection, 10, five_hour=60.0)
    event(connection, 60, "usage_limit")
    read(connection, 70, five_hour=60.0)
    read(connection, 301, five_hour=0.0)
    (window,) = history.windows(connection, ADA)
    assert timedelta(hours=4) == window.at(START + timedelta(hours=6)).blocked


def test_without_figures_nothing_is_counted(connection: sqlite3.Connection) -> None:
    event(connection, 20, "usage_limit")
    assert {} == hits(connection)
