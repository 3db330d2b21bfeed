"""The ids of this machine and of this user, to which the encrypted file is bound."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.files import read_regular_file

if sys.platform == "win32":
    import winreg

_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_MAX_BYTES = 1024
_IOREG = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
_IOREG_TIMEOUT = 5.0  # seconds
_UUID = re.compile(rb'"IOPlatformUUID" = "([^"]+)"')


def machine_id(files: tuple[Path, ...] = _ID_FILES) -> bytes:
    """Return the id of this machine. It is not secret: any program here can read it.

    It is empty where there is none (some containers): then nothing binds a file to the machine,
    and only the user's id and the file's permissions protect it.
    """
    if sys.platform == "darwin":
        return _mac_uuid()
    if sys.platform == "win32":
        return _windows_guid()
    for path in files:
        with suppress(OSError):
            content = read_regular_file(path, _MAX_BYTES).strip()
            if content and content != b"uninitialized":  # as in an image before its first boot
                return content
    return b""


def user_id() -> bytes:
    """Return the system's id of the user."""
    if hasattr(os, "getuid"):
        return str(os.getuid()).encode()
    return "\\".join(os.environ.get(name, "") for name in ("USERDOMAIN", "USERNAME")).encode()


def _mac_uuid() -> bytes:
    try:
        output = subprocess.run(  # noqa: S603 - a fixed command
            _IOREG, capture_output=True, timeout=_IOREG_TIMEOUT, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        output = b""
    match = _UUID.search(output)
    if match is None:  # use no other id: it could not decrypt the data later
        raise SecretStoreUnavailable("This Mac's id cannot be read (`ioreg`).", "Try again.")
    return match[1]


def _windows_guid() -> bytes:
    if sys.platform == "win32":
        key_path = r"SOFTWARE\Microsoft\Cryptography"
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with (
            suppress(OSError),
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key_path, access=access) as key,
        ):
            return str(winreg.QueryValueEx(key, "MachineGuid")[0]).encode()
    raise SecretStoreUnavailable("This machine's id cannot be read (MachineGuid).", "Try again.")
