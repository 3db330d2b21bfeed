from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.store.state import readings
from claude_usage_monitor.store.state.readings import (
    HOURLY_RETENTION,
    READING_RETENTION,
    latest_usage,
    record_usage,
)
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets
from claude_usage_monitor.usage.limits.windows import (
    SPEND_LIMIT,
    Amounts,
    ExtraUsage,
    Usage,
    UsageWindow,
    label_for,
)
from tests.support.payloads import NOW, PAYLOADS, as_bytes, payload, usage_body

if TYPE_CHECKING:
    import sqlite3

    from claude_usage_monitor.usage.limits.reading_sources import Source


ADA = "uuid-of-ada"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def api(moment: datetime = NOW, **figures: float) -> Usage:
    return usage_from(as_bytes(usage_body(moment, **figures)), moment)


def line(utilization: float, resets_in: timedelta | None, moment: datetime = NOW) -> Usage:
    resets_at = None if resets_in is None else NOW + resets_in
    label = label_for("five_hour")
    window = UsageWindow("five_hour", label, utilization, resets_at, "statusline", moment)
    return Usage((window,), "statusline", moment)


def shown(connection: sqlite3.Connection, now: datetime = NOW) -> tuple[float | None, Source]:
    usage = latest_usage(connection, ADA, now)
    assert usage is not None
    assert usage.five_hour is not None
    return usage.five_hour.utilization, usage.five_hour.source


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("usage_*.json")))
def test_a_reading_is_read_as_it_was_recorded(connection: sqlite3.Connection, name: str) -> None:
    usage = usage_from(payload(name), NOW)
    record_usage(connection, ADA, usage)
    found = latest_usage(connection, ADA, NOW)
    assert found is not None

    def near(windows: tuple[UsageWindow, ...]) -> list[UsageWindow]:
        return [
            w._replace(resets_at=w.resets_at and w.resets_at.replace(microsecond=0))
            for w in windows
        ]

    assert near(usage.windows) == near(found.windows)
    assert (usage.extra_usage, usage.source, usage.as_of) == (
        found.extra_usage,
        found.source,
        found.as_of,
    )
    assert [p.label for p in usage.credit_pools] == [p.label for p in found.credit_pools]


def test_identities_do_not_share_readings(connection: sqlite3.Connection) -> None:
    record_usage(connection, ADA, api())
    assert latest_usage(connection, "uuid-of-bob", NOW) is None


@pytest.mark.parametrize(
    ("source", "later", "expected"),
    [
        ("api", -MINUTE, 10.0),
        ("claude-json", -MINUTE, 78.0),
        ("claude-json", MINUTE, 10.0),
    ],
)
def test_the_newest_reading_wins(
    connection: sqlite3.Connection, source: Source, later: timedelta, expected: float
) -> None:
    record_usage(connection, ADA, api())
    record_usage(connection, ADA, api(NOW + later, five_hour=10.0)._replace(source=source))
    assert expected == shown(connection)[0]


@pytest.mark.parametrize(
    ("utilization", "resets_in", "expected"),
    [
        (79.0, timedelta(hours=2, minutes=11), (79.0, "statusline")),
        (79.0, timedelta(hours=2, minutes=11, seconds=30), (79.0, "statusline")),
        (78.0, timedelta(hours=2, minutes=11), (78.0, "api")),
        (20.0, timedelta(hours=2, minutes=11), (78.0, "api")),
        (1.0, timedelta(hours=5), (1.0, "statusline")),
        (99.0, timedelta(hours=1), (78.0, "api")),
        (80.0, None, (80.0, "statusline")),
        (20.0, None, (78.0, "api")),
    ],
)
def test_a_figure_of_unknown_age_counts_if_it_is_higher_or_resets_later(
    connection: sqlite3.Connection,
    utilization: float,
    resets_in: timedelta | None,
    expected: tuple[float, str],
) -> None:
    """An idle session repeats old figures, but within a window the utilization only grows."""
    record_usage(connection, ADA, api())
    later = line(utilization, resets_in, NOW + MINUTE)
    record_usage(connection, ADA, later)
    assert expected == shown(connection)


def test_a_figure_without_a_reset_gets_the_stored_one(connection: sqlite3.Connection) -> None:
    record_usage(connection, ADA, api())
    record_usage(connection, ADA, line(80, None, NOW + MINUTE))
    found = latest_usage(connection, ADA, NOW)
    assert found is not None
    assert found.five_hour is not None
    assert NOW + timedelta(hours=2, minutes=11) == found.five_hour.resets_at
    assert "five_hour" == next(w.key for w in found.windows if w.binding)
    assert ("api", NOW) == (found.source, found.as_of)


def test_the_figures_of_the_status_line_are_enough(connection: sqlite3.Connection) -> None:
    record_usage(connection, ADA, line(20, timedelta(hours=1)))
    found = latest_usage(connection, ADA, NOW)
    assert found is not None
    assert ("statusline", NOW, 1) == (found.source, found.as_of, len(found.windows))


def test_an_api_reading_counts_although_the_clock_was_set_back(
    connection: sqlite3.Connection,
) -> None:
    record_usage(connection, ADA, api(NOW + timedelta(days=1)))
    record_usage(connection, ADA, api(five_hour=5.0))
    assert 5.0 == shown(connection)[0]


