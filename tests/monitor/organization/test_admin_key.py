from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.monitor.organization.admin_key import find_admin_key, require_admin_key

if TYPE_CHECKING:
    from tests.support.login import Store

ONE, OTHER = ("sk-ant-admin01-" + letter * 40 for letter in "ab")


def found() -> tuple[str, str] | None:
    key = find_admin_key(os.environ)
    return (key.secret.reveal(), key.origin) if key else None


def save(store: Store, key: object) -> None:
    store.write(json.dumps({"anthropicConsole": {"adminApiKey": key}}).encode())


def test_the_places_are_looked_at_in_their_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert None is found()
    save(store, OTHER)
    assert (OTHER, "Claude Code credentials file") == found()
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", ONE)
    assert (ONE, "ANTHROPIC_ADMIN_KEY variable") == found()
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", OTHER)
    assert (OTHER, "ANTHROPIC_ADMIN_API_KEY variable") == found()


def test_a_variable_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", " ")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", ONE)
    assert (ONE, "ANTHROPIC_ADMIN_KEY variable") == found()


def test_an_unusable_key_says_where_it_is_and_no_other_is_used(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next place may hold another organisation's key: its figures would be a surprise."""
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
    assert None is found()


def test_without_any_key_the_words_say_how_to_get_one() -> None:
    with pytest.raises(NoCredentials, match="There is no Admin API key") as caught:
        require_admin_key(os.environ)
    assert "ANTHROPIC_ADMIN_API_KEY" in caught.value.hint
