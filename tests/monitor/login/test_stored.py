from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import CredentialsExpired, SecretStoreUnavailable
from claude_usage_monitor.monitor.login import shutdown, stored
from claude_usage_monitor.monitor.login.stored import (
    StoredCredentials,
    log_in_again,
    parse_credentials,
)
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.paths import accounts_path, locks_path, secrets_path
from claude_usage_monitor.store.secrets.secret_store import SecretStore, StoredSecret
from claude_usage_monitor.usage.secret import Secret
from tests.support.payloads import as_bytes
from tests.support.saved import Clock, read, refresh_token, registry, save_account
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from claude_usage_monitor.store.accounts.saved_account import SavedAccount


def block_writes() -> None:
    """Make it impossible to replace the encrypted file."""
    Path(secrets_path(os.environ)).with_name("secrets.json.new").mkdir()


def allow_writes() -> None:
    Path(secrets_path(os.environ)).with_name("secrets.json.new").rmdir()


def expired(server: TokenServer) -> SavedAccount:
    return save_account(server.issue("work", expires_in=-60), "work")


def test_no_login_is_refreshed_that_could_not_be_stored(server: TokenServer) -> None:
    saved = expired(server)
    block_writes()
    problem = read(registry(), saved).problem
    assert problem is not None
    assert "secret_store_unavailable" == problem.code
    assert [] == server.refreshes
    allow_writes()
    assert None is read(registry(), saved).problem


def test_ensure_writable_raises_the_error_of_the_store(server: TokenServer) -> None:
    saved = expired(server)
    block_writes()
    with pytest.raises(SecretStoreUnavailable):
        registry().services.credentials.ensure_writable(saved, StoredCredentials({}))


@pytest.mark.parametrize("by", ["the next load", "the next attempt to store it"])
def test_a_pending_login_is_dropped_when_a_newer_one_was_stored(
    server: TokenServer, by: str
) -> None:
    """As after a login under the same name in another process."""
    clock = Clock()
    saved = expired(server)
    found = registry(clock)
    server.after_rotation = lambda _: block_writes()
    assert None is read(found, saved).problem
    server.after_rotation = None
    assert "could not be stored" in str(found.services.credentials.pending_problem(saved.id))
    allow_writes()
    other = registry().services
    secret = other.secrets.write(saved.id, StoredCredentials(server.issue("new")).as_secret())
    other.accounts.store_secret_location(saved.id, secret.location, secret.generation)
    token = refresh_token(saved)
    if by == "the next load":
        current = other.accounts.get(saved.id)
        assert current is not None
        loaded = found.services.credentials.load(current).refresh_token
        assert Secret(token) == loaded
    else:
        clock.advance(minutes=10)
        read(found, saved)
    assert None is found.services.credentials.pending_problem(saved.id)
    assert token == refresh_token(saved)


def lock_list(stack: ExitStack) -> None:
    """Let another process lock the list of accounts."""
    other = sqlite3.connect(accounts_path(os.environ), isolation_level=None)
    stack.enter_context(closing(other))
    other.execute("BEGIN IMMEDIATE")


def test_a_login_is_stored_although_the_list_of_accounts_is_locked_then(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.05)
    saved, refreshed = expired(server), StoredCredentials(server.issue("work"))
    write = SecretStore.write
    with ExitStack() as stack:

        def write_and_lock(
            store: SecretStore, account_id: str, content: Mapping[str, object]
        ) -> StoredSecret:
            secret = write(store, account_id, content)
            lock_list(stack)
            return secret

        monkeypatch.setattr(SecretStore, "write", write_and_lock)
        result = registry().services.credentials.store_refreshed(saved, refreshed, "used up")
    assert refreshed.credentials == result.credentials
    assert refreshed.refresh_token == Secret(refresh_token(saved))