def count(connection: sqlite3.Connection, table: str) -> int:
    return len(connection.execute(f"SELECT * FROM {table}").fetchall())


def watched_hours(connection: sqlite3.Connection) -> list[float]:
    """Return the highest figure of each hour with a reading of the 5-hour window."""
    rows = connection.execute(
        "SELECT peak FROM hourly WHERE key = 'five_hour' AND reads > 0 ORDER BY hour"
    )
    return [peak for (peak,) in rows]


def test_readings_are_deleted_after_eight_days_and_hourly_maxima_after_a_year(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_CLOCK_JUMP_READINGS", 0)
    first = NOW.replace(minute=0)
    for minutes, percent in ((0, 5.0), (20, 9.0), (40, 7.0), (60, 1.0)):
        moment = first + timedelta(minutes=minutes)
        record_usage(connection, ADA, api(moment, five_hour=percent))
    assert (12, [9.0]) == (count(connection, "reading"), watched_hours(connection))
    record_usage(connection, ADA, api(first + READING_RETENTION + MINUTE * 61))
    assert (3, [9.0, 78.0]) == (count(connection, "reading"), watched_hours(connection))
    record_usage(connection, ADA, api(first + HOURLY_RETENTION + READING_RETENTION * 2))
    assert (3, [78.0]) == (count(connection, "reading"), watched_hours(connection))


def test_one_reading_by_a_clock_far_ahead_deletes_no_history(
    connection: sqlite3.Connection,
) -> None:
    for minutes in range(120):
        record_usage(connection, ADA, api(NOW + minutes * MINUTE))
    record_usage(connection, ADA, api(NOW + timedelta(days=700)))
    assert 363 == count(connection, "reading")


def test_no_query_scans_the_history(connection: sqlite3.Connection) -> None:
    """So that a start takes no longer however many readings there are."""
    for table in ("newest", "complete"):
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE account = ? AND as_of >= ?",
            ("", 0),
        ).fetchall()
        assert all("SEARCH" in row[3] for row in plan)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT account FROM reading WHERE read_at < ? ORDER BY read_at LIMIT 9",
        (0,),
    ).fetchall()
    assert all("SEARCH" in row[3] for row in plan)


# --- limits of one source only --------------------------------------------------------------------

SPEND = UsageWindow(
    SPEND_LIMIT,
    "Spend limit",
    24.0,
    NOW + timedelta(days=9),
    "statusline",
    NOW,
    amounts=Amounts(12.0, 50.0, "USD"),
)


def test_a_spend_limit_stays_when_the_api_answers_which_never_reports_it(
    connection: sqlite3.Connection,
) -> None:
    record_usage(connection, ADA, Usage((SPEND,), "statusline", NOW))
    record_usage(connection, ADA, api(NOW + MINUTE))
    found = latest_usage(connection, ADA, NOW + MINUTE)
    assert found is not None
    assert SPEND == found.window(SPEND_LIMIT)
    assert "five_hour" in [window.key for window in found.windows]


def test_amounts_that_an_earlier_version_stored_as_text_are_read(
    connection: sqlite3.Connection,
) -> None:
    extra = ExtraUsage(True, 47.52, 140.0, "USD", 33.9)
    record_usage(connection, ADA, api()._replace(extra_usage=extra))
    record_usage(connection, ADA, Usage((SPEND,), "statusline", NOW))
    connection.execute("UPDATE complete SET money = replace(money, '47.52', '\"47.520\"')")
    connection.execute("UPDATE newest SET amounts = replace(amounts, '12.0', '\"12.00\"')")
    found = latest_usage(connection, ADA, NOW)
    assert found is not None
    assert extra == found.extra_usage
    assert SPEND == found.window(SPEND_LIMIT)


SAVED = SavedResets((ResetGrant(2, NOW + timedelta(days=3), ("five_hour",)),), NOW)


def test_saved_resets_are_those_that_the_api_last_reported(connection: sqlite3.Connection) -> None:
    """Claude Code's cache and Pace Maker do not ask for them, and a request without the flag ends
    them: they would only grow older."""
    record_usage(connection, ADA, api()._replace(saved_resets=SAVED))
    record_usage(connection, ADA, api(NOW + MINUTE)._replace(source="claude-json"))
    found = latest_usage(connection, ADA, NOW + MINUTE)
    assert found is not None
    assert SAVED == found.saved_resets
    record_usage(connection, ADA, api(NOW + 2 * MINUTE))
    found = latest_usage(connection, ADA, NOW + 2 * MINUTE)
    assert found is not None
    assert None is found.saved_resets


def test_a_percentage_that_falls_before_its_reset_is_a_reset(
    connection: sqlite3.Connection,
) -> None:
    """Resets off schedule happen: the newest figure counts, and nothing is a problem."""
    record_usage(connection, ADA, api())
    record_usage(connection, ADA, api(NOW + MINUTE, five_hour=3.0))
    assert (3.0, "api") == shown(connection)
    found = latest_usage(connection, ADA, NOW + MINUTE)
    assert found is not None
    assert found.five_hour is not None
    assert "running" == found.five_hour.state(NOW + MINUTE)
