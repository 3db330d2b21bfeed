"""The keyrings of macOS and Windows, made to lose nothing when a write is cut short."""

from __future__ import annotations

from contextlib import suppress

from keyring.backend import KeyringBackend
from keyring.backends import Windows, macOS
from keyring.errors import PasswordDeleteError

_SPARE = "#spare"


class Spared(KeyringBackend):
    """Mixed into a backend that replaces by deleting and adding: a spare covers the gap."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret, or its spare when a write was cut short."""
        for name in (username, username + _SPARE, username):  # again: a write may just have ended
            found = super().get_password(service, name)
            if found is not None:
                return found
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Replace the secret; at every instant the old or the new one is there."""
        super().set_password(service, username + _SPARE, password)
        super().set_password(service, username, password)
        super().delete_password(service, username + _SPARE)

    def delete_password(self, service: str, username: str) -> None:
        """Delete the spare first, which would otherwise stand in."""
        with suppress(PasswordDeleteError):
            super().delete_password(service, username + _SPARE)
        super().delete_password(service, username)


class Keychain(Spared, macOS.Keyring):
    """The login keychain of macOS."""

    keychain = None  # keyring takes KEYCHAIN_PATH, only to warn that it has no effect

    def set_properties_from_env(self) -> None:
        """Do nothing: the environment has no say in where secrets go."""


class CredentialLocker(Windows.WinVaultKeyring):
    """Windows' store, each secret under a target of its own.

    keyring keeps the newest under the bare service and moves the one before it aside, in which
    two processes writing at once lose one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.persist = "local machine"  # a login that roams would be refreshed twice

    def set_properties_from_env(self) -> None:
        """Do nothing: the environment has no say in where secrets go."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret, if there is one."""
        target = self._compound_name(username, service)  # type: ignore[no-untyped-call]
        found = self._read_credential(target)  # type: ignore[no-untyped-call]
        return None if found is None else str(found.value)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Replace the secret in one step."""
        target = self._compound_name(username, service)  # type: ignore[no-untyped-call]
        self._set_password(target, username, password)  # type: ignore[no-untyped-call]

    def delete_password(self, service: str, username: str) -> None:
        """Delete the secret."""
        target = self._compound_name(username, service)  # type: ignore[no-untyped-call]
        if self._read_credential(target) is None:  # type: ignore[no-untyped-call]
            raise PasswordDeleteError
        self._delete_password(target)  # type: ignore[no-untyped-call]
