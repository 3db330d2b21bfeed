"""What tells this machine and this user from others."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from claude_usage_monitor.errors import SecretStoreUnavailable

_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_IOREG = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
_IOREG_SECONDS = 5.0
_UUID = re.compile(rb'"IOPlatformUUID" = "([^"]+)"')


def machine_id(files: tuple[Path, ...] = _ID_FILES) -> bytes:
    """Return the machine's own id. It is no secret: any program here can read it.

    Where there is none (some containers) it is empty: then nothing binds a file to the machine,
    and only the user's id and the file's permissions protect it.
    """
    if sys.platform == "darwin":
        return _mac_uuid()
    if sys.platform == "win32":
        return _windows_guid()
    for path in files:
        with suppress(OSError):
            found = path.read_bytes().strip()
            if found and found != b"uninitialized":  # as an image has it before its first start
                return found
    return b""


def user_id() -> bytes:
    """Return what the system knows the user by."""
    if hasattr(os, "getuid"):
        return str(os.getuid()).encode()
    return "\\".join(os.environ.get(name, "") for name in ("USERDOMAIN", "USERNAME")).encode()


def _mac_uuid() -> bytes:
    import subprocess  # 5 ms that others need not pay

    try:
        output = subprocess.run(  # noqa: S603 - a fixed command
            _IOREG, capture_output=True, timeout=_IOREG_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        output = b""
    found = _UUID.search(output)
    if found is None:  # never another id: what it sealed could not be opened again
        raise SecretStoreUnavailable("This Mac's id cannot be read (`ioreg`).", "Try again.")
    return found[1]


def _windows_guid() -> bytes:
    if sys.platform == "win32":
        import winreg

        place = r"SOFTWARE\Microsoft\Cryptography"
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with (
            suppress(OSError),
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place, access=access) as key,
        ):
            return str(winreg.QueryValueEx(key, "MachineGuid")[0]).encode()
    raise SecretStoreUnavailable("This machine's id cannot be read (MachineGuid).", "Try again.")
