"""Claude Code's own stores, read only: its login, and its version.

The login is one JSON object, ``{"claudeAiOauth": {…}}``, in a file on Linux and Windows and in
the keychain on macOS (`sources.keychain`). Refresh tokens in it are single-use and rotate, so
nothing here writes, refreshes or keeps them.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    LoggedOut,
    NoCredentials,
    PartialCredentials,
)
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.secret import Secret

TOKEN_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - a variable's name
ADMIN_KEY_VARIABLES = ("ANTHROPIC_ADMIN_API_KEY", "ANTHROPIC_ADMIN_KEY")  # the first set one counts
USAGE_SCOPE = "user:profile"

_MAX_BYTES = 1 << 20  # a credentials file is a few KiB
_REWRITE_SECONDS = 0.1  # Claude Code rewrites its file in place: a torn one is whole soon after
TOKEN = re.compile(r"[\x21-\x7e]+")  # anything else would be quoted by an error about headers
_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*")
_NPM_NAME = "@anthropic-ai/claude-code"
FALLBACK_VERSION = "2.0.37"

_LOG_IN = "Run `claude`, then `/login`."


class Login(NamedTuple):
    """An access token and what its store says of it; ``None`` and empty mean: not said."""

    token: Secret
    expires_at: datetime | None = None
    scopes: frozenset[str] = frozenset()
    subscription_type: str | None = None
    rate_limit_tier: str | None = None
    refresh_token: Secret | None = None
    """Only ever compared: whoever sends it logs Claude Code out."""


def token_from_environment(environ: Mapping[str, str]) -> Login | None:
    """Return the login that ``CLAUDE_CODE_OAUTH_TOKEN`` holds, if it is set.

    Raises NoCredentials when it holds something that no token can be.
    """
    raw = environ.get(TOKEN_VARIABLE, "").strip()
    if not raw:
        return None
    if not TOKEN.fullmatch(raw):
        raise NoCredentials(
            f"{TOKEN_VARIABLE} holds no token: it has spaces or characters a token cannot have.",
            "Set it again, or unset it.",
        )
    return Login(Secret(raw))


def credentials_path(environ: Mapping[str, str]) -> Path:
    """Return where Claude Code keeps its login on Linux and Windows.

    Raises NoCredentials when there is no home directory to look in.
    """
    literal = environ.get("CLAUDE_SECURESTORAGE_CONFIG_DIR") or environ.get("CLAUDE_CONFIG_DIR")
    return (Path(literal) if literal else home_directory(environ) / ".claude") / ".credentials.json"


def home_directory(environ: Mapping[str, str]) -> Path:
    """Return the user's home. Raises NoCredentials when there is none."""
    named = environ.get("USERPROFILE") if os.name == "nt" else environ.get("HOME")
    home = Path(named) if named else None
    if home is None:
        try:
            home = Path("~").expanduser()
        except RuntimeError:
            home = None
    if home is None or not home.is_absolute():
        raise NoCredentials(
            "There is no home directory to look for a login in.", "Set HOME to your own."
        )
    return home


def read_file(path: Path) -> Login:
    """Return the login in Claude Code's credentials file.

    Raises NoCredentials when the file is missing, or there but unusable: then it says how.
    """
    try:
        return login_from(read_bounded(path), str(path))
    except PartialCredentials:
        time.sleep(_REWRITE_SECONDS)
        return login_from(read_bounded(path), str(path))


