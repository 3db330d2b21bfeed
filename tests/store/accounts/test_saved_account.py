from __future__ import annotations

import json

import pytest

from claude_usage_monitor.store.accounts.saved_account import (
    COLUMNS,
    SavedAccount,
    account_from_row,
    row_from_account,
)
from claude_usage_monitor.usage.status import Profile
from tests.support.payloads import NOW

ACCOUNT = SavedAccount(
    id="id",
    name="Work",
    kind="code",
    origin="claude-code",
    saved_at=NOW,
    profile=Profile(email="user@example.com", organization="Ünïcode 会社", account_uuid="uuid"),
    claude_code_environ={"HOME": "/home/user"},
    location="keyring",
    generation=3,
)


def row(**values: object) -> dict[str, object]:
    """Return the row of the account with other values in some columns."""
    return {**dict(zip(COLUMNS, row_from_account(ACCOUNT), strict=True)), **values}


def test_an_account_is_read_as_it_was_written() -> None:
    assert ACCOUNT == account_from_row(row())


def test_what_a_later_version_stores_in_a_profile_is_skipped() -> None:
    profile = json.loads(str(row()["profile"]))
    assert ACCOUNT == account_from_row(row(profile=json.dumps({**profile, "shoe_size": 43})))


@pytest.mark.parametrize("damage", ["", "{", "null", "[]", "5", "[" * 100_000, b"{}", 5, None])
def test_damage_in_what_can_be_found_out_again_loses_no_account(damage: object) -> None:
    damaged = row(profile=damage, home=damage, place=damage, generation="damage")
    assert ACCOUNT._replace(
        profile=Profile(), claude_code_environ={}, location="file", generation=0
    ) == account_from_row(damaged)


def test_only_texts_are_read_from_a_profile() -> None:
    odd = row(
        profile='{"email": 5, "plan": ["Max"], "organization": "Company"}',
        home='{"HOME": null, "CLAUDE_CONFIG_DIR": "/there"}',
    )
    assert ACCOUNT._replace(
        profile=Profile(organization="Company"), claude_code_environ={"CLAUDE_CONFIG_DIR": "/there"}
    ) == account_from_row(odd)


@pytest.mark.parametrize(
    ("column", "damage"),
    [
        ("id", b"id"),
        ("name", 5),
        ("name", ""),
        ("kind", "moon"),
        ("kind", []),
        ("origin", None),
        ("saved_at", "today"),
        ("saved_at", 1 << 62),
        ("saved_at", -(1 << 62)),
    ],
)
def test_damage_in_what_makes_an_account_is_no_account(column: str, damage: object) -> None:
    assert account_from_row(row(**{column: damage})) is None
