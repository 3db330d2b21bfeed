from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.readings import record_usage
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile

if TYPE_CHECKING:
    import sqlite3

    from claude_usage_monitor.usage.limits.reading_sources import Source

ADA = "uuid-of-ada"
PRINT = identities.token_fingerprint(Secret("sk-ant-oat01-canary"))
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESET = START + timedelta(hours=5)


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def read(
    connection: sqlite3.Connection,
    at: float,
    utilization: float | None,
    resets_at: datetime | None = RESET,
    source: Source = "api",
    identity: str = ADA,
) -> None:
    """Store a reading; ``at`` is in minutes since the window's start."""
    moment = START + timedelta(minutes=at)
    window = UsageWindow("five_hour", "5-hour", utilization, resets_at, source, moment)
    record_usage(connection, identity, Usage((window,), source, moment))


def test_every_reading_updates_its_window(connection: sqlite3.Connection) -> None:
    read(connection, 10, 60)
    (first,) = history.windows(connection, ADA)
    assert first.id is not None
    assert (START, 60.0, "open") == (first.started_at, first.peak, first.end)
    read(connection, 20, 100)
    read(connection, 30, 100)
    read(connection, 301, 3, RESET + timedelta(hours=5))
    second, ended = history.windows(connection, ADA)
    assert first.id == ended.id != second.id
    assert ("reset", RESET, 100.0) == (ended.end, ended.ended_at, ended.peak)
    assert START + timedelta(minutes=15) == ended.full_at
    assert timedelta(minutes=285) == ended.blocked
    assert {"five_hour": second} == history.current_windows(connection, ADA)
    assert (second,) == history.windows(connection, ADA, since=RESET)
    assert () == history.windows(connection, ADA, key="seven_day")
    assert () == history.windows(connection, "somebody else")


def test_what_waits_for_a_second_reading_survives_the_process(
    connection: sqlite3.Connection,
) -> None:
    """Each reading may come from another process: all state is in the database."""
    for at, utilization in ((10, 60), (15, 0), (20, 1), (25, 60), (30, 2)):
        read(connection, at, utilization)
    second, first = history.windows(connection, ADA)
    assert ("early", START + timedelta(minutes=15)) == (first.end, first.ended_at)
    assert (2.0, 2.0) == (second.utilization, second.peak)


def test_hours_have_the_use_the_time_at_the_limit_and_the_reads(
    connection: sqlite3.Connection,
) -> None:
    read(connection, 50, 90)
    read(connection, 70, 100)
    read(connection, 90, 100)
    first, second = history.hours(connection, ADA, "five_hour", START)
    assert (START, 1, 90.0) == (first.hour, first.reads, first.peak)
    assert (95.0, 5.0) == pytest.approx((first.used, second.used))
    assert (0, 1800, 600, 1800) == (
        first.blocked_seconds,
        second.blocked_seconds,
        first.watched_seconds,
        second.watched_seconds,
    )
    assert [second] == history.hours(connection, ADA, "five_hour", second.hour)


def test_readings_and_the_use_between_them(connection: sqlite3.Connection) -> None:
    read(connection, 50, 90)
    read(connection, 60, 93)
    assert [90.0, 93.0] == [
        reading.utilization for reading in history.readings(connection, ADA, "five_hour")
    ]
    since = START + timedelta(minutes=55)
    assert [93.0] == [
        reading.utilization for reading in history.readings(connection, ADA, "five_hour", since)
    ]
    assert [90.0, 3.0] == [
        increment.points for increment in history.increments(connection, ADA, "five_hour", START)
    ]
    assert ["five_hour"] == history.keys(connection, ADA)


def test_a_figure_that_the_status_line_repeats_changes_nothing(
    connection: sqlite3.Connection,
) -> None:
    read(connection, 10, 60)
    read(connection, 20, 55, source="statusline")
    (window,) = history.windows(connection, ADA)
    assert START + timedelta(minutes=10) == window.last_seen


def test_another_plan_in_the_profile_is_stored(connection: sqlite3.Connection) -> None:
    for at, tier, utilization in ((10, "max_5x", 60), (20, "max_20x", 70), (30, "max_20x", 75)):
        profile = Profile(plan="Max", rate_limit_tier=tier)
        identities.store_profile(connection, PRINT, profile)
        identities.link_identity(connection, PRINT, ADA)
        read(connection, at, utilization)
    (change,) = history.plan_changes(connection, ADA)
    assert START + timedelta(minutes=20) == change.at
    assert 70 / 60 == pytest.approx(change.factor)
    (window,) = history.windows(connection, ADA)
    assert "max_20x" == window.plan


def test_windows_are_deleted_with_their_account(connection: sqlite3.Connection) -> None:
    read(connection, 10, 60)
    identities.delete_account_data(connection, ADA)
    assert () == history.windows(connection, ADA)
    assert [] == history.hours(connection, ADA, "five_hour")
    read(connection, 10, 60)
    assert [2] == [window.id for window in history.windows(connection, ADA)]


def test_no_query_scans_the_history(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    read(connection, 10, 60)
    history.windows(connection, ADA)
    history.hours(connection, ADA, "five_hour", START)
    history.readings(connection, ADA, "five_hour", START)
    connection.set_trace_callback(None)
    for statement in statements:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            scans = [row[3] for row in plan if row[3].startswith("SCAN")]
            allowed = ("json_each", "identity", "CONSTANT ROW", "USING INDEX", "USING COVERING")
            assert all(any(word in scan for word in allowed) for scan in scans), (statement, scans)


def test_levels_are_the_highest_figure_of_each_window_in_each_span(
    connection: sqlite3.Connection,
) -> None:
    wobble = timedelta(seconds=0.4)
    for at, utilization in ((10, 60), (12, 62), (30, 63)):
        read(connection, at, utilization, RESET + wobble)
        read(connection, at + 1, utilization, RESET - wobble)
    read(connection, 301, 1, RESET + timedelta(hours=5))
    since, bucket = START + timedelta(minutes=5), timedelta(minutes=10)
    levels = history.levels(connection, ADA, "five_hour", since, bucket)
    assert [62.0, 63.0, 1.0] == [level.utilization for level in levels]
    assert START + timedelta(minutes=10) == levels[0].at
