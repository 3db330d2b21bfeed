"""Claude Code's login on macOS: one item of the login keychain, read with ``/usr/bin/security``.

With that tool and no other: it is what Claude Code writes the item with, so reading by it does
not ask the user, while a library would at every renewal of the item.
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
from claude_usage_monitor.sources.claude_code.credentials_file import Login, login_from

SECURITY = Path("/usr/bin/security")
SERVICE = "Claude Code-credentials"
PLACE = "the macOS keychain"
TIMEOUT_SECONDS = 3.0  # it hangs when it opens a dialog nobody sees

_NOT_FOUND = 44
_DENIED = {36: "it is locked", 51: "access was denied", 128: "the dialog was cancelled"}
_PLAIN_ACCOUNT = re.compile(r"[a-zA-Z0-9._-]+")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_CHILD_VARIABLES = ("HOME", "USER", "LOGNAME", "PATH", "TMPDIR")  # and no token


def service_name(environ: Mapping[str, str]) -> str:
    """Return the item's service name: with a hash of ``CLAUDE_CONFIG_DIR`` where that is set."""
    raw = environ.get("CLAUDE_CONFIG_DIR")
    if not raw:
        return SERVICE
    return f"{SERVICE}-{sha256(normalize('NFC', raw).encode()).hexdigest()[:8]}"


def read_keychain(environ: Mapping[str, str], security: Path = SECURITY) -> Login:
    """Return the login in the keychain. Raises as `read_content` does."""
    return login_from(read_content(environ, security), PLACE)


def read_content(environ: Mapping[str, str], security: Path = SECURITY) -> bytes:
    """Return what the keychain holds: this user's item, else the one without an account.

    Raises CredentialsNotFound when there is none, SecretStoreUnavailable when the keychain is
    locked, denies access or does not answer.
    """
    service = service_name(environ)
    user = environ.get("USER", "")
    account = user if _PLAIN_ACCOUNT.fullmatch(user) else _os_user()
    for selector in (["-a", account], []):
        content = _find(security, environ, ["-s", service, *selector])
        if content is not None:
            return _decoded(content)
    raise CredentialsNotFound


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "claude-code-user"


def _find(security: Path, environ: Mapping[str, str], selectors: list[str]) -> bytes | None:
    """Return the item's content, ``None`` when there is no such item."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell, no secret in the arguments
            [str(security), "find-generic-password", *selectors, "-w"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={name: environ[name] for name in _CHILD_VARIABLES if name in environ},
        )
    except subprocess.TimeoutExpired:
        raise SecretStoreUnavailable(
            "The macOS keychain does not answer (a dialog may be waiting)."
        ) from None
    except OSError:
        return None  # no such tool: no keychain
    if done.returncode == _NOT_FOUND:
        return None
    if done.returncode != 0:
        reason = _DENIED.get(done.returncode, f"security ended with {done.returncode}")
        raise SecretStoreUnavailable(f"The macOS keychain cannot be read: {reason}.")
    return done.stdout.strip()


def _decoded(content: bytes) -> bytes:
    """Undo the hex that ``security`` prints for content with anything but printable ASCII."""
    return bytes.fromhex(content.decode("ascii")) if _HEX.fullmatch(content) else content
