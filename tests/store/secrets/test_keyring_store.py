# ruff: noqa: ARG002 - stand-ins have the arguments of what they stand for
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import Windows, macOS, null
from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets.keyring_store import (
    MUTE_SECONDS,
    KeyringAbsent,
    KeyringStore,
    platform_backend,
)
from claude_usage_monitor.store.secrets.os_keyrings import CredentialLocker, Keychain
from tests.support.secret_contract import CANARY, PlaceContract, SharedContract
from tests.support.secret_service import session, unlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.secret_service import SecretService

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")


class Crash(Exception):
    """Stands for the end of a process in the middle of a write."""


class Vault:
    """Items as an operating system keeps them; it ends its user at the change that is set."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.changes_left: int | None = None

    def set(self, name: str, content: str) -> None:
        self._count()
        self.items[name] = content

    def drop(self, name: str) -> None:
        self._count()
        del self.items[name]

    def _count(self) -> None:
        if self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left < 0:
                raise Crash


class WindowsError_(Exception):  # noqa: N801 - pywintypes.error, an Exception only
    def __init__(self, winerror: int, funcname: str) -> None:
        super().__init__(winerror, funcname, "words of Windows")
        self.winerror, self.funcname = winerror, funcname


class Win32Cred:
    """``win32cred``: replaces in one step, and takes 2560 bytes of UTF-16."""

    CRED_TYPE_GENERIC = 1
    CRED_PERSIST_LOCAL_MACHINE = 2
    CRED_PERSIST_ENTERPRISE = 3
    error = WindowsError_

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def CredRead(self, *, Type: int, TargetName: str) -> dict[str, object]:  # noqa: N802, N803
        if TargetName not in self._vault.items:
            raise WindowsError_(1168, "CredRead")
        blob = self._vault.items[TargetName].encode("utf-16-le")
        return {"UserName": TargetName, "CredentialBlob": blob}

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:  # noqa: N802
        if len(credential["CredentialBlob"].encode("utf-16-le")) > 2560:
            raise WindowsError_(1783, "CredWrite")
        assert self.CRED_PERSIST_LOCAL_MACHINE == credential["Persist"]
        self._vault.set(credential["TargetName"], credential["CredentialBlob"])

    def CredDelete(self, *, Type: int, TargetName: str) -> None:  # noqa: N802, N803
        if TargetName not in self._vault.items:
            raise WindowsError_(1168, "CredDelete")
        self._vault.drop(TargetName)


class SecurityApi:
    """``keyring.backends.macOS.api``: replaces by deleting and adding."""

    class Error(Exception):
        pass

    class NotFound(Error):
        pass

    class KeychainDenied(Error):
        pass

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.refusal: SecurityApi.Error | None = None

    def find_generic_password(self, keychain: None, service: str, username: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        if username not in self._vault.items:
            raise self.NotFound(-25300, "Item not found")
        return self._vault.items[username]

    def set_generic_password(
        self, keychain: None, service: str, username: str, password: str
    ) -> None:
        if username in self._vault.items:
            self._vault.drop(username)
        self._vault.set(username, password)

    def delete_generic_password(self, keychain: None, service: str, username: str) -> None:
        if username not in self._vault.items:
            raise self.NotFound(-25300, "Item not found")
        self._vault.drop(username)


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def locker(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Callable[[], KeyringStore]:
    """Return what makes a place on Windows; each call stands for a process."""
    monkeypatch.setattr(Windows, "win32cred", Win32Cred(vault), raising=False)
    monkeypatch.setattr(Windows, "pywintypes", Win32Cred, raising=False)
    return lambda: KeyringStore(CredentialLocker, most_characters=1200)


@pytest.fixture
def keychain_api(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> SecurityApi:
    api = SecurityApi(vault)
    monkeypatch.setattr(macOS, "api", api, raising=False)
    return api


@pytest.fixture
def service() -> Iterator[SecretService]:
    with unlocked() as found:
        yield found


@linux_only
class TestSecretService(SharedContract):
    @pytest.fixture
    def place(self, service: SecretService) -> KeyringStore:
        return KeyringStore(deadline=30.0)

    @pytest.fixture
    def making(self) -> str:
        return (
            "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
            "place = KeyringStore(deadline=60.0)\n"
        )


class TestCredentialLocker(PlaceContract):
    @pytest.fixture
    def place(self, locker: Callable[[], KeyringStore]) -> KeyringStore:
        return locker()

    def test_nothing_is_left_of_what_was_deleted(self, place: KeyringStore, vault: Vault) -> None:
        for length in (9000, 5000, 100, 7000):
            place.write("account", "x" * length)
        place.delete("account")
        assert {} == vault.items


class TestKeychain(PlaceContract):
    @pytest.fixture
    def place(self, keychain_api: SecurityApi) -> KeyringStore:
        return KeyringStore(Keychain, most_characters=None)


@pytest.mark.parametrize("kind", ["locker", "keychain"])
@pytest.mark.parametrize("old", [7, 2500, 5000])
@pytest.mark.parametrize("new", [8, 3000, 4900])
def test_a_write_cut_short_anywhere_leaves_the_old_or_the_new(
    kind: str,
    old: int,
    new: int,
    vault: Vault,
    locker: Callable[[], KeyringStore],
    keychain_api: SecurityApi,
) -> None:
    """And the next write goes through, and after a deletion nothing is left."""

    def place() -> KeyringStore:
        return locker() if kind == "locker" else KeyringStore(Keychain, None)

    for changes in count():
        place().write("account", "o" * old)
        vault.changes_left = changes
        try:
            place().write("account", "n" * new)
        except SecretStoreUnavailable:
            cut_short = True
        else:
            cut_short = False
        vault.changes_left = None
        assert place().read("account") in ("o" * old, "n" * new)
        place().write("account", "l" * 2400)
        assert "l" * 2400 == place().read("account")
        place().delete("account")
        assert {} == vault.items
        if not cut_short:
            break
    assert changes >= 1


def test_a_deletion_cut_short_anywhere_is_finished_by_the_next(
    locker: Callable[[], KeyringStore], vault: Vault
) -> None:
    for changes in range(6):
        locker().write("account", "x" * 4000)
        vault.changes_left = changes
        try:
            locker().delete("account")
        except SecretStoreUnavailable:
            assert locker().read("account") in (None, "x" * 4000)
        vault.changes_left = None
        locker().delete("account")
        assert {} == vault.items


def test_parts_that_are_missing_are_named(locker: Callable[[], KeyringStore], vault: Vault) -> None:
    locker().write("account", CANARY * 1000)
    for name in [name for name in vault.items if "#" in name][-1:]:
        del vault.items[name]
    with pytest.raises(SecretStoreUnavailable, match="only parts of this login") as raised:
        locker().read("account")
    assert CANARY not in str(raised.value)


def test_parts_of_two_writes_are_never_joined(
    locker: Callable[[], KeyringStore], vault: Vault
) -> None:
    locker().write("account", "a" * 3000)
    names = [name for name in vault.items if "#" in name]
    vault.items[names[0]] = "b" * 1200
    with pytest.raises(SecretStoreUnavailable, match="only parts of this login"):
        locker().read("account")


# --- the states of a keyring ----------------------------------------------------------------------


def words(place: KeyringStore, **how: bool) -> tuple[str, bool]:
    """Return what is said when it is read, and whether that there is none."""
    with pytest.raises(SecretStoreUnavailable) as raised:
        place.read("account", **how)
    assert raised.value.hint
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value.message, isinstance(raised.value, KeyringAbsent)


@linux_only
class TestStates:
    def test_no_bus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
        expected = (
            "The Secret Service keyring cannot be reached: there is no D-Bus session here.",
            True,
        )
        assert expected == words(KeyringStore())

    @pytest.mark.parametrize("address", ["", "unix:path=/nowhere", "tcp:host=x", "\udcff"])
    def test_no_such_bus(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        said, absent = words(KeyringStore())
        assert ("no D-Bus session" in said, True) == (True, absent)

    def test_a_bus_without_a_service(self) -> None:
        expected = (
            "The Secret Service keyring is not there: no program provides it in this session.",
            True,
        )
        with session(service=False):
            assert expected == words(KeyringStore())

    def test_a_service_that_was_never_set_up(self) -> None:
        with session():
            said = words(KeyringStore())
            asked = words(KeyringStore(), prompt=True)
        expected = "The Secret Service keyring is not set up: it has no default collection."
        assert (expected, True) == said
        assert ("The Secret Service keyring denied access.", False) == asked

    def test_locked_and_without_leave_no_dialog_is_opened(self, service: SecretService) -> None:
        """With leave one is: here nothing can show it, so it counts as dismissed."""
        KeyringStore().write("account", CANARY)
        service.lock()
        assert ("The Secret Service keyring is locked.", False) == words(KeyringStore())
        denied = "The Secret Service keyring denied access."
        assert (denied, False) == words(KeyringStore(), prompt=True)
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            KeyringStore().write("account", "x")
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            KeyringStore().delete("account")

    def test_without_leave_the_library_opens_no_dialog_either(self, service: SecretService) -> None:
        """Some services ask for each item, whatever is locked."""
        from secretstorage.util import exec_prompt

        connection = platform_backend().get_preferred_collection().connection  # type: ignore[attr-defined]
        with closing(connection), pytest.raises(KeyringLocked):
            exec_prompt(connection, "/org/freedesktop/secrets/prompt/p1")

    def test_killed_it_is_locked_and_with_the_bus_it_is_absent(
        self, service: SecretService
    ) -> None:
        place = KeyringStore()
        place.write("account", CANARY)
        service.kill()
        assert ("The Secret Service keyring is locked.", False) == words(place)
        service.stop_bus()
        said, absent = words(place)
        assert ("no D-Bus session" in said, True) == (True, absent)

    def test_mute(self, service: SecretService) -> None:
        clock = [0.0]
        place = KeyringStore(deadline=0.3, monotonic=lambda: clock[0])
        place.write("account", "before")
        service.freeze()
        mute = ("The Secret Service keyring does not answer.", False)
        for within in (0.3 + 0.7, 0.1):
            began = time.monotonic()
            assert mute == words(place)
            assert time.monotonic() - began < within
        service.thaw()
        clock[0] += MUTE_SECONDS - 1
        assert mute == words(place)
        clock[0] += 1
        wait_for_threads()
        assert "before" == place.read("account")

    def test_nothing_is_written_after_it_was_given_up(self, service: SecretService) -> None:
        place = KeyringStore(deadline=0.2)
        KeyringStore().write("account", "before")
        service.freeze()
        with pytest.raises(SecretStoreUnavailable, match="does not answer"):
            place.write("account", "late")
        service.thaw()
        wait_for_threads()
        assert "before" == KeyringStore().read("account")

    def test_no_thread_waits_for_ever(self, service: SecretService) -> None:
        service.freeze()
        words(KeyringStore(deadline=0.2))
        wait_for_threads()

    def test_the_environment_has_no_say(
        self, service: SecretService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/no/such/one")
        monkeypatch.setenv("KEYRING_PROPERTY_SCHEME", "none")
        KeyringStore().write("account", CANARY)
        assert CANARY == KeyringStore().read("account")

    def test_what_is_kept_is_found_under_service_and_account(self, service: SecretService) -> None:
        KeyringStore().write("account", CANARY)
        assert CANARY == platform_backend().get_password("claude-usage-monitor", "account")


def wait_for_threads() -> None:
    until = time.monotonic() + 10
    while any(thread.name == "keyring" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


# --- whatever a backend does ----------------------------------------------------------------------


class Waiting(KeyringBackend):
    """A backend that answers when it is let."""

    priority: ClassVar[int] = 1
    asked = 0
    let = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        type(self).asked += 1
        self.let.wait()
        return CANARY

    def set_password(self, service: str, username: str, password: str) -> None:
        self.let.wait()


def test_a_keyring_that_owes_an_answer_is_not_asked_again() -> None:
    """As while a dialog is open: there would be a second one."""
    Waiting.asked, Waiting.let = 0, threading.Event()
    clock = [0.0]
    place = KeyringStore(Waiting, None, 0.05, monotonic=lambda: clock[0])
    for _ in range(3):
        assert "does not answer" in words(place)[0]
        clock[0] += MUTE_SECONDS * 2
    assert 1 == Waiting.asked
    Waiting.let.set()
    wait_for_threads()
    assert CANARY == place.read("account")


class Failing(KeyringBackend):
    """A backend that raises what it is given."""

    priority: ClassVar[int] = 1
    error: ClassVar[Exception]

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        UnicodeEncodeError("utf-8", CANARY, 0, 1, CANARY),
        WindowsError_(1783, CANARY),
        KeyringError(CANARY),
        PasswordDeleteError(CANARY),
        FileNotFoundError(2, CANARY),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_raised_only_its_kind_is_told(error: Exception) -> None:
    Failing.error = error
    place = KeyringStore(Failing)
    assert f"The {place.name} failed ({type(error).__name__})." == words(place)[0]
    operations: list[Callable[[], None]] = [
        lambda: place.write("account", CANARY),
        lambda: place.delete("account"),
    ]
    for operation in operations:
        with pytest.raises(SecretStoreUnavailable) as raised:
            operation()
        assert CANARY not in f"{raised.value!r} {raised.value.hint}"


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (-128, SecurityApi.KeychainDenied, "denied access"),
        (-25293, SecurityApi.Error, "denied access"),
        (-25308, SecurityApi.Error, "is locked"),
        (-1, SecurityApi.Error, "failed (KeyringError)"),
    ],
)
def test_the_keychains_refusals_are_told_apart(
    keychain_api: SecurityApi, status: int, kind: type[SecurityApi.Error], expected: str
) -> None:
    keychain_api.refusal = kind(status, CANARY)
    said, absent = words(KeyringStore(Keychain, None))
    assert (True, False, False) == (expected in said, CANARY in said, absent)


def test_a_keyring_that_keeps_nothing_is_a_failure() -> None:
    place = KeyringStore(null.Keyring)
    with pytest.raises(SecretStoreUnavailable, match="without saying so"):
        place.write("account", CANARY)


@linux_only  # elsewhere this would be the user's own
def test_a_missing_library_means_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring.backends.SecretService", None)
    monkeypatch.delitem(
        sys.modules, "claude_usage_monitor.store.secrets.secret_service", raising=False
    )
    said, absent = words(KeyringStore())
    assert ("a library of it is missing" in said, True) == (True, absent)


@linux_only  # elsewhere this would be the user's own
def test_no_configuration_names_the_keyring_or_code_to_run(home: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "trapped.py").write_text(f"open({str(trap / 'sprung')!r}, 'w').close()")
    configuration = home / ".config" / "python_keyring" / "keyringrc.cfg"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f"[backend]\ndefault-keyring=trapped.Keyring\nkeyring-path={trap}\n")
    code = (
        "from claude_usage_monitor.errors import SecretStoreUnavailable\n"
        "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
        "try:\n    KeyringStore().write('account', 'x')\n"
        "except SecretStoreUnavailable as error:\n    print(type(error).__name__)\n"
    )
    environ = {**os.environ, "PYTHON_KEYRING_BACKEND": "trapped.Keyring", "PYTHONPATH": str(trap)}
    environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert ("KeyringAbsent\n", "") == (done.stdout, done.stderr)
    assert not (trap / "sprung").exists()


def test_the_library_is_imported_when_it_is_asked() -> None:
    code = (
        "import sys\n"
        "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
        "KeyringStore()\n"
        "assert not {'keyring', 'secretstorage', 'cryptography'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
