"""An account that was added, as accounts.db keeps it, and what came of its renewals."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Literal, NamedTuple

from claude_usage_monitor.store.readings import instant, milliseconds
from claude_usage_monitor.usage.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from claude_usage_monitor.usage.status import Kind

Origin = Literal["login", "credentials", "claude-code", "admin-key"]
Place = Literal["keyring", "file"]


class SavedAccount(NamedTuple):
    """An account that was added. ``home`` has the variables that name Claude Code's own place."""

    id: str
    name: str
    kind: Kind
    origin: Origin
    saved_at: datetime
    profile: Profile
    home: Mapping[str, str]
    place: Place
    generation: int


class Renewal(NamedTuple):
    """What came of sending a refresh token. ``next_at`` ``None``: it is never sent again."""

    fingerprint: str
    unanswered: int = 0
    failures: int = 0
    next_at: datetime | None = None
    code: str | None = None
    message: str = ""
    hint: str = ""


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
        account.place,
        account.generation,
    )


def account_from_row(  # noqa: PLR0913, PLR0917 - the columns of a row
    account: str,
    name: str,
    kind: Kind,
    origin: Origin,
    saved_at: int,
    profile: str,
    home: str,
    place: Place,
    generation: int,
) -> SavedAccount:
    """Return the account that a row keeps."""
    known = {field.name for field in fields(Profile)}  # a later version may have kept more
    found = {key: value for key, value in json.loads(profile).items() if key in known}
    at = instant(saved_at)
    assert at is not None  # noqa: S101 - the column is never null
    who = Profile(**found)
    return SavedAccount(account, name, kind, origin, at, who, json.loads(home), place, generation)


def folded(name: str) -> str:
    """Return what two names have in common that differ in case alone."""
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def profile_as_json(profile: Profile) -> str:
    """Return a profile as it is kept."""
    return json.dumps(asdict(profile))
