"""The encrypted file that keeps secrets where there is no keyring.

It is one JSON object, each account's entry sealed by itself: AES-256-GCM under a key that HKDF
derives from the machine's id, the user's id and the entry's own salt. A write replaces the whole
file at once; whatever it holds that is not understood is kept as it is.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.database import BUSY_TIMEOUT, transaction
from claude_usage_monitor.store.secrets.machine import machine_id, user_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PROTECTION = (
    "Whoever gets only this file (in a synchronised or copied home) cannot read it, and its"
    " permissions keep other users of this machine out. Programs that run as you, administrators"
    " and whoever also has this machine's id can read it."
)

_VERSION = 1
_MAX_BYTES = 1 << 20  # a login is a few KiB
_SALT_BYTES = 32
_NONCE_BYTES = 12  # what GCM is made for
_REPLACE_TRIES = 50  # Windows replaces no file that somebody reads just now

_MOVE_AWAY = "Move it away and log in again; it is never changed or deleted by itself."
_LOG_IN = "Remove the account and add it again."
_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.ELOOP: "it is a symbolic link",  # what O_NOFOLLOW answers
    errno.ENXIO: "it is not a regular file",  # a socket
}

# For threads: SQLite's lock is between processes, and opening a file anew could let go of it.
_between_threads = threading.Lock()


class EncryptedFile:
    """The encrypted file. Every operation may raise SecretStoreUnavailable.

    ``machine_id`` returns what binds the file to this machine. ``exclusively`` keeps all other
    processes from writing meanwhile; by itself, a lock on a database beside the file.
    """

    name = "encrypted file"

    def __init__(
        self,
        path: Path,
        machine_id: Callable[[], bytes] = machine_id,
        exclusively: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        self.path = path
        self._machine_id = machine_id
        self._exclusively = exclusively or self._locked

    def exists(self) -> bool:
        """Return whether there is a file, of whatever kind."""
        return os.path.lexists(self.path)

    def holds(self, account: str) -> bool:
        """Return whether there is an entry for an account, readable or not; costs no decryption."""
        return account in self._document()["entries"]

    def read(self, account: str) -> str | None:
        """Return an account's secret; ``None`` when it has none."""
        entries = self._document()["entries"]
        return self._open(account, entries[account]) if account in entries else None

    def write(self, account: str, content: str) -> None:
        """Replace an account's secret, and nothing else in the file."""
        sealed = self._seal(account, content)
        with self._exclusively():
            document = self._document()
            known = document["entries"].get(account)
            document["entries"][account] = {**(known if isinstance(known, dict) else {}), **sealed}
            self._replace(document)

    def delete(self, account: str) -> None:
        """Delete an account's secret, if it has one."""
        if not self.holds(account):
            return
        with self._exclusively():
            document = self._document()
            if document["entries"].pop(account, None) is not None:
                self._replace(document)

    # --- sealing -------------------------------------------------------------------------------

    def _seal(self, account: str, content: str) -> dict[str, str]:
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        plain = content.encode(errors="surrogatepass")
        data = self._cipher(salt).encrypt(nonce, plain, _bound_to(account))
        parts = {"salt": salt, "nonce": nonce, "data": data}
        return {key: base64.b64encode(part).decode() for key, part in parts.items()}

    def _open(self, account: str, entry: Any) -> str:  # noqa: ANN401 - anything may stand there
        try:
            salt, nonce, data = (
                base64.b64decode(entry[key], validate=True) for key in ("salt", "nonce", "data")
            )
            cipher = self._cipher(salt)
            from cryptography.exceptions import InvalidTag
        except (KeyError, TypeError, ValueError):
            raise self._unusable("an entry in it is damaged", _LOG_IN) from None
        try:
            return cipher.decrypt(nonce, data, _bound_to(account)).decode(errors="surrogatepass")
        except (InvalidTag, ValueError, OverflowError):
            raise self._unusable(
                "an entry in it is damaged, or was made on another machine or by another user",
                _LOG_IN,
            ) from None

    def _cipher(self, salt: bytes) -> AESGCM:
        """Return the cipher of one entry. Imported only here: cryptography costs 30 ms."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ImportError:
            raise self._unusable(
                "the package cryptography is missing", "Install claude-usage-monitor anew."
            ) from None
        derivation = HKDF(SHA256(), 32, salt, b"claude-usage-monitor secrets 1")
        return AESGCM(derivation.derive(self._machine_id() + b"\0" + user_id()))

    # --- the file ------------------------------------------------------------------------------

    def _document(self) -> dict[str, Any]:
        content = self._content()
        if not content:
            return {"version": _VERSION, "entries": {}}
        try:
            document = json.loads(content.decode())
        except (ValueError, RecursionError):
            raise self._unusable("it is damaged: no whole JSON", _MOVE_AWAY) from None
        if not isinstance(document, dict) or not isinstance(document.get("entries"), dict):
            raise self._unusable("it is not a file of ours", _MOVE_AWAY)
        if document.get("version") != _VERSION:
            raise self._unusable("another version of this program wrote it", _MOVE_AWAY)
        return document

    def _content(self) -> bytes | None:
        """Return what the file holds. Never blocks, and reads no file that others can change."""
        flags = os.O_RDONLY | _flags("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(_reason(error), "Is its folder yours?") from None
        try:
            found = os.fstat(descriptor)
            self._refuse_foreign(found)
            if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
                with suppress(OSError):  # a copy that was opened to others, where it can be closed
                    os.fchmod(descriptor, 0o600)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise self._unusable(_reason(error), "Try again.") from None
        finally:
            os.close(descriptor)
        if len(content) > _MAX_BYTES:
            raise self._unusable("it is larger than a mebibyte", _MOVE_AWAY)
        return content

    def _refuse_foreign(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._unusable("it is not a regular file", _MOVE_AWAY)
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise self._unusable("it belongs to another user", _MOVE_AWAY)
        if found.st_nlink > 1:
            raise self._unusable("it has a second name (a hard link)", _MOVE_AWAY)

    def _replace(self, document: dict[str, Any]) -> None:
        """Put a new file in the old one's place, whole and on the disk, or leave the old one."""
        content = json.dumps(document, indent=1).encode()
        if len(content) > _MAX_BYTES:
            raise self._unusable("it would be larger than a mebibyte", _LOG_IN)
        new = self.path.with_name(self.path.name + ".new")
        try:
            _make_folder(self.path.parent)
            new.unlink(missing_ok=True)  # of a write that was cut short
            with open(_created(new), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(new, self.path)
        except (OSError, ValueError) as error:
            with suppress(OSError, ValueError):
                new.unlink()
            raise self._unusable(_reason(error), "What it held before is still there.") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep all others from writing, with the database that stands beside the file."""
        lock = self.path.with_name(f"{self.path.stem}.lock.db")
        with _between_threads, ExitStack() as held:
            try:
                _make_folder(lock.parent)
                with suppress(FileExistsError):  # of the user alone; SQLite would ask the umask
                    os.close(_created(lock))
                connection = sqlite3.connect(lock, timeout=BUSY_TIMEOUT, isolation_level=None)
                held.enter_context(closing(connection))
                held.enter_context(transaction(connection))
            except (OSError, ValueError, sqlite3.Error) as error:
                raise self._unusable(
                    f"{lock.name}: {_reason(error)}", f"If it stays so, delete {lock.name}."
                ) from None
            yield

    def _unusable(self, reason: str, hint: str) -> SecretStoreUnavailable:
        return SecretStoreUnavailable(f"{self.path} cannot be used: {reason}.", hint)


def _bound_to(account: str) -> bytes:
    """Return what an entry is sealed with, so that it opens for no other account."""
    return json.dumps([_VERSION, account]).encode()


def _make_folder(folder: Path) -> None:
    for missing in reversed((folder, *folder.parents)):
        if not missing.exists():  # each by itself: parents=True would take the umask's mode
            missing.mkdir(mode=0o700, exist_ok=True)


def _created(path: Path) -> int:
    """Return the descriptor of a new file, the user's alone from the beginning."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _flags("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
    descriptor = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
    return descriptor


def _flags(*names: str) -> int:
    """Return those of the flags that this platform has."""
    return sum(getattr(os, name, 0) for name in names)


def _put_in_place(new: Path, path: Path) -> None:
    """Let a file replace another, and the folder remember it after a power cut."""
    for tries in range(_REPLACE_TRIES, 0, -1):
        try:
            new.replace(path)
            break
        except PermissionError:
            if os.name != "nt" or tries == 1:
                raise
            time.sleep(0.02)
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # not every file system can; the file itself is safe
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return _WORDS.get(error.errno or 0) or error.strerror or type(error).__name__
    return str(error) if isinstance(error, sqlite3.Error) else "no such name is possible"
