"""Which identity a token belongs to, and which identity each program is logged in as.

An identity is the uuid of a person, with that of the organization where it is known. Until it is
known, a provisional identity made of the token's fingerprint takes its place; then the rows of the
provisional identity move to the real one. Tokens themselves are never stored.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import datetime

from claude_usage_monitor.store.columns import optional_instant, optional_milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile

# `hashlib` would load OpenSSL: 3 ms at each start, and 3.5 MB for as long as the process runs.
if sys.version_info >= (3, 12):
    from _sha2 import sha256  # type: ignore[import-not-found]  # typeshed lacks it
else:
    from _sha256 import sha256  # type: ignore[import-not-found]  # typeshed lacks it

_DATA_TABLES = (
    "reading", "newest", "complete", "login", "spend_part", "spend_trouble", "forecast",
    "forecast_log", "limit_event", "alert", "held_alert",
)  # fmt: skip
_HISTORY_TABLES = ("hourly", "window_instance", "tracking", "plan_change")
_PROVISIONAL_PREFIX = "token:"
WITHOUT_LOGIN = "no login"  # identity of a history that was imported before the first login
_MAX_FINGERPRINTS = 1000  # a year of one new token every eight hours


def token_fingerprint(token: Secret) -> str:
    """Return a name for a token that does not reveal it: the beginning of its SHA-256."""
    digest: str = sha256(token.reveal().encode()).hexdigest()
    return digest[:16]


def is_provisional(identity: str) -> bool:
    """Return whether an identity is made of a token's fingerprint."""
    return identity.startswith(_PROVISIONAL_PREFIX)


def may_be_same_identity(one: str, other: str) -> bool:
    """Return whether two identities may be the same; one of them may lack its organization."""
    both_complete = "/" in one and "/" in other
    return one == other if both_complete else one.partition("/")[0] == other.partition("/")[0]


def identity_of(connection: sqlite3.Connection, fingerprint: str) -> str:
    """Return the identity that a token belongs to, a provisional one until that is known."""
    row = connection.execute(
        "SELECT account FROM identity WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return str(row[0]) if row else _PROVISIONAL_PREFIX + fingerprint


def link_identity(connection: sqlite3.Connection, fingerprint: str, identity: str) -> None:
    """Store which identity a token belongs to, and move the provisional identity's rows there."""
    if identity_of(connection, fingerprint) == identity:
        return
    with transaction(connection):
        connection.execute(
            "INSERT INTO identity (fingerprint, account) VALUES (?1, ?2)"
            " ON CONFLICT DO UPDATE SET account = ?2",
            (fingerprint, identity),
        )
        _move_data(connection, _PROVISIONAL_PREFIX + fingerprint, identity)
        connection.execute(
            "DELETE FROM identity WHERE rowid IN (SELECT rowid FROM identity"
            " ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
            (_MAX_FINGERPRINTS,),
        )


def _move_data(connection: sqlite3.Connection, source: str, target: str) -> None:
    """Move an identity's rows to another; where both have a row, the target's stays."""
    # Takes 2 ms; only needed when an identity becomes known.
    from claude_usage_monitor.store.state.windows import merge

    merge.merge_history(connection, source, target)
    for table in (*_DATA_TABLES, "request"):
        connection.execute(
            f"UPDATE OR IGNORE {table} SET account = ? WHERE account = ?",  # noqa: S608 - names of ours
            (target, source),
        )
    _delete_data(connection, source)


def delete_account_data(connection: sqlite3.Connection, identity: str) -> None:
    """Delete an identity's figures and tokens; its requests still count toward the budget."""
    with transaction(connection):
        _delete_data(connection, identity)
        connection.execute("DELETE FROM identity WHERE account = ?", (identity,))


def _delete_data(connection: sqlite3.Connection, identity: str) -> None:
    for table in (*_DATA_TABLES, *_HISTORY_TABLES):
        connection.execute(f"DELETE FROM {table} WHERE account = ?", (identity,))  # noqa: S608 - names of ours


def store_profile(connection: sqlite3.Connection, fingerprint: str, profile: Profile) -> None:
    """Store the profile that the API returned for a token. It is requested once per token."""
    connection.execute(
        "INSERT INTO identity (fingerprint, account, profile) VALUES (?1, ?2, ?3)"
        " ON CONFLICT DO UPDATE SET profile = ?3",
        (fingerprint, _PROVISIONAL_PREFIX + fingerprint, json.dumps(profile._asdict())),
    )


def profile_of(connection: sqlite3.Connection, fingerprint: str) -> Profile | None:
    """Return the profile of a token; ``None`` if it was not requested yet."""
    row = connection.execute(
        "SELECT profile FROM identity WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    if not row or not row[0]:
        return None
    stored = json.loads(row[0]).items()  # a later version may store more fields
    return Profile(**{name: value for name, value in stored if name in Profile._fields})


def email_of(connection: sqlite3.Connection, identity: str) -> str | None:
    """Return the e-mail address in the identity's newest profile."""
    row = connection.execute(
        "SELECT profile FROM identity WHERE account = ? AND profile IS NOT NULL"
        " ORDER BY rowid DESC LIMIT 1",
        (identity,),
    ).fetchone()
    email = json.loads(row[0]).get("email") if row else None
    return str(email) if email else None


def record_login(
    connection: sqlite3.Connection, program: str, identity: str, now: datetime
) -> datetime | None:
    """Store which identity a program is logged in as, and return since when.

    ``None`` means since before the program was first observed.
    """
    if (previous := last_login(connection, program)) is not None and previous[0] == identity:
        return previous[1]  # almost always: without a lock
    with transaction(connection):
        previous = last_login(connection, program)  # another process may have stored it meanwhile
        if previous is None:
            since = None
            _move_data(connection, WITHOUT_LOGIN, identity)
        elif may_be_same_identity(previous[0], identity):  # the same, or its organization changed
            since = previous[1]
        else:
            since = now
        stored = optional_milliseconds(since)
        connection.execute(
            "INSERT OR REPLACE INTO login VALUES (?, ?, ?)", (program, identity, stored)
        )
    return optional_instant(stored)


def last_login(connection: sqlite3.Connection, program: str) -> tuple[str, datetime | None] | None:
    """Return the identity that a program was last logged in as, and since when."""
    row = connection.execute(
        "SELECT account, since FROM login WHERE place = ?", (program,)
    ).fetchone()
    return (str(row[0]), optional_instant(row[1])) if row else None
