"""The folder as a whole: found, read, cached, and never changed."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.pace_maker import database
from claude_usage_monitor.sources.pace_maker.reader import PaceMaker, PaceMakerSnapshot
from claude_usage_monitor.usage.throttling import Blockage, Gap, GapReason, Throttling
from tests.support.pace_maker import CANARY, PaceMakerFolder
from tests.support.payloads import NOW, usage_body

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

POLLED = NOW - timedelta(minutes=2)


@pytest.fixture
def folder(home: Path) -> PaceMakerFolder:
    found = PaceMakerFolder(home / ".claude-pace-maker").install()
    found.poll(POLLED)
    found.decide(POLLED, 35)
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that gets an item each time the database is read."""
    found: list[object] = []
    real = database.read_rows

    def counted(path: Path, now: datetime) -> object:
        found.append(path)
        return real(path, now)

    monkeypatch.setattr(database, "read_rows", counted)
    return found


def snapshot(folder: PaceMakerFolder, now: datetime = NOW) -> PaceMakerSnapshot:
    found = PaceMaker(folder.path).read(now)
    assert found is not None
    return found


def read(folder: PaceMakerFolder, now: datetime = NOW) -> Throttling:
    return snapshot(folder, now).throttling


def age_files(folder: PaceMakerFolder) -> None:
    """Move the last change of every file some time back."""
    for path in folder.path.iterdir():
        long_ago = (NOW - timedelta(minutes=1)).timestamp()
        os.utime(path, (long_ago, long_ago))


# --- states ---------------------------------------------------------------------------------------


def test_without_an_installation_there_is_no_snapshot(home: Path) -> None:
    folder = home / ".claude-pace-maker"
    assert PaceMaker(folder).read(NOW) is None
    folder.mkdir()
    assert PaceMaker(folder).read(NOW) is None


def test_reads_that_tool_uses_are_throttled(folder: PaceMakerFolder) -> None:
    folder.block(NOW - timedelta(minutes=5), "pacing_quota", 2)
    found = read(folder)
    assert (True, True, 35.0) == (found.enabled, found.throttling(NOW), found.delay_seconds)
    assert ("normal", "auto", ()) == (found.mode, found.tempo, found.gaps)
    assert "five_hour" == found.window(NOW)
    assert pytest.approx(57.0) == found.target(NOW)  # its reading is two minutes old
    assert pytest.approx(21.0) == found.deviation(NOW)
    assert (Blockage("pacing_quota", 2),) == found.blockages(NOW)
    assert (POLLED, False) == (found.as_of, found.stale(NOW))


def test_reads_that_usage_is_on_pace(folder: PaceMakerFolder) -> None:
    folder.decide(NOW - timedelta(minutes=1), 0)
    assert (False, 0.0) == (read(folder).throttling(NOW), read(folder).delay_seconds)


def test_an_old_decision_is_stale(folder: PaceMakerFolder) -> None:
    later = NOW + timedelta(hours=3)
    found = read(folder, later)
    assert (None, True, 35.0) == (found.throttling(later), found.stale(later), found.delay_seconds)
    assert [True, False] == [window.stale(later) for window in found.windows]


def test_estimates_of_the_fallback_are_not_known(folder: PaceMakerFolder) -> None:
    """Pace Maker does not store its estimates, so that only the resets are known."""
    folder.fall_back(POLLED, NOW)
    found = read(folder)
    assert "fallback" == found.mode
    assert [
        ("five_hour", None, True, NOW + timedelta(hours=2, minutes=11)),
        ("seven_day", None, True, NOW + timedelta(days=3, hours=2)),
    ] == [(w.key, w.utilization, w.synthetic, w.resets_at) for w in found.windows]
    assert None is found.window(NOW)
    assert snapshot(folder).usage is not None  # the last response of the API is still a reading


def test_a_window_is_not_stale_while_it_is_estimated(folder: PaceMakerFolder) -> None:
    folder.fall_back(POLLED, NOW)
    folder.decide(NOW + timedelta(hours=3), 35)
    later = NOW + timedelta(hours=3)
    found = read(folder, later)
    assert (False, None) == (found.windows[0].stale(later), found.windows[0].target(later))
    assert not found.stale(later)


