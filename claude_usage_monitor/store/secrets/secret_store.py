"""The secrets of all accounts: in the keyring, or else in the encrypted file.

Each write has a generation, and the newest wins wherever it is: an older copy that could not be
deleted, or a late write by a keyring that did not answer, is never used. Before a newer secret goes
to the keyring, the copy in the file is marked as outdated. So an unmarked copy is the newest one,
even if a process is killed at any time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from claude_usage_monitor.errors import NoCredentials, SecretStoreUnavailable
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.accounts.saved_account import SecretLocation
from claude_usage_monitor.store.secrets.encrypted_file import PROTECTION, EncryptedFile
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from claude_usage_monitor.usage.clock import utc_now

_ADD_AGAIN = "Remove the account and add it again."
_PROBE = "doctor"  # not the id of an account: read to see whether the keyring answers


class StoredSecret(NamedTuple):
    """The secret of an account, the generation of its write, and where it is."""

    content: Mapping[str, object]
    generation: int
    location: SecretLocation

    def __repr__(self) -> str:
        return f"StoredSecret(<redacted>, {self.generation}, {self.location!r})"


class _Copy(NamedTuple):
    """The secret in one location; ``outdated`` if the keyring may have a newer one."""

    secret: StoredSecret | None = None
    outdated: bool = False
    error: SecretStoreUnavailable | NoCredentials | None = None


class SecretStore:
    """The keyring and the encrypted file as one store. Threads may share it.

    A caller that reads, changes and writes a secret must exclude other processes. ``announce``
    receives a notice before the encrypted file is created. The time of ``clock`` makes generations
    increase across processes.
    """

    def __init__(
        self,
        keyring: KeyringStore,
        file: EncryptedFile,
        announce: Callable[[str], None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keyring = keyring
        self._file = file
        self._announce = announce
        self._clock = clock
        self._write_lock = threading.Lock()
        self._newest: dict[str, int] = {}  # the newest generation of each account seen so far

    def read(self, account_id: str, *, location: SecretLocation | None = None) -> StoredSecret:
        """Return the newest secret of an account.

        ``location`` is where the last write stored it; the keyring is not read for a secret that is
        in the file as expected. Raises NoCredentials if there is none, and SecretStoreUnavailable
        if it may be in a location that cannot be read.
        """
        in_file = self._read_file(account_id)
        expected = None if location != "file" or in_file.outdated else in_file.secret
        if expected is not None and self._is_newest(account_id, expected):
            return self._remember(account_id, expected)
        in_keyring = self._read_keyring(account_id, prompt=False)
        errors = [copy.error for copy in (in_keyring, in_file) if copy.error is not None]
        newest = _newest(in_keyring, in_file)
        if newest.secret is not None:
            # A newer one may be in the location that cannot be read. An old refresh token was used
            # already, and sending it again would end the login.
            if errors and (newest.outdated or not self._is_newest(account_id, newest.secret)):
                raise errors[0]
            return self._remember(account_id, newest.secret)
        for error in errors:
            if location == "keyring" or not isinstance(error, KeyringAbsent):
                raise error
        reasons = "".join(f" {error.message}" for error in errors)
        raise NoCredentials(f"Nothing is stored for this account any more.{reasons}", _ADD_AGAIN)

    def write(
        self, account_id: str, content: Mapping[str, object], *, prompt: bool = False
    ) -> StoredSecret:
        """Replace the secret of an account, and return it as it was stored.

        Raises SecretStoreUnavailable if neither location accepts it; the old one is then intact.
        """
        with self._write_lock:
            in_keyring = self._read_keyring(account_id, prompt=prompt)
            in_file = self._read_file(account_id)
            secret = StoredSecret(content, self._next(account_id, in_keyring, in_file), "keyring")
            try:
                if isinstance(in_keyring.error, SecretStoreUnavailable):
                    raise in_keyring.error
                self._mark_outdated(account_id, in_file)
                self._keyring.write(account_id, _text(secret), prompt=prompt)
            except SecretStoreUnavailable as reason:
                secret = secret._replace(location="file")
                self._write_file(account_id, _text(secret), reason)
            with suppress(SecretStoreUnavailable):
                (self._file if secret.location == "keyring" else self._keyring).delete(account_id)
            return self._remember(account_id, secret)

    def delete(
        self, account_id: str, *, prompt: bool = False, location: SecretLocation | None = None
    ) -> tuple[str, ...]:
        """Delete the secret of an account in both locations; return warnings.

        ``location`` is where the last write stored it. Raises SecretStoreUnavailable, and
        deletes nothing, when that location cannot be used (without ``location``: when either
        cannot). For the other location, and for an absent keyring, there is only a warning.
        """
        warnings: list[str] = []
        with self._write_lock:
            if location == "file" and self._read_file(account_id).outdated:
                location = None
            try:
                if location is None:
                    self._file.contains(account_id)  # fails before the keyring's copy is deleted
                in_order: tuple[SecretLocation, ...] = ("keyring", "file")
                for each in reversed(in_order) if location == "file" else in_order:
                    try:
                        self._delete_from(each, account_id, prompt=prompt and location != "file")
                    except SecretStoreUnavailable as error:
                        if location in (None, each) and not isinstance(error, KeyringAbsent):
                            raise
                        warnings.append(
                            f"{error.message} If a login of this account is in it, it stays there."
                        )
            except SecretStoreUnavailable as error:
                message = f"{error.message} It may still contain this login."
                raise SecretStoreUnavailable(message, error.hint) from None
        return tuple(warnings)

    def location_name(self, location: SecretLocation) -> str:
        """Return a location's name for users."""
        return self._keyring.name if location == "keyring" else self._file.name

    def location_for_new_logins(self) -> str:
        """Return where a new login would be stored now, and the reason if not in the keyring."""
        try:
            self._keyring.read(_PROBE)
        except SecretStoreUnavailable as error:
            return f"{self._file.name} ({error.message}) {PROTECTION}"
        return self._keyring.name

    def _read_keyring(self, account_id: str, *, prompt: bool) -> _Copy:
        try:
            text = self._keyring.read(account_id, prompt=prompt)
        except SecretStoreUnavailable as error:
            return _Copy(error=error)
        return _copy_from(text, "keyring", self._keyring.name)

    def _read_file(self, account_id: str) -> _Copy:
        try:
            text = self._file.read(account_id)
        except SecretStoreUnavailable as error:
            return _Copy(error=error)
        return _copy_from(text, "file", self._file.name)

    def _mark_outdated(self, account_id: str, in_file: _Copy) -> None:
        if in_file.secret is not None and not in_file.outdated:
            with suppress(SecretStoreUnavailable):  # the newer secret is stored anyway
                self._file.write(account_id, _text(in_file.secret, outdated=True))

    def _write_file(self, account_id: str, text: str, reason: SecretStoreUnavailable) -> None:
        if not self._file.exists():
            self._announce(
                f"{reason.message} Logins go to an encrypted file, {self._file.path}. {PROTECTION}"
            )
        try:
            self._file.write(account_id, text)
        except SecretStoreUnavailable as error:
            message = f"Nothing can be stored. {reason.message} {error.message}"
            raise SecretStoreUnavailable(message, error.hint) from None

    def _delete_from(self, location: SecretLocation, account_id: str, *, prompt: bool) -> None:
        if location == "keyring":
            self._keyring.delete(account_id, prompt=prompt)
        else:
            self._file.delete(account_id)

    def _next(self, account_id: str, *copies: _Copy) -> int:
        """Return a generation above all known ones; the time puts it above unreadable ones."""
        seen = [copy.secret.generation for copy in copies if copy.secret is not None]
        newest = max([*seen, self._newest.get(account_id, 0)])
        return max(newest + 1, int(self._clock().timestamp() * 1_000_000))

    def _is_newest(self, account_id: str, secret: StoredSecret) -> bool:
        return secret.generation >= self._newest.get(account_id, 0)

    def _remember(self, account_id: str, secret: StoredSecret) -> StoredSecret:
        self._newest[account_id] = max(secret.generation, self._newest.get(account_id, 0))
        return secret


def _newest(in_keyring: _Copy, in_file: _Copy) -> _Copy:
    """Return the newer of two copies; the keyring's if both are of the same write."""
    if in_keyring.secret is None or in_file.secret is None:
        return in_keyring if in_file.secret is None else in_file
    return in_file if in_file.secret.generation > in_keyring.secret.generation else in_keyring


def _text(secret: StoredSecret, **marks: bool) -> str:
    return json.dumps({"generation": secret.generation, "content": dict(secret.content), **marks})


def _copy_from(text: str | None, location: SecretLocation, name: str) -> _Copy:
    """Parse a location's text; an error about unreadable text does not quote it."""
    if text is None:
        return _Copy()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    fields = document if isinstance(document, dict) else {}
    content, generation = fields.get("content"), fields.get("generation")
    if isinstance(content, dict) and type(generation) is int and generation >= 0:
        return _Copy(StoredSecret(content, generation, location), bool(fields.get("outdated")))
    message = f"The {name} has something unreadable for this account."
    return _Copy(error=NoCredentials(message, _ADD_AGAIN))
