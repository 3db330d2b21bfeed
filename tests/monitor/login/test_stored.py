from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.monitor.login.stored import StoredCredentials
from claude_usage_monitor.store.paths import secrets_path
from tests.support.saved import Clock, keep, read, refresh_token, registry
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claude_usage_monitor.store.accounts.saved_account import SavedAccount


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


def obstructed() -> None:
    """Let no new file take the encrypted one's place."""
    secrets_path(os.environ).with_name("secrets.json.new").mkdir()


def freed() -> None:
    secrets_path(os.environ).with_name("secrets.json.new").rmdir()


def expired(server: TokenServer) -> SavedAccount:
    return keep(server.issue("work", expires_in=-60), "work")


def test_where_a_new_login_could_not_be_stored_none_is_asked_for(server: TokenServer) -> None:
    saved = expired(server)
    obstructed()
    status = read(registry(), saved)
    assert status.problem is not None
    assert "secret_store_unavailable" == status.problem.code
    assert [] == server.refreshes
    freed()
    assert read(registry(), saved).problem is None


def test_one_that_is_held_yields_to_one_that_was_stored_since(server: TokenServer) -> None:
    """As after a log-in under the same name, which another process was asked for."""
    clock = Clock()
    saved = expired(server)
    found = registry(clock)
    server.after_rotation = lambda _: obstructed()
    assert read(found, saved).problem is None
    server.after_rotation = None
    assert found.services.credentials.pending_problem(saved.id) is not None
    freed()
    other = registry()
    kept = other.services.secrets.write(
        saved.id, StoredCredentials(server.issue("anew")).as_secret()
    )
    other.services.accounts.store_secret_location(saved.id, kept.location, kept.generation)
    token = refresh_token(saved)
    clock.later(minutes=10)
    read(found, saved)
    assert found.services.credentials.pending_problem(saved.id) is None
    assert token == refresh_token(saved)


def test_one_of_an_account_that_was_removed_is_not_stored(server: TokenServer) -> None:
    saved = expired(server)
    found = registry()
    server.after_rotation = lambda _: obstructed()
    read(found, saved)
    server.after_rotation = None
    freed()
    other = registry()
    other.services.secrets.delete(saved.id)
    other.services.accounts.remove(saved.id)
    assert found.services.credentials.store_pending()
    assert saved.id not in secrets_path(os.environ).read_text()


def test_what_is_kept_comes_back_as_it_was(server: TokenServer) -> None:
    stored = StoredCredentials(server.issue("work"), 3, Clock()().replace(microsecond=0))
    assert stored == StoredCredentials.from_secret(stored.as_secret(), 3)
    assert StoredCredentials.from_secret({}, 1) == StoredCredentials({}, 1)
    assert StoredCredentials.from_secret(
        {"credentials": 7, "renewed_at": "never"}, 1
    ) == StoredCredentials({}, 1)


def test_a_shut_place_is_told(server: TokenServer) -> None:
    saved = expired(server)
    obstructed()
    with pytest.raises(SecretStoreUnavailable):
        registry().services.credentials.ensure_writable(saved, StoredCredentials({}, 0))
