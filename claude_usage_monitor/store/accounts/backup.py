"""A copy of the list of accounts beside accounts.db, for a list that was deleted or emptied.

The secrets alone are not enough: a keyring returns the secret of an account id, but has no list of
the ids, and no secret contains the name of its account.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress

from claude_usage_monitor.files import StrPath, read_own_file, write_atomically
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.accounts.saved_account import (
    COLUMNS,
    SavedAccount,
    account_from_row,
    row_from_account,
)

_VERSION = 1
_MAX_BYTES = 1 << 20


class Backup(NamedTuple):
    """The accounts, and the key of the active one."""

    accounts: tuple[SavedAccount, ...] = ()
    active_key: str | None = None


def write_backup(path: StrPath, connection: sqlite3.Connection) -> None:
    """Copy the list if it has changed. Ignores errors, because the list works without its copy."""
    rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM account").fetchall()  # noqa: S608 - names of ours
    active = connection.execute("SELECT account FROM active").fetchone()
    document = {
        "version": _VERSION,
        "active": active[0] if active else None,
        "accounts": [dict(zip(COLUMNS, row, strict=True)) for row in rows],
    }
    content = json.dumps(document, indent=1, default=lambda _: None).encode()
    with suppress(OSError):
        if _content(path) != content:
            write_atomically(path, content)


def read_backup(path: StrPath) -> Backup:
    """Return the readable part of the copy."""
    try:
        document = json.loads(_content(path) or b"{}")
        rows = [row for row in document["accounts"] if set(COLUMNS) <= set(row)]
        accounts = (account_from_row(row) for row in rows)
        readable = tuple(account for account in accounts if account is not None)
        active = document["active"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Backup()
    return Backup(readable, active if isinstance(active, str) else None)


def restore(backup: Backup, connection: sqlite3.Connection) -> None:
    """Write a copy's accounts to an empty list, within the caller's transaction."""
    if connection.execute("SELECT 1 FROM account").fetchone() is not None:
        return  # another process was faster
    for account in backup.accounts:
        connection.execute(
            "INSERT OR IGNORE INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row_from_account(account),
        )
    if backup.active_key is not None:
        connection.execute("INSERT OR REPLACE INTO active VALUES (1, ?)", (backup.active_key,))


def _content(path: StrPath) -> bytes | None:
    try:
        return read_own_file(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
