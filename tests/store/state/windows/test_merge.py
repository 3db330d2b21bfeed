from __future__ import annotations

import random
import sqlite3
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.readings import record_usage
from claude_usage_monitor.store.state.state_file import copy_history, open_in_memory
from claude_usage_monitor.store.state.windows import history, merge
from claude_usage_monitor.store.state.windows.merge import import_readings
from claude_usage_monitor.usage.limits.resets import Reading, WindowInstance
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.secret import Secret
from tests.support.lives import life

if TYPE_CHECKING:
    from claude_usage_monitor.store.state.windows.merge import KeyedReading

ADA = "uuid-of-ada"
KEYS = ("five_hour", "seven_day")


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


@cache
def readings(profile: str = "faults", weeks: int = 3) -> list[KeyedReading]:
    return [
        (
            line["key"],
            Reading(
                datetime.fromisoformat(line["read_at"]),
                line["utilization"],
                line["resets_at"] and datetime.fromisoformat(line["resets_at"]),
                line["source"],
            ),
        )
        for line in life(profile, 4, weeks)
        if line["type"] == "reading"
    ]


def usage_of(key: str, reading: Reading) -> Usage:
    window = UsageWindow(
        key, key, reading.utilization, reading.resets_at, reading.source, reading.read_at
    )
    return Usage((window,), reading.source, reading.read_at)


def contents(connection: sqlite3.Connection) -> list[object]:
    """Return the windows without their ids, and the hours."""
    windows = [window._replace(id=None) for window in history.windows(connection, ADA)]
    hours = [history.hours(connection, ADA, key) for key in KEYS]
    return [windows, hours, history.readings(connection, ADA, "five_hour")]


