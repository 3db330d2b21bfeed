# ruff: noqa: ARG002 - fakes have the parameters of what they replace
"""The keyrings of macOS and Windows, over fakes of what the systems provide."""

from __future__ import annotations

import sys
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from keyring.backends import Windows, macOS

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from claude_usage_monitor.store.secrets.library_keyrings import (
    MacKeychain,
    WindowsLocker,
    open_library_keyring,
)
from tests.support.secret_contract import CANARY, StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable


class Killed(Exception):
    """Raised in place of the end of the process."""


class Items:
    """The items that a system stores; it kills its user at the change that is set."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.changes_left: int | None = None

    def set(self, name: str, content: str) -> None:
        self._count()
        self.contents[name] = content

    def delete(self, name: str) -> None:
        self._count()
        del self.contents[name]

    def _count(self) -> None:
        if self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left < 0:
                raise Killed


class PyWinError(Exception):
    """``pywintypes.error``, which is an Exception only."""

    def __init__(self, winerror: int, funcname: str) -> None:
        super().__init__(winerror, funcname, CANARY)
        self.winerror, self.funcname = winerror, funcname


class Win32Cred:
    """``win32cred``: replaces in one step, and accepts 2560 bytes of UTF-16."""

    CRED_TYPE_GENERIC = 1
    CRED_PERSIST_LOCAL_MACHINE = 2
    CRED_PERSIST_ENTERPRISE = 3
    error = PyWinError

    def __init__(self, items: Items) -> None:
        self._items = items
        self._users: dict[str, str] = {}

    def CredRead(self, *, Type: int, TargetName: str) -> dict[str, object]:
        if TargetName not in self._items.contents:
            raise PyWinError(1168, "CredRead")
        blob = self._items.contents[TargetName].encode("utf-16-le")
        return {"UserName": self._users[TargetName], "CredentialBlob": blob}

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:
        if len(credential["CredentialBlob"].encode("utf-16-le")) > 2560:
            raise PyWinError(1783, "CredWrite")
        assert self.CRED_PERSIST_LOCAL_MACHINE == credential["Persist"]
        self._items.set(credential["TargetName"], credential["CredentialBlob"])
        self._users[credential["TargetName"]] = credential["UserName"]

    def CredDelete(self, *, Type: int, TargetName: str) -> None:
        if TargetName not in self._items.contents:
            raise PyWinError(1168, "CredDelete")
        self._items.delete(TargetName)


class SecurityApi:
    """``keyring.backends.macOS.api``: replaces by deleting and adding."""

    class Error(Exception):
        pass

    class NotFound(Error):
        pass

    class KeychainDenied(Error):
        pass

    def __init__(self, items: Items) -> None:
        self._items = items
        self.refusal: SecurityApi.Error | None = None

    def find_generic_password(self, keychain: None, service: str, username: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        if username not in self._items.contents:
            raise self.NotFound(-25300, "Item not found")
        return self._items.contents[username]

    def set_generic_password(
        self, keychain: None, service: str, username: str, password: str
    ) -> None:
        if username in self._items.contents:
            self._items.delete(username)
        self._items.set(username, password)

    def delete_generic_password(self, keychain: None, service: str, username: str) -> None:
        if username not in self._items.contents:
            raise self.NotFound(-25300, "Item not found")
        self._items.delete(username)


@pytest.fixture
def items() -> Items:
    return Items()


@pytest.fixture
def api(items: Items, monkeypatch: pytest.MonkeyPatch) -> SecurityApi:
    api = SecurityApi(items)
    monkeypatch.setattr(macOS, "api", api, raising=False)
    return api


def mac_library() -> macOS.Keyring:
    return macOS.Keyring()  # type: ignore[no-untyped-call]  # keyring has no types


@pytest.fixture
def keychain(api: SecurityApi) -> KeyringStore:
    return KeyringStore(lambda limits: MacKeychain(mac_library(), limits.canceled), 60.0)


@pytest.fixture
def locker(items: Items, monkeypatch: pytest.MonkeyPatch) -> KeyringStore:
    monkeypatch.setattr(Windows, "win32cred", Win32Cred(items), raising=False)
    monkeypatch.setattr(Windows, "pywintypes", Win32Cred, raising=False)
    return KeyringStore(lambda _: WindowsLocker(Windows.WinVaultKeyring()), 60.0)  # type: ignore[no-untyped-call]  # keyring has no types


class TestMacKeychain(StoreContract):
    @pytest.fixture
    def store(self, keychain: KeyringStore) -> KeyringStore:
        return keychain

    @pytest.mark.parametrize(
        ("status", "kind", "expected"),
        [
            (-128, SecurityApi.KeychainDenied, "denied access"),
            (-25293, SecurityApi.Error, "denied access"),
            (-25308, SecurityApi.Error, "is locked"),
            (-1, SecurityApi.Error, "failed (KeyringError)"),
        ],
    )
    def test_names_the_reason_why_macos_refuses(
        self,
        api: SecurityApi,
        keychain: KeyringStore,
        status: int,
        kind: type[SecurityApi.Error],
        expected: str,
    ) -> None:
        api.refusal = kind(status, CANARY)
        with pytest.raises(SecretStoreUnavailable) as raised:
            keychain.read("account")
        assert expected in raised.value.message
        assert CANARY not in f"{raised.value!r} {raised.value.hint}"
        assert not isinstance(raised.value, KeyringAbsent)

    def test_writes_nothing_more_once_it_is_canceled(self, api: SecurityApi, items: Items) -> None:
        """A late write could replace what another process has written meanwhile."""
        canceled = threading.Event()
        keychain = MacKeychain(mac_library(), canceled)
        keychain.write("account", "before")
        canceled.set()
        with pytest.raises(TimeoutError):
            keychain.write("account", "late")
        with pytest.raises(TimeoutError):
            keychain.delete("account")
        assert {"account": "before"} == items.contents

    def test_a_keychain_named_by_the_environment_is_ignored(
        self, api: SecurityApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without the warning that keyring would print into the dashboard."""
        monkeypatch.setenv("KEYRING_PROPERTY_KEYCHAIN", "/another")
        keychain = MacKeychain(mac_library(), threading.Event())
        keychain.write("account", CANARY)
        assert CANARY == keychain.read("account")


