"""The encrypted file that stores secrets where there is no keyring.

It is one JSON object with an entry for each account, each encrypted by itself. A write replaces the
whole file, but preserves content that this version does not understand.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.files import FileTooLarge, read_private_file, write_atomically
from claude_usage_monitor.light_typing import Any

PROTECTION = (
    "Someone who gets only this file (in a synchronized or copied home) cannot read it, and its"
    " permissions keep other users of this machine out. Programs that run as you, administrators,"
    " and anyone who also has this machine's id can read it."
)

_VERSION = 1
_MAX_BYTES = 1 << 20  # a login is a few KiB
_MOVE_AWAY = "Move it away and log in again. This program never changes or deletes it."
_ADD_AGAIN = "Remove the account and add it again."


class EncryptedFile:
    """The encrypted file. Every operation may raise SecretStoreUnavailable.

    ``lock`` excludes all other writers, including other processes; it may raise its own errors.
    """

    name = "encrypted file"

    def __init__(self, path: Path, lock: Callable[[], AbstractContextManager[object]]) -> None:
        self.path = path
        self._lock = lock

    def exists(self) -> bool:
        """Return whether there is a file, of any kind."""
        return os.path.lexists(self.path)

    def contains(self, account_id: str) -> bool:
        """Return whether there is an entry for an account; does not decrypt it."""
        return account_id in self._document()["entries"]

    def read(self, account_id: str) -> str | None:
        """Return the secret of an account, ``None`` if it has none."""
        entries = self._document()["entries"]
        return self._decrypted(account_id, entries[account_id]) if account_id in entries else None

    def write(self, account_id: str, content: str) -> None:
        """Store or replace the secret of an account."""
        encrypted = self._encrypted(account_id, content)
        with self._lock():
            document = self._document()
            entry = document["entries"].get(account_id)
            document["entries"][account_id] = {
                **(entry if isinstance(entry, dict) else {}),
                **encrypted,
            }
            self._replace(document)

    def delete(self, account_id: str) -> None:
        """Delete the secret of an account, if it has one."""
        if not self.contains(account_id):
            return
        with self._lock():
            document = self._document()
            if document["entries"].pop(account_id, None) is not None:
                self._replace(document)

    def _encrypted(self, account_id: str, content: str) -> dict[str, str]:
        from claude_usage_monitor.store.secrets.encryption import encrypt  # saves 20 ms

        plain = content.encode(errors="surrogatepass")
        encrypted = encrypt(plain, _context(account_id))
        return {key: base64.b64encode(part).decode() for key, part in encrypted._asdict().items()}

    def _decrypted(self, account_id: str, entry: Any) -> str:  # noqa: ANN401 - any JSON
        from claude_usage_monitor.store.secrets.encryption import Encrypted, NotDecrypted, decrypt

        try:
            parts = (base64.b64decode(entry[key], validate=True) for key in Encrypted._fields)
            encrypted = Encrypted(*parts)
        except (KeyError, TypeError, ValueError):
            raise self._unusable("an entry in it is damaged", _ADD_AGAIN) from None
        try:
            plain = decrypt(encrypted, _context(account_id))
            return plain.decode(errors="surrogatepass")
        except (NotDecrypted, ValueError):
            raise self._unusable(
                "an entry in it is damaged, or was made on another machine or by another user",
                _ADD_AGAIN,
            ) from None

    def _document(self) -> dict[str, Any]:
        try:
            content = read_private_file(self.path, _MAX_BYTES)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            hint = _MOVE_AWAY if isinstance(error, FileTooLarge) else "Give yourself access to it."
            raise self._unusable(str(error.strerror), hint) from None
        if not content:
            return {"version": _VERSION, "entries": {}}
        try:
            document = json.loads(content.decode())
        except (ValueError, RecursionError):
            raise self._unusable("it is damaged: its JSON is not complete", _MOVE_AWAY) from None
        if not isinstance(document, dict) or not isinstance(document.get("entries"), dict):
            raise self._unusable("this program did not write it", _MOVE_AWAY)
        if document.get("version") != _VERSION:
            raise self._unusable("another version of this program wrote it", _MOVE_AWAY)
        return document

    def _replace(self, document: dict[str, Any]) -> None:
        content = json.dumps(document, indent=1).encode()
        if len(content) > _MAX_BYTES:
            raise self._unusable("it would be larger than 1 MiB", _ADD_AGAIN)
        try:
            write_atomically(self.path, content)
        except OSError as error:
            raise self._unusable(str(error.strerror), "Its earlier content is intact.") from None

    def _unusable(self, reason: str, hint: str) -> SecretStoreUnavailable:
        return SecretStoreUnavailable(f"{self.path} cannot be used: {reason}.", hint)


def _context(account_id: str) -> bytes:
    """Return an entry's context, which prevents decrypting it as another account's entry."""
    return json.dumps([_VERSION, account_id]).encode()