@pytest.mark.parametrize(
    ("utilization", "resets_at", "expected"),
    [
        (78.0, "2026-11-21T14:30:00Z", 78.0),
        (0.0, "2026-11-21T14:30:00", 0.0),
        (0.0, None, None),  # how Pace Maker stores a window that the API did not report
        (5.0, None, 5.0),
        (-1, "2026-11-21T14:30:00Z", None),
    ],
)
def test_reported_figures_are_unchanged(
    folder: PaceMakerFolder, utilization: object, resets_at: object, expected: float | None
) -> None:
    folder.configure(weekly_limit_enabled="unusable")
    folder.execute(
        "UPDATE api_cache SET five_hour_util = ?, five_hour_resets_at = ?", utilization, resets_at
    )
    windows = read(folder).windows
    assert expected == windows[0].utilization
    assert [True, None] == [window.limited for window in windows]


def test_without_any_figures_there_are_no_windows(folder: PaceMakerFolder) -> None:
    folder.execute("DELETE FROM api_cache")
    assert () == read(folder).windows


def test_a_back_off_started_ten_minutes_to_an_hour_before_its_end(
    folder: PaceMakerFolder,
) -> None:
    """Ten minutes if it is the first, twice as many for each further one."""
    for repeats, minutes in ((1, 10), (2, 20), (4, 60), (40, 60)):
        folder.refuse(NOW + timedelta(minutes=5), repeats)
        found = snapshot(folder)
        assert found.throttling.backing_off(NOW)
        assert found.backoff_known
        assert NOW + timedelta(minutes=5 - minutes) == found.refused_at


def test_an_impossibly_late_back_off_is_a_gap(folder: PaceMakerFolder) -> None:
    folder.refuse(NOW + timedelta(days=2))
    found = read(folder)
    gap = Gap("backoff_state", GapReason.UNUSABLE_VALUE, ("backoff_until",))
    assert (None, (gap,)) == (found.backoff_until, found.gaps)
    assert not snapshot(folder).backoff_known


def test_the_last_response_of_the_api_is_a_reading(folder: PaceMakerFolder) -> None:
    found = snapshot(folder)
    usage = found.usage
    assert usage is not None
    assert ("pace-maker", POLLED, POLLED) == (usage.source, usage.as_of, found.polled_at)
    assert ["five_hour", "seven_day", "seven_day:fable"] == [w.key for w in usage.windows]
    assert {"pace-maker"} == {window.source for window in usage.windows}
    assert usage.extra_usage is not None


def test_the_reading_has_the_time_of_the_api(folder: PaceMakerFolder) -> None:
    found = PaceMaker(folder.path).read(NOW, timedelta(hours=1))
    assert found is not None
    assert found.usage is not None
    assert (POLLED - timedelta(hours=1), POLLED) == (found.usage.as_of, found.polled_at)


@pytest.mark.parametrize("raw", ["", "{", "[1]", '{"error": {"type": "x"}}', None])
def test_a_response_without_usage_is_a_gap(folder: PaceMakerFolder, raw: str | None) -> None:
    folder.execute("UPDATE api_cache SET raw_response = ?", raw)
    found = snapshot(folder)
    assert found.usage is None
    gap = Gap("api_cache", GapReason.UNUSABLE_VALUE, ("raw_response",))
    assert (() if raw is None else (gap,)) == found.throttling.gaps
    assert 78.0 == found.throttling.windows[0].utilization


# --- gaps -----------------------------------------------------------------------------------------


def test_a_truncated_configuration_hides_only_the_settings(folder: PaceMakerFolder) -> None:
    (folder.path / "config.json").write_text('{"enabled": tr')
    found = read(folder)
    assert (None, True, 35.0) == (found.enabled, found.throttling(NOW), found.delay_seconds)
    assert (Gap("config.json", GapReason.NOT_JSON),) == found.gaps


def test_without_a_database_the_settings_are_read(folder: PaceMakerFolder) -> None:
    folder.database.unlink()
    folder.configure(enabled=False)
    found = read(folder)
    assert (False, (Gap("usage.db", GapReason.MISSING_FILE),)) == (found.enabled, found.gaps)
    assert not snapshot(folder).backoff_known
    assert (None, None) == (found.mode, found.throttling(NOW) or None)


