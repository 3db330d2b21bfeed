"""The system's keyring as a place for secrets, asked so that it can neither hang nor surprise.

It is one of an allow-list, never what a configuration file or the environment names: those may
name a plaintext file, or code to be run.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from claude_usage_monitor.errors import SecretStoreUnavailable

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from claude_usage_monitor.store.secrets.keyring_items import Items

_R = TypeVar("_R")

DEADLINE_SECONDS = 3.0
PROMPT_SECONDS = 120.0  # for a user to answer a dialog
MUTE_SECONDS = 60.0  # how long a keyring that did not answer is not asked again

_NAMES = {"darwin": "macOS Keychain", "win32": "Windows Credential Locker"}
# CredWrite takes 2560 bytes, and keyring writes UTF-16: 1280 characters, less the marks of parts.
_MOST_CHARACTERS = 1200 if sys.platform == "win32" else None


class KeyringAbsent(SecretStoreUnavailable):
    """Raised when there is no keyring here at all, or an empty one that was never set up."""


class _Meaning(NamedTuple):
    """What an exception of a backend means; the words go on from the keyring's name."""

    words: str
    hint: str
    kind: type[SecretStoreUnavailable] = SecretStoreUnavailable


_INSTEAD = "New logins go to an encrypted file."
_ABSENT = _Meaning("cannot be used here: a library of it is missing.", _INSTEAD, KeyringAbsent)
_NO_BUS = _Meaning(
    "cannot be reached: there is no D-Bus session here.",
    "It is there in a desktop session. " + _INSTEAD,
    KeyringAbsent,
)
_NO_SERVICE = _Meaning(
    "is not there: no program provides it in this session.", _INSTEAD, KeyringAbsent
)
_NOT_SET_UP = _Meaning(
    "is not set up: it has no default collection.",
    "Make one in the desktop's password manager. " + _INSTEAD,
    KeyringAbsent,
)
_LOCKED = _Meaning("is locked.", "Unlock it (logging in to the desktop does), then try again.")
_DENIED = _Meaning("denied access.", "Allow it when the dialog asks, then try again.")
_MUTE = _Meaning(
    "does not answer.", "It may wait for a dialog, or hang: if it stays so, log in anew."
)
_NOT_KEPT = _Meaning("did not do what it was asked, without saying so.", "Is its disk full?")
_NOT_WHOLE = _Meaning("holds only parts of this login.", "Remove the account and add it again.")
_NO_REPLY = _Meaning("ended while it was asked.", "Try again.")

# By the name of an exception's class or of a base of it, of a D-Bus error, or by a status of
# macOS: importing the classes would cost every platform the libraries of the others.
_MEANINGS = {
    "ImportError": _ABSENT,
    "NoKeyringError": _ABSENT,
    "NoSessionBus": _NO_BUS,
    "SecretServiceNotAvailableException": _NO_SERVICE,
    "InitError": _NOT_SET_UP,
    "KeyringLocked": _LOCKED,
    "LockedException": _LOCKED,
    "PromptDismissedException": _DENIED,
    "TimeoutError": _MUTE,
    "NotKept": _NOT_KEPT,
    "NotWhole": _NOT_WHOLE,
    "org.freedesktop.DBus.Error.AccessDenied": _DENIED,
    "org.freedesktop.DBus.Error.NoReply": _NO_REPLY,
    "org.freedesktop.DBus.Error.TimedOut": _MUTE,
    "org.freedesktop.Secret.Error.IsLocked": _LOCKED,
    "-128": _DENIED,  # errSecUserCanceled
    "-25293": _DENIED,  # errSecAuthFailed
    "-25308": _LOCKED,  # errSecInteractionNotAllowed: no dialog is possible, as over SSH
}


def platform_backend() -> KeyringBackend:
    """Return this platform's own keyring. Raises what its libraries raise where it has none.

    Imported only here: keyring costs 90 ms.
    """
    if sys.platform in _NAMES:
        from keyring.errors import NoKeyringError

        from claude_usage_monitor.store.secrets.os_keyrings import CredentialLocker, Keychain

        own = Keychain if sys.platform == "darwin" else CredentialLocker
        if not own.viable:
            raise NoKeyringError
        return own()
    from claude_usage_monitor.store.secrets.secret_service import SecretService

    return SecretService()  # type: ignore[no-untyped-call]


