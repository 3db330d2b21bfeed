"""The keyring of the operating system, used so that it neither hangs nor opens unexpected dialogs.

Only keyrings of an allow-list are used. A configuration file or the environment cannot choose
another one, which could be a plaintext file, or code to run.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets.keyring_backend import (
    KeyringBackend,
    KeyringFailure,
    Limits,
    Reason,
)
from claude_usage_monitor.threads import run_in_thread

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")

ANSWER_TIMEOUT = 3.0  # seconds
PROMPT_TIMEOUT = 120.0  # seconds for a user to answer a dialog
SILENCE_COOLDOWN = 60.0  # seconds without requests to a keyring that did not answer

_NAMES = {"darwin": "macOS Keychain", "win32": "Windows Credential Locker"}


class KeyringAbsent(SecretStoreUnavailable):
    """Raised when there is no keyring here, or an empty one that is not set up."""


def open_platform_keyring(limits: Limits) -> KeyringBackend:
    """Return the keyring of this platform. Raises KeyringFailure."""
    try:  # these imports take 35 to 90 ms
        if sys.platform in _NAMES:
            from claude_usage_monitor.store.secrets.library_keyrings import open_library_keyring

            return open_library_keyring(limits)
        from claude_usage_monitor.store.secrets.secret_service import SecretService
    except ImportError:
        raise KeyringFailure(Reason.LIBRARY_MISSING) from None
    return SecretService(limits)


class KeyringStore:
    """The keyring. Every operation may raise SecretStoreUnavailable.

    An operation runs for at most ``timeout`` seconds (3), on a thread that ends with the process. A
    keyring that did not answer is not used for a minute, or while its answer is still pending.
    ``prompt`` allows dialogs. Threads may share a store, but only one may write at a time, because
    each write is read back.
    """

    def __init__(
        self,
        open_keyring: Callable[[Limits], KeyringBackend] = open_platform_keyring,
        timeout: float | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = _NAMES.get(sys.platform, "Secret Service keyring")
        self._open_keyring = open_keyring
        self.timeout = ANSWER_TIMEOUT if timeout is None else timeout
        self._monotonic = monotonic
        self._unanswered: Future[Any] | None = None
        self._silent_until = float("-inf")

    def read(self, account_id: str, *, prompt: bool = False) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""
        return self._run(lambda keyring: keyring.read(account_id), prompt=prompt)

    def write(self, account_id: str, content: str, *, prompt: bool = False) -> None:
        """Store or replace the secret of an account, and check that it is stored."""

        def write_and_check(keyring: KeyringBackend) -> None:
            keyring.write(account_id, content)
            if keyring.read(account_id) != content:
                raise KeyringFailure(Reason.NOT_DONE)

        self._run(write_and_check, prompt=prompt)

    def delete(self, account_id: str, *, prompt: bool = False) -> None:
        """Delete the secret of an account, if it has one, and check that it is gone."""

        def delete_and_check(keyring: KeyringBackend) -> None:
            keyring.delete(account_id)
            if keyring.read(account_id) is not None:
                raise KeyringFailure(Reason.NOT_DONE)

        self._run(delete_and_check, prompt=prompt)

    def _run(self, operation: Callable[[KeyringBackend], R], *, prompt: bool) -> R:
        """Run an operation on a thread, and wait for it no longer than the timeout."""
        answer_due = self._unanswered is not None and not self._unanswered.done()
        if answer_due or self._monotonic() < self._silent_until:
            raise self._unavailable(TimeoutError())
        limits = Limits(prompt, self.timeout, threading.Event())
        try:
            # Opened on this thread, so that the time of imports does not count toward the timeout.
            keyring = self._open_keyring(limits)
        except KeyringFailure as failure:
            raise self._unavailable(failure) from None
        future = run_in_thread(lambda: operation(keyring), "keyring")
        try:
            error = future.exception(PROMPT_TIMEOUT if prompt else self.timeout)
        except TimeoutError as no_answer:
            limits.canceled.set()
            self._unanswered = future
            error = no_answer
        if error is None:
            return future.result()
        if isinstance(error, TimeoutError):
            self._silent_until = self._monotonic() + SILENCE_COOLDOWN
        raise self._unavailable(error) from None

    def _unavailable(self, error: BaseException) -> SecretStoreUnavailable:
        """Return our error for a keyring's, without its text, which may quote a secret."""
        if isinstance(error, TimeoutError):
            error = KeyringFailure(Reason.NO_ANSWER)
        if not isinstance(error, KeyringFailure):
            message = f"The {self.name} failed ({type(error).__name__})."
            return SecretStoreUnavailable(message, "Try again.")
        text, hint = error.reason.value
        kind = KeyringAbsent if error.reason.is_absence else SecretStoreUnavailable
        return kind(f"The {self.name} {text}", hint)
