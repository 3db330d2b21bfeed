"""The Secret Service of a Linux desktop, asked without surprise dialogs or endless waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import secretstorage
from jeepney import HeaderFields  # type: ignore[import-untyped]
from keyring.backends.SecretService import Keyring
from keyring.errors import InitError, KeyringLocked, NoKeyringError
from secretstorage.exceptions import (
    ItemNotFoundException,
    PromptDismissedException,
    SecretServiceNotAvailableException,
)
from secretstorage.util import PROMPT_IFACE

if TYPE_CHECKING:
    from secretstorage import Collection, Item

_R = TypeVar("_R")

# Seconds before looking again: while gnome-keyring stores what one process writes, another may be
# told that there is no default collection (measured: in one of 2,000 operations).
_PAUSES = (0.05, 0.1)


class NoSessionBus(NoKeyringError):
    """Raised where there is no D-Bus session bus to ask on."""


class SecretService(Keyring):
    """keyring's backend, which would wait without end and open dialogs unasked.

    Each question is waited for ``patience`` seconds; none is sent once ``abandoned`` is set, so
    that nothing is written long after its caller has gone elsewhere.
    """

    prompt = False  # whether dialogs may be opened
    patience = 3.0
    abandoned = threading.Event()  # replaced for each operation

    def set_properties_from_env(self) -> None:
        """Do nothing: the environment has no say in where secrets go."""

    def get_preferred_collection(self) -> Collection:
        """Return the default collection, open, on a connection of its own."""
        with ExitStack() as on_failure:
            connection = _connect()
            on_failure.callback(connection.close)
            send = partial(self._send, connection.send_and_get_reply)
            connection.send_and_get_reply = send
            collection = self._open_collection(connection)
            on_failure.pop_all()
        return collection

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret. That there is none is looked at twice: it means a login is lost."""

        def look() -> str:
            found: str | None = get(service, username)  # type: ignore[no-untyped-call]
            if found is None:
                raise ItemNotFoundException
            return found

        get = super().get_password
        try:
            return _surely(look, _PAUSES[:1])
        except PromptDismissedException:
            raise
        except ItemNotFoundException:
            return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Replace the secret."""
        _surely(partial(super().set_password, service, username, password))

    def delete_password(self, service: str, username: str) -> None:
        """Delete the secret."""
        _surely(partial(super().delete_password, service, username))

    def unlock(self, item: Item) -> None:
        """Open an item that has a lock of its own; with a dialog only where one may be."""
        if not item.is_locked():
            return
        if not self.prompt:
            raise KeyringLocked
        if item.unlock():
            raise PromptDismissedException

    def _open_collection(self, connection: Any) -> Collection:  # noqa: ANN401 - jeepney is untyped
        try:
            collection = _surely(partial(secretstorage.Collection, connection))
        except ItemNotFoundException:
            if not self.prompt:
                raise InitError from None
            # Makes one, for which the user chooses a password.
            collection = secretstorage.get_default_collection(connection)
        if collection.is_locked():
            if not self.prompt:
                raise KeyringLocked
            if collection.unlock():
                raise PromptDismissedException
            if collection.is_locked():
                raise KeyringLocked
        return collection

    def _send(self, send: Callable[..., Any], message: Any) -> Any:  # noqa: ANN401 - as above
        """Send a question of the library's, within our limits, and return the answer."""
        if self.abandoned.is_set():
            raise TimeoutError
        if message.header.fields.get(HeaderFields.interface) == PROMPT_IFACE and not self.prompt:
            raise KeyringLocked
        return send(message, timeout=self.patience)


def _surely(operation: Callable[[], _R], pauses: tuple[float, ...] = _PAUSES) -> _R:
    """Do something, and again when what it needs is not there."""
    for pause in pauses:
        try:
            return operation()
        except PromptDismissedException:
            raise
        except ItemNotFoundException:
            time.sleep(pause)
    return operation()


def _connect() -> Any:  # noqa: ANN401 - as above
    try:
        return secretstorage.dbus_init()
    except TimeoutError:
        raise
    # RuntimeError: an address of a kind that jeepney does not speak.
    except (SecretServiceNotAvailableException, OSError, RuntimeError):
        raise NoSessionBus from None
