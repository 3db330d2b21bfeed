"""The installed Claude Code: its version, and the status line command in its settings."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.files import StrPath, read_regular_file
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code.credentials_file import config_folder

FALLBACK_VERSION = "2.0.37"  # a version that the usage endpoint accepts
NEWEST_TRIED_VERSION = "2.1.330"  # the newest one that tests/integration/claude_code passes with

_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*")
_NPM_NAME = "@anthropic-ai/claude-code"
_MAX_BYTES = 1 << 20  # of a settings file or a package.json


def installed_version(environ: Mapping[str, str]) -> str:
    """Return the version of the ``claude`` on PATH, or one that is known to work."""
    return find_version(environ) or FALLBACK_VERSION


def is_newer(version: str, other: str) -> bool:
    """Return whether a version is newer than another one, by their first three numbers."""

    def numbers(text: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", text)[:3]]

    return numbers(version) > numbers(other)


def find_version(environ: Mapping[str, str]) -> str | None:
    """Return the version of the ``claude`` on PATH, without running it; None if it is unknown.

    The native installer links to ``…/versions/2.1.240``, npm to a folder with a package.json.
    """
    command = shutil.which("claude", path=environ.get("PATH", os.defpath))
    if command is None:
        return None
    target = Path(os.path.realpath(command))
    if _VERSION.fullmatch(target.name):
        return target.name
    for folder in target.parents[:3]:
        package = _read_json(folder / "package.json")
        version = values.text(package.get("version")) or ""
        if package.get("name") == _NPM_NAME and _VERSION.fullmatch(version):
            return version
    return None


def statusline_command(environ: Mapping[str, str]) -> str | None:
    """Return the status line command in Claude Code's settings, if there is one."""
    try:
        settings = _read_json(os.path.join(config_folder(environ), "settings.json"))
    except NoCredentials:
        return None
    statusline = values.json_object(settings.get("statusLine")) or {}
    return values.text(statusline.get("command"))


def _read_json(path: StrPath) -> values.JsonObject:
    """Return the JSON object in a file; an empty one if it cannot be read."""
    try:
        return values.json_object(values.parse_json(read_regular_file(path, _MAX_BYTES))) or {}
    except (OSError, ValueError):
        return {}
