"""The list of accounts that the user added, and the state of their token refreshes.

It contains no secrets. It is separate from state.db, which is replaced when it is damaged and falls
back to memory when the disk is full. Here, a change is on the disk before the call returns, or the
call raises an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from claude_usage_monitor.errors import InvalidName, UnknownAccount
from claude_usage_monitor.files import StrPath
from claude_usage_monitor.store.accounts.accounts_file import AccountsFile
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.accounts.saved_account import (
    COLUMNS,
    SavedAccount,
    SecretLocation,
    account_from_row,
    profile_as_json,
    row_from_account,
)
from claude_usage_monitor.store.columns import optional_instant, optional_milliseconds
from claude_usage_monitor.usage.status import Profile, name_key

_MAX_USED_UP = 10_000  # fingerprints; ten accounts need several years for so many


class AccountStore:
    """The accounts that all processes of this user share. Any thread may use it.

    ``secrets`` is the encrypted file; ``announce`` receives a notice when a list that was deleted
    or emptied is restored. Raises AccountsUnavailable when the file cannot be read, or a change
    cannot be stored.
    """

    def __init__(
        self,
        path: StrPath,
        secrets: StrPath | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._file = AccountsFile(path, secrets, announce)
        self.unreadable_count = 0
        """How many accounts the last call of `all` left out because their rows are damaged."""

    # --- reading -------------------------------------------------------------------------------

    def version(self) -> tuple[int | None, int]:
        """Return a value that changes with every write (three system calls if there is no file)."""
        return self._file.version()

    def all(self) -> tuple[SavedAccount, ...]:
        """Return the readable accounts in the order they were added."""
        rows = self._select("ORDER BY saved_at, rowid")
        accounts = tuple(account for account in rows if account is not None)
        self.unreadable_count = len(rows) - len(accounts)
        return accounts

    def get(self, account_id: str) -> SavedAccount | None:
        """Return an account, ``None`` if it was removed."""
        return next(iter(self._select("WHERE id = ?", account_id)), None)

    def active_key(self) -> str | None:
        """Return the account id or built-in name that the user chose, if any."""
        with self._file.reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT account FROM active").fetchone()
            return str(row[0]) if row else None

    def refresh_state(self, account_id: str, fingerprint: str) -> RefreshState:
        """Return the result of sending a refresh token.

        Two accounts may have the same token: attempts of each count for ``unanswered``, and the
        newest attempt that still awaits its response takes precedence over the account's own
        failure.
        """
        with self._file.reading() as connection:
            if connection is None:
                return RefreshState(fingerprint)
            unanswered, used_up = connection.execute(
                "SELECT max(unanswered), EXISTS (SELECT 1 FROM spent WHERE fingerprint = ?1)"
                " FROM renewal WHERE fingerprint = ?1",
                (fingerprint,),
            ).fetchone()
            row = connection.execute(
                "SELECT failures, next_at, code, message, hint FROM renewal"
                " WHERE fingerprint = ?1 AND (account = ?2 OR code IS NULL AND next_at IS NOT NULL)"
                " ORDER BY code IS NULL AND next_at IS NOT NULL DESC, next_at DESC LIMIT 1",
                (fingerprint, account_id),
            ).fetchone()
            failures, next_request_at, code, message, hint = row or (0, None, None, "", "")
            state = RefreshState(
                fingerprint,
                int(unanswered or 0),
                int(failures),
                optional_instant(next_request_at),
                hint=str(hint),
                used_up=bool(used_up),
            )
            if code is None:
                return state._replace(sent_by=str(message))
            return state._replace(code=str(code), message=str(message))

    def is_used_up(self, fingerprint: str) -> bool:
        """Return whether a refresh token was exchanged for another one, by any account."""
        with self._file.reading() as connection:
            if connection is None:
                return False
            query = "SELECT 1 FROM spent WHERE fingerprint = ?"
            return connection.execute(query, (fingerprint,)).fetchone() is not None

    # --- writing -------------------------------------------------------------------------------

    def add(self, account: SavedAccount) -> None:
        """Store a new account. Raises InvalidName when its name is taken."""
        with self._file.writing() as connection:
            try:
                connection.execute(
                    "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row_from_account(account),
                )
            except sqlite3.IntegrityError:
                raise _name_taken(account.name) from None

    def replace(self, account: SavedAccount) -> None:
        """Store another login under an account's id and name. Raises UnknownAccount."""
        with self._file.writing() as connection:
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

    def rename(self, account_id: str, name: str) -> None:
        """Give an account another name. Raises InvalidName when the name is taken."""
        with self._file.writing() as connection:
            try:
                connection.execute(
                    "UPDATE account SET name = ?, folded = ? WHERE id = ?",
                    (name, name_key(name), account_id),
                )
            except sqlite3.IntegrityError:
                raise _name_taken(name) from None

    def remove(self, account_id: str) -> None:
        """Delete an account and its refresh state."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM account WHERE id = ?", (account_id,))
            connection.execute("DELETE FROM renewal WHERE account = ?", (account_id,))
            connection.execute("DELETE FROM active WHERE account = ?", (account_id,))

    def set_active(self, key: str) -> None:
        """Choose the account that is shown by default: an account id or a built-in name."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO active VALUES (1, ?)", (key,))

    def store_profile(self, account_id: str, profile: Profile) -> None:
        """Store the profile that the API returned for an account."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE account SET profile = ? WHERE id = ?",
                (profile_as_json(profile), account_id),
            )

    def store_secret_location(
        self, account_id: str, location: SecretLocation, generation: int
    ) -> None:
        """Store the location of an account's newest secret; other processes then reload it."""
        with self._file.writing() as connection:
            _update_secret(connection, account_id, location, generation)

    def store_refresh_state(self, account_id: str, state: RefreshState) -> None:
        """Store the result of sending a refresh token."""
        with self._file.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO renewal VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    account_id,
                    state.fingerprint,
                    state.unanswered,
                    state.failures,
                    optional_milliseconds(state.next_request_at),
                    state.code,
                    state.sent_by or state.message,
                    state.hint,
                ),
            )

    def record_refresh(
        self, account_id: str, location: SecretLocation, generation: int, used_up: str | None
    ) -> None:
        """Store where a refreshed login is, and the fingerprint of the token used up for it."""
        with self._file.writing() as connection:
            _update_secret(connection, account_id, location, generation)
            connection.execute("DELETE FROM renewal WHERE account = ?", (account_id,))
            if used_up is None:
                return
            connection.execute("INSERT OR IGNORE INTO spent VALUES (?)", (used_up,))
            connection.execute(
                "DELETE FROM spent WHERE rowid IN"
                " (SELECT rowid FROM spent ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (_MAX_USED_UP,),
            )

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Exclude all other writers, including those of other processes."""
        with self._file.writing():
            yield

    def _select(self, clause: str, *values: str) -> tuple[SavedAccount | None, ...]:
        """Return the accounts, ``None`` for each damaged row."""
        with self._file.reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(
                f"SELECT {', '.join(COLUMNS)} FROM account {clause}",  # noqa: S608 - literals
                values,
            ).fetchall()
            return tuple(account_from_row(dict(zip(COLUMNS, row, strict=True))) for row in rows)


def _update_secret(
    connection: sqlite3.Connection, account_id: str, location: SecretLocation, generation: int
) -> None:
    connection.execute(
        "UPDATE account SET place = ?, generation = ? WHERE id = ?",
        (location, generation, account_id),
    )


def _name_taken(name: str) -> InvalidName:
    return InvalidName(
        f"There is an account {name!r} already.", "Choose another name, or remove that one first."
    )
