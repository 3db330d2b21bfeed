# ruff: noqa: ARG002 - fakes have the parameters of what they replace
"""What `KeyringStore` does with each kind of keyring."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets.keyring_store import (
    SILENCE_COOLDOWN,
    KeyringAbsent,
    KeyringStore,
)
from tests.support.secret_contract import CANARY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from claude_usage_monitor.store.secrets.keyring_backend import Limits

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="this would use the user's own keyring"
)


def message_of(operation: Callable[[], object]) -> str:
    with pytest.raises(SecretStoreUnavailable) as raised:
        operation()
    assert raised.value.hint
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert CANARY not in f"{raised.value!r} {raised.value.hint}"
    return raised.value.message


class SlowKeyring:
    """Answers once ``released`` is set."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.limits: list[Limits] = []
        self.threads: list[threading.Thread] = []

    def open(self, limits: Limits) -> SlowKeyring:
        self.limits.append(limits)
        return self

    def read(self, account_id: str) -> str | None:
        self.threads.append(threading.current_thread())
        self.released.wait()
        return CANARY

    def write(self, account_id: str, content: str) -> None:
        self.read(account_id)

    def delete(self, account_id: str) -> None:
        self.read(account_id)


class TestSilence:
    def test_a_keyring_that_has_still_to_answer_is_not_used(self) -> None:
        """As while a dialog is open: there would be a second one."""
        slow, now = SlowKeyring(), [0.0]
        store = KeyringStore(slow.open, 0.01, monotonic=lambda: now[0])
        for _ in range(3):
            assert f"The {store.name} does not answer." == message_of(lambda: store.read("account"))
            now[0] += 2 * SILENCE_COOLDOWN
        assert 1 == len(slow.limits)
        assert slow.limits[0].canceled.is_set()
        slow.released.set()

    def test_a_keyring_that_did_not_answer_is_used_again_after_a_minute(self) -> None:
        slow, now = SlowKeyring(), [0.0]
        store = KeyringStore(slow.open, 0.01, monotonic=lambda: now[0])
        message_of(lambda: store.read("account"))
        slow.released.set()
        slow.threads[0].join()
        now[0] = SILENCE_COOLDOWN - 1
        assert "does not answer" in message_of(lambda: store.read("account"))
        assert 1 == len(slow.limits)
        now[0] += 1
        store.timeout = 60.0
        assert CANARY == store.read("account")

    def test_a_user_has_longer_to_answer_a_dialog(self) -> None:
        slow = SlowKeyring()
        store = KeyringStore(slow.open, 0.01)
        threading.Timer(0.2, slow.released.set).start()
        assert CANARY == store.read("account", prompt=True)
        assert slow.limits[0].prompt
        assert not slow.limits[0].canceled.is_set()

    def test_a_timeout_of_a_request_counts_as_silence(self) -> None:
        failing = Failing(TimeoutError(CANARY))
        store = KeyringStore(failing.open, 60.0, monotonic=lambda: 0.0)
        for _ in range(2):
            assert "does not answer" in message_of(lambda: store.read("account"))
        assert 1 == failing.opened

    def test_its_thread_ends_with_the_process(self) -> None:
        slow = SlowKeyring()
        message_of(lambda: KeyringStore(slow.open, 0.01).read("account"))
        assert slow.threads[0].daemon
        slow.released.set()


class Failing:
    """Raises the error that it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.opened = 0

    def open(self, limits: Limits) -> Failing:
        self.opened += 1
        return self

    def read(self, account_id: str) -> str | None:
        raise self.error

    def write(self, account_id: str, content: str) -> None:
        raise self.error

    def delete(self, account_id: str) -> None:
        raise self.error


class PlatformError(Exception):
    """Stands for ``pywintypes.error`` and its like."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        UnicodeEncodeError("utf-8", CANARY, 0, 1, CANARY),
        PlatformError(1783, CANARY),
        FileNotFoundError(2, CANARY),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_any_other_error_only_the_class_is_shown(error: Exception) -> None:
    store = KeyringStore(Failing(error).open, 60.0)
    expected = f"The {store.name} failed ({type(error).__name__})."
    assert expected == message_of(lambda: store.read("account"))
    assert expected == message_of(lambda: store.write("account", CANARY))
    assert expected == message_of(lambda: store.delete("account"))


class Forgetful:
    """Reports success and changes nothing."""

    def __init__(self, content: str | None) -> None:
        self.content = content

    def open(self, limits: Limits) -> Forgetful:
        return self

    def read(self, account_id: str) -> str | None:
        return self.content

    def write(self, account_id: str, content: str) -> None:
        pass

    def delete(self, account_id: str) -> None:
        pass


@pytest.mark.parametrize("content", [None, "before"])
def test_a_write_that_cannot_be_read_back_is_an_error(content: str | None) -> None:
    store = KeyringStore(Forgetful(content).open, 60.0)
    expected = f"The {store.name} did not store the change, and reported no error."
    assert expected == message_of(lambda: store.write("account", CANARY))


def test_a_deleted_secret_that_can_still_be_read_is_an_error() -> None:
    store = KeyringStore(Forgetful(CANARY).open, 60.0)
    assert "reported no error" in message_of(lambda: store.delete("account"))
    KeyringStore(Forgetful(None).open, 60.0).delete("account")


@linux_only
def test_without_its_library_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "claude_usage_monitor.store.secrets.secret_service", None)
    with pytest.raises(KeyringAbsent, match="a library it needs is missing"):
        KeyringStore().read("account")


@linux_only
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


def test_no_library_is_imported_before_the_keyring_is_used() -> None:
    code = (
        "import sys\n"
        "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
        "KeyringStore()\n"
        "assert not {'keyring', 'secretstorage', 'cryptography'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
