"""The Secret Service of a Linux desktop, through secretstorage.

keyring's backend for it waits without limit for an answer, opens dialogs without permission, and
takes 70 ms longer to import. Our items have the same attributes as keyring's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar

import secretstorage
from secretstorage import (
    Collection,
    Item,
    ItemNotFoundException,
    LockedException,
    PromptDismissedException,
    SecretServiceNotAvailableException,
)

from claude_usage_monitor.store.secrets.keyring_backend import (
    SERVICE,
    KeyringFailure,
    Limits,
    Reason,
)

R = TypeVar("R")

# Seconds before the next attempts. While gnome-keyring stores an item for one process, it may
# report to another one that an item or the collection is missing (in 1 of 2,000 operations).
_RETRY_PAUSES = (0.05, 0.1)
_PROMPT_INTERFACE = "org.freedesktop.Secret.Prompt"
_NO_REPLY = "org.freedesktop.DBus.Error.NoReply"


class SecretService:
    """The default collection of the Secret Service."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def read(self, account_id: str) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""

        def read_item(collection: Collection) -> str:
            for item in self._unlocked_items(collection, account_id):
                return item.get_secret().decode()
            raise ItemNotFoundException

        try:
            # Searched twice, because a missing item means a lost login.
            return self._run(read_item, _RETRY_PAUSES[:1])
        except ItemNotFoundException:
            return None

    def write(self, account_id: str, content: str) -> None:
        """Store or replace the secret of an account."""
        label = f"Password for '{account_id}' on '{SERVICE}'"
        attributes = {**_attributes(account_id), "application": "Python keyring library"}

        def write_item(collection: Collection) -> None:
            collection.create_item(label, attributes, content.encode(), replace=True)

        self._run(write_item)

    def delete(self, account_id: str) -> None:
        """Delete the secret of an account, if it has one."""

        def delete_items(collection: Collection) -> None:
            for item in self._unlocked_items(collection, account_id):
                item.delete()

        self._run(delete_items)

    def _run(
        self, operation: Callable[[Collection], R], pauses: tuple[float, ...] = _RETRY_PAUSES
    ) -> R:
        """Run an operation on the collection; each attempt opens a new connection."""

        def attempt() -> R:
            with closing(_connect()) as connection:
                return operation(self._collection(_LimitedConnection(connection, self._limits)))

        with _library_errors_as_failures():
            return _retry(attempt, pauses)

    def _collection(self, connection: Any) -> Collection:  # noqa: ANN401 - a `_LimitedConnection`
        """Return the default collection, unlocked; with a dialog only if that is allowed."""
        try:
            collection = _retry(partial(Collection, connection))
        except ItemNotFoundException:
            if not self._limits.prompt:
                raise KeyringFailure(Reason.NOT_SET_UP) from None
            # Creates the collection, for which the user chooses a password in a dialog.
            collection = secretstorage.get_default_collection(connection)
        self._unlock(collection)
        return collection

    def _unlocked_items(self, collection: Collection, account_id: str) -> Iterator[Item]:
        """Return the items of an account; some services lock each item separately."""
        for item in collection.search_items(_attributes(account_id)):
            self._unlock(item)
            yield item

    def _unlock(self, lockable: Collection | Item) -> None:
        if not lockable.is_locked():
            return
        if not self._limits.prompt:
            raise LockedException
        if lockable.unlock():
            raise PromptDismissedException
        if lockable.is_locked():
            raise LockedException


class _LimitedConnection:
    """A D-Bus connection that enforces an operation's limits on secretstorage's requests."""

    def __init__(self, connection: Any, limits: Limits) -> None:  # noqa: ANN401 - jeepney is untyped
        self._connection = connection
        self._limits = limits

    def send_and_get_reply(self, message: Any) -> Any:  # noqa: ANN401 - as above
        """Send a request and return the reply to it."""
        if self._limits.canceled.is_set():
            raise TimeoutError
        if not self._limits.prompt and _PROMPT_INTERFACE in message.header.fields.values():
            raise LockedException  # some services ask for each item, whether or not it is locked
        return self._connection.send_and_get_reply(message, timeout=self._limits.timeout)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        return getattr(self._connection, name)


def _attributes(account_id: str) -> dict[str, str]:
    return {"service": SERVICE, "username": account_id}


def _connect() -> Any:  # noqa: ANN401 - jeepney is untyped
    try:
        return secretstorage.dbus_init()
    except TimeoutError:
        raise
    # RuntimeError: jeepney does not support this kind of bus address.
    except (SecretServiceNotAvailableException, OSError, RuntimeError):
        raise KeyringFailure(Reason.NO_SESSION_BUS) from None


def _retry(operation: Callable[[], R], pauses: tuple[float, ...] = _RETRY_PAUSES) -> R:
    """Run an operation; retry it after each pause if the item or collection does not exist."""
    for pause in pauses:
        try:
            return operation()
        except PromptDismissedException:
            raise
        except ItemNotFoundException:
            time.sleep(pause)
    return operation()


@contextmanager
def _library_errors_as_failures() -> Iterator[None]:
    try:
        yield
    except PromptDismissedException:
        raise KeyringFailure(Reason.DENIED) from None
    except LockedException:
        raise KeyringFailure(Reason.LOCKED) from None
    except SecretServiceNotAvailableException as error:
        stopped = getattr(error.__cause__, "name", None) == _NO_REPLY
        raise KeyringFailure(Reason.STOPPED if stopped else Reason.NO_SERVICE) from None
