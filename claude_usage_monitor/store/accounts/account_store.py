"""accounts.db: the accounts that were added, and how their renewals went. Never a secret.

A file of its own beside state.db: that one is set aside when it is damaged and replaced by memory
when the disk is full, and an account must survive both. Here a change is on the disk before it
counts, or an error.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from claude_usage_monitor.errors import AccountsUnavailable, InvalidName, UnknownAccount
from claude_usage_monitor.files import create_private_file, require_own_file
from claude_usage_monitor.store.accounts.saved_account import (
    RefreshState,
    SavedAccount,
    SecretLocation,
    account_from_row,
    folded,
    profile_as_json,
    row_from_account,
)
from claude_usage_monitor.store.accounts.schema import SCHEMA_VERSION, migrate
from claude_usage_monitor.store.columns import milliseconds, optional_instant
from claude_usage_monitor.store.database import (
    BUSY_TIMEOUT,
    connect,
    inode_of,
    is_busy,
    reason_for,
    transaction,
)
from claude_usage_monitor.usage.profile import Profile

_SPENT_KEPT = 10_000  # fingerprints: years of ten accounts


class AccountStore:
    """The list of accounts that all processes of this user share. Every method is thread-safe.

    Raises AccountsUnavailable when the file cannot be read, or a change cannot be kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """How many accounts the last `all` left out, for what is kept of them is unreadable."""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    # --- reading -------------------------------------------------------------------------------

    def version(self) -> tuple[int | None, int]:
        """Return what changes with every change; while there is no file it costs a stat."""
        with self._reading() as connection:
            if connection is None:
                return None, 0
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            return self._inode, int(version) + connection.total_changes

    def all(self) -> tuple[SavedAccount, ...]:
        """Return the accounts in the order they were added; a damaged row costs only itself."""
        found = self._select("ORDER BY saved_at, rowid")
        readable = tuple(each for each in found if each is not None)
        self.damaged = len(found) - len(readable)
        return readable

    def get(self, account: str) -> SavedAccount | None:
        """Return the account with an id, ``None`` if it was removed."""
        return next(iter(self._select("WHERE id = ?", account)), None)

    def active(self) -> str | None:
        """Return the id or the built-in name that was chosen; ``None`` if none was."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT account FROM active").fetchone()
            return str(row[0]) if row else None

    def refresh_state(self, account: str, fingerprint: str) -> RefreshState:
        """Return what came of sending a refresh token.

        Two accounts may have the same token: attempts of each count for ``unanswered``, and one
        whose response is still expected comes before the account's own failure.
        """
        with self._reading() as connection:
            if connection is None:
                return RefreshState(fingerprint)
            unanswered, spent = connection.execute(
                "SELECT max(unanswered), EXISTS (SELECT 1 FROM spent WHERE fingerprint = ?1)"
                " FROM renewal WHERE fingerprint = ?1",
                (fingerprint,),
            ).fetchone()
            row = connection.execute(
                "SELECT failures, next_at, code, message, hint FROM renewal"
                " WHERE fingerprint = ?1 AND (account = ?2 OR code IS NULL AND next_at IS NOT NULL)"
                " ORDER BY code IS NULL AND next_at IS NOT NULL DESC LIMIT 1",
                (fingerprint, account),
            ).fetchone()
            failures, next_request_at, code, message, hint = row or (0, None, None, "", "")
            state = RefreshState(
                fingerprint,
                int(unanswered or 0),
                int(failures),
                optional_instant(next_request_at),
                hint=str(hint or ""),
                spent=bool(spent),
            )
            if code is None:
                return state._replace(sent_by=str(message or ""))
            return state._replace(code=str(code), message=str(message or ""))

    # --- writing -------------------------------------------------------------------------------

    def add(self, account: SavedAccount) -> None:
        """Keep a new account. Raises InvalidName when its name is taken."""
        with self._writing() as connection:
            try:
                connection.execute(
                    "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row_from_account(account),
                )
            except sqlite3.IntegrityError:
                raise _taken(account.name) from None

    def replace(self, account: SavedAccount) -> None:
        """Keep another login under an account's id and name. Raises UnknownAccount."""
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE account SET origin = ?, saved_at = ?, profile = ?, home = ?, place = ?,"
                " generation = ? WHERE id = ?",
                (*row_from_account(account)[4:], account.id),
            )
            if changed.rowcount == 0:
                raise UnknownAccount(
                    f"The account {account.name} was removed meanwhile.", "Add it as a new one."
                )
            connection.execute("DELETE FROM renewal WHERE account = ?", (account.id,))

    def rename(self, account: str, name: str) -> None:
        """Give an account another name. Raises InvalidName when it is another account's."""
        with self._writing() as connection:
            try:
                connection.execute(
                    "UPDATE account SET name = ?, folded = ? WHERE id = ?",
                    (name, folded(name), account),
                )
            except sqlite3.IntegrityError:
                raise _taken(name) from None

    def remove(self, account: str) -> None:
        """Forget an account, and what came of its renewals."""
        with self._writing() as connection:
            connection.execute("DELETE FROM account WHERE id = ?", (account,))
            connection.execute("DELETE FROM renewal WHERE account = ?", (account,))
            connection.execute("DELETE FROM active WHERE account = ?", (account,))

    def activate(self, account: str) -> None:
        """Choose the account (an id, or a built-in name) that is shown when none is named."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO active VALUES (1, ?)", (account,))

    def store_profile(self, account: str, profile: Profile) -> None:
        """Keep who an account is, as the API told."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE account SET profile = ? WHERE id = ?",
                (profile_as_json(profile), account),
            )

    def store_secret_location(
        self, account: str, location: SecretLocation, generation: int
    ) -> None:
        """Keep where an account's newest secret is: who remembers an older one reads it anew."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE account SET place = ?, generation = ? WHERE id = ?",
                (location, generation, account),
            )

    def store_refresh_state(self, account: str, state: RefreshState) -> None:
        """Store what came of sending a refresh token."""
        next_at = None if state.next_request_at is None else milliseconds(state.next_request_at)
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO renewal VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    account,
                    state.fingerprint,
                    state.unanswered,
                    state.failures,
                    next_at,
                    state.code,
                    state.sent_by or state.message,
                    state.hint,
                ),
            )

    def is_spent(self, fingerprint: str) -> bool:
        """Return whether a refresh token was used up, by whichever account."""
        with self._reading() as connection:
            if connection is None:
                return False
            query = "SELECT 1 FROM spent WHERE fingerprint = ?"
            return connection.execute(query, (fingerprint,)).fetchone() is not None

    def record_refresh(
        self, account: str, location: SecretLocation, generation: int, spent: str | None
    ) -> None:
        """Store where a refreshed login is, and the fingerprint of the token spent for it."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE account SET place = ?, generation = ? WHERE id = ?",
                (location, generation, account),
            )
            connection.execute("DELETE FROM renewal WHERE account = ?", (account,))
            if spent is None:
                return
            connection.execute("INSERT OR IGNORE INTO spent VALUES (?)", (spent,))
            connection.execute(
                "DELETE FROM spent WHERE rowid IN"
                " (SELECT rowid FROM spent ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (_SPENT_KEPT,),
            )

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep every other writer, also of other processes, out meanwhile."""
        with self._writing():
            yield

    # --- the file ------------------------------------------------------------------------------

    def _select(self, clause: str, *values: str) -> tuple[SavedAccount | None, ...]:
        """Return the accounts, ``None`` for a row that is none."""
        with self._reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(
                "SELECT id, name, kind, origin, saved_at, profile, home, place, generation"  # noqa: S608 - literals
                f" FROM account {clause}",
                values,
            ).fetchall()
            return tuple(account_from_row(*row) for row in rows)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield the connection, ``None`` where no account was ever added."""
        with self._lock, self._as_ours():
            with suppress(FileNotFoundError, NotADirectoryError):
                require_own_file(self.path)
            inode = inode_of(self.path)
            if inode is None:
                self._close()
            elif self._connection is None or inode != self._inode:
                self._open(inode)
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within one transaction."""
        with self._lock, self._as_ours():
            if inode_of(self.path) is None:
                create_private_file(self.path)
            with self._reading() as connection:
                assert connection is not None  # noqa: S101 - it was just made
                if connection.in_transaction:  # of `exclusively`, by this thread
                    yield connection
                    return
                with transaction(connection):
                    yield connection

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, TypeError, OverflowError) as error:
            self._close()
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> AccountsUnavailable:
        if is_busy(error):
            return AccountsUnavailable(f"{self.path} is in use.", "Try again in a moment.")
        return AccountsUnavailable(
            f"{self.path} cannot be used ({reason_for(error)}).",
            "Free space, give yourself access, or move the file away and add the accounts again.",
        )

    def _open(self, inode: int) -> None:
        self._close()
        connection = connect(
            self.path, BUSY_TIMEOUT, "rw" if os.access(self.path, os.W_OK) else "ro"
        )
        try:
            # Text that is none costs its row, not the list.
            connection.text_factory = lambda content: content.decode(errors="replace")
            connection.execute("PRAGMA synchronous = FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise ValueError("it was written by a newer version")  # noqa: TRY301 - closed below
            if version < SCHEMA_VERSION:
                migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._inode = None


def _taken(name: str) -> InvalidName:
    return InvalidName(
        f"There is an account {name!r} already.", "Choose another name, or remove that one first."
    )
