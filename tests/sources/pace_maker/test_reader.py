"""The folder as a whole: found, read, remembered, and left as it is."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.pace_maker import database
from claude_usage_monitor.sources.pace_maker.reader import PaceMaker, Seen
from claude_usage_monitor.usage.throttling import Blockage, Throttling
from tests.support.pace_maker import CANARY, PaceMakerFolder
from tests.support.payloads import NOW, usage_body

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

POLLED = NOW - timedelta(minutes=2)


@pytest.fixture
def folder(home: Path) -> PaceMakerFolder:
    found = PaceMakerFolder(home / ".claude-pace-maker").install()
    found.polled(POLLED)
    found.decided(POLLED, 35)
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what lists every opening of its database."""
    found: list[object] = []
    real = database.read_rows

    def counted(path: Path, now: datetime) -> object:
        found.append(path)
        return real(path, now)

    monkeypatch.setattr(database, "read_rows", counted)
    return found


def seen(folder: PaceMakerFolder, now: datetime = NOW) -> Seen:
    found = PaceMaker(folder.path).read(now)
    assert found is not None
    return found


def read(folder: PaceMakerFolder, now: datetime = NOW) -> Throttling:
    return seen(folder, now).throttling


def record_result(folder: PaceMakerFolder) -> None:
    """Let the last change of every file be some time ago."""
    for path in folder.path.iterdir():
        long_ago = (NOW - timedelta(minutes=1)).timestamp()
        os.utime(path, (long_ago, long_ago))


# --- states --------------------------------------------------------------------------------------


def test_where_there_is_none_there_is_nothing(home: Path) -> None:
    folder = home / ".claude-pace-maker"
    assert PaceMaker(folder).read(NOW) is None
    folder.mkdir()
    assert PaceMaker(folder).read(NOW) is None


def test_throttling(folder: PaceMakerFolder) -> None:
    folder.blocked(NOW - timedelta(minutes=5), "pacing_quota", 2)
    found = read(folder)
    assert (True, True, 35.0) == (found.enabled, found.throttling(NOW), found.delay_seconds)
    assert ("normal", "auto", ()) == (found.mode, found.tempo, found.gaps)
    assert "five_hour" == found.window(NOW)
    assert pytest.approx(57.0) == found.target(NOW)  # its reading is two minutes old
    assert pytest.approx(21.0) == found.deviation(NOW)
    assert (Blockage("pacing_quota", 2),) == found.blockages(NOW)
    assert (POLLED, False) == (found.as_of, found.stale(NOW))


def test_on_pace(folder: PaceMakerFolder) -> None:
    folder.decided(NOW - timedelta(minutes=1), 0)
    assert (False, 0.0) == (read(folder).throttling(NOW), read(folder).delay_seconds)


def test_stale(folder: PaceMakerFolder) -> None:
    later = NOW + timedelta(hours=3)
    found = read(folder, later)
    assert (None, True, 35.0) == (found.throttling(later), found.stale(later), found.delay_seconds)
    assert [True, False] == [window.stale(later) for window in found.windows]


def test_fallback(folder: PaceMakerFolder) -> None:
    folder.fall_back(POLLED, NOW, dollars=2.0)
    found = read(folder)
    assert "fallback" == found.mode
    assert [(79.5, True), (35.22, True)] == [
        (round(window.utilization or 0, 2), window.synthetic) for window in found.windows
    ]
    assert seen(folder).usage is not None  # the last real figures stay a reading


def test_an_estimate_is_made_anew_once_a_window_has_reset(folder: PaceMakerFolder) -> None:
    folder.fall_back(POLLED, NOW, dollars=2.0)
    record_result(folder)
    subject = PaceMaker(folder.path)
    assert subject.read(NOW) is not None
    after = subject.read(NOW + timedelta(hours=3))
    assert after is not None
    assert 0.0 == after.throttling.windows[0].utilization
    assert not after.throttling.windows[0].stale(NOW + timedelta(hours=3))


def test_a_back_off(folder: PaceMakerFolder) -> None:
    """It began an hour before its end at the earliest count, ten minutes at the first."""
    for repeats, minutes in ((1, 10), (2, 20), (4, 60), (40, 60)):
        folder.refused(NOW + timedelta(minutes=5), repeats)
        found = seen(folder)
        assert found.throttling.backing_off(NOW)
        assert NOW + timedelta(minutes=5 - minutes) == found.refused_at


def test_a_back_off_beyond_reason_is_a_gap(folder: PaceMakerFolder) -> None:
    folder.refused(NOW + timedelta(days=2))
    found = read(folder)
    assert (None, 1) == (found.backoff_until, len(found.gaps))


def test_its_last_reply_is_a_reading_like_any_other(folder: PaceMakerFolder) -> None:
    found = seen(folder)
    usage = found.usage
    assert usage is not None
    assert ("pace-maker", POLLED, POLLED) == (usage.source, usage.as_of, found.polled_at)
    assert ["five_hour", "seven_day", "seven_day:fable"] == [w.key for w in usage.windows]
    assert {"pace-maker"} == {window.source for window in usage.windows}
    assert usage.extra_usage is not None


def test_its_reading_is_told_in_the_apis_time(folder: PaceMakerFolder) -> None:
    found = PaceMaker(folder.path).read(NOW, timedelta(hours=1))
    assert found is not None
    assert found.usage is not None
    assert (POLLED - timedelta(hours=1), POLLED) == (found.usage.as_of, found.polled_at)