class TestWindowsLocker(StoreContract):
    max_utf16_bytes = 2560

    @pytest.fixture
    def store(self, locker: KeyringStore) -> KeyringStore:
        return locker

    def test_each_account_has_credentials_of_its_own(
        self, locker: KeyringStore, items: Items
    ) -> None:
        """So that processes that write at once for two accounts cannot lose a secret."""
        locker.write("a", "first")
        locker.write("a", "second")
        of_a = dict(items.contents)
        locker.write("b", "third")
        locker.delete("b")
        assert of_a == items.contents

    def test_a_login_never_roams_whatever_the_environment_says(
        self, locker: KeyringStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The fake accepts credentials of the local machine only."""
        monkeypatch.setenv("KEYRING_PROPERTY_PERSIST", "enterprise")
        locker.write("account", CANARY)
        assert CANARY == locker.read("account")


@pytest.fixture(params=["keychain", "locker"])
def either(request: pytest.FixtureRequest) -> KeyringStore:
    store: KeyringStore = request.getfixturevalue(request.param)
    return store


def is_killed(items: Items, changes: int, operation: Callable[[], None]) -> bool:
    """Run an operation that is killed after so many changes; return whether it was."""
    items.changes_left = changes
    try:
        operation()
    except SecretStoreUnavailable:
        return True
    finally:
        items.changes_left = None
    return False


def test_a_write_killed_at_any_change_leaves_the_old_or_the_new_secret(
    either: KeyringStore, items: Items
) -> None:
    """The next write succeeds, and after a deletion nothing is left."""
    for changes in count():
        either.write("account", "old")
        killed = is_killed(items, changes, lambda: either.write("account", "new"))
        assert either.read("account") in ("old", "new")
        either.write("account", "later")
        assert "later" == either.read("account")
        either.delete("account")
        assert {} == items.contents
        if not killed:
            break
    assert changes >= 1


def test_a_deletion_killed_at_any_change_is_completed_by_the_next_one(
    either: KeyringStore, items: Items
) -> None:
    for changes in count():
        either.write("account", CANARY)
        either.write("account", CANARY)
        killed = is_killed(items, changes, lambda: either.delete("account"))
        assert either.read("account") in (None, CANARY)
        either.delete("account")
        assert {} == items.contents
        if not killed:
            break
    assert changes >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="this would use the user's own keyring")
def test_there_is_no_such_keyring_on_another_platform() -> None:
    with pytest.raises(KeyringAbsent, match="a library it needs is missing"):
        KeyringStore(open_library_keyring).read("account")
