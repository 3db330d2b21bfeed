"""A real Secret Service: gnome-keyring on a private bus, in a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform == "linux":
    import secretstorage
    from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0  # seconds; a limit for a busy machine, not an expectation

_NAME = "org.freedesktop.secrets"
_PROGRAMS = ("dbus-daemon", "gnome-keyring-daemon")
_PASSWORD = b"invented"

_BUS = """<busconfig>
  <type>session</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{folder}/services</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
# How the bus starts the service anew when it is gone: locked, as after a crash.
_ACTIVATION = """[D-BUS Service]
Name=org.freedesktop.secrets
Exec={program} --start --foreground --components=secrets
"""


class SecretService:
    """A private session bus and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        self._bus: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._frozen: int | None = None

    def start_bus(self, *, activatable: bool) -> None:
        """Start the bus; ``activatable`` says whether it starts the service when it is asked."""
        for name in ("home", "run", "services"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "bus.conf").write_text(_BUS.format(folder=self.folder))
        if activatable:
            service = _ACTIVATION.format(program=shutil.which("gnome-keyring-daemon"))
            (self.folder / "services" / f"{_NAME}.service").write_text(service)
        self._bus = self._start("dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork")
        self._wait_for((self.folder / "bus").exists)

    def unlock(self) -> None:
        """Start the service, with its default collection made and open."""
        arguments = ("--unlock", "--foreground", "--components=secrets")
        self._daemon = self._start("gnome-keyring-daemon", *arguments)
        assert self._daemon.stdin is not None
        with self._daemon.stdin as password:
            password.write(_PASSWORD)
        self._wait_for(lambda: self.pid is not None)
        self._wait_for(self._has_collection)

    def lock(self) -> None:
        """Lock the default collection, as the desktop does."""
        with closing(secretstorage.dbus_init()) as connection:
            secretstorage.Collection(connection).lock()

    def kill(self) -> None:
        """Kill the service; asked again, the bus starts it anew, locked."""
        assert self._daemon is not None
        self._frozen = None
        self._daemon.kill()
        self._daemon.wait()
        self._wait_for(lambda: self.pid is None)

    def freeze(self) -> None:
        """Let the service answer nothing more."""
        self._frozen = self.pid
        assert self._frozen is not None
        os.kill(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        assert self._frozen is not None
        os.kill(self._frozen, signal.SIGCONT)
        self._frozen = None

    def stop_bus(self) -> None:
        """End the bus, and with it the service."""
        if self._frozen is not None:
            self.thaw()
        pid = self.pid
        for process in (self._bus, self._daemon):
            if process is not None:
                process.kill()
                process.communicate()
        self._bus = self._daemon = None
        if pid is not None:
            self._wait_for(lambda: not _runs(pid))

    @property
    def pid(self) -> int | None:
        """The process that provides the service now, if any."""
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        asked = new_method_call(bus, "GetConnectionUnixProcessID", "s", (_NAME,))
        try:
            with closing(secretstorage.dbus_init()) as connection:
                (found,) = connection.send_and_get_reply(asked).body
        except (secretstorage.SecretStorageException, OSError):
            return None
        return found if isinstance(found, int) else None

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), **self.environ}
        return subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @staticmethod
    def _has_collection() -> bool:
        try:
            with closing(secretstorage.dbus_init()) as connection:
                return not secretstorage.Collection(connection).is_locked()
        except secretstorage.ItemNotFoundException:
            return False

    @staticmethod
    def _wait_for(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@contextmanager
def session(*, service: bool = True) -> Iterator[SecretService]:
    """Have a session bus that this process and those it starts find; nothing asked yet.

    With ``service`` the bus can start a Secret Service, that was never set up; `unlock` starts
    one that is. Skips a test where it is not installed, but not where CI says that it must be.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        said = f"{' and '.join(missing)} must be installed for this test"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    with ExitStack() as ending:
        # Not below the test's own folder: the path of a socket may have 107 characters.
        folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="bus", dir="/tmp"))
        environ = ending.enter_context(pytest.MonkeyPatch.context())
        found = SecretService(Path(folder))
        ending.callback(found.stop_bus)
        for name, value in found.environ.items():
            environ.setenv(name, value)
        environ.delenv("DISPLAY", raising=False)
        environ.delenv("WAYLAND_DISPLAY", raising=False)
        found.start_bus(activatable=service)
        yield found


@contextmanager
def unlocked() -> Iterator[SecretService]:
    """Have a Secret Service that takes secrets."""
    with session() as found:
        found.unlock()
        yield found
