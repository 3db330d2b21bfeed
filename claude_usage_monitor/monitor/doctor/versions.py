"""The finding about the installed version of Claude Code."""

from __future__ import annotations

from collections.abc import Mapping

from claude_usage_monitor.sources.claude_code.installation import (
    NEWEST_TRIED_VERSION,
    find_version,
    is_newer,
)
from claude_usage_monitor.usage.findings import Finding


def claude_code_version(environ: Mapping[str, str]) -> Finding:
    """Return the finding about the installed Claude Code, compared with the newest one tried."""
    version = find_version(environ)
    if version is None:
        return Finding("Versions", "Claude Code", "note", "no `claude` of a known version on PATH")
    detail = f"{version}; tried up to {NEWEST_TRIED_VERSION}"
    if is_newer(version, NEWEST_TRIED_VERSION):
        hint = "If something looks wrong, report it with this version."
        return Finding("Versions", "Claude Code", "note", detail, hint)
    return Finding("Versions", "Claude Code", "ok", detail)
