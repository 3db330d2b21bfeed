from __future__ import annotations

import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    CredentialsExpired,
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
    return CredentialFinder(os.environ, "linux")


class Mac:
    """A Mac's keychain item: what it holds, and how often it was read."""

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
        blob = {"claudeAiOauth": {"accessToken": token, "expiresAt": expires_at}}
        self._item.write_text(f"printf %s '{json.dumps(blob)}'")

    def deny(self) -> None:
        self._item.write_text("exit 51")

    @property
    def reads(self) -> int:
        return len(self._reads.read_text().splitlines()) if self._reads.exists() else 0

    def finder(self) -> CredentialFinder:
        return CredentialFinder({**os.environ, "USER": "ada"}, "darwin", self.tool)


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(tmp_path)


def test_the_environment_comes_first_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "from-the-environment")
    found = finder().find(now())
    assert (found.token.reveal(), found.origin) == ("from-the-environment", ENVIRONMENT)
    stored = finder().find_stored(now())
    assert (stored.token.reveal(), stored.origin) == (TOKEN, FILE)


@pytest.mark.parametrize(("expires_in", "expired"), [(3600, False), (-1, True), (2, True)])
def test_an_expired_credential_is_found_but_not_to_be_sent(
    store: Store,
    expires_in: float,
    expired: bool,
) -> None:
    store.login(expires_in=expires_in)
    credential = finder().find(now())
    assert expired is credential.expired(now())
    if expired:
        with pytest.raises(CredentialsExpired) as caught:
            credential.raise_if_expired(now())
        assert credential.login.expires_at == caught.value.expired_at


def test_a_torn_file_leaves_the_last_good_login_while_that_lasts(store: Store) -> None:
    store.login()
    snapshot = finder()
    snapshot.find(now())
    store.write(b'{"claudeAiOauth": {"acc')
    assert snapshot.find(now()).token.reveal() == TOKEN
    with pytest.raises(PartialCredentials):
        snapshot.find(now() + timedelta(hours=2))
    with pytest.raises(PartialCredentials):
        finder().find(now())


def test_a_login_that_is_gone_is_gone(store: Store) -> None:
    store.login()
    snapshot = finder()
    snapshot.find(now())
    store.path.unlink()
    with pytest.raises(NoCredentials):
        snapshot.find(now())
    store.write(b"")
    with pytest.raises(PartialCredentials):
        snapshot.find(now())


# --- macOS ------------------------------------------------------------------------------------


def test_on_a_mac_the_keychain_comes_before_the_file(mac: Mac, store: Store) -> None:
    mac.login("kept")
    store.login("filed")
    found = mac.finder().find(now())
    assert (found.token.reveal(), found.origin) == ("kept", KEYCHAIN)


def test_where_the_keychain_has_none_the_file_serves(mac: Mac, store: Store) -> None:
    store.login("filed")
    assert (
        (found := mac.finder().find(now())).token.reveal(),
        found.origin,
    ) == ("filed", FILE)


def test_of_an_expired_keychain_and_a_live_file_the_live_one_serves(mac: Mac, store: Store) -> None:
    mac.login("old", expires_in=-60)
    store.login("fresh")
    assert mac.finder().find(now()).token.reveal() == "fresh"
    store.login("older", expires_in=-90)
    assert mac.finder().find(now()).token.reveal() == "old"


def test_a_denied_keychain_is_told_unless_the_file_serves(mac: Mac, store: Store) -> None:
    mac.deny()
    with pytest.raises(SecretStoreUnavailable):
        mac.finder().find(now())
    store.login("filed")
    assert mac.finder().find(now()).token.reveal() == "filed"


def test_an_unusable_file_says_more_than_a_missing_item(mac: Mac, store: Store) -> None:
    store.write(b"{}")
    with pytest.raises(NoCredentials, match="holds no Claude login"):
        mac.finder().find(now())


def test_a_live_login_is_read_from_the_keychain_once(mac: Mac) -> None:
    mac.login("kept")
    snapshot = mac.finder()
    for _ in range(5):
        snapshot.find(now())
    assert mac.reads == 1


def test_a_denied_keychain_is_not_asked_again_for_an_hour_unless_the_user_asks(mac: Mac) -> None:
    """Each read may open a dialog; a storm of them is what users of such tools hate most."""
    mac.deny()
    snapshot = mac.finder()
    for moment in (now(), now() + timedelta(minutes=59)):
        with pytest.raises(SecretStoreUnavailable):
            snapshot.find(moment)
    assert mac.reads == 1
    with pytest.raises(SecretStoreUnavailable):
        snapshot.find(now() + timedelta(minutes=61))
    assert mac.reads == 2
    mac.login("kept")
    assert snapshot.find(now(), force=True).token.reveal() == "kept"


def test_an_expired_item_is_looked_at_once_a_minute(mac: Mac) -> None:
    mac.login("old", expires_in=-60)
    snapshot = mac.finder()
    for seconds in (0, 20, 40, 59):
        assert snapshot.find(now() + timedelta(seconds=seconds)).expired(now())
    assert mac.reads == 1
    mac.login("fresh")
    assert snapshot.find(now() + timedelta(seconds=70)).token.reveal() == "fresh"
