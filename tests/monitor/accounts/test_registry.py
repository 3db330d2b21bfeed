from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    InvalidSetting,
    UnknownAccount,
)
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.store.paths import accounts_path
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import as_bytes
from tests.support.saved import keep, registry
from tests.support.token_server import TokenServer, email_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from claude_usage_monitor.monitor.accounts.registry import ListedAccount
    from claude_usage_monitor.store.settings import Mode
    from tests.support.login import Store


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


def names(entries: tuple[ListedAccount, ...]) -> list[str]:
    return [entry.account.name for entry in entries]


def shown(
    *wanted: str, mode: Mode = "auto", every: bool = False, found: AccountRegistry | None = None
) -> list[str]:
    return names(selected(found or registry(), wanted, mode, every=every))


def keep_admin_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep an organisation, the network away."""
    with monkeypatch.context() as offline:
        offline.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
        add.add_admin_key(registry(), name, "sk-ant-admin01-canary-5f2a91")


# --- which there are -----------------------------------------------------------------------------


def test_claude_codes_account_is_there_without_adding_and_makes_no_file(home: Path) -> None:
    (entry,) = registry().entries()
    assert ("claude-code", "claude-code", True, None) == (
        entry.key,
        entry.account.name,
        entry.account.active,
        entry.saved,
    )
    assert not accounts_path(os.environ).exists()
    assert home.exists()


def test_exactly_one_is_active_and_it_is_first(server: TokenServer) -> None:
    for name in ("one", "two", "three"):
        keep(server.issue(name), name)
    manage.use(registry(), "two")
    entries = registry().entries()
    assert ["two", "claude-code", "one", "three"] == names(entries)
    assert [True, False, False, False] == [entry.account.active for entry in entries]


def test_an_entry_tells_what_is_known_without_asking(server: TokenServer) -> None:
    saved = keep(server.issue("Work"), "Work")
    entry = registry().named("Work")
    assert (saved.id, email_of("Work"), "code") == (
        entry.key,
        entry.account.email,
        entry.account.kind,
    )
    assert None is not entry.account.saved_at
    assert [] == server.requests


# --- which is shown when none is named -----------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "environment", "saved", "expected"),
    [
        (None, None, (), "claude-code"),
        (None, None, ("one", "two"), "one"),
        (b"{}", None, ("one",), "claude-code"),  # it has one that cannot be used
        (b"not whole", None, ("one",), "claude-code"),
        (b'{"claudeAiOauth": {"accessToken": "x"}}', None, ("one",), "claude-code"),
        (b'{"claudeAiOauth": {"accessToken": "x", "expiresAt": 1600000000000}}', None, ("one",),
         "claude-code"),
        (None, "token", ("one",), "claude-code"),
        (None, "no token", ("one",), "claude-code"),
    ],
)  # fmt: skip
def test_before_anybody_chose_it_is_claude_codes_else_the_first_that_was_added(
    server: TokenServer,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    stored: bytes | None,
    environment: str | None,
    saved: tuple[str, ...],
    expected: str,
) -> None:
    if stored is not None:
        store.write(stored)
    if environment is not None:
        monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", environment)
    for name in saved:
        keep(server.issue(name), name)
    assert [expected] == shown()


def test_an_organisation_is_shown_beneath_a_login_and_never_instead_of_one(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_admin_key("Org", monkeypatch)
    assert ["Org"] == shown()
    keep(server.issue("one"), "one")
    assert ["one", "Org"] == shown()


def test_the_chosen_one_is_shown_whoever_is_logged_in(server: TokenServer, store: Store) -> None:
    store.login()
    keep(server.issue("one"), "one")
    manage.use(registry(), "one")
    assert ["one"] == shown()
    store.path.unlink()
    manage.use(registry(), "claude-code")
    assert ["claude-code"] == shown()


def test_when_the_chosen_one_is_removed_the_rule_is_as_before_anybody_chose(
    server: TokenServer,
) -> None:
    for name in ("one", "two"):
        keep(server.issue(name), name)
    manage.use(registry(), "two")
    manage.remove(registry(), "two")
    assert ["one"] == shown()
    assert None is registry().services.accounts.active()


def test_a_choice_of_an_account_that_is_nowhere_is_claude_codes(server: TokenServer) -> None:
    keep(server.issue("one"), "one")
    registry().services.accounts.activate("gone")
    assert ["claude-code"] == shown()


# --- which are asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (("two",), ["two"]),
        (("TWO", "one"), ["two", "one"]),
        (("one", "One", "claude-code"), ["one", "claude-code"]),
        (("Claude-Code",), ["claude-code"]),
    ],
)
def test_those_named_are_shown_as_they_were_named_each_once(
    server: TokenServer, wanted: tuple[str, ...], expected: list[str]
) -> None:
    for name in ("one", "two"):
        keep(server.issue(name), name)
    assert expected == shown(*wanted)
    assert expected == shown(*wanted, every=True)


@pytest.mark.parametrize("unknown", ["three", "", "on", "one ,", "\udcff", "\x1b[31m"])
def test_a_name_that_nobody_has_is_refused_with_those_that_are(
    server: TokenServer, unknown: str
) -> None:
    for name in ("one", "two"):
        keep(server.issue(name), name)
    with pytest.raises(UnknownAccount) as caught:
        shown("one", unknown)
    assert "Known accounts: one, claude-code, two." == caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("mode", "every", "expected"),
    [
        ("auto", False, ["one", "Org"]),
        ("auto", True, ["one", "Org", "two"]),
        ("code", False, ["one"]),
        ("code", True, ["one", "two"]),
        ("console", False, ["Org"]),
        ("console", True, ["Org"]),
    ],
)
def test_a_mode_leaves_a_kind(
    server: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    every: bool,
    expected: list[str],
) -> None:
    keep(server.issue("one"), "one")
    keep_admin_key("Org", monkeypatch)
    keep(server.issue("two"), "two")
    assert expected == shown(mode=mode, every=every)


def test_a_subscription_mode_shows_a_login_that_is_there(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while an organisation is the active one, and Claude Code has none."""
    keep(server.issue("one"), "one")
    keep_admin_key("Org", monkeypatch)
    manage.use(registry(), "Org")
    assert ["Org"] == shown()
    assert ["one"] == shown(mode="code")