def test_returns_the_last_rows_while_the_database_is_locked(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    folder.decide(POLLED, 35)
    subject = PaceMaker(folder.path)
    assert subject.read(NOW) is not None
    other = sqlite3.connect(folder.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    locked = subject.read(NOW)
    other.close()
    assert locked is not None
    assert (35.0, (Gap("usage.db", GapReason.LOCKED),)) == (
        locked.throttling.delay_seconds,
        locked.throttling.gaps,
    )
    again = subject.read(NOW)
    assert again is not None
    assert () == again.throttling.gaps


def test_unusable_values_are_unknown_and_not_zero(folder: PaceMakerFolder) -> None:
    folder.execute("DELETE FROM pacing_decisions")
    folder.execute(
        "INSERT INTO pacing_decisions (timestamp, should_throttle, delay_seconds, session_id)"
        " VALUES ('soon', 'maybe', -5, 's')"
    )
    folder.execute("INSERT INTO blockage_events VALUES (1, 9e15, X'00', '', '', '', '', 0)")
    found = read(folder)
    assert (None, None, None) == (found.decided_at, found.should_throttle, found.delay_seconds)
    assert () == found.blockages(NOW)


def test_an_unknown_mode_is_none(folder: PaceMakerFolder) -> None:
    folder.execute("INSERT INTO fallback_state_v2 (id, state) VALUES (1, 'hibernating')")
    assert read(folder).mode is None


def test_removes_control_characters_from_a_category(folder: PaceMakerFolder) -> None:
    folder.block(NOW, "\x1b[31mred\u202e" + "x" * 200)
    (found,) = read(folder).blockages(NOW)
    assert found.category.isprintable()
    assert len(found.category) <= 40


def test_the_snapshot_contains_no_secret(folder: PaceMakerFolder) -> None:
    assert CANARY not in repr(snapshot(folder))


# --- changes --------------------------------------------------------------------------------------


def test_reads_nothing_again_while_nothing_changes(
    folder: PaceMakerFolder, opened: list[object]
) -> None:
    age_files(folder)
    subject = PaceMaker(folder.path)
    first = subject.read(NOW)
    for minutes in range(60):
        assert subject.read(NOW + timedelta(minutes=minutes)) is first
    assert 1 == len(opened)


def test_notices_a_change_of_the_database(folder: PaceMakerFolder, opened: list[object]) -> None:
    age_files(folder)
    subject = PaceMaker(folder.path)
    subject.read(NOW)
    folder.decide(NOW, 0)
    found = subject.read(NOW)
    assert found is not None
    assert (2, 0.0) == (len(opened), found.throttling.delay_seconds)


def test_notices_a_change_of_the_settings(folder: PaceMakerFolder) -> None:
    age_files(folder)
    subject = PaceMaker(folder.path)
    subject.read(NOW)
    folder.configure(enabled=False)
    found = subject.read(NOW)
    assert found is not None
    assert found.throttling.enabled is False


def test_notices_a_second_change_with_the_same_mtime(folder: PaceMakerFolder) -> None:
    subject = PaceMaker(folder.path)
    stamp = folder.database.stat()
    moment = (NOW - timedelta(seconds=0.2)).timestamp()
    os.utime(folder.database, (moment, moment))
    subject.read(NOW)
    folder.execute("UPDATE pacing_decisions SET delay_seconds = 99")
    os.utime(folder.database, (moment, moment))
    assert stamp.st_size == folder.database.stat().st_size
    found = subject.read(NOW)
    assert found is not None
    assert 99.0 == found.throttling.delay_seconds


def test_reading_changes_no_file(folder: PaceMakerFolder) -> None:
    folder.write_state(last_user_interaction_time=None)
    (folder.path / "profile_cache.json").write_text("{}")
    before = folder.contents()
    for _ in range(3):
        snapshot(folder)
    assert before == folder.contents()


def test_reads_completely_while_another_process_writes(folder: PaceMakerFolder) -> None:
    subject = PaceMaker(folder.path)
    with folder.being_written():
        for _ in range(20):
            found = subject.read(NOW)
            assert found is not None
            assert () == found.throttling.gaps
            assert found.usage is not None


def test_the_builder_stores_a_body_like_the_api() -> None:
    assert {"five_hour", "seven_day", "limits"} <= set(usage_body())
