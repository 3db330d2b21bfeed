"""The Secret Service of a Linux desktop: a real one, on a private session bus."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import secretstorage
from jeepney.io.blocking import DBusConnection  # type: ignore[import-untyped]  # jeepney has no types
from secretstorage import Collection, ItemNotFoundException, LockedException
from secretstorage.util import exec_prompt

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets import secret_service
from claude_usage_monitor.store.secrets.keyring_backend import Limits
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from tests.support.secret_contract import CANARY, SharedStoreContract
from tests.support.secret_service import PATIENCE, session, unlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.secret_service import SecretService

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")


def keyring(timeout: float = PATIENCE) -> KeyringStore:
    """Return the keyring as a new process has it, with patience for a busy machine."""
    return KeyringStore(timeout=timeout)


@pytest.fixture
def service() -> Iterator[SecretService]:
    with unlocked() as running:
        yield running


@pytest.fixture(scope="class")
def shared_service() -> Iterator[SecretService]:
    """Return one service for all tests of a class, which must not lock or stop it."""
    with unlocked() as running:
        yield running


def refusal(
    operation: Callable[[], object] | None = None, *, prompt: bool = False
) -> tuple[str, bool]:
    """Return the message when the keyring cannot be used, and whether it counts as absent."""
    with pytest.raises(SecretStoreUnavailable) as raised:
        (operation or (lambda: keyring().read("account", prompt=prompt)))()
    assert raised.value.hint
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value.message, isinstance(raised.value, KeyringAbsent)


def wait_for_threads() -> None:
    until = time.monotonic() + PATIENCE
    while any(thread.name == "keyring" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.usefixtures("shared_service")
class TestContract(SharedStoreContract):
    modules = (KeyringStore.__module__, "secretstorage")

    @pytest.fixture
    def store(self) -> Iterator[KeyringStore]:
        yield keyring()
        with closing(secretstorage.dbus_init()) as connection:
            for item in list(Collection(connection).get_all_items()):
                item.delete()

    @pytest.fixture
    def create(self) -> str:
        return (
            "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
            f"store = KeyringStore(timeout={PATIENCE})\n"
        )


class TestStates:
    def test_without_a_session_bus_there_is_no_keyring(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
        expected = "The Secret Service keyring cannot be reached: there is no D-Bus session."
        assert (expected, True) == refusal()

    @pytest.mark.parametrize("address", ["", "unix:path=/nowhere", "tcp:host=x", "\udcff"])
    def test_an_unusable_bus_address_is_no_session_bus(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        message, absent = refusal()
        assert ("no D-Bus session" in message, True) == (True, absent)

    def test_a_bus_without_a_service_has_no_keyring(self) -> None:
        expected = (
            "The Secret Service keyring is not running: no program provides it in this session.",
            True,
        )
        with session(service=False):
            assert expected == refusal()

    def test_a_service_without_a_default_collection_is_not_set_up(self) -> None:
        expected = "The Secret Service keyring is not set up: it has no default collection."
        with session():
            assert (expected, True) == refusal()

    def test_with_permission_it_asks_the_user_to_set_the_service_up(self) -> None:
        """Here nothing can show the dialog, which counts as dismissed."""
        with session():
            assert ("The Secret Service keyring denied access.", False) == refusal(prompt=True)

    def test_a_locked_keyring_opens_a_dialog_with_permission_only(
        self, service: SecretService
    ) -> None:
        keyring().write("account", CANARY)
        service.lock()
        locked = ("The Secret Service keyring is locked.", False)
        assert locked == refusal()
        assert locked == refusal(lambda: keyring().write("account", "x"))
        assert locked == refusal(lambda: keyring().delete("account"))
        assert ("The Secret Service keyring denied access.", False) == refusal(prompt=True)

    @pytest.mark.usefixtures("service")
    def test_without_permission_secretstorage_opens_no_dialog_either(self) -> None:
        """Some services ask for each item, whether or not it is locked."""
        limits = Limits(prompt=False, timeout=PATIENCE, canceled=threading.Event())
        with closing(secretstorage.dbus_init()) as connection:
            limited = secret_service._LimitedConnection(connection, limits)  # noqa: SLF001 - with limits of its own
            with pytest.raises(LockedException):
                exec_prompt(limited, "/org/freedesktop/secrets/prompt/p1")

    def test_a_killed_service_is_locked_and_without_the_bus_absent(
        self, service: SecretService
    ) -> None:
        """The bus starts it anew when it is used, locked as after a login without a password."""
        keyring().write("account", CANARY)
        service.kill()
        assert ("The Secret Service keyring is locked.", False) == refusal()
        service.stop_bus()
        message, absent = refusal()
        assert ("no D-Bus session" in message, True) == (True, absent)

    def test_a_service_that_ends_during_a_request_is_not_absent(
        self, service: SecretService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keyring().write("account", CANARY)
        send, is_locked = DBusConnection.send_message, Collection.is_locked
        frozen: list[bool] = []

        def freeze_before(collection: Collection) -> bool:
            service.freeze()
            frozen.append(True)
            return is_locked(collection)

        def kill_after(connection: DBusConnection, message: object, serial: int | None) -> None:
            send(connection, message, serial)
            if frozen:
                frozen.clear()
                assert service.pid  # an answer from the bus: it has the request by now, too
                service.kill()

        monkeypatch.setattr(Collection, "is_locked", freeze_before)
        monkeypatch.setattr(DBusConnection, "send_message", kill_after)
        assert ("The Secret Service keyring stopped before it answered.", False) == refusal()

    def test_a_frozen_service_does_not_answer_and_its_threads_end(
        self, service: SecretService
    ) -> None:
        service.freeze()
        expected = ("The Secret Service keyring does not answer.", False)
        assert expected == refusal(lambda: keyring(timeout=0.2).read("account"))
        wait_for_threads()

    def test_a_write_that_was_given_up_is_not_made_later(self, service: SecretService) -> None:
        keyring().write("account", "before")
        service.freeze()
        with pytest.raises(SecretStoreUnavailable, match="does not answer"):
            keyring(timeout=0.2).write("account", "late")
        service.thaw()
        wait_for_threads()
        assert "before" == keyring().read("account")


@pytest.mark.usefixtures("service")
class TestRetries:
    """While gnome-keyring stores one item, it denies for an instant that others exist."""

    @pytest.mark.parametrize(("misses", "expected"), [(0, CANARY), (1, CANARY), (2, None)])
    def test_a_missing_item_is_looked_for_twice(
        self,
        monkeypatch: pytest.MonkeyPatch,
        misses: int,
        expected: str | None,
    ) -> None:
        keyring().write("account", CANARY)
        left = [misses]
        search_items = Collection.search_items

        def found_later(collection: Collection, attributes: dict[str, str]) -> object:
            left[0] -= 1
            return iter(()) if left[0] >= 0 else search_items(collection, attributes)

        monkeypatch.setattr(Collection, "search_items", found_later)
        assert expected == keyring().read("account")

    @pytest.mark.parametrize(("misses", "succeeds"), [(1, True), (2, True), (3, False)])
    def test_a_missing_collection_is_looked_for_three_times(
        self,
        monkeypatch: pytest.MonkeyPatch,
        misses: int,
        succeeds: bool,
    ) -> None:
        left = [misses]

        def found_later(connection: object) -> Collection:
            left[0] -= 1
            if left[0] >= 0:
                raise ItemNotFoundException
            return Collection(connection)

        monkeypatch.setattr(secret_service, "Collection", found_later)
        if succeeds:
            keyring().write("account", CANARY)
            assert CANARY == keyring().read("account")
        else:
            assert "not set up" in refusal(lambda: keyring().write("account", CANARY))[0]

    def test_a_dismissed_dialog_is_not_opened_again(
        self, service: SecretService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keyring().write("account", CANARY)
        service.lock()
        opened = []
        unlock = Collection.unlock

        def counted(collection: Collection) -> bool:
            opened.append(collection)
            return unlock(collection)

        monkeypatch.setattr(Collection, "unlock", counted)
        assert "denied access" in refusal(prompt=True)[0]
        assert 1 == len(opened)


@pytest.mark.usefixtures("service")
def test_items_are_those_of_the_keyring_library() -> None:
    """``keyring get claude-usage-monitor ID`` works, and items of keyring are replaced."""
    from keyring.backends.SecretService import Keyring

    library = Keyring()  # type: ignore[no-untyped-call]  # keyring has no types
    library.set_password("claude-usage-monitor", "account", "before")  # type: ignore[no-untyped-call]  # keyring has no types
    assert "before" == keyring().read("account")
    keyring().write("account", CANARY)
    assert CANARY == library.get_password("claude-usage-monitor", "account")  # type: ignore[no-untyped-call]  # keyring has no types
    keyring().delete("account")
    assert library.get_password("claude-usage-monitor", "account") is None  # type: ignore[no-untyped-call]  # keyring has no types
