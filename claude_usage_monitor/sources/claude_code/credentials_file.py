"""The file in which Claude Code stores its login, and the variables that replace it. Read only.

The login is a JSON object, ``{"claudeAiOauth": {…}}``, in this file on Linux and Windows and in the
keychain on macOS (`sources.claude_code.keychain`). Its refresh token works once and Claude Code
needs it, so nothing here writes, refreshes or stores a login.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsNotFound,
    LoggedOut,
    LoginErased,
    NoCredentials,
    NoHomeDirectory,
    PartialCredentials,
    PermissionDenied,
)
from claude_usage_monitor.files import StrPath, read_regular_file
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.text import clean, is_token
from claude_usage_monitor.usage.secret import Secret

TOKEN_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - a variable's name
ADMIN_KEY_VARIABLES = ("ANTHROPIC_ADMIN_API_KEY", "ANTHROPIC_ADMIN_KEY")  # the first one set counts
USAGE_SCOPE = "user:profile"

_MAX_BYTES = 1 << 20  # a credentials file has a few KiB
_REWRITE_SECONDS = 0.1  # Claude Code rewrites the file in place, which takes less than this
_LOG_IN = "Run `claude`, then `/login`."


class Login(NamedTuple):
    """An access token and the data stored with it; ``None`` and empty mean unknown."""

    token: Secret
    expires_at: datetime | None = None
    scopes: frozenset[str] = frozenset()
    subscription_type: str | None = None
    rate_limit_tier: str | None = None
    refresh_token: Secret | None = None
    """For comparing only: sending it would log Claude Code out."""


def token_from_environment(environ: Mapping[str, str]) -> Login | None:
    """Return the login in ``CLAUDE_CODE_OAUTH_TOKEN``, if the variable is set.

    Raises NoCredentials if its value cannot be a token.
    """
    raw = environ.get(TOKEN_VARIABLE, "").strip()
    if not raw:
        return None
    if not is_token(raw):
        raise NoCredentials(
            f"{TOKEN_VARIABLE} is not a token: it contains spaces or other impossible characters.",
            "Set it to a token, or unset it.",
        )
    return Login(Secret(raw))


def credentials_path(environ: Mapping[str, str]) -> str:
    """Return where Claude Code stores its login on Linux and Windows. Raises NoHomeDirectory."""
    override = environ.get("CLAUDE_SECURESTORAGE_CONFIG_DIR")
    return os.path.join(override or config_folder(environ), ".credentials.json")


def config_folder(environ: Mapping[str, str]) -> str:
    """Return Claude Code's configuration folder. Raises NoHomeDirectory."""
    configured = environ.get("CLAUDE_CONFIG_DIR")
    return configured or os.path.join(home_directory(environ), ".claude")


def home_directory(environ: Mapping[str, str]) -> str:
    """Return the user's home directory. Raises NoHomeDirectory."""
    configured = environ.get("USERPROFILE" if os.name == "nt" else "HOME")
    home = configured or os.path.expanduser("~")
    if not os.path.isabs(home):
        raise NoHomeDirectory
    return home


def read_login(path: StrPath) -> Login:
    """Return the login in Claude Code's credentials file.

    Raises CredentialsNotFound if there is no file, PermissionDenied if this user may not read it,
    another NoCredentials if it is unusable.
    """
    try:
        return parse_login(read_credentials_file(path), os.fspath(path))
    except PartialCredentials:
        time.sleep(_REWRITE_SECONDS)
        return parse_login(read_credentials_file(path), os.fspath(path))


def read_credentials_file(path: StrPath) -> bytes:
    """Return the content of a file that should contain credentials. Raises as `read_login`."""
    shown = clean(os.fspath(path))
    try:
        return read_regular_file(path, _MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise CredentialsNotFound from None
    except PermissionError:
        raise PermissionDenied(f"{shown} cannot be read: permission denied.") from None
    except OSError as error:
        raise NoCredentials(f"{shown} cannot be read: {error.strerror}.", _LOG_IN) from None


def parse_login(content: bytes, location: str) -> Login:
    """Return the login in the content of a credentials file; ``location`` names it in errors.

    Raises NoCredentials, which explains the error without quoting the content:
    PartialCredentials if the content is empty or truncated, LoggedOut if it contains no login.
    """
    location = clean(location)
    if not content.strip(b"\0 \t\r\n"):
        raise PartialCredentials(f"{location} is empty.", _LOG_IN)
    try:
        document = values.parse_json(content)
    except ValueError:
        raise PartialCredentials(f"{location} is truncated or not JSON.", _LOG_IN) from None
    credentials = values.json_object(document)
    if credentials is None:
        raise NoCredentials(f"{location} contains no login: it is not a JSON object.", _LOG_IN)
    return login_from_json(credentials, location)


def login_from_json(credentials: values.JsonObject, location: str) -> Login:
    """Return the login in parsed credentials. Raises as `parse_login` does."""
    login = values.json_object(credentials.get("claudeAiOauth"))
    if login is None:
        content = (
            "only logins of MCP servers" if "mcpOAuth" in credentials else "no `claudeAiOauth`"
        )
        raise LoggedOut(f"{location} contains no Claude login ({content}).", _LOG_IN)
    token, refresh_token = login.get("accessToken"), login.get("refreshToken")
    if token == "":
        raise LoginErased(
            f"Claude Code has erased the login in {location}: it could not refresh it.", _LOG_IN
        )
    if not isinstance(token, str) or not is_token(token):
        raise NoCredentials(f"The login in {location} has no usable access token.", _LOG_IN)
    if not isinstance(refresh_token, str) or not is_token(refresh_token):
        refresh_token = None
    scopes = login.get("scopes")
    return Login(
        token=Secret(token),
        expires_at=values.expiry(login.get("expiresAt")),
        scopes=frozenset(
            scope
            for scope in (scopes if isinstance(scopes, list) else ())
            if isinstance(scope, str)
        ),
        subscription_type=values.text(login.get("subscriptionType")),
        rate_limit_tier=values.text(login.get("rateLimitTier")),
        refresh_token=Secret(refresh_token) if refresh_token else None,
    )


def stored_admin_key(environ: Mapping[str, str]) -> str | None:
    """Return the Admin API key in the credentials file, unchecked; ``None`` if there is none."""
    try:
        document = values.parse_json(read_credentials_file(credentials_path(environ)))
    except (CredentialError, ValueError):
        return None  # the account `claude-code` reports what is wrong with this file
    console = values.json_object((values.json_object(document) or {}).get("anthropicConsole")) or {}
    key = console.get("adminApiKey")
    return key if isinstance(key, str) and key.strip() else None
