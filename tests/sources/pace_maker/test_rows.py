"""Older, newer and foreign schemas: the rest is read and the gap has a name."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.pace_maker.database import Unreadable, read_rows
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
def test_a_missing_table_is_named_if_it_is_needed_and_costs_no_other(
    home: Path, table: str
) -> None:
    folder = installed(home, without(SCHEMA, table))
    if table != "pacing_decisions":
        folder.decided(NOW, 35)
    if table != "api_cache":
        folder.polled(NOW)
    rows = read_rows(folder.database, NOW)
    expected = (f"usage.db has no table {table}",) if table in NEEDED else ()
    assert expected == rows.gaps
    assert (table == "pacing_decisions") == (rows.pacing_decisions == {})
    assert (table == "api_cache") == (rows.api_cache == {})


def test_a_missing_column_is_named_and_the_others_are_read(home: Path) -> None:
    folder = installed(
        home, SCHEMA.replace(", seven_day_resets_at TEXT,\n    raw_response TEXT", "")
    )
    folder.execute("INSERT INTO api_cache VALUES (1, ?, 78, NULL, 35)", NOW.timestamp())
    rows = read_rows(folder.database, NOW)
    assert ("api_cache has no seven_day_resets_at, raw_response",) == rows.gaps
    assert 78.0 == rows.api_cache["five_hour_util"]


def test_an_old_database_has_snapshots_instead_of_a_cache(home: Path) -> None:
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


def test_a_newer_schema_is_read_as_far_as_it_is_known(home: Path) -> None:
    folder = installed(home, SCHEMA + "CREATE TABLE flux (a); PRAGMA user_version = 99;")
    folder.execute("ALTER TABLE pacing_decisions ADD COLUMN reason TEXT")
    folder.decided(NOW, 35)
    rows = read_rows(folder.database, NOW)
    assert ((), 35) == (rows.gaps, rows.pacing_decisions["delay_seconds"])


def test_another_programs_database_is_all_gaps(home: Path) -> None:
    folder = installed(home, "CREATE TABLE secrets (type, value); CREATE TABLE bookmarks (url);")
    rows = read_rows(folder.database, NOW)
    assert {f"usage.db has no table {table}" for table in NEEDED} == set(rows.gaps)


def test_a_table_that_is_really_a_view_without_end_is_given_up(home: Path) -> None:
    endless = (
        "CREATE VIEW pacing_decisions AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n) SELECT i AS timestamp, i AS should_throttle, i AS delay_seconds,"
        " i AS rowid FROM n;"
    )
    folder = installed(home, without(SCHEMA, "pacing_decisions") + endless)
    assert "pacing_decisions is too slow to read" in read_rows(folder.database, NOW).gaps


@pytest.mark.parametrize("value", [b"\xff\xfe", "\ud800", "x" * (5 << 20), 1e400, -(2**63)])
def test_values_of_any_kind_break_nothing(home: Path, value: object) -> None:
    folder = installed(home)
    stored = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    folder.execute("INSERT INTO api_cache VALUES (1, ?1, ?1, ?1, ?1, ?1, CAST(?1 AS TEXT))", stored)
    folder.execute("INSERT INTO blockage_events VALUES (1, ?1, ?1, '', '', '', '', 0)", stored)
    try:
        assert isinstance(read_rows(folder.database, NOW).gaps, tuple)
    except Unreadable:
        pytest.fail("one odd value costs no other")


def test_more_than_a_thousand_blockages_are_said_not_to_be_all(home: Path) -> None:
    folder = installed(home)
    folder.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
        " INSERT INTO blockage_events (timestamp, category, reason, hook_type, session_id)"
        " SELECT ?, 'other', '', '', '' FROM n",
        int(NOW.timestamp()),
    )
    rows = read_rows(folder.database, NOW)
    assert (1000, 1) == (len(rows.blockages), len(rows.gaps))
