"""``~/.claude.json``: who Claude Code is logged in as, and the usage it read itself.

Its figures cost no request, but may be days old or another account's: they carry their own age and
their account's uuid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from claude_usage_monitor.errors import NoCredentials, UnexpectedResponse
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code.credentials_file import home_directory
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.profile import Profile, plan_label

_MAX_BYTES = 64 << 20  # it holds the history of every project; some are tens of MiB


class ClaudeJson(NamedTuple):
    """What Claude Code's global configuration says; ``None`` where it does not.

    ``usage`` belongs to ``usage_account``, which need not be who is logged in now.
    """

    profile: Profile | None = None
    usage: Usage | None = None
    usage_account: str | None = None


class GlobalConfig:
    """The global configuration of Claude Code, parsed anew only when the file has changed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._seen: tuple[object, ClaudeJson] | None = None

    def read(self) -> ClaudeJson:
        """Return what it says now."""
        try:
            path = global_config_path(self._environ)
            found = path.stat()
        except (NoCredentials, OSError):
            return ClaudeJson()
        signature = (path, found.st_mtime_ns, found.st_size, found.st_ino)
        if self._seen is None or self._seen[0] != signature:
            self._seen = signature, read_claude_json(path)
        return self._seen[1]


def global_config_path(environ: Mapping[str, str]) -> Path:
    """Return where Claude Code keeps its global configuration. Raises NoCredentials: no home."""
    configured = environ.get("CLAUDE_CONFIG_DIR")
    folder = Path(configured) if configured else home_directory(environ) / ".claude"
    nested = folder / ".config.json"
    if nested.exists():
        return nested
    return folder / ".claude.json" if configured else home_directory(environ) / ".claude.json"


def read_claude_json(path: Path) -> ClaudeJson:
    """Return what the file says; nothing, if it is not there or torn: it is only a help."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_MAX_BYTES)
        document = values.json_object(values.parse_json(content)) or {}
    except (OSError, ValueError, NoCredentials):
        return ClaudeJson()
    cached = values.json_object(document.get("cachedUsageUtilization")) or {}
    return ClaudeJson(
        profile=_profile(values.json_object(document.get("oauthAccount"))),
        usage=_usage(cached),
        usage_account=values.text(cached.get("accountUuid")),
    )


def _profile(found: values.JsonObject | None) -> Profile | None:
    if found is None:
        return None
    text = {key: values.text(value) for key, value in found.items()}
    tier = text.get("organizationRateLimitTier") or text.get("userRateLimitTier")
    return Profile(
        display_name=text.get("displayName"),
        email=text.get("emailAddress"),
        organization=text.get("organizationName"),
        plan=plan_label(text.get("organizationType"), tier, text.get("seatTier")),
        rate_limit_tier=tier,
        account_uuid=text.get("accountUuid"),
        organization_uuid=text.get("organizationUuid"),
    )


def _usage(cached: values.JsonObject) -> Usage | None:
    as_of = values.instant(cached.get("fetchedAtMs"))
    body = values.json_object(cached.get("utilization"))
    if as_of is None or body is None:
        return None
    # Brings decimal in, only for those whose Claude Code keeps figures.
    from claude_usage_monitor.sources.anthropic.usage_body import usage_from_document

    try:
        return usage_from_document(body, as_of, "claude-json")
    except UnexpectedResponse:
        return None
