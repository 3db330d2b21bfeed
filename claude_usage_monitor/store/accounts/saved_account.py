"""An account that was added, as accounts.db keeps it, and what came of its renewals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, cast, get_args

from claude_usage_monitor.store.columns import instant, milliseconds
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import Kind

LONGEST_WAIT = timedelta(minutes=80)  # of any trouble's

Origin = Literal["login", "credentials", "claude-code", "admin-key"]
SecretLocation = Literal["keyring", "file"]


class SavedAccount(NamedTuple):
    """An account that was added. ``home`` has the variables that name Claude Code's own place."""

    id: str
    name: str
    kind: Kind
    origin: Origin
    saved_at: datetime
    profile: Profile
    home: Mapping[str, str]
    location: SecretLocation
    generation: int


class RefreshState(NamedTuple):
    """What came of sending a refresh token: the attempts without a response, the last failure.

    ``next_request_at`` is ``None`` after a final failure. While a response is expected, ``sent_by``
    names the process that waits for it, until ``next_request_at`` at most. ``spent`` is whether the
    server has exchanged the token for the next one.
    """

    fingerprint: str
    unanswered: int = 0
    failures: int = 0
    next_request_at: datetime | None = None
    code: str | None = None
    message: str = ""
    hint: str = ""
    spent: bool = False
    sent_by: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the token must never be sent again."""
        return self.code is not None and self.next_request_at is None

    def is_backing_off(self, now: datetime) -> bool:
        """Return whether the last failure forbids to send the token now."""
        return self.is_final or (self.code is not None and self._is_waiting(now))

    def is_in_flight(self, now: datetime) -> bool:
        """Return whether a response is still expected, if the process that waits for it runs."""
        return bool(self.sent_by) and self._is_waiting(now)

    def _is_waiting(self, now: datetime) -> bool:
        """Return whether it is too early. A wait longer than any was stored by a wrong clock."""
        at = self.next_request_at
        return at is not None and now < at <= now + LONGEST_WAIT


def row_from_account(account: SavedAccount) -> tuple[str | int, ...]:
    """Return an account's row."""
    return (
        account.id,
        account.name,
        folded(account.name),
        account.kind,
        account.origin,
        milliseconds(account.saved_at),
        profile_as_json(account.profile),
        json.dumps(dict(account.home)),
        account.location,
        account.generation,
    )


def account_from_row(  # noqa: PLR0913, PLR0917 - the columns of a row
    account: object,
    name: object,
    kind: object,
    origin: object,
    saved_at: object,
    profile: object,
    home: object,
    place: object,
    generation: object,
) -> SavedAccount | None:
    """Return the account that a row keeps, ``None`` if the row is too damaged to be one.

    What can be had anew, or be looked for, is done without.
    """
    known = {field.name for field in fields(Profile)}  # a later version may have kept more
    at = _instant(saved_at)
    if not (isinstance(account, str) and isinstance(name, str) and name and at):
        return None
    if kind not in get_args(Kind) or origin not in get_args(Origin):
        return None
    who = {key: value for key, value in _texts(profile).items() if key in known}
    return SavedAccount(
        account,
        name,
        cast("Kind", kind),
        cast("Origin", origin),
        at,
        Profile(**who),
        _texts(home),
        "keyring" if place == "keyring" else "file",
        generation if isinstance(generation, int) else 0,
    )


def _instant(value: object) -> datetime | None:
    try:
        return instant(value) if isinstance(value, int) else None
    except (ValueError, OverflowError, OSError):
        return None


def _texts(raw: object) -> dict[str, str]:
    """Return the texts of a JSON object; none, if it is no such thing."""
    try:
        found = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def folded(name: str) -> str:
    """Return what two names have in common that differ in case alone."""
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def profile_as_json(profile: Profile) -> str:
    """Return a profile as it is kept."""
    return json.dumps(asdict(profile))
