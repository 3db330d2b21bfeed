"""A login of ours: credentials JSON in Claude Code's shape, as it comes in and as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from claude_usage_monitor.errors import PartialCredentials
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.secret import Secret

_NOT_OURS = "mcpOAuth", "anthropicConsole"  # other logins that may stand beside one


class StoredCredentials(NamedTuple):
    """A login of ours as it is kept: the credentials JSON, and which one in a row it is.

    ``refreshed_at`` is when we got it, if it is not as it came in.
    """

    credentials: Mapping[str, object]
    generation: int
    refreshed_at: datetime | None = None

    def login(self, name: str) -> credentials_file.Login:
        """Return the access token. Raises NoCredentials when there is none."""
        return credentials_file.login_from_json(
            dict(self.credentials), f"the saved login of {name}"
        )

    @property
    def refresh_token(self) -> Secret | None:
        """The token to renew with, ``None`` if it was saved without one."""
        found = values.json_object(self.credentials.get("claudeAiOauth")) or {}
        token = found.get("refreshToken")
        usable = isinstance(token, str) and credentials_file.TOKEN_PATTERN.fullmatch(token)
        return Secret(str(token)) if usable else None


def credentials_from_secret(content: Mapping[str, object], generation: int) -> StoredCredentials:
    """Return a login from the content that the secret store keeps."""
    credentials = values.json_object(content.get("credentials")) or {}
    return StoredCredentials(credentials, generation, values.instant(content.get("renewed_at")))


def secret_from_credentials(stored: StoredCredentials) -> dict[str, object]:
    """Return what the secret store keeps of a login."""
    at = stored.refreshed_at.isoformat() if stored.refreshed_at is not None else None
    return {"credentials": stored.credentials, "renewed_at": at}


def parse_credentials(content: bytes, place: str) -> dict[str, object]:
    """Return the credentials in JSON: Claude Code's whole object, or the login alone.

    Raises NoCredentials that says what is wrong, without quoting any of it.
    """
    shown = clean(place)
    try:
        document = values.json_object(values.parse_json(content))
    except ValueError:
        document = None
    if document is None:
        raise PartialCredentials(
            f"{shown} holds no credentials: it is not a JSON object.",
            "Give it what Claude Code has in `~/.claude/.credentials.json`, or use --login.",
        )
    if "claudeAiOauth" not in document and "accessToken" in document:
        document = {"claudeAiOauth": document}
    credentials_file.login_from_json(document, shown)
    return {key: value for key, value in document.items() if key not in _NOT_OURS}
