"""The interface of a platform's keyring for `KeyringStore`, and the reasons for its failures."""

from __future__ import annotations

import threading
from enum import Enum

from claude_usage_monitor.light_typing import NamedTuple, Protocol

SERVICE = "claude-usage-monitor"  # the service name of our items

_USE_FILE = "New logins go to an encrypted file."


class Limits(NamedTuple):
    """The limits of one operation on a keyring.

    ``prompt`` allows it to open a dialog (on Linux; macOS decides for itself), each request may
    take ``timeout`` seconds, and once ``canceled`` is set it sends no further request.
    """

    prompt: bool
    timeout: float
    canceled: threading.Event


class KeyringBackend(Protocol):
    """A platform's keyring, opened for one operation.

    Every method may raise KeyringFailure, TimeoutError, or any error of the platform's library.
    """

    def read(self, account_id: str) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""

    def write(self, account_id: str, content: str) -> None:
        """Store or replace the secret of an account.

        If the process is killed meanwhile, either the old or the new secret is stored.
        """

    def delete(self, account_id: str) -> None:
        """Delete the secret of an account, if it has one."""


class Reason(Enum):
    """Why a keyring cannot be used: the end of a sentence that names it, and a hint."""

    LIBRARY_MISSING = "cannot be used: a library it needs is missing.", _USE_FILE
    NO_SESSION_BUS = (
        "cannot be reached: there is no D-Bus session.",
        f"A desktop session has one. {_USE_FILE}",
    )
    NO_SERVICE = "is not running: no program provides it in this session.", _USE_FILE
    NOT_SET_UP = (
        "is not set up: it has no default collection.",
        f"Create one in the desktop's password manager. {_USE_FILE}",
    )
    LOCKED = "is locked.", "Unlock it (logging in to the desktop does that), then try again."
    DENIED = "denied access.", "Allow access when the dialog asks, then try again."
    NO_ANSWER = (
        "does not answer.",
        "It may be showing a dialog. If not, log out of the desktop and back in.",
    )
    STOPPED = "stopped before it answered.", "Try again."
    TOO_LONG = "does not accept a login of this length.", _USE_FILE
    NOT_DONE = (
        "did not store the change, and reported no error.",
        "Check whether its disk is full.",
    )

    @property
    def is_absence(self) -> bool:
        """Whether there is no keyring here, or an empty one that is not set up."""
        return self in {
            Reason.LIBRARY_MISSING,
            Reason.NO_SESSION_BUS,
            Reason.NO_SERVICE,
            Reason.NOT_SET_UP,
        }


class KeyringFailure(Exception):
    """Raised when a keyring cannot be used."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)
