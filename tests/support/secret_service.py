"""A real Secret Service: gnome-keyring on a private bus, in a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.secrets import keyring_store

if sys.platform == "linux":
    import secretstorage
    from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]  # jeepney has no types

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
# The bus starts the service again after it has ended: locked, as after a crash.
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
        """Start the bus; with ``activatable`` it starts the service at the first request."""
        for name in ("home", "run", "services"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "bus.conf").write_text(_BUS.format(folder=self.folder))
        if activatable:
            service = _ACTIVATION.format(program=shutil.which("gnome-keyring-daemon"))
            (self.folder / "services" / f"{_NAME}.service").write_text(service)
        self._bus = self._start("dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork")
        self._wait_for(self._bus_accepts_connections)

    def unlock(self) -> None:
        """Start the service with a default collection that is unlocked."""
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
        """Kill the service; at the next request the bus starts it again, locked."""
        assert self._daemon is not None
        self._frozen = None
        self._daemon.kill()
        self._daemon.wait()
        self._wait_for(lambda: self.pid is None)

    def freeze(self) -> None:
        """Stop the process of the service, so that it answers nothing."""
        self._frozen = self.pid
        assert self._frozen is not None
        os.kill(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process, which also answers what was requested meanwhile."""
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
        """The process that provides the service now, ``None`` if none does."""
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        request = new_method_call(bus, "GetConnectionUnixProcessID", "s", (_NAME,))
        try:
            with closing(secretstorage.dbus_init()) as connection:
                (found,) = connection.send_and_get_reply(request).body
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

    def _bus_accepts_connections(self) -> bool:
        """Return whether the bus listens: its socket exists a moment earlier."""
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.folder / "bus")) == 0

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
    """Provide a session bus that this process and its children find in their environment.

    With ``service`` the bus can start a Secret Service that was never set up; `unlock` starts one
    that is. Skips the test where the programs are not installed, but fails it in CI.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} must be installed for this test"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with ExitStack() as stack:
        # Not in the folder of the test, because the path of a socket may have 107 characters only.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bus", dir="/tmp"))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        service_bus = SecretService(Path(folder))
        stack.callback(service_bus.stop_bus)
        for name, value in service_bus.environ.items():
            patch.setenv(name, value)
        # The real one is too short for a busy machine.
        patch.setattr(keyring_store, "ANSWER_TIMEOUT", PATIENCE)
        patch.delenv("DISPLAY", raising=False)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        service_bus.start_bus(activatable=service)
        yield service_bus


@contextmanager
def unlocked() -> Iterator[SecretService]:
    """Provide a Secret Service that stores secrets."""
    with session() as service:
        service.unlock()
        yield service
