"""Claude Code's login on macOS: an item of the login keychain, read with ``/usr/bin/security``.

Claude Code writes the item with the same tool, so reading it this way needs no permission. A
keychain library would ask the user again each time Claude Code has refreshed its login.
"""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

from claude_usage_monitor.errors import CredentialsNotFound, SecretStoreUnavailable
from claude_usage_monitor.files import StrPath

SECURITY = Path("/usr/bin/security")
SERVICE = "Claude Code-credentials"
TIMEOUT_SECONDS = 3.0  # `security` waits forever for an unanswered dialog

_NOT_FOUND = 44
_DENIED = {36: "it is locked", 51: "access was denied", 128: "the dialog was canceled"}
_PLAIN_USER_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_CHILD_VARIABLES = ("HOME", "USER", "LOGNAME", "PATH", "TMPDIR")  # none contains a token


def service_name(environ: Mapping[str, str]) -> str:
    """Return the item's service name: with a hash of ``CLAUDE_CONFIG_DIR`` if that is set."""
    raw = environ.get("CLAUDE_CONFIG_DIR")
    if not raw:
        return SERVICE
    return f"{SERVICE}-{sha256(normalize('NFC', raw).encode()).hexdigest()[:8]}"


def read_content(environ: Mapping[str, str], security: StrPath = SECURITY) -> bytes:
    """Return the credentials JSON in this user's item, else in the item of any user.

    Raises CredentialsNotFound if there is no item, SecretStoreUnavailable if the keychain is
    locked, denies access or does not respond.
    """
    service = service_name(environ)
    user = environ.get("USER", "")
    account = user if _PLAIN_USER_NAME.fullmatch(user) else _os_user()
    for selector in (["-a", account], []):
        content = _find_item(security, environ, ["-s", service, *selector])
        if content is not None:
            return _decoded(content)
    raise CredentialsNotFound


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "claude-code-user"  # Claude Code's own fallback


def _find_item(security: StrPath, environ: Mapping[str, str], selectors: list[str]) -> bytes | None:
    """Return the item's content, ``None`` if there is no such item."""
    try:
        process = subprocess.run(  # noqa: S603 - a fixed program, no shell, no secret in arguments
            [str(security), "find-generic-password", *selectors, "-w"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={name: environ[name] for name in _CHILD_VARIABLES if name in environ},
        )
    except subprocess.TimeoutExpired:
        raise SecretStoreUnavailable(
            "The macOS keychain does not respond (a dialog may be waiting)."
        ) from None
    except OSError:
        return None  # without this tool there is no keychain
    if process.returncode == _NOT_FOUND:
        return None
    if process.returncode != 0:
        reason = _DENIED.get(process.returncode, f"`security` failed with {process.returncode}")
        raise SecretStoreUnavailable(f"The macOS keychain cannot be read: {reason}.")
    return process.stdout.strip()


def _decoded(content: bytes) -> bytes:
    """Undo the hex encoding that ``security`` uses unless all of the content is printable ASCII."""
    return bytes.fromhex(content.decode("ascii")) if _HEX.fullmatch(content) else content
