"""The macOS Keychain and the Windows Credential Locker, through the keyring library."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import keyring.backend
from keyring.backends import Windows, macOS
from keyring.errors import KeyringError, PasswordDeleteError

from claude_usage_monitor.store.secrets.keyring_backend import (
    SERVICE,
    KeyringBackend,
    KeyringFailure,
    Limits,
    Reason,
)

_MAX_WINDOWS_BYTES = 2560  # of UTF-16: CRED_MAX_CREDENTIAL_BLOB_SIZE

_REASONS_BY_MACOS_STATUS = {
    -128: Reason.DENIED,  # errSecUserCanceled
    -25293: Reason.DENIED,  # errSecAuthFailed
    -25308: Reason.LOCKED,  # errSecInteractionNotAllowed: no dialog is possible, as over SSH
}


def open_library_keyring(limits: Limits) -> KeyringBackend:
    """Return the keyring of macOS or Windows. Raises KeyringFailure."""
    if sys.platform == "darwin" and macOS.Keyring.viable:
        return MacKeychain(macOS.Keyring(), limits.canceled)
    if sys.platform == "win32" and Windows.WinVaultKeyring.viable:
        return WindowsLocker(Windows.WinVaultKeyring())
    raise KeyringFailure(Reason.LIBRARY_MISSING)


class MacKeychain:
    """The login keychain of macOS.

    keyring replaces an item by deleting and adding it: a spare copy covers the time between.
    """

    def __init__(self, library: macOS.Keyring, canceled: threading.Event) -> None:
        # keyring reads the name of a keychain from the environment, only to warn that it ignores it
        self._library = library.with_properties(keychain=None)
        self._canceled = canceled

    def read(self, account_id: str) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""
        # Read the item again after the spare: another process may just have finished its write.
        for name in (account_id, _spare(account_id), account_id):
            with _macos_errors_as_failures():
                content = self._library.get_password(SERVICE, name)
            if content is not None:
                return content
        return None

    def write(self, account_id: str, content: str) -> None:
        """Store or replace the secret of an account."""
        with _macos_errors_as_failures():
            for name in (_spare(account_id), account_id):
                self._stop_if_canceled()
                self._library.set_password(SERVICE, name, content)
            self._stop_if_canceled()
            self._library.delete_password(SERVICE, _spare(account_id))

    def delete(self, account_id: str) -> None:
        """Delete the secret of an account; the spare first, which would otherwise replace it."""
        for name in (_spare(account_id), account_id):
            self._stop_if_canceled()
            with suppress(PasswordDeleteError):  # also raised when there is nothing to delete
                self._library.delete_password(SERVICE, name)

    def _stop_if_canceled(self) -> None:
        if self._canceled.is_set():
            raise TimeoutError


class WindowsLocker:
    """The Credential Locker of Windows.

    Each account has its own service name. keyring stores the newest secret of a service under
    its bare name and moves the previous one aside, so that of two processes that write at the same
    time one would lose its secret.
    """

    def __init__(self, library: Windows.WinVaultKeyring) -> None:
        library.persist = "local machine"  # two machines would refresh a roaming login
        self._library: keyring.backend.KeyringBackend = library

    def read(self, account_id: str) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""
        return self._library.get_password(_service(account_id), account_id)

    def write(self, account_id: str, content: str) -> None:
        """Store or replace the secret of an account. Raises KeyringFailure."""
        if len(content.encode("utf-16-le")) > _MAX_WINDOWS_BYTES:
            raise KeyringFailure(Reason.TOO_LONG)
        self._library.set_password(_service(account_id), account_id, content)

    def delete(self, account_id: str) -> None:
        """Delete the secret of an account, if it has one."""
        with suppress(PasswordDeleteError):  # raised when there is nothing to delete
            self._library.delete_password(_service(account_id), account_id)


def _spare(account_id: str) -> str:
    return f"{account_id}#spare"


def _service(account_id: str) -> str:
    return f"{SERVICE}/{account_id}"


@contextmanager
def _macos_errors_as_failures() -> Iterator[None]:
    try:
        yield
    except KeyringError as error:
        status = next(iter(getattr(error.__cause__, "args", ())), None)
        if status not in _REASONS_BY_MACOS_STATUS:
            raise
        raise KeyringFailure(_REASONS_BY_MACOS_STATUS[status]) from None