@pytest.mark.parametrize("every", [False, True])
def test_without_an_organisation_the_words_say_how_to_add_one(every: bool) -> None:
    assert ["console"] == shown(mode="console", every=every)
    found = registry()
    (entry,) = selected(found, (), "console", every=every)
    problem = found.reader(entry).cached_status(AccountStatus(entry.account)).problem
    assert problem is not None
    assert ("no_credentials", True) == (problem.code, "--admin-key" in problem.hint)


def test_every_account_is_each_that_has_a_login(server: TokenServer, store: Store) -> None:
    """Without any, Claude Code's: it says what to do."""
    assert ["claude-code"] == shown(every=True)
    keep(server.issue("one"), "one")
    assert ["one"] == shown(every=True)
    store.write(as_bytes(server.issue("mine")))
    assert ["claude-code", "one"] == shown(every=True)


def test_without_a_readable_list_named_accounts_and_all_accounts_are_an_error(store: Store) -> None:
    store.login()
    accounts_path(os.environ).parent.mkdir(parents=True)
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    for names_wanted, every in ((("one",), False), ((), True)):
        with pytest.raises(AccountsUnavailable):
            shown(*names_wanted, every=every)


# --- where things are ----------------------------------------------------------------------------


def test_each_home_of_ours_has_accounts_of_its_own(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [["claude-code", "default"], ["claude-code", "elsewhere"]]
    keep(server.issue("default"), "default")
    first = sorted(names(registry().entries()))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path / "own"))
    keep(server.issue("elsewhere"), "elsewhere")
    assert expected == [first, sorted(names(registry().entries()))]
    assert {"accounts.db", "secrets.json", "state.db"} <= {
        path.name for path in (tmp_path / "own").iterdir()
    }


def test_a_config_folder_of_claude_codes_is_its_login_alone(
    server: TokenServer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accounts are the same, wherever Claude Code keeps its own."""
    store.write(as_bytes(server.issue("mine")))
    keep(server.issue("one"), "one")
    assert ["claude-code"] == shown()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    assert ["one"] == shown()
    assert ["claude-code", "one"] == sorted(names(registry().entries()))


def test_an_address_that_no_token_may_go_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://example.com")
    with pytest.raises(InvalidSetting):
        registry()


def test_an_account_has_one_reader_whatever_it_is_called(server: TokenServer) -> None:
    saved = keep(server.issue("one"), "one")
    found = registry()
    first = found.reader(found.named("one"))
    manage.rename(registry(), "one", "two")
    assert first is found.reader(found.named("two"))
    assert first is not found.reader(found.named("claude-code"))
    assert saved.id == found.named("two").key


def test_the_version_changes_with_the_accounts(server: TokenServer) -> None:
    found = registry()
    seen = [found.version()]
    for act in (
        lambda: keep(server.issue("one"), "one"),
        lambda: manage.use(registry(), "one"),
        lambda: manage.rename(registry(), "one", "two"),
        lambda: manage.remove(registry(), "two"),
    ):
        act()
        seen.append(found.version())
        assert seen[-1] == found.version()
    assert 5 == len({str(version) for version in seen})


def test_who_is_asked_is_told_who_asks(server: TokenServer) -> None:
    """The API Claude Code's name, or the one that is set; the token endpoint ours, always."""
    settings = Settings(user_agent="my-own/1.0")
    found = AccountRegistry(Services(os.environ, settings, utc_now))
    saved = keep(server.issue("one", expires_in=-60), "one")
    entry = next(entry for entry in found.entries() if entry.key == saved.id)
    found.reader(entry).read(AccountStatus(entry.account))
    agents = {seen.path: seen.user_agent for seen in server.requests}
    assert agents.pop("/v1/oauth/token").startswith("claude-usage-monitor/")
    assert {"my-own/1.0"} == set(agents.values())
