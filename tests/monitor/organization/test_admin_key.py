from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.monitor.organization.admin_key import find_admin_key

if TYPE_CHECKING:
    from tests.support.login import Store

ONE, OTHER = ("sk-ant-admin01-" + letter * 40 for letter in "ab")


def key_and_origin() -> tuple[str, str]:
    key = find_admin_key(os.environ)
    return key.secret.reveal(), key.origin


def save(store: Store, key: object) -> None:
    store.write(json.dumps({"anthropicConsole": {"adminApiKey": key}}).encode())


def test_the_variables_come_before_claude_codes_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, OTHER)
    assert (OTHER, "Claude Code credentials file") == key_and_origin()
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", ONE)
    assert (ONE, "ANTHROPIC_ADMIN_KEY variable") == key_and_origin()
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", OTHER)
    assert (OTHER, "ANTHROPIC_ADMIN_API_KEY variable") == key_and_origin()


def test_a_blank_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", " ")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", ONE)
    assert (ONE, "ANTHROPIC_ADMIN_KEY variable") == key_and_origin()


def test_an_unusable_key_is_named_by_its_place_and_no_other_key_is_used(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next place may have the key of another organization."""
    save(store, ONE)
    workspace_key = "sk-ant-api03-" + "w" * 40
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", workspace_key)
    with pytest.raises(NoCredentials, match=r"^ANTHROPIC_ADMIN_API_KEY variable: .*workspace"):
        find_admin_key(os.environ)
    save(store, workspace_key)
    monkeypatch.delenv("ANTHROPIC_ADMIN_API_KEY")
    with pytest.raises(NoCredentials, match=r"^Claude Code credentials file: .*workspace"):
        find_admin_key(os.environ)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"anthropicConsole": []}',
        b'{"anthropicConsole": {"adminApiKey": 7}}',
        b'{"anthropicConsole": {"adminApiKey": ""}}',
        b'{"claudeAiOauth": {}}',
    ],
)
def test_a_file_without_a_key_has_none(store: Store, content: bytes) -> None:
    store.write(content)
    with pytest.raises(NoCredentials, match="There is no Admin API key"):
        find_admin_key(os.environ)


def test_without_a_key_the_hint_says_how_to_add_one() -> None:
    with pytest.raises(NoCredentials, match="There is no Admin API key") as caught:
        find_admin_key(os.environ)
    assert "ANTHROPIC_ADMIN_API_KEY" in caught.value.hint