class KeyringStore:
    """The system's keyring. Every operation may raise SecretStoreUnavailable.

    An operation is waited for ``deadline`` seconds, on a thread that ends with the process; a
    keyring that did not answer is then not asked for a minute, nor while it still owes an answer.
    ``most_characters`` is how long an item may be. ``prompt`` allows dialogs (on Linux; macOS
    decides for itself). It may be used from any thread.
    """

    def __init__(
        self,
        backend: Callable[[], KeyringBackend] = platform_backend,
        most_characters: int | None = _MOST_CHARACTERS,
        deadline: float = DEADLINE_SECONDS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = _NAMES.get(sys.platform, "Secret Service keyring")
        self._backend = backend
        self._most = most_characters
        self._deadline = deadline
        self._monotonic = monotonic
        self._writing = threading.Lock()  # or one thread would read back what another wrote
        self._stuck: threading.Thread | None = None
        self._mute_until = float("-inf")

    def read(self, account: str, *, prompt: bool = False) -> str | None:
        """Return an account's secret; ``None`` when it has none."""
        return self._ask(lambda items: items.read(account), prompt=prompt)

    def write(self, account: str, content: str, *, prompt: bool = False) -> None:
        """Replace an account's secret, and make sure that it is there."""
        self._ask_alone(lambda items: items.write(account, content), prompt=prompt)

    def delete(self, account: str, *, prompt: bool = False) -> None:
        """Delete an account's secret, if it has one."""
        self._ask_alone(lambda items: items.delete(account), prompt=prompt)

    def _ask_alone(self, operation: Callable[[Items], None], *, prompt: bool) -> None:
        if not self._writing.acquire(timeout=PROMPT_SECONDS if prompt else self._deadline):
            raise self._error(TimeoutError())
        try:
            self._ask(operation, prompt=prompt)
        finally:
            self._writing.release()

    def _ask(self, operation: Callable[[Items], _R], *, prompt: bool) -> _R:
        stuck = self._stuck is not None and self._stuck.is_alive()
        if stuck or self._monotonic() < self._mute_until:
            raise self._error(TimeoutError())
        abandoned = threading.Event()
        # Made before the clock runs: a slow disk is no mute keyring.
        making = _Asking(lambda: self._items(abandoned, prompt=prompt))
        making.run()
        if making.error is not None:
            raise self._error(making.error)
        items = making.answer()
        asking = _Asking(lambda: operation(items))
        asking.start()
        asking.join(PROMPT_SECONDS if prompt else self._deadline)
        error: Exception | None
        if asking.is_alive():
            abandoned.set()
            self._stuck = asking
            error = TimeoutError()
        else:
            error = asking.error
        if error is None:
            return asking.answer()
        if isinstance(error, TimeoutError):
            self._mute_until = self._monotonic() + MUTE_SECONDS
        raise self._error(error)

    def _items(self, abandoned: threading.Event, *, prompt: bool) -> Items:
        from claude_usage_monitor.store.secrets.keyring_items import Items

        backend = self._backend().with_properties(
            prompt=prompt, patience=self._deadline, abandoned=abandoned
        )
        return Items(backend, self._most, abandoned)

    def _error(self, error: Exception) -> SecretStoreUnavailable:
        """Return what a backend's exception means, in words that hold nothing of its own."""
        meaning = next((_MEANINGS[sign] for sign in _signs(error) if sign in _MEANINGS), None)
        if meaning is None:
            meaning = _Meaning(f"failed ({type(error).__name__}).", "Try again.")
        return meaning.kind(f"The {self.name} {meaning.words}", meaning.hint)


class _Asking(threading.Thread, Generic[_R]):
    """A question to a keyring, on a thread of its own that no process waits for at its end."""

    def __init__(self, ask: Callable[[], _R]) -> None:
        super().__init__(name="keyring", daemon=True)
        self._ask = ask
        self._answers: list[_R] = []
        self.error: Exception | None = None

    def run(self) -> None:
        """Ask, and keep the answer or the error."""
        try:
            self._answers.append(self._ask())
        # FileNotFoundError, pywintypes.error, …: a backend raises whatever its platform does.
        except Exception as error:  # noqa: BLE001 - and no list of them is complete
            self.error = error

    def answer(self) -> _R:
        """Return the answer, once there is one."""
        return self._answers[0]


def _signs(error: Exception) -> Iterator[str]:
    """Name what an exception may be known by, the most telling first."""
    for found in (error, error.__cause__):
        yield str(getattr(found, "name", ""))
        yield str(next(iter(getattr(found, "args", ())), ""))
    for kind in type(error).__mro__:
        yield kind.__name__
