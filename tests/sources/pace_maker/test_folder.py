from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.pace_maker.folder import installed_as, read_settings
from claude_usage_monitor.usage.throttling import Gap, GapReason, Limiters
from tests.support.pace_maker import PaceMakerFolder
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from claude_usage_monitor.sources.pace_maker.folder import Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "enabled",
        "tempo_mode",
        "tempo_enabled",
        "poll_interval",
        "preload_hours",
        "weekly_limit_enabled",
        "auto_tempo_threshold_minutes",
        "last_user_interaction_time",
        "last_user_interaction_time_by_session",
        "tempo_session_enabled",
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> PaceMakerFolder:
    found = PaceMakerFolder(tmp_path / "pace-maker")
    found.path.mkdir()
    return found


def read(folder: PaceMakerFolder) -> tuple[Settings, list[Gap]]:
    gaps: list[Gap] = []
    return read_settings(folder.path, gaps), gaps


def test_without_files_each_setting_has_its_default(folder: PaceMakerFolder) -> None:
    found, gaps = read(folder)
    assert found == (
        True,
        Limiters(five_hour=True, seven_day=True),
        "auto",
        timedelta(minutes=10),
        timedelta(seconds=300),
        timedelta(hours=12),
        None,
    )
    assert [] == gaps


def test_reads_each_setting(folder: PaceMakerFolder) -> None:
    folder.configure(
        enabled=False,
        weekly_limit_enabled=False,
        tempo_mode="off",
        poll_interval=60,
        preload_hours=6.5,
        auto_tempo_threshold_minutes=3,
    )
    found, gaps = read(folder)
    assert found == (
        False,
        Limiters(five_hour=True, seven_day=False),
        "off",
        timedelta(minutes=3),
        timedelta(minutes=1),
        timedelta(hours=6.5),
        None,
    )
    assert [] == gaps


@pytest.mark.parametrize(
    ("config", "session", "expected"),
    [
        ({}, None, "auto"),
        ({"tempo_mode": "on"}, None, "on"),
        ({"tempo_mode": "on"}, False, "off"),
        ({"tempo_mode": "off"}, True, "on"),
        ({"tempo_mode": None, "tempo_enabled": True}, None, "on"),
        ({"tempo_mode": None, "tempo_enabled": False}, None, "off"),
        ({"tempo_mode": "auto", "tempo_enabled": False}, None, "auto"),
        ({"tempo_mode": "sometimes"}, None, None),
    ],
)
def test_the_tempo_in_force(
    folder: PaceMakerFolder, config: dict[str, object], session: bool | None, expected: str | None
) -> None:
    folder.configure(**config)
    folder.write_state(tempo_session_enabled=session)
    assert expected == read(folder)[0].tempo


def test_the_last_interaction_is_the_last_of_all_sessions(folder: PaceMakerFolder) -> None:
    """Times without a time zone are in UTC."""
    folder.write_state(
        last_user_interaction_time="2026-11-21T12:00:00",
        last_user_interaction_time_by_session={
            "a": "2026-11-21T12:19:00+00:00",
            "b": None,
            "c": 1763726400,
        },
    )
    assert NOW == read(folder)[0].last_interaction


@pytest.mark.parametrize("content", [b"", b'{"enabled": tr', b"[]", b"null", b"\xff", b"\0" * 90])
def test_a_truncated_file_is_unknown_and_a_gap(folder: PaceMakerFolder, content: bytes) -> None:
    (folder.path / "config.json").write_bytes(content)
    found, gaps = read(folder)
    assert (None, None, Limiters()) == (found.enabled, found.tempo, found.limiters)
    assert [Gap("config.json", GapReason.NOT_JSON)] == gaps


def test_an_unusable_value_is_unknown_and_a_gap(folder: PaceMakerFolder) -> None:
    folder.configure(enabled="yes", poll_interval=-1)
    found, gaps = read(folder)
    assert (None, timedelta(seconds=300)) == (found.enabled, found.poll_interval)
    assert [
        Gap("config.json", GapReason.UNUSABLE_VALUE, (key,)) for key in ("enabled", "poll_interval")
    ] == gaps


def test_a_fifo_or_a_folder_is_a_gap_and_never_blocks(folder: PaceMakerFolder) -> None:
    os.mkfifo(folder.path / "config.json")
    (folder.path / "state.json").mkdir()
    assert [
        Gap("config.json", GapReason.NOT_A_REGULAR_FILE),
        Gap("state.json", GapReason.NOT_A_REGULAR_FILE),
    ] == read(folder)[1]


@given(st.dictionaries(KEYS, JSON), st.dictionaries(KEYS, JSON))
def test_any_json_is_settings_or_gaps(
    tmp_path_factory: pytest.TempPathFactory, config: object, state: object
) -> None:
    folder = PaceMakerFolder(tmp_path_factory.mktemp("any"))
    (folder.path / "config.json").write_text(json.dumps(config))
    (folder.path / "state.json").write_text(json.dumps(state))
    found, _ = read(folder)
    assert found.poll_interval >= timedelta()


def test_tells_both_ways_of_installation_apart(folder: PaceMakerFolder) -> None:
    assert "plugin" in installed_as(folder.path)
    (folder.path / "install_source").write_text("/somewhere/pipx/venvs/x\n")
    assert "command" in installed_as(folder.path)
