from __future__ import annotations

import json
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.store.accounts.saved_account import (
    SavedAccount,
    account_from_row,
    folded,
    row_from_account,
)
from claude_usage_monitor.usage.profile import Profile
from tests.support.payloads import NOW

ACCOUNT = SavedAccount(
    id="id",
    name="Work",
    kind="code",
    origin="claude-code",
    saved_at=NOW,
    profile=Profile(email="user@example.com", organization="Ünïcode 会社", account_uuid="uuid"),
    home={"HOME": "/home/user"},
    location="keyring",
    generation=3,
)


def from_row(*row: object) -> SavedAccount:
    """Return the account of a row as the database gives it: without the folded name."""
    found = account_from_row(*row[:2], *row[3:])
    assert found is not None
    return found


def test_a_row_and_its_account_are_the_same() -> None:
    assert ACCOUNT == from_row(*row_from_account(ACCOUNT))


def test_what_a_later_version_kept_of_a_profile_is_passed_over() -> None:
    row = list(row_from_account(ACCOUNT))
    row[6] = json.dumps({**json.loads(str(row[6])), "shoe_size": 43})
    assert ACCOUNT == from_row(*row)


COLUMNS = dict(
    zip(
        ("id", "name", "folded", "kind", "origin", "saved_at", "profile", "home", "place"),
        range(9),
        strict=True,
    )
)


@pytest.mark.parametrize("garbage", ["", "{", "null", "[]", "5", "[" * 100_000, b"{}", 5, None])
def test_what_can_be_done_without_costs_no_account(garbage: object) -> None:
    row: list[object] = list(row_from_account(ACCOUNT))
    for column in ("profile", "home", "place"):
        row[COLUMNS[column]] = garbage
    row[-1] = "garbage"
    expected = ACCOUNT._replace(profile=Profile(), home={}, location="file", generation=0)
    assert expected == from_row(*row)


def test_of_a_profile_only_texts_count() -> None:
    row: list[object] = list(row_from_account(ACCOUNT))
    row[COLUMNS["profile"]] = '{"email": 5, "plan": ["Max"], "organization": "Company"}'
    row[COLUMNS["home"]] = '{"HOME": null, "CLAUDE_CONFIG_DIR": "/there"}'
    expected = ACCOUNT._replace(
        profile=Profile(organization="Company"), home={"CLAUDE_CONFIG_DIR": "/there"}
    )
    assert expected == from_row(*row)


@pytest.mark.parametrize(
    ("column", "garbage"),
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
def test_a_row_without_the_rest_is_no_account(column: str, garbage: object) -> None:
    row: list[object] = list(row_from_account(ACCOUNT))
    row[COLUMNS[column]] = garbage
    assert account_from_row(*row[:2], *row[3:]) is None


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("É", "e\u0301"), ("ΟΔΟΣ", "οδος"), ("ﬁ", "FI")]
)
def test_names_that_differ_in_case_alone_fold_to_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_folding_is_settled_and_knows_no_composition(name: str) -> None:
    assert folded(name) == folded(folded(name))
    assert folded(name) == folded(normalize("NFD", name))
