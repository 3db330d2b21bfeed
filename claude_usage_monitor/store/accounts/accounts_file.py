"""The file accounts.db: one connection, transactions, and errors in the words of a user."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from claude_usage_monitor.errors import AccountsUnavailable
from claude_usage_monitor.files import create_private_file, require_own_file
from claude_usage_monitor.store.accounts.schema import migrate
from claude_usage_monitor.store.database import (
    BUSY_TIMEOUT,
    UnusableDatabase,
    connect,
    inode_of,
    is_busy,
    reason_for,
    transaction,
)


class AccountsFile:
    """accounts.db, opened on first use and again when another file has replaced it.

    Any thread may use it. What goes wrong in a block of `reading` or `writing` is raised as
    AccountsUnavailable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    def version(self) -> tuple[int | None, int]:
        """Return what changes with every change; without a file this costs one system call."""
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
            inode = inode_of(self.path)
            if inode is None:
                self._close()
            elif self._connection is None or inode != self._inode:
                self._open(inode)
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction, or in the one that this thread has begun."""
        with self._lock, self._accounts_unavailable_for_errors():
            create_private_file(self.path)
            with self.reading() as connection:
                assert connection is not None  # noqa: S101 - the file was just created
                if connection.in_transaction:
                    yield connection
                    return
                with transaction(connection):
                    yield connection

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
            raise AccountsUnavailable(
                f"{self.path} cannot be used ({reason_for(error)}).",
                "Free space, give yourself access, or move the file away and add the accounts"
                " again.",
            ) from None

    def _open(self, inode: int) -> None:
        self._close()
        writable = os.access(self.path, os.W_OK)
        connection = connect(self.path, BUSY_TIMEOUT, "rw" if writable else "ro")
        try:
            # Bytes that are not UTF-8 make their row unreadable, not the list.
            connection.text_factory = lambda content: content.decode(errors="replace")
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._inode = None
