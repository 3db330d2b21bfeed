from __future__ import annotations

import json
import os
import stat
import sys
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
    Credential,
    CredentialFinder,
)
from claude_usage_monitor.sources.claude_code import keychain
from claude_usage_monitor.sources.claude_code.credentials_file import Login
from claude_usage_monitor.usage.secret import Secret
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

    def remove(self) -> None:
        self._item.unlink()

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


@pytest.mark.parametrize(("left", "expired"), [(5.0, True), (5.001, False), (None, False)], ids=str)
def test_a_login_expires_five_seconds_early_or_never(left: float | None, expired: bool) -> None:
    moment = now()
    expires_at = None if left is None else moment + timedelta(seconds=left)
    credential = Credential(Login(Secret(TOKEN), expires_at=expires_at), FILE)
    assert expired is credential.expired(moment)


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


def test_reads_a_keychain_on_a_mac_only(mac: Mac, store: Store) -> None:
    mac.login("in-the-keychain")
    store.login("in-the-file")
    CredentialFinder(os.environ, security=mac.tool).find(now())
    assert (mac.reads > 0) is (sys.platform == "darwin")
    subject = CredentialFinder(os.environ, use_keychain=False, security=mac.tool)
    assert FILE == subject.find(now()).origin


def test_reads_the_keychain_with_the_systems_tool(
    mac: Mac, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac.login("in-the-keychain")
    monkeypatch.setattr(keychain, "SECURITY", mac.tool)
    assert KEYCHAIN == CredentialFinder(os.environ, use_keychain=True).find(now()).origin


def test_returns_the_stored_bytes_of_the_file_if_the_item_was_just_removed(
    mac: Mac, store: Store
) -> None:
    mac.login("in-the-keychain")
    subject = mac.finder()
    subject.find(now())
    mac.remove()
    store.login("in-the-file")
    content, credential = subject.stored_content(now())
    assert (store.path.read_bytes(), FILE) == (content, credential.origin)


def test_reads_a_denied_keychain_again_after_an_hour_or_if_forced(mac: Mac) -> None:
    """Each read may open a dialog on the screen."""
    mac.deny()
    subject, denied_at = mac.finder(), now()
    for minutes, reads in ((0, 1), (59, 1), (60, 2), (119, 2)):
        with pytest.raises(SecretStoreUnavailable):
            subject.find_stored(denied_at + timedelta(minutes=minutes))
        assert reads == mac.reads
    mac.login("in-the-keychain")
    forced = subject.find(denied_at + timedelta(minutes=120), force=True)
    assert forced.token.reveal() == "in-the-keychain"


def test_reads_an_expired_item_again_after_a_minute(mac: Mac) -> None:
    mac.login("old", expires_in=-60)
    subject, read_at = mac.finder(), now()
    for seconds in (0, 20, 40, 59.9):
        assert subject.find(read_at + timedelta(seconds=seconds)).expired(read_at)
    assert mac.reads == 1
    mac.login("fresh")
    assert subject.find(read_at + timedelta(seconds=60)).token.reveal() == "fresh"


def test_looks_for_a_missing_item_again_after_a_minute(mac: Mac, store: Store) -> None:
    store.login("in-the-file")
    subject, read_at = mac.finder(), now()
    assert FILE == subject.find(read_at).origin
    reads = mac.reads
    assert FILE == subject.find(read_at + timedelta(seconds=59.9)).origin
    assert reads == mac.reads
    mac.login("in-the-keychain")
    assert KEYCHAIN == subject.find(read_at + timedelta(seconds=60)).origin
