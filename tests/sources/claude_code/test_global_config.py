from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.claude_code.global_config import (
    ClaudeJson,
    GlobalConfig,
    global_config_path,
    read_claude_json,
)
from tests.support.payloads import payload
from tests.support.permissions import unreadable

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = payload("claude_json_excerpt_cachedUsageUtilization_oauthAccount")


@pytest.fixture
def path(home: Path) -> Path:
    return home / ".claude.json"


def test_reads_figures_identity_and_plan_from_a_recorded_file(path: Path) -> None:
    path.write_bytes(RECORDED)
    found = read_claude_json(path)
    assert found.usage is not None
    assert ("claude-json", datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC)) == (
        found.usage.source,
        found.usage.as_of,
    )
    assert [("five_hour", 0.0), ("seven_day", 100.0), ("seven_day:fable", 3.0)] == [
        (window.key, window.utilization) for window in found.usage.windows
    ]
    account = json.loads(RECORDED)["oauthAccount"]
    assert found.profile is not None
    assert account["emailAddress"] == found.profile.email
    assert account["accountUuid"] == found.profile.account_uuid == found.usage_account
    assert found.profile.plan is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"oauthAccount": 7, "cachedUsageUtilization": []}',
        b'{"cachedUsageUtilization": {"fetchedAtMs": "x", "utilization": {}}}',
        b'{"cachedUsageUtilization": {"fetchedAtMs": 1785316388731, "utilization": 7}}',
        b"[" * 100_000,
    ],
)
def test_ignores_truncated_and_unexpected_content(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert ClaudeJson() == read_claude_json(path)


def test_ignores_a_missing_file(path: Path) -> None:
    assert ClaudeJson() == read_claude_json(path)
    assert ClaudeJson() == GlobalConfig({"HOME": "relative"}).read()


def test_finds_the_file_where_claude_code_stores_it(home: Path) -> None:
    environ = {"HOME": str(home)}
    assert str(home / ".claude.json") == global_config_path(environ)
    configured = {**environ, "CLAUDE_CONFIG_DIR": str(home / "other")}
    assert str(home / "other" / ".claude.json") == global_config_path(configured)
    (home / "other").mkdir()
    (home / "other" / ".config.json").write_text("{}")
    assert str(home / "other" / ".config.json") == global_config_path(configured)


def test_parses_the_file_again_only_after_a_change(path: Path, home: Path) -> None:
    path.write_bytes(RECORDED)
    config = GlobalConfig({"HOME": str(home)})
    first = config.read()
    assert first is config.read()
    path.write_bytes(b"{}")
    assert ClaudeJson() == config.read()


def test_a_fifo_or_a_device_does_not_block(path: Path, home: Path) -> None:
    os.mkfifo(path)
    assert ClaudeJson() == GlobalConfig({"HOME": str(home)}).read()
    path.unlink()
    path.symlink_to("/dev/zero")
    assert ClaudeJson() == GlobalConfig({"HOME": str(home)}).read()


def test_ignores_a_home_that_cannot_be_entered(path: Path, home: Path) -> None:
    path.write_bytes(RECORDED)
    with unreadable(home):
        assert ClaudeJson() == GlobalConfig({"HOME": str(home)}).read()
