from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.sources.anthropic.admin_key import checked_admin_key

RAW_KEY = "sk-ant-admin01-" + "k" * 40


@pytest.mark.parametrize("raw", [RAW_KEY, f"  {RAW_KEY}\n", "sk-ant-api01-" + "e" * 40])
def test_keys_of_both_kinds_are_accepted(raw: str) -> None:
    assert raw.strip() == checked_admin_key(raw).reveal()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("sk-ant-api03-" + "w" * 40, "a workspace's API key"),
        ("sk-ant-oat01-" + "t" * 40, "a login's token"),
        ("sk-ant-admin01-", "not an Admin API key"),
        (RAW_KEY + " " + RAW_KEY, "not an Admin API key"),
        (RAW_KEY + "é", "not an Admin API key"),
        ("export ANTHROPIC_ADMIN_KEY", "not an Admin API key"),
    ],
)
def test_every_other_key_is_refused_with_a_reason(raw: str, words: str) -> None:
    with pytest.raises(NoCredentials, match=words) as caught:
        checked_admin_key(raw)
    assert "platform.claude.com/settings/admin-keys" in caught.value.hint


@given(st.text(max_size=60))
def test_an_error_about_a_key_never_quotes_it(rest: str) -> None:
    """For any mistake in the key."""
    raw = "sk-ant-api03-quoted" + rest
    with pytest.raises(NoCredentials) as caught:
        checked_admin_key(raw)
    assert "quoted" not in caught.value.message + caught.value.hint
