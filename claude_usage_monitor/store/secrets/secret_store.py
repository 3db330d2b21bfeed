"""Every account's secrets behind one door: in the keyring, or else in the encrypted file.

Each write has a generation, and the newest wins wherever it is: an older copy that could not be
deleted, or a write that a hanging keyring makes late, is never taken for the login. A copy in the
file is marked before a newer one goes to the keyring: one without the mark is the newest, whenever
a process was killed.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from claude_usage_monitor.errors import NoCredentials, SecretStoreUnavailable
from claude_usage_monitor.store.accounts.saved_account import SecretLocation
from claude_usage_monitor.store.secrets.encrypted_file import PROTECTION, EncryptedFile
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from claude_usage_monitor.usage.clock import utc_now

_ADD_AGAIN = "Remove the account and add it again."
_PROBED = "doctor"  # no account's id: asked for to see whether the keyring answers


class StoredSecret(NamedTuple):
    """What is kept for an account, which write it is of, and where it is."""

    content: Mapping[str, object]
    generation: int
    location: SecretLocation

    def __repr__(self) -> str:
        return f"StoredSecret(<redacted>, {self.generation}, {self.location!r})"


class _Found(NamedTuple):
    """What a look into one place gave; ``outdated`` is whether a newer one may be elsewhere."""

    kept: StoredSecret | None = None
    error: SecretStoreUnavailable | NoCredentials | None = None
    outdated: bool = False


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


class SecretStore:
    """Both places as one. It may be used from any thread.

    A read-modify-write is the caller's to protect from other processes. ``announce`` is told
    before the encrypted file is begun; ``clock`` gives generations that grow over processes.
    """

    def __init__(
        self,
        keyring: KeyringStore,
        file: EncryptedFile,
        announce: Callable[[str], None] = _tell,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keyring = keyring
        self._file = file
        self._announce = announce
        self._clock = clock
        self._writing = threading.Lock()
        self._newest: dict[str, int] = {}  # the newest generation of each account seen so far

    def read(
        self, account: str, *, prompt: bool = False, location: SecretLocation | None = None
    ) -> StoredSecret:
        """Return what is kept for an account.

        ``location`` is where the last write put it: what is known to be in the file is looked for
        in the keyring only if it is not there. Raises NoCredentials when it is nowhere, and
        SecretStoreUnavailable when it may be in a place that is shut.
        """
        file = self._look_in_file(account)
        trusted = None if location != "file" or file.outdated else file.kept
        if trusted is not None and self._is_newest(account, trusted):
            return self._seen(account, trusted)
        keyring = self._look_in_keyring(account, prompt=prompt)
        found = _newer(keyring.kept, file.kept)
        errors = [error for error in (keyring.error, file.error) if error is not None]
        # An older one than was seen before is not it, as long as the newer may be behind a lock.
        outdated = found is file.kept and file.outdated
        if found is not None and (not errors or (self._is_newest(account, found) and not outdated)):
            return self._seen(account, found)
        for error in errors:
            if found is not None or location == "keyring" or not isinstance(error, KeyringAbsent):
                raise error
        raise NoCredentials(
            "Nothing is stored for this account any more."
            + "".join(f" {error.message}" for error in errors),
            _ADD_AGAIN,
        )

    def write(
        self, account: str, content: Mapping[str, object], *, prompt: bool = False
    ) -> StoredSecret:
        """Keep something for an account in place of what was kept, and return it as kept.

        Raises SecretStoreUnavailable when no place takes it; what was kept is then still there.
        """
        with self._writing:
            keyring = self._look_in_keyring(account, prompt=prompt)
            file = self._look_in_file(account)
            found = _newer(keyring.kept, file.kept)
            newest = max(found.generation if found else 0, self._newest.get(account, 0))
            # The time is above what may be in a place that is shut.
            generation = max(newest + 1, int(self._clock().timestamp() * 1_000_000))
            text = _text(generation, content)
            place: SecretLocation = "keyring"
            try:
                if isinstance(keyring.error, KeyringAbsent):
                    raise keyring.error
                self._mark_outdated(account, file)
                # A dialog that was dismissed for the look is not opened again.
                self._keyring.write(account, text, prompt=prompt and keyring.error is None)
            except SecretStoreUnavailable as reason:
                self._write_to_file(account, text, reason)
                place = "file"
            with suppress(SecretStoreUnavailable):
                (self._file if place == "keyring" else self._keyring).delete(account)
            return self._seen(account, StoredSecret(content, generation, place))

    def delete(
        self, account: str, *, prompt: bool = False, location: SecretLocation | None = None
    ) -> tuple[str, ...]:
        """Delete what is kept for an account everywhere; returns warnings.

        ``location`` is where the last write put it: what else is shut is only warned of. Raises
        SecretStoreUnavailable, and has deleted nothing, when that place is shut, or any is while
        none is known; a keyring that is absent is only warned of.
        """
        warnings: list[str] = []
        with self._writing:
            if location == "file" and self._look_in_file(account).outdated:
                location = None
            try:
                if location is None:
                    self._file.holds(account)  # or the keyring's would be gone before it is known
                for place in _location_first(location):
                    try:
                        self._delete_in(place, account, prompt=prompt and location != "file")
                    except SecretStoreUnavailable as error:
                        if location in (None, place) and not isinstance(error, KeyringAbsent):
                            raise
                        warnings.append(
                            f"{error.message} If a login of this account is in it, it stays."
                        )
            except SecretStoreUnavailable as left:
                raise SecretStoreUnavailable(
                    f"{left.message} It may still hold this login.", left.hint
                ) from None
            self._newest.pop(account, None)
        return tuple(warnings)

    def _delete_in(self, place: SecretLocation, account: str, *, prompt: bool) -> None:
        if place == "keyring":
            self._keyring.delete(account, prompt=prompt)
        else:
            self._file.delete(account)

    def location_name(self, place: SecretLocation) -> str:
        """Return what a place is called."""
        return self._keyring.name if place == "keyring" else self._file.name

    def location_for_new_logins(self) -> str:
        """Say which place would be used now, and why."""
        try:
            self._keyring.read(_PROBED)
        except SecretStoreUnavailable as error:
            return f"{self._file.name} ({error.message}) {PROTECTION}"
        return self._keyring.name

    def _mark_outdated(self, account: str, file: _Found) -> None:
        """Mark the file's copy before a newer one may be in the keyring.

        Where it cannot be marked, the newer one is written all the same: it is worth more.
        """
        if file.kept is not None and not file.outdated:
            with suppress(SecretStoreUnavailable):
                self._file.write(
                    account, _text(file.kept.generation, file.kept.content, outdated=True)
                )

    def _write_to_file(self, account: str, text: str, reason: SecretStoreUnavailable) -> None:
        if not self._file.exists():
            self._announce(
                f"{reason.message} Logins go to an encrypted file, {self._file.path}. {PROTECTION}"
            )
        try:
            self._file.write(account, text)
        except SecretStoreUnavailable as error:
            raise SecretStoreUnavailable(
                f"Nothing can be stored. {reason.message} {error.message}", error.hint
            ) from None

    def _look_in_keyring(self, account: str, *, prompt: bool) -> _Found:
        try:
            text = self._keyring.read(account, prompt=prompt)
        except SecretStoreUnavailable as error:
            return _Found(error=error)
        return _found_in(text, "keyring", f"The {self._keyring.name}")

    def _look_in_file(self, account: str) -> _Found:
        try:
            if not self._file.holds(account):
                return _Found()
            text = self._file.read(account)
        except SecretStoreUnavailable as error:
            return _Found(error=error)
        return _found_in(text, "file", f"The {self._file.name}")

    def _is_newest(self, account: str, kept: StoredSecret) -> bool:
        return kept.generation >= self._newest.get(account, 0)

    def _seen(self, account: str, kept: StoredSecret) -> StoredSecret:
        self._newest[account] = max(kept.generation, self._newest.get(account, 0))
        return kept


def _newer(keyring: StoredSecret | None, file: StoredSecret | None) -> StoredSecret | None:
    """Return the newer of two copies; the same write in both is taken from the keyring."""
    if keyring is None or file is None:
        return keyring or file
    return file if file.generation > keyring.generation else keyring


def _location_first(location: SecretLocation | None) -> tuple[SecretLocation, SecretLocation]:
    return ("file", "keyring") if location == "file" else ("keyring", "file")


def _text(generation: int, content: Mapping[str, object], **marks: bool) -> str:
    return json.dumps({"generation": generation, "content": dict(content), **marks})


def _found_in(text: str | None, place: SecretLocation, name: str) -> _Found:
    """Return what a place's text holds; of what is no text of ours, nothing is quoted."""
    if text is None:
        return _Found()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    fields = document if isinstance(document, dict) else {}
    content, generation = fields.get("content"), fields.get("generation")
    if isinstance(content, dict) and type(generation) is int and generation >= 0:
        return _Found(
            StoredSecret(content, generation, place), outdated=bool(fields.get("outdated"))
        )
    return _Found(
        error=NoCredentials(f"{name} holds something unreadable for this account.", _ADD_AGAIN)
    )
