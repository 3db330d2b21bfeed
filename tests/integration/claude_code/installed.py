"""The real Claude Code from npm, installed into a cache folder outside this repository.

``CLAUDE_CODE_VERSION=2.1.340 pytest tests/integration/claude_code`` tries another version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from claude_usage_monitor.sources.claude_code.installation import NEWEST_TRIED_VERSION

VERSION_VARIABLE = "CLAUDE_CODE_VERSION"
PACKAGE = "@anthropic-ai/claude-code"

# Read at import: the fixtures of all tests hide the user's variables and home.
VERSION = os.environ.get(VERSION_VARIABLE, NEWEST_TRIED_VERSION)
_IN_CI = bool(os.environ.get("CI"))
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_FOLDER = _CACHE / "claude-usage-monitor-tests" / "claude-code"
_USERS_ENVIRONMENT = dict(os.environ)
_INSTALL_TIMEOUT = 300.0  # seconds: it downloads 130 MB


def newest_version() -> str:
    """Return the newest version on npm."""
    return _npm("view", PACKAGE, "version").strip()


def installed_program() -> Path:
    """Return the ``claude`` of the wanted version, installed if it is not yet.

    Skips the test on a machine without npm, except in CI.
    """
    folder = _FOLDER / VERSION
    program = folder / "node_modules" / ".bin" / "claude"
    if shutil.which("npm") is None and not program.exists():
        if _IN_CI:
            pytest.fail("CI needs npm to install Claude Code")
        pytest.skip("npm, which installs Claude Code, is not on this machine")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(_FOLDER / f"{VERSION}.lock"):  # the tests run in several processes
        if not program.exists():
            _npm(
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts=false",
                "--prefix",
                str(folder),
                f"{PACKAGE}@{VERSION}",
            )
    return program


def _npm(*arguments: str) -> str:
    done = subprocess.run(
        [shutil.which("npm") or "npm", *arguments],
        env=_USERS_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout
