from __future__ import annotations

import json
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.store.saved_account import (
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
    place="keyring",
    generation=3,
)


def from_row(*row: object) -> SavedAccount:
    """Return the account of a row as the database gives it: without the folded name."""
    return account_from_row(*row[:2], *row[3:])  # type: ignore[arg-type]


def test_a_row_and_its_account_are_the_same() -> None:
    assert ACCOUNT == from_row(*row_from_account(ACCOUNT))


def test_what_a_later_version_kept_of_a_profile_is_passed_over() -> None:
    row = list(row_from_account(ACCOUNT))
    row[6] = json.dumps({**json.loads(str(row[6])), "shoe_size": 43})
    assert ACCOUNT == from_row(*row)


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("É", "e\u0301"), ("ΟΔΟΣ", "οδος"), ("ﬁ", "FI")]
)
def test_names_that_differ_in_case_alone_fold_to_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_folding_is_settled_and_knows_no_composition(name: str) -> None:
    assert folded(name) == folded(folded(name))
    assert folded(name) == folded(normalize("NFD", name))
