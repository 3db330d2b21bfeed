from __future__ import annotations

import pytest

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.sources.anthropic.oauth_api import profile_from
from tests.support.payloads import as_bytes, payload


def test_a_profile_has_names_and_plan() -> None:
    found = profile_from(payload("profile_2025-11_enterprise"))
    assert (
        found.display_name,
        found.email,
        found.organization,
        found.plan,
    ) == ("User", "user@example.com", "Company Name", "Enterprise")
    assert found.rate_limit_tier == "default_claude_max_5x"


def test_a_profile_of_a_max_account() -> None:
    assert profile_from(payload("profile_full_redacted")).plan == "Max 5x"


@pytest.mark.parametrize(
    ("body", "plan"),
    [
        ({"account": {"has_claude_max": True}}, "Max"),
        ({"account": {"has_claude_pro": True}}, "Pro"),
        ({"account": None, "organization": 7}, None),
        ({}, None),
    ],
)
def test_missing_parts_of_a_profile_are_unknown(body: object, plan: str | None) -> None:
    assert plan == profile_from(as_bytes(body)).plan


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_anything_but_a_profile_is_an_unexpected_response(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse):
        profile_from(body)