@pytest.mark.parametrize("raw", ["", "{", "[1]", '{"error": {"type": "x"}}', None])
def test_a_reply_that_is_no_usage_is_no_reading(folder: PaceMakerFolder, raw: str | None) -> None:
    folder.execute("UPDATE api_cache SET raw_response = ?", raw)
    found = seen(folder)
    assert found.usage is None
    assert (raw is not None) == any("raw_response" in gap for gap in found.throttling.gaps)
    assert 78.0 == found.throttling.windows[0].utilization


# --- gaps ----------------------------------------------------------------------------------------


def test_a_half_written_configuration_costs_only_what_it_holds(folder: PaceMakerFolder) -> None:
    (folder.path / "config.json").write_text('{"enabled": tr')
    found = read(folder)
    assert (None, True, 35.0) == (found.enabled, found.throttling(NOW), found.delay_seconds)
    assert ("config.json is not whole, or not JSON",) == found.gaps


def test_without_a_database_the_settings_are_shown(folder: PaceMakerFolder) -> None:
    folder.database.unlink()
    folder.configure(enabled=False)
    found = read(folder)
    assert (False, ("usage.db is not there yet",)) == (found.enabled, found.gaps)
    assert (None, None) == (found.mode, found.throttling(NOW) or None)


def test_while_the_database_cannot_be_read_what_was_known_stays(home: Path) -> None:
    folder = PaceMakerFolder(home / ".claude-pace-maker").install(journal="DELETE")
    folder.decided(POLLED, 35)
    subject = PaceMaker(folder.path)
    assert subject.read(NOW) is not None
    other = sqlite3.connect(folder.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    locked = subject.read(NOW)
    other.close()
    assert locked is not None
    assert (35.0, ("usage.db is locked by another program",)) == (
        locked.throttling.delay_seconds,
        locked.throttling.gaps,
    )
    again = subject.read(NOW)
    assert again is not None
    assert () == again.throttling.gaps


def test_odd_rows_are_unknown_not_zero(folder: PaceMakerFolder) -> None:
    folder.execute("DELETE FROM pacing_decisions")
    folder.execute(
        "INSERT INTO pacing_decisions (timestamp, should_throttle, delay_seconds, session_id)"
        " VALUES ('soon', 'maybe', -5, 's')"
    )
    folder.execute("INSERT INTO blockage_events VALUES (1, 9e15, X'00', '', '', '', '', 0)")
    found = read(folder)
    assert (None, None, None) == (found.decided_at, found.should_throttle, found.delay_seconds)
    assert () == found.blockages(NOW)


def test_a_state_of_another_name_is_unknown(folder: PaceMakerFolder) -> None:
    folder.execute("INSERT INTO fallback_state_v2 (id, state) VALUES (1, 'hibernating')")
    assert read(folder).mode is None


def test_a_foreign_category_is_made_harmless(folder: PaceMakerFolder) -> None:
    folder.blocked(NOW, "\x1b[31mred\u202e" + "x" * 200)
    (found,) = read(folder).blockages(NOW)
    assert found.category.isprintable()
    assert len(found.category) <= 40


def test_no_secret_of_its_leaves_it(folder: PaceMakerFolder) -> None:
    assert CANARY not in repr(seen(folder))


# --- at rest -------------------------------------------------------------------------------------


def test_while_nothing_changes_nothing_is_opened(
    folder: PaceMakerFolder, opened: list[object]
) -> None:
    record_result(folder)
    subject = PaceMaker(folder.path)
    first = subject.read(NOW)
    for minutes in range(60):
        assert subject.read(NOW + timedelta(minutes=minutes)) is first
    assert 1 == len(opened)


def test_every_change_is_noticed(folder: PaceMakerFolder, opened: list[object]) -> None:
    record_result(folder)
    subject = PaceMaker(folder.path)
    subject.read(NOW)
    folder.decided(NOW, 0)
    found = subject.read(NOW)
    assert found is not None
    assert (2, 0.0) == (len(opened), found.throttling.delay_seconds)


def test_a_change_of_its_settings_opens_no_database(
    folder: PaceMakerFolder, opened: list[object]
) -> None:
    record_result(folder)
    subject = PaceMaker(folder.path)
    subject.read(NOW)
    folder.configure(enabled=False)
    found = subject.read(NOW)
    assert found is not None
    assert (1, False) == (len(opened), found.throttling.enabled)


def test_a_second_change_within_a_tick_of_the_clock_is_noticed(folder: PaceMakerFolder) -> None:
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


def test_reading_leaves_the_folder_as_it_was(folder: PaceMakerFolder) -> None:
    folder.remember(last_user_interaction_time=None)
    (folder.path / "profile_cache.json").write_text("{}")
    before = folder.traces()
    for _ in range(3):
        seen(folder)
    assert before == folder.traces()


def test_it_is_read_while_it_is_being_written(folder: PaceMakerFolder) -> None:
    subject = PaceMaker(folder.path)
    with folder.written():
        for _ in range(20):
            found = subject.read(NOW)
            assert found is not None
            assert () == found.throttling.gaps
            assert found.usage is not None


def test_the_body_of_the_sketches_is_what_was_stored() -> None:
    """A guard for the builder: what it stores is what the API sends."""
    assert {"five_hour", "seven_day", "limits"} <= set(usage_body())