def test_a_login_is_pending_although_the_list_of_accounts_is_locked(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.05)
    saved, refreshed = expired(server), StoredCredentials(server.issue("work"))
    credentials = registry().services.credentials
    with ExitStack() as stack:
        lock_list(stack)
        credentials.store_refreshed(saved, refreshed, "used up")
    assert refreshed == credentials.load(saved)
    assert [] == credentials.store_pending()
    assert refreshed.refresh_token == Secret(refresh_token(saved))


def test_a_pending_login_stays_pending_while_another_process_refreshes_its_account(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LOCK_TIMEOUT", 0.1)
    saved = expired(server)
    credentials = registry().services.credentials
    block_writes()
    credentials.store_refreshed(saved, StoredCredentials(server.issue("work")), None)
    allow_writes()
    with registry().services.credentials.lock(saved):
        assert ["work"] == credentials.store_pending()
    assert [] == credentials.store_pending()


def test_a_pending_login_is_loaded_instead_of_the_stored_one(server: TokenServer) -> None:
    saved = expired(server)
    credentials = registry().services.credentials
    block_writes()
    pending = StoredCredentials(server.issue("work"))
    assert pending == credentials.store_refreshed(saved, pending, None)
    assert pending == credentials.load(saved)
    allow_writes()
    assert [] == credentials.store_pending()
    assert pending.refresh_token == Secret(refresh_token(saved))


def test_a_pending_login_is_stored_before_the_process_ends(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "_writers", set())  # those of other tests
    saved = expired(server)
    block_writes()
    pending = StoredCredentials(server.issue("work"))
    registry().services.credentials.store_refreshed(saved, pending, None)
    allow_writes()
    try:
        assert shutdown.drain()
    finally:
        shutdown.shutting_down.clear()
    assert pending.refresh_token == Secret(refresh_token(saved))


def test_a_pending_login_is_tried_again_after_half_a_minute(server: TokenServer) -> None:
    saved, clock = expired(server), Clock()
    credentials = registry(clock).services.credentials
    block_writes()
    credentials.store_refreshed(saved, StoredCredentials(server.issue("work")), None)
    allow_writes()
    assert not credentials.retry_pending(saved.id)
    clock.advance(seconds=31)
    assert credentials.retry_pending(saved.id)


def test_a_pending_login_is_pending_no_more_once_it_is_stored(server: TokenServer) -> None:
    saved = expired(server)
    found = registry()
    server.after_rotation = lambda _: block_writes()
    read(found, saved)
    credentials = found.services.credentials
    assert ["work"] == credentials.store_pending()
    allow_writes()
    assert [] == credentials.store_pending()
    assert credentials.retry_pending(saved.id)
    assert None is credentials.pending_problem(saved.id)
    assert server.accepts(refresh_token(saved))


def test_a_login_that_another_thread_stored_meanwhile_is_not_replaced_by_an_older_one(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = expired(server)
    credentials = registry().services.credentials
    block_writes()
    credentials.store_refreshed(saved, StoredCredentials(server.issue("old")), None)
    allow_writes()
    newest = StoredCredentials(server.issue("newest"))
    lock = credentials.lock

    def let_another_thread_refresh(account: SavedAccount) -> AbstractContextManager[None]:
        with lock(account), pytest.MonkeyPatch.context() as full:  # the list cannot be written
            full.setattr(AccountStore, "record_refresh", lambda *_: None)
            credentials.store_refreshed(saved, newest, None)
        return lock(account)

    monkeypatch.setattr(credentials, "lock", let_another_thread_refresh)
    assert credentials.retry_pending(saved.id, at_once=True)
    assert newest.refresh_token == Secret(refresh_token(saved))


def test_a_pending_login_of_a_removed_account_is_not_stored(server: TokenServer) -> None:
    saved = expired(server)
    found = registry()
    server.after_rotation = lambda _: block_writes()
    read(found, saved)
    server.after_rotation = None
    assert ["work"] == found.services.credentials.store_pending()
    allow_writes()
    other = registry()
    other.services.secrets.delete(saved.id)
    other.services.accounts.remove(saved.id)
    assert [] == found.services.credentials.store_pending()
    assert saved.id not in Path(secrets_path(os.environ)).read_text()


def test_only_a_copy_of_claude_codes_login_is_updated_and_only_with_another_refresh_token(
    server: TokenServer,
) -> None:
    first, second = server.issue("work"), server.issue("work")
    without = {"claudeAiOauth": {"accessToken": "sk-ant-oat01-inference-only"}}
    saved, copy = save_account(first, "work"), save_account(first, "copy", "claude-code")
    credentials, content = (
        registry().services.credentials,
        Path(secrets_path(os.environ)).read_bytes(),
    )
    credentials.update_copy(saved, second)
    credentials.update_copy(copy, first)
    credentials.update_copy(copy, without)
    credentials.update_copy(copy._replace(id="removed"), second)
    assert content == Path(secrets_path(os.environ)).read_bytes()
    generation = copy.generation
    credentials.update_copy(copy, second)
    assert StoredCredentials(second).refresh_token == Secret(refresh_token(copy))
    current = registry().services.accounts.get(copy.id)
    assert current is not None
    assert current.generation > generation


def test_a_copy_that_another_process_changes_is_not_updated(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LOCK_TIMEOUT", 0.1)
    copy = save_account(server.issue("work"), "work", "claude-code")
    before = refresh_token(copy)
    other = registry().services.credentials
    with registry().services.credentials.lock(copy), pytest.raises(CredentialsExpired):
        other.update_copy(copy, server.issue("work"))
    assert before == refresh_token(copy)


@pytest.mark.parametrize(
    "login", [7, {}, {"refreshToken": 7}, {"refreshToken": ""}, {"refreshToken": "two words"}]
)
def test_a_login_without_a_usable_refresh_token_has_none(login: object) -> None:
    assert None is StoredCredentials({"claudeAiOauth": login}).refresh_token


def test_a_check_for_locked_logins_creates_no_lock_file(server: TokenServer) -> None:
    saved, other = expired(server), save_account(server.issue("other"), "other")
    credentials, locks = registry().services.credentials, Path(locks_path(os.environ))
    with credentials.lock(saved):
        assert [locks / f"{saved.id}.lock"] == credentials.locked_files([saved, other])
    assert not (locks / f"{other.id}.lock").exists()


def test_a_token_beside_the_login_of_claude_code_is_not_the_login(server: TokenServer) -> None:
    credentials = server.issue("work")
    content = as_bytes({**credentials, "accessToken": "another", "mcpOAuth": {}})
    parsed = parse_credentials(content, "the file")
    assert credentials["claudeAiOauth"] == parsed["claudeAiOauth"]
    assert "mcpOAuth" not in parsed


def test_credentials_are_the_same_after_storing_them(server: TokenServer) -> None:
    login = StoredCredentials(server.issue("work"), 3, Clock()().replace(microsecond=0))
    assert login == StoredCredentials.from_secret(login.as_secret(), 3)


def test_a_secret_with_unusable_content_is_an_empty_login() -> None:
    assert StoredCredentials({}, 1) == StoredCredentials.from_secret({}, 1)
    content = {"credentials": 7, "renewed_at": "never"}
    assert StoredCredentials({}, 1) == StoredCredentials.from_secret(content, 1)


@pytest.mark.parametrize(
    ("name", "quoted"), [("Work", "Work"), ("my work", "'my work'"), ("$HOME", "'$HOME'")]
)
def test_the_hint_is_a_command_that_a_shell_understands(name: str, quoted: str) -> None:
    command = f"claude-usage-monitor accounts add {quoted} --login --replace"
    assert f"Log in again: `{command}`." == log_in_again(name)


def test_a_login_that_another_process_refreshes_is_read_again_in_five_seconds() -> None:
    clock = Clock()
    credentials = registry(clock).services.credentials
    began, wait = clock(), timedelta(seconds=5)
    retry_at = credentials.busy("work").retry_at
    assert retry_at is not None
    assert began + wait <= retry_at <= clock() + wait
