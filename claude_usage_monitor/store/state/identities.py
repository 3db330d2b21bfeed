"""Whose a token is: fingerprints linked to accounts, and the profiles that were asked for.

An account is its uuid, with its organisation's where that is known. Until it is known the token's
fingerprint stands in; then what was kept under the fingerprint moves over. Tokens themselves are
never kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.readings import instant, milliseconds
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    import sqlite3


_OF_AN_ACCOUNT = (
    "reading", "hourly", "newest", "complete", "request", "login", "spend_part", "spend_trouble",
)  # fmt: skip
_PROVISIONAL_PREFIX = "token:"
_LONGEST_KEPT = 1000  # fingerprints: years of one token every eight hours


def token_fingerprint(token: Secret) -> str:
    """Return a name for a token that does not give it away: the beginning of its SHA-256."""
    return sha256(token.reveal().encode()).hexdigest()[:16]


def identity_of(connection: sqlite3.Connection, fingerprint: str) -> str:
    """Return the account a token belongs to, or what stands in for it until that is known."""
    row = connection.execute(
        "SELECT account FROM identity WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return str(row[0]) if row else _PROVISIONAL_PREFIX + fingerprint


def is_provisional(account: str) -> bool:
    """Return whether this is not an account's uuid but what stands in for it."""
    return account.startswith(_PROVISIONAL_PREFIX)


def may_be_same_identity(one: str, other: str) -> bool:
    """Return whether two may be the same account: one of them need not name its organisation."""
    whole = "/" in one and "/" in other
    return one == other if whole else one.partition("/")[0] == other.partition("/")[0]


def link_identity(connection: sqlite3.Connection, fingerprint: str, account: str) -> None:
    """Keep that a token belongs to an account; what stood under its fingerprint moves there."""
    if identity_of(connection, fingerprint) == account:
        return
    provisional_identity = _PROVISIONAL_PREFIX + fingerprint
    with transaction(connection):
        connection.execute(
            "INSERT INTO identity (fingerprint, account) VALUES (?1, ?2)"
            " ON CONFLICT DO UPDATE SET account = ?2",
            (fingerprint, account),
        )
        for table in _OF_AN_ACCOUNT:
            # Where both have a row the account's own stays.
            connection.execute(
                f"UPDATE OR IGNORE {table} SET account = ? WHERE account = ?",  # noqa: S608 - a literal
                (account, provisional_identity),
            )
            if table != "request":
                # The table's name is a literal of this module.
                delete = f"DELETE FROM {table} WHERE account = ?"  # noqa: S608
                connection.execute(delete, (provisional_identity,))
        connection.execute(
            "DELETE FROM identity WHERE rowid IN (SELECT rowid FROM identity"
            " ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
            (_LONGEST_KEPT,),
        )


def delete_account_data(connection: sqlite3.Connection, account: str) -> None:
    """Delete an account's figures and whose its tokens were; its requests still count."""
    with transaction(connection):
        for table in (*_OF_AN_ACCOUNT, "identity"):
            if table == "request":
                continue
            connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - a literal


def store_profile(connection: sqlite3.Connection, fingerprint: str, profile: Profile) -> None:
    """Keep what was answered to the one question for a profile that a token gets."""
    connection.execute(
        "INSERT INTO identity (fingerprint, account, profile) VALUES (?1, ?2, ?3)"
        " ON CONFLICT DO UPDATE SET profile = ?3",
        (fingerprint, _PROVISIONAL_PREFIX + fingerprint, json.dumps(asdict(profile))),
    )


def profile_of(connection: sqlite3.Connection, fingerprint: str) -> Profile | None:
    """Return the profile that was asked for with a token; ``None`` if none was yet."""
    row = connection.execute(
        "SELECT profile FROM identity WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    if not row or not row[0]:
        return None
    known = {field.name for field in fields(Profile)}  # a later version may have kept more
    return Profile(**{name: value for name, value in json.loads(row[0]).items() if name in known})


def email_of(connection: sqlite3.Connection, account: str) -> str | None:
    """Return the e-mail address in the profile that was last asked for of an account."""
    row = connection.execute(
        "SELECT profile FROM identity WHERE account = ? AND profile IS NOT NULL"
        " ORDER BY rowid DESC LIMIT 1",
        (account,),
    ).fetchone()
    found = json.loads(row[0]).get("email") if row else None
    return str(found) if found else None


def record_login(
    connection: sqlite3.Connection, place: str, account: str, now: datetime
) -> datetime | None:
    """Keep who a place is logged in as; returns since when, ``None`` for as long as is known."""
    known = last_login(connection, place)
    if known is not None and known[0] == account:
        return known[1]
    renamed = known is not None and may_be_same_identity(known[0], account)
    at = now if known is not None and not renamed else known and known[1]
    since = None if at is None else milliseconds(at)
    connection.execute("INSERT OR REPLACE INTO login VALUES (?, ?, ?)", (place, account, since))
    return instant(since)


def last_login(connection: sqlite3.Connection, place: str) -> tuple[str, datetime | None] | None:
    """Return who a place was last seen logged in as, and since when."""
    row = connection.execute(
        "SELECT account, since FROM login WHERE place = ?", (place,)
    ).fetchone()
    return (str(row[0]), instant(row[1])) if row else None
