from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from claude_usage_monitor.sources.claude_code.installation import (
    FALLBACK_VERSION,
    installed_version,
    statusline_command,
)
from tests.support.payloads import as_bytes


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\ntouch "$0.was-run"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_reads_the_version_from_the_path_of_a_native_installation(tmp_path: Path) -> None:
    real = executable(tmp_path / "share" / "claude" / "versions" / "2.1.240")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(real)
    assert installed_version({"PATH": str(tmp_path / "bin")}) == "2.1.240"
    assert not real.with_name("2.1.240.was-run").exists()


def test_reads_the_version_from_the_package_json_of_npm(tmp_path: Path) -> None:
    package_folder = tmp_path / "lib" / "node_modules" / "@anthropic-ai" / "claude-code"
    real = executable(package_folder / "cli.js")
    (package_folder / "package.json").write_bytes(
        as_bytes({"name": "@anthropic-ai/claude-code", "version": "2.1.99"})
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(real)
    assert installed_version({"PATH": str(tmp_path / "bin")}) == "2.1.99"


@pytest.mark.parametrize(
    "package",
    [b"", b"[]", b'{"name": "other", "version": "1.2.3"}']
    + [b'{"name": "@anthropic-ai/claude-code", "version": "x\\r\\nEvil: 1"}'],
)
def test_otherwise_uses_a_version_that_is_known_to_work(tmp_path: Path, package: bytes) -> None:
    executable(tmp_path / "claude")
    (tmp_path / "package.json").write_bytes(package)
    assert installed_version({"PATH": str(tmp_path)}) == FALLBACK_VERSION
    assert installed_version({"PATH": str(tmp_path / "nothing")}) == FALLBACK_VERSION


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (b'{"statusLine": {"type": "command", "command": "my-line --short"}}', "my-line --short"),
        (b'{"statusLine": {"command": ""}}', None),
        (b'{"statusLine": 7}', None),
        (b"{", None),
        (None, None),
    ],
)
def test_reads_the_status_line_command_from_the_settings(
    tmp_path: Path, settings: bytes | None, expected: str | None
) -> None:
    if settings is not None:
        (tmp_path / "settings.json").write_bytes(settings)
    assert expected == statusline_command({"CLAUDE_CONFIG_DIR": str(tmp_path)})


def test_a_fifo_as_the_settings_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings.json")
    assert statusline_command({"CLAUDE_CONFIG_DIR": str(tmp_path)}) is None
    assert statusline_command({"HOME": "relative"}) is None
