"""Older, newer and foreign schemas: the rest is still read, and each gap is named."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.pace_maker.database import Unreadable, read_rows
from claude_usage_monitor.usage.throttling import Gap, GapReason
from tests.support.pace_maker import SCHEMA, PaceMakerFolder
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path

TABLES = re.findall(r"CREATE TABLE (\w+)", SCHEMA)
NEEDED = ("api_cache", "pacing_decisions", "fallback_state_v2", "backoff_state", "blockage_events")


def installed(home: Path, schema: str = SCHEMA) -> PaceMakerFolder:
    return PaceMakerFolder(home / ".claude-pace-maker").install(schema=schema)


def without(schema: str, table: str) -> str:
    return re.sub(rf"CREATE TABLE {table} .*?;", "", schema, flags=re.DOTALL)


@pytest.mark.parametrize("table", [table for table in TABLES if table != "secrets"])
def test_a_missing_table_is_a_gap_if_it_is_needed(home: Path, table: str) -> None:
    folder = installed(home, without(SCHEMA, table))
    if table != "pacing_decisions":
        folder.decide(NOW, 35)
    if table != "api_cache":
        folder.poll(NOW)
    rows = read_rows(folder.database, NOW)
    expected = (Gap(table, GapReason.MISSING_TABLE),) if table in NEEDED else ()
    assert expected == rows.gaps
    assert (table == "pacing_decisions") == (rows.pacing_decisions == {})
    assert (table == "api_cache") == (rows.api_cache == {})


def test_a_missing_column_is_a_gap_and_the_others_are_read(home: Path) -> None:
    folder = installed(
        home, SCHEMA.replace(", seven_day_resets_at TEXT,\n    raw_response TEXT", "")
    )
    folder.execute("INSERT INTO api_cache VALUES (1, ?, 78, NULL, 35)", NOW.timestamp())
    rows = read_rows(folder.database, NOW)
    missing = ("seven_day_resets_at", "raw_response")
    assert (Gap("api_cache", GapReason.MISSING_COLUMNS, missing),) == rows.gaps
    assert 78.0 == rows.api_cache["five_hour_util"]


def test_reads_the_snapshots_of_an_older_version(home: Path) -> None:
    """The newest one, by the order in which they were added."""
    folder = installed(home, without(without(SCHEMA, "api_cache"), "fallback_state_v2"))
    for hours, percent in ((2, 10), (1, 20)):
        folder.execute(
            "INSERT INTO usage_snapshots (timestamp, five_hour_util, seven_day_util, session_id)"
            " VALUES (?, ?, 5, 's')",
            int((NOW - timedelta(hours=hours)).timestamp()),
            percent,
        )
    rows = read_rows(folder.database, NOW)
    assert ({}, 20.0) == (rows.api_cache, rows.snapshot["five_hour_util"])


def test_reads_the_known_part_of_a_newer_schema(home: Path) -> None:
    folder = installed(home, SCHEMA + "CREATE TABLE flux (a); PRAGMA user_version = 99;")
    folder.execute("ALTER TABLE pacing_decisions ADD COLUMN reason TEXT")
    folder.decide(NOW, 35)
    rows = read_rows(folder.database, NOW)
    assert ((), 35) == (rows.gaps, rows.pacing_decisions["delay_seconds"])


def test_the_database_of_another_program_is_all_gaps(home: Path) -> None:
    folder = installed(home, "CREATE TABLE secrets (type, value); CREATE TABLE bookmarks (url);")
    rows = read_rows(folder.database, NOW)
    assert {Gap(table, GapReason.MISSING_TABLE) for table in NEEDED} == set(rows.gaps)


def test_stops_reading_an_endless_view(home: Path) -> None:
    endless = (
        "CREATE VIEW pacing_decisions AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n) SELECT i AS timestamp, i AS should_throttle, i AS delay_seconds,"
        " i AS rowid FROM n;"
    )
    folder = installed(home, without(SCHEMA, "pacing_decisions") + endless)
    gaps = read_rows(folder.database, NOW).gaps
    assert Gap("pacing_decisions", GapReason.TOO_SLOW) in gaps


@pytest.mark.parametrize("value", [b"\xff\xfe", "\ud800", "x" * (5 << 20), 1e400, -(2**63)])
def test_an_unexpected_value_is_a_gap_at_most(home: Path, value: object) -> None:
    folder = installed(home)
    stored = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    folder.execute("INSERT INTO api_cache VALUES (1, ?1, ?1, ?1, ?1, ?1, CAST(?1 AS TEXT))", stored)
    folder.execute("INSERT INTO blockage_events VALUES (1, ?1, ?1, '', '', '', '', 0)", stored)
    try:
        assert isinstance(read_rows(folder.database, NOW).gaps, tuple)
    except Unreadable:
        pytest.fail("an unexpected value must not hide the others")


def test_reads_at_most_a_thousand_blockages(home: Path) -> None:
    folder = installed(home)
    folder.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
        " INSERT INTO blockage_events (timestamp, category, reason, hook_type, session_id)"
        " SELECT ?, 'other', '', '', '' FROM n",
        int(NOW.timestamp()),
    )
    rows = read_rows(folder.database, NOW)
    assert 1000 == len(rows.blockage_events)
    assert (Gap("blockage_events", GapReason.TOO_MANY_ROWS),) == rows.gaps
