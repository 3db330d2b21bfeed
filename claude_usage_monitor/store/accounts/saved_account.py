"""An account that the user added, and its row in accounts.db."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from claude_usage_monitor.light_typing import Literal, NamedTuple, cast, get_args
from claude_usage_monitor.store.columns import instant, milliseconds
from claude_usage_monitor.usage.status import Kind, Profile, name_key

Origin = Literal["login", "credentials", "claude-code", "admin-key"]
SecretLocation = Literal["keyring", "file"]

COLUMNS = (
    "id", "name", "folded", "kind", "origin", "saved_at", "profile", "home", "place", "generation",
)  # fmt: skip


class SavedAccount(NamedTuple):
    """An account that the user added.

    ``claude_code_environ`` has the environment variables that locate the Claude Code it was
    imported from. ``location`` and ``generation`` are those of the account's secret.
    """

    id: str
    name: str
    kind: Kind
    origin: Origin
    saved_at: datetime
    profile: Profile
    claude_code_environ: Mapping[str, str]
    location: SecretLocation
    generation: int


def row_from_account(account: SavedAccount) -> tuple[str | int, ...]:
    """Return the values of `COLUMNS` for an account."""
    return (
        account.id,
        account.name,
        name_key(account.name),
        account.kind,
        account.origin,
        milliseconds(account.saved_at),
        profile_as_json(account.profile),
        json.dumps(dict(account.claude_code_environ)),
        account.location,
        account.generation,
    )


def account_from_row(row: Mapping[str, object]) -> SavedAccount | None:
    """Return the account in a row, ``None`` if the row is too damaged.

    It tolerates damage to values that can be requested or looked up again.
    """
    account_id, name, kind, origin = row["id"], row["name"], row["kind"], row["origin"]
    saved_at, generation = _instant(row["saved_at"]), row["generation"]
    if not (isinstance(account_id, str) and isinstance(name, str) and name and saved_at):
        return None
    if kind not in get_args(Kind) or origin not in get_args(Origin):
        return None
    stored = _texts(row["profile"]).items()  # a later version may store more fields
    profile = {name: value for name, value in stored if name in Profile._fields}
    return SavedAccount(
        account_id,
        name,
        cast("Kind", kind),
        cast("Origin", origin),
        saved_at,
        Profile(**profile),
        _texts(row["home"]),
        "keyring" if row["place"] == "keyring" else "file",
        generation if isinstance(generation, int) else 0,
    )


def _instant(value: object) -> datetime | None:
    try:
        return instant(value) if isinstance(value, int) else None
    except (ValueError, OverflowError, OSError):
        return None


def _texts(value: object) -> dict[str, str]:
    """Return the text values of a JSON object, an empty dict if it is not one."""
    try:
        document = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: text for key, text in document.items() if isinstance(text, str)}


def profile_as_json(profile: Profile) -> str:
    """Return a profile as JSON, for its column."""
    return json.dumps(profile._asdict())
