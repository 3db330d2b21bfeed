from __future__ import annotations

import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    NoCredentials,
    PartialCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.monitor.login.credentials import (
    ENVIRONMENT,
    FILE,
    KEYCHAIN,
    CredentialFinder,
)
from tests.support.login import TOKEN, Store

if TYPE_CHECKING:
    from pathlib import Path


def now() -> datetime:
    return datetime.now(UTC)


def finder() -> CredentialFinder:
    return CredentialFinder(os.environ, use_keychain=False)


class Mac:
    """A Mac's keychain item: its content, and how often it was read."""

    def __init__(self, folder: Path) -> None:
        self._item = folder / "item"
        self._reads = folder / "reads"
        self.tool = folder / "security"
        self.tool.write_text(
            f"#!/bin/sh\necho >> {self._reads}\n[ -f {self._item} ] || exit 44\n. {self._item}\n"
        )
        self.tool.chmod(self.tool.stat().st_mode | stat.S_IXUSR)

    def login(self, token: str, *, expires_in: float = 3600) -> None:
        expires_at = int((time.time() + expires_in) * 1000)
        credentials = {"claudeAiOauth": {"accessToken": token, "expiresAt": expires_at}}
        self._item.write_text(f"printf %s '{json.dumps(credentials)}'")

    def truncate(self) -> None:
        self._item.write_text("printf '{\"mcpOAuth\": {'")

    def deny(self) -> None:
        self._item.write_text("exit 51")

    @property
    def reads(self) -> int:
        return len(self._reads.read_text().splitlines()) if self._reads.exists() else 0

    def finder(self) -> CredentialFinder:
        return CredentialFinder(
            {**os.environ, "USER": "ada"}, use_keychain=True, security=self.tool
        )


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(tmp_path)


def test_uses_the_environment_first_and_names_the_origin(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "from-the-environment")
    found = finder().find(now())
    assert (found.token.reveal(), found.origin) == ("from-the-environment", ENVIRONMENT)
    stored = finder().find_stored(now())
    assert (stored.token.reveal(), stored.origin) == (TOKEN, FILE)


@pytest.mark.parametrize(("expires_in", "expired"), [(3600, False), (-1, True), (2, True)])
def test_returns_an_expired_credential_and_says_that_it_has_expired(
    store: Store,
    expires_in: float,
    expired: bool,
) -> None:
    store.login(expires_in=expires_in)
    credential = finder().find(now())
    assert expired is credential.expired(now())


def test_uses_the_last_good_login_while_the_file_is_truncated(store: Store) -> None:
    store.login()
    subject = finder()
    subject.find(now())
    store.write(b'{"claudeAiOauth": {"acc')
    assert subject.find(now()).token.reveal() == TOKEN
    with pytest.raises(PartialCredentials):
        subject.find(now() + timedelta(hours=2))
    with pytest.raises(PartialCredentials):
        finder().find(now())


def test_forgets_the_last_good_login_after_the_file_was_removed(store: Store) -> None:
    store.login()
    subject = finder()
    subject.find(now())
    store.path.unlink()
    with pytest.raises(NoCredentials):
        subject.find(now())
    store.write(b"")
    with pytest.raises(PartialCredentials):
        subject.find(now())


# --- macOS ------------------------------------------------------------------------------------


def test_on_a_mac_uses_the_keychain_before_the_file(mac: Mac, store: Store) -> None:
    mac.login("in-the-keychain")
    store.login("in-the-file")
    found = mac.finder().find(now())
    assert (found.token.reveal(), found.origin) == ("in-the-keychain", KEYCHAIN)


def test_uses_the_file_if_the_keychain_has_no_item(mac: Mac, store: Store) -> None:
    store.login("in-the-file")
    assert (
        (found := mac.finder().find(now())).token.reveal(),
        found.origin,
    ) == ("in-the-file", FILE)


def test_uses_the_file_if_only_the_login_in_the_keychain_has_expired(
    mac: Mac, store: Store
) -> None:
    mac.login("old", expires_in=-60)
    store.login("fresh")
    assert mac.finder().find(now()).token.reveal() == "fresh"
    store.login("older", expires_in=-90)
    assert mac.finder().find(now()).token.reveal() == "old"


def test_reports_a_denied_keychain_unless_the_file_has_a_login(mac: Mac, store: Store) -> None:
    mac.deny()
    with pytest.raises(SecretStoreUnavailable):
        mac.finder().find(now())
    store.login("in-the-file")
    assert mac.finder().find(now()).token.reveal() == "in-the-file"


def test_reports_an_unusable_file_rather_than_a_missing_item(mac: Mac, store: Store) -> None:
    store.write(b"{}")
    with pytest.raises(NoCredentials, match="contains no Claude login"):
        mac.finder().find(now())


def test_says_if_the_item_is_truncated(mac: Mac) -> None:
    mac.truncate()
    with pytest.raises(PartialCredentials, match="the macOS keychain is truncated"):
        mac.finder().find(now())


def test_returns_the_stored_bytes_of_the_keychain_or_the_file(mac: Mac, store: Store) -> None:
    store.login("in-the-file")
    content, credential = mac.finder().stored_content(now())
    assert (store.path.read_bytes(), FILE) == (content, credential.origin)
    mac.login("in-the-keychain")
    content, credential = mac.finder().stored_content(now())
    assert b"in-the-keychain" in content
    assert ("in-the-keychain", KEYCHAIN) == (credential.token.reveal(), credential.origin)


def test_reads_a_valid_login_from_the_keychain_once(mac: Mac) -> None:
    mac.login("in-the-keychain")
    subject = mac.finder()
    for _ in range(5):
        subject.find(now())
    assert mac.reads == 1


def test_reads_a_denied_keychain_again_after_an_hour_or_if_forced(mac: Mac) -> None:
    """Each read may open a dialog on the screen."""
    mac.deny()
    subject = mac.finder()
    for moment in (now(), now() + timedelta(minutes=59)):
        with pytest.raises(SecretStoreUnavailable):
            subject.find(moment)
    assert mac.reads == 1
    with pytest.raises(SecretStoreUnavailable):
        subject.find(now() + timedelta(minutes=61))
    assert mac.reads == 2
    mac.login("in-the-keychain")
    assert subject.find(now(), force=True).token.reveal() == "in-the-keychain"


def test_reads_an_expired_item_again_after_a_minute(mac: Mac) -> None:
    mac.login("old", expires_in=-60)
    subject = mac.finder()
    for seconds in (0, 20, 40, 59):
        assert subject.find(now() + timedelta(seconds=seconds)).expired(now())
    assert mac.reads == 1
    mac.login("fresh")
    assert subject.find(now() + timedelta(seconds=70)).token.reveal() == "fresh"
