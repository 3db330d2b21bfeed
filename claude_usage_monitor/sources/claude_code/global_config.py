"""``~/.claude.json``: who is logged in to Claude Code, and the usage that it has cached.

The cached figures cost no request, but they can be days old or of another account. They are
returned with their time and with the uuid of their account.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from claude_usage_monitor.errors import NoCredentials, UnexpectedResponse
from claude_usage_monitor.files import StrPath, read_regular_file
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code.credentials_file import config_folder, home_directory
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import Profile, plan_label

_MAX_BYTES = 64 << 20  # it contains the history of every project; some files have tens of MiB


class ClaudeJson(NamedTuple):
    """The content of Claude Code's global configuration; ``None`` where something is missing.

    ``usage`` describes the account ``usage_account``, which may no longer be logged in.
    """

    profile: Profile | None = None
    usage: Usage | None = None
    usage_account: str | None = None


class GlobalConfig:
    """Claude Code's global configuration, parsed again only after the file has changed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._cached: tuple[object, ClaudeJson] | None = None

    def read(self) -> ClaudeJson:
        """Return the current content."""
        try:
            path = global_config_path(self._environ)
            status = os.stat(path)
        except (NoCredentials, OSError):
            return ClaudeJson()
        signature = (path, status.st_mtime_ns, status.st_size, status.st_ino)
        if self._cached is None or self._cached[0] != signature:
            self._cached = signature, read_claude_json(path)
        return self._cached[1]


def global_config_path(environ: Mapping[str, str]) -> str:
    """Return the path of the global configuration. Raises NoCredentials without a home directory.

    Raises OSError if this depends on a folder that cannot be read.
    """
    folder = config_folder(environ)
    nested = os.path.join(folder, ".config.json")
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(nested)
        return nested
    parent = folder if environ.get("CLAUDE_CONFIG_DIR") else home_directory(environ)
    return os.path.join(parent, ".claude.json")


def read_claude_json(path: StrPath, max_bytes: int = _MAX_BYTES) -> ClaudeJson:
    """Return the content of the file; empty if it is missing, unusable or too large."""
    try:
        content = read_regular_file(path, max_bytes)
        document = values.json_object(values.parse_json(content)) or {}
    except (OSError, ValueError):
        return ClaudeJson()
    cached = values.json_object(document.get("cachedUsageUtilization")) or {}
    return ClaudeJson(
        profile=_profile(values.json_object(document.get("oauthAccount"))),
        usage=_usage(cached),
        usage_account=values.text(cached.get("accountUuid")),
    )


def _profile(oauth_account: values.JsonObject | None) -> Profile | None:
    if oauth_account is None:
        return None
    text = {key: values.text(value) for key, value in oauth_account.items()}
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
    # Imported here: saves `--json` 2 ms (mostly Decimal) if the file contains no usage.
    from claude_usage_monitor.sources.anthropic.usage_body import usage_from_document

    try:
        return usage_from_document(body, as_of, "claude-json")
    except UnexpectedResponse:
        return None