def summary(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [
        (window.key, window.started_at, window.end, window.ended_at, window.peak, window.full_at)
        for window in history.windows(connection, ADA)
    ]


def test_a_merge_does_not_load_all_stored_readings(connection: sqlite3.Connection) -> None:
    """A dashboard merges after the disk was full; what it needs then, it may never return."""
    began = datetime(2026, 11, 1, tzinfo=UTC)
    reset = began + timedelta(days=7)
    stored = [Reading(began + timedelta(minutes=5 * n), 50.0, reset) for n in range(2000)]
    import_readings(connection, ADA, [(key, reading) for key in KEYS for reading in stored])
    new = Reading(stored[-1].read_at + timedelta(minutes=5), 51.0, reset)

    tracemalloc.start()
    assert 1 == import_readings(connection, ADA, [("seven_day", new)]).new_readings
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


def test_importing_again_changes_nothing(connection: sqlite3.Connection) -> None:
    first = import_readings(connection, ADA, readings())
    assert first.windows == first.new_windows == len(history.windows(connection, ADA))
    before = contents(connection), history.windows(connection, ADA)
    again = import_readings(connection, ADA, readings())
    assert (first.windows, 0) == (again.windows, again.new_windows)
    assert before == (contents(connection), history.windows(connection, ADA))


def test_a_dry_run_reports_the_same_and_changes_nothing(connection: sqlite3.Connection) -> None:
    tried = import_readings(connection, ADA, readings(), dry_run=True)
    assert () == history.windows(connection, ADA)
    assert tried == import_readings(connection, ADA, readings())


def test_the_order_of_the_lines_does_not_matter(connection: sqlite3.Connection) -> None:
    import_readings(connection, ADA, readings())
    shuffled = list(readings())
    random.Random(1).shuffle(shuffled)  # noqa: S311 - no secret
    other = open_in_memory().connection
    import_readings(other, ADA, shuffled)
    assert contents(connection) == contents(other)


@pytest.mark.parametrize("later_first", [False, True])
def test_two_halves_make_the_same_windows_as_the_whole(
    connection: sqlite3.Connection, later_first: bool
) -> None:
    import_readings(connection, ADA, readings())
    middle = len(readings()) // 2
    halves = [readings()[:middle], readings()[middle:]]
    parts = open_in_memory().connection
    for half in reversed(halves) if later_first else halves:
        import_readings(parts, ADA, half)
    assert summary(connection) == summary(parts)


def test_live_readings_and_an_import_of_them_agree(connection: sqlite3.Connection) -> None:
    live = open_in_memory().connection
    for key, reading in readings("office", 1):
        record_usage(live, ADA, usage_of(key, reading))
    import_readings(connection, ADA, readings("office", 1))
    assert summary(connection) == summary(live)
    before = contents(live)
    assert 0 == import_readings(live, ADA, readings("office", 1)).new_readings
    assert before[0] == contents(live)[0]


def test_live_readings_continue_after_an_import(connection: sqlite3.Connection) -> None:
    import_readings(connection, ADA, readings("office", 1)[:-20])
    count = len(history.windows(connection, ADA))
    for key, reading in readings("office", 1)[-20:]:
        record_usage(connection, ADA, usage_of(key, reading))
    whole = open_in_memory().connection
    import_readings(whole, ADA, readings("office", 1))
    assert summary(whole) == summary(connection)
    assert count <= len(history.windows(connection, ADA)) <= count + 2


def test_only_the_readings_of_the_last_days_are_stored(connection: sqlite3.Connection) -> None:
    imported = import_readings(connection, ADA, readings())
    stored = history.readings(connection, ADA, "five_hour")
    newest = max(reading.read_at for _, reading in readings())
    assert all(newest - reading.read_at <= timedelta(days=8) for reading in stored)
    assert 0 < len(stored) < imported.new_readings / 3


def test_a_provisional_identity_s_windows_keep_their_ids(connection: sqlite3.Connection) -> None:
    fingerprint = identities.token_fingerprint(Secret("sk-ant-oat01-canary"))
    provisional = identities.identity_of(connection, fingerprint)
    for key, reading in readings("office", 1)[:400]:
        record_usage(connection, provisional, usage_of(key, reading))
    before = history.windows(connection, provisional)
    identities.link_identity(connection, fingerprint, ADA)
    assert before == history.windows(connection, ADA)
    assert () == history.windows(connection, provisional)
    assert history.current_windows(connection, ADA)


def test_a_provisional_identity_s_part_of_a_window_joins_it(
    connection: sqlite3.Connection,
) -> None:
    fingerprint = identities.token_fingerprint(Secret("sk-ant-oat01-canary"))
    provisional = identities.identity_of(connection, fingerprint)
    few = readings("office", 1)[:400]
    whole = open_in_memory().connection
    import_readings(whole, ADA, few)
    for number, (key, reading) in enumerate(few):
        record_usage(connection, provisional if number >= 200 else ADA, usage_of(key, reading))
    identities.link_identity(connection, fingerprint, ADA)
    assert summary(whole) == summary(connection)


def test_readings_of_a_time_without_a_file_join_the_file(connection: sqlite3.Connection) -> None:
    memory, whole = open_in_memory().connection, open_in_memory().connection
    few = readings("office", 1)[:400]
    import_readings(whole, ADA, few)
    for number, (key, reading) in enumerate(few):
        record_usage(memory if number >= 200 else connection, ADA, usage_of(key, reading))
    copy_history(memory, connection)
    assert summary(whole) == summary(connection)
    assert history.keys(whole, ADA) == history.keys(connection, ADA)


def test_two_parts_of_a_window_make_one() -> None:
    start = datetime.fromisoformat("2026-11-02T09:00:00Z")
    hours = [start + timedelta(hours=number) for number in range(6)]
    one = WindowInstance("five_hour", hours[0], hours[5], hours[1], hours[2], 60.0, 60.0)
    two = WindowInstance(
        "five_hour", hours[0], hours[5], hours[3], hours[4], 100.0, 100.0, hours[4], id=7
    )
    for parts in ((one, two), (two, one)):
        merged = merge.merged(*parts)
        assert (hours[1], hours[4], 100.0, hours[4]) == (
            merged.first_seen,
            merged.last_seen,
            merged.peak,
            merged.full_at,
        )
        assert parts[0].id == merged.id
