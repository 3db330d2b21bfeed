"""The file accounts.db: its connection, its transactions, its restoration, and its errors."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from claude_usage_monitor.errors import AccountsUnavailable
from claude_usage_monitor.files import StrPath, create_private_file, read_own_file, require_own_file
from claude_usage_monitor.store.accounts import backup
from claude_usage_monitor.store.accounts.schema import migrate
from claude_usage_monitor.store.database import (
    BUSY_TIMEOUT,
    MOVE_AWAY,
    UnusableDatabase,
    connect,
    inode_of,
    is_busy,
    reason_for,
    remedy_for,
    transaction,
)
from claude_usage_monitor.store.paths import ACCOUNTS_BACKUP

_MAX_SECRETS_BYTES = 1 << 20


class AccountsFile:
    """accounts.db, opened on first use and again when another file has replaced it.

    Any thread may use it. Errors in a block of `reading` or `writing` become
    AccountsUnavailable. A file that was deleted or emptied is restored from its backup, and
    ``announce`` receives a notice. ``secrets`` is the encrypted file: if it has entries, there was
    a list.
    """

    def __init__(
        self, path: StrPath, secrets: StrPath | None, announce: Callable[[str], None]
    ) -> None:
        self.path = path
        self._backup_path = os.path.join(os.path.dirname(path), ACCOUNTS_BACKUP)
        self._secrets = secrets
        self._announce = announce
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    def version(self) -> tuple[int | None, int]:
        """Return a value that changes with every write (three system calls if there is no file)."""
        with self.reading() as connection:
            if connection is None:
                return None, 0
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            return self._inode, int(version) + connection.total_changes

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield the connection, ``None`` if no account was ever added."""
        with self._lock, self._accounts_unavailable_for_errors():
            with suppress(FileNotFoundError, NotADirectoryError):
                require_own_file(self.path)
            if not _has_content(self.path):
                self._restore()
            inode = inode_of(self.path)
            if inode is None:
                self._close()
            elif self._connection is None or inode != self._inode:
                self._open(inode)
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a new transaction, or in this thread's current one."""
        with self._lock, self._accounts_unavailable_for_errors():
            create_private_file(self.path)
            with self.reading() as connection:
                assert connection is not None  # noqa: S101 - the file was just created
                if connection.in_transaction:
                    yield connection
                    return
                changes = connection.total_changes
                with transaction(connection):
                    yield connection
                    if connection.total_changes != changes:
                        backup.write_backup(self._backup_path, connection)

    @contextmanager
    def _accounts_unavailable_for_errors(self) -> Iterator[None]:
        try:
            yield
        except (
            sqlite3.Error, UnusableDatabase, OSError, ValueError, TypeError, OverflowError,
        ) as error:  # fmt: skip
            self._close()
            if is_busy(error):
                raise AccountsUnavailable(
                    f"{self.path} is in use.", "Try again in a moment."
                ) from None
            remedy = remedy_for(error)
            if remedy == MOVE_AWAY:
                has_backup = backup.read_backup(self._backup_path).accounts
                restores = f"{ACCOUNTS_BACKUP} restores the accounts."
                remedy = f"{MOVE_AWAY} {restores if has_backup else 'Then add the accounts again.'}"
            raise AccountsUnavailable(
                f"{self.path} cannot be used ({reason_for(error)}).", remedy
            ) from None

    def _restore(self) -> None:
        """Restore a missing list. Raises AccountsUnavailable if only its secrets remain."""
        copy = backup.read_backup(self._backup_path)
        if copy.accounts:
            create_private_file(self.path)
            self._open(inode_of(self.path))
            assert self._connection is not None  # noqa: S101 - it was just opened
            with transaction(self._connection):
                backup.restore(copy, self._connection)
            self._announce(
                f"{self.path} was missing or empty: the accounts were restored from"
                f" {ACCOUNTS_BACKUP}."
            )
        elif self._secrets is not None and (count := _entry_count(self._secrets)):
            logins = "the login of an account" if count == 1 else f"the logins of {count} accounts"
            raise AccountsUnavailable(
                f"{self.path} is missing or empty, but {self._secrets} has {logins}.",
                f"Restore it from a backup, or delete {os.path.basename(self._secrets)} and add the"
                " accounts again.",
            )

    def _open(self, inode: int | None) -> None:
        self._close()
        writable = os.access(self.path, os.W_OK)
        connection = connect(self.path, BUSY_TIMEOUT, "rw" if writable else "ro")
        with ExitStack() as on_error:
            on_error.callback(connection.close)
            # Invalid UTF-8 makes its row unreadable, not the whole list.
            connection.text_factory = lambda content: content.decode(errors="replace")
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection)
            on_error.pop_all()
        self._connection, self._inode = connection, inode

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._inode = None


def _has_content(path: StrPath) -> bool:
    try:
        return os.stat(path).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def _entry_count(secrets: StrPath) -> int:
    """Return the number of secrets in the encrypted file, 0 if it cannot be read."""
    try:
        return len(json.loads(read_own_file(secrets, _MAX_SECRETS_BYTES))["entries"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0