def read_bounded(path: Path) -> bytes:
    """Return a regular file's content. Never blocks: ``open`` waits for ever on a FIFO.

    Raises NoCredentials that says why it cannot be read.
    """
    shown = clean(str(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        raise CredentialsNotFound from None
    except PermissionError:
        raise NoCredentials(
            f"{shown} may not be read (permission denied).", "Give yourself read access to it."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name is possible"
        raise NoCredentials(f"{shown} cannot be read: {reason}.", _LOG_IN) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NoCredentials(f"{shown} is not a regular file.", _LOG_IN)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_BYTES:
        raise NoCredentials(f"{shown} is larger than a mebibyte: no login is.", _LOG_IN)
    return content


def login_from(content: bytes, place: str) -> Login:
    """Return the login in a credentials blob; ``place`` names it in errors.

    Raises NoCredentials that says what is wrong, without quoting any of the content;
    PartialCredentials when it is empty or not whole.
    """
    place = clean(place)
    if not content.strip(b"\0 \t\r\n"):
        raise PartialCredentials(f"{place} is empty.", _LOG_IN)
    try:
        document = values.parse_json(content)
    except ValueError:
        raise PartialCredentials(
            f"{place} is not whole: its JSON is cut off or damaged.", _LOG_IN
        ) from None
    blob = values.json_object(document)
    if blob is None:
        raise NoCredentials(f"{place} holds no login: it is not a JSON object.", _LOG_IN)
    return login_from_blob(blob, place)


def login_from_blob(blob: values.JsonObject, place: str) -> Login:
    """Return the login in a parsed credentials blob. Raises as `login_from` does."""
    found = values.json_object(blob.get("claudeAiOauth"))
    if found is None:
        others = "only logins of MCP servers" if "mcpOAuth" in blob else "no `claudeAiOauth`"
        raise LoggedOut(f"{place} holds no Claude login ({others}).", _LOG_IN)
    return _login(found, place)


def _login(found: values.JsonObject, place: str) -> Login:
    token = found.get("accessToken")
    if token == "":
        raise LoggedOut(
            f"The login in {place} was blanked: Claude Code could not renew it.", _LOG_IN
        )
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise NoCredentials(f"The login in {place} has no usable access token.", _LOG_IN)
    scopes = found.get("scopes")
    refresh = found.get("refreshToken")
    usable = isinstance(refresh, str) and TOKEN.fullmatch(refresh)
    return Login(
        token=Secret(token),
        expires_at=values.instant(found.get("expiresAt")),
        scopes=frozenset(s for s in scopes if isinstance(s, str))
        if isinstance(scopes, list)
        else frozenset(),
        subscription_type=values.text(found.get("subscriptionType")),
        rate_limit_tier=values.text(found.get("rateLimitTier")),
        refresh_token=Secret(str(refresh)) if usable else None,
    )


def stored_admin_key(environ: Mapping[str, str]) -> str | None:
    """Return the Admin API key in the credentials file, unchecked; ``None`` if there is none."""
    try:
        document = values.parse_json(read_bounded(credentials_path(environ)))
    except (NoCredentials, ValueError):
        return None  # it is a login's file first: what is wrong with it is told there
    console = values.json_object((values.json_object(document) or {}).get("anthropicConsole")) or {}
    key = console.get("adminApiKey")
    return key if isinstance(key, str) and key.strip() else None


def statusline_command(environ: Mapping[str, str]) -> str | None:
    """Return the status line command in Claude Code's settings, if there is one."""
    try:
        folder = environ.get("CLAUDE_CONFIG_DIR") or home_directory(environ) / ".claude"
        document = values.parse_json(read_bounded(Path(folder) / "settings.json"))
    except (NoCredentials, ValueError):
        return None
    line = values.json_object((values.json_object(document) or {}).get("statusLine")) or {}
    return values.text(line.get("command"))


def installed_version(environ: Mapping[str, str]) -> str:
    """Return the version of the ``claude`` on PATH, read from where it resolves to.

    Its native installer links to ``…/versions/2.1.240``, npm to a folder with a package.json. It
    is never run. The fallback is a version that the endpoint is documented to accept.
    """
    import shutil  # brings the archive formats in, 5 ms

    command = shutil.which("claude", path=environ.get("PATH", os.defpath))
    if command is None:
        return FALLBACK_VERSION
    target = Path(os.path.realpath(command))
    if _VERSION.fullmatch(target.name):
        return target.name
    for folder in target.parents[:3]:
        try:
            package = values.json_object(values.parse_json(read_bounded(folder / "package.json")))
        except (NoCredentials, ValueError):
            continue
        version = values.text(package.get("version")) if package else None
        if package and package.get("name") == _NPM_NAME and _VERSION.fullmatch(version or ""):
            return version or FALLBACK_VERSION
    return FALLBACK_VERSION
