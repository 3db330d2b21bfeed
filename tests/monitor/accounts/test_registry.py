from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    InvalidSetting,
    UnknownAccount,
)
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import SelectedAccounts, selected
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.paths import accounts_path
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus, Profile
from tests.support.payloads import as_bytes
from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer, email_of

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.accounts.registry import ListedAccount
    from claude_usage_monitor.store.settings import Mode
    from tests.support.login import Store


def names(listed: tuple[ListedAccount, ...]) -> list[str]:
    return [each.account.name for each in listed]


def shown(
    *selected_names: str,
    mode: Mode = "auto",
    every: bool = False,
    accounts: AccountRegistry | None = None,
) -> list[str]:
    return names(selected(accounts or registry(), selected_names, mode, every=every))


def keep_admin_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add an organization while the API is unreachable."""
    with monkeypatch.context() as offline:
        offline.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
        add.add_admin_key(registry(), name, "sk-ant-admin01-canary-5f2a91")


# --- the list ---------------------------------------------------------------------------------


def test_claude_codes_account_needs_no_file(home: Path) -> None:
    (listed,) = registry().all_accounts()
    assert ("claude-code", "claude-code", True, None) == (
        listed.key,
        listed.account.name,
        listed.account.active,
        listed.saved,
    )
    assert not Path(accounts_path(os.environ)).exists()
    assert home.exists()


def test_exactly_one_account_is_active_and_it_is_first(server: TokenServer) -> None:
    for name in ("one", "two", "three"):
        save_account(server.issue(name), name)
    manage.use(registry(), "two")
    listed = registry().all_accounts()
    assert ["two", "claude-code", "one", "three"] == names(listed)
    assert [True, False, False, False] == [each.account.active for each in listed]


def test_a_listed_account_has_its_stored_profile_without_a_request(server: TokenServer) -> None:
    saved = save_account(server.issue("Work"), "Work")
    listed = registry().find("Work")
    assert (saved.id, email_of("Work"), "code") == (
        listed.key,
        listed.account.email,
        listed.account.kind,
    )
    assert None is not listed.account.saved_at
    assert [] == server.requests


# --- the default account -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "environment", "saved", "expected"),
    [
        (None, None, (), "claude-code"),
        (None, None, ("one", "two"), "one"),
        (b"{}", None, ("one",), "one"),
        (b'{"mcpOAuth": {}}', None, ("one",), "one"),
        (b'{"claudeAiOauth": {"accessToken": ""}}', None, ("one",), "claude-code"),  # erased
        (b"not whole", None, ("one",), "claude-code"),  # it has a login, which cannot be used
        (b'{"claudeAiOauth": {"accessToken": "x"}}', None, ("one",), "claude-code"),
        (b'{"claudeAiOauth": {"accessToken": "x", "expiresAt": 1600000000000}}', None, ("one",),
         "claude-code"),
        (None, "token", ("one",), "claude-code"),
        (None, "no token", ("one",), "claude-code"),
    ],
)  # fmt: skip
def test_without_a_choice_it_is_claude_codes_account_or_the_first_saved_one(
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
        save_account(server.issue(name), name)
    assert [expected] == shown()


def test_an_organization_is_shown_after_a_subscription_and_not_instead_of_it(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_admin_key("Org", monkeypatch)
    assert ["Org"] == shown()
    save_account(server.issue("one"), "one")
    assert ["one", "Org"] == shown()


def test_the_chosen_account_is_shown_with_and_without_claude_codes_login(
    server: TokenServer, store: Store
) -> None:
    store.login()
    save_account(server.issue("one"), "one")
    manage.use(registry(), "one")
    assert ["one"] == shown()
    store.path.unlink()
    manage.use(registry(), "claude-code")
    assert ["claude-code"] == shown()


def test_removing_the_chosen_account_undoes_the_choice(
    server: TokenServer,
) -> None:
    for name in ("one", "two"):
        save_account(server.issue(name), name)
    manage.use(registry(), "two")
    manage.remove(registry(), "two")
    assert ["one"] == shown()
    assert None is registry().services.accounts.active_key()


def test_the_organization_of_the_environment_can_be_chosen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", "sk-ant-admin01-canary-5f2a91")
    assert ["claude-code", "console"] == shown()
    manage.use(registry(), "console")
    assert ["console"] == shown()
    monkeypatch.delenv("ANTHROPIC_ADMIN_API_KEY")
    assert ["claude-code"] == shown()


def test_a_choice_of_an_unknown_account_means_claude_codes_account(server: TokenServer) -> None:
    save_account(server.issue("one"), "one")
    registry().services.accounts.set_active("gone")
    assert ["claude-code"] == shown()


# --- selected accounts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (("two",), ["two"]),
        (("TWO", "one"), ["two", "one"]),
        (("one", "One", "claude-code"), ["one", "claude-code"]),
        (("Claude-Code",), ["claude-code"]),
    ],
)
def test_named_accounts_are_shown_in_that_order_and_once(
    server: TokenServer, selection: tuple[str, ...], expected: list[str]
) -> None:
    for name in ("one", "two"):
        save_account(server.issue(name), name)
    assert expected == shown(*selection)
    assert expected == shown(*selection, every=True)


@pytest.mark.parametrize("unknown", ["three", "", "on", "one ,", "\udcff", "\x1b[31m"])
def test_an_unknown_name_is_refused_with_the_known_names(server: TokenServer, unknown: str) -> None:
    for name in ("one", "two"):
        save_account(server.issue(name), name)
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
def test_a_mode_selects_one_kind_of_account(
    server: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    every: bool,
    expected: list[str],
) -> None:
    save_account(server.issue("one"), "one")
    keep_admin_key("Org", monkeypatch)
    save_account(server.issue("two"), "two")
    assert expected == shown(mode=mode, every=every)


def test_mode_code_shows_a_subscription_while_an_organization_is_active(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_account(server.issue("one"), "one")
    keep_admin_key("Org", monkeypatch)
    manage.use(registry(), "Org")
    assert ["Org"] == shown()
    assert ["one"] == shown(mode="code")


@pytest.mark.parametrize("every", [False, True])
def test_without_an_organization_the_hint_says_how_to_add_one(every: bool) -> None:
    assert ["console"] == shown(mode="console", every=every)
    accounts = registry()
    (listed,) = selected(accounts, (), "console", every=every)
    problem = accounts.reader(listed).cached_status(AccountStatus(listed.account)).problem
    assert problem is not None
    assert ("no_credentials", True) == (problem.code, "--admin-key" in problem.hint)


def test_all_accounts_are_those_with_a_login(server: TokenServer, store: Store) -> None:
    """If there are none, it is Claude Code's account, and its hint says what to do."""
    assert ["claude-code"] == shown(every=True)
    save_account(server.issue("one"), "one")
    assert ["one"] == shown(every=True)
    store.write(as_bytes(server.issue("mine")))
    assert ["claude-code", "one"] == shown(every=True)


def test_without_a_readable_list_named_accounts_and_all_accounts_are_an_error(store: Store) -> None:
    store.login()
    Path(accounts_path(os.environ)).parent.mkdir(parents=True)
    Path(accounts_path(os.environ)).write_bytes(b"garbage" * 1000)
    for names_wanted, every in ((("one",), False), ((), True)):
        with pytest.raises(AccountsUnavailable):
            shown(*names_wanted, every=every)


# --- folders and addresses -----------------------------------------------------------------------


def test_each_home_of_this_program_has_its_own_accounts(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [["claude-code", "default"], ["claude-code", "elsewhere"]]
    save_account(server.issue("default"), "default")
    first = sorted(names(registry().all_accounts()))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path / "own"))
    save_account(server.issue("elsewhere"), "elsewhere")
    assert expected == [first, sorted(names(registry().all_accounts()))]
    assert {"accounts.db", "secrets.json", "state.db"} <= {
        path.name for path in (tmp_path / "own").iterdir()
    }


def test_claude_codes_folder_changes_only_claude_codes_account(
    server: TokenServer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(as_bytes(server.issue("mine")))
    save_account(server.issue("one"), "one")
    assert ["claude-code"] == shown()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    assert ["one"] == shown()
    assert ["claude-code", "one"] == sorted(names(registry().all_accounts()))


def test_an_api_url_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://example.com")
    with pytest.raises(InvalidSetting):
        registry()


def test_a_renamed_account_keeps_its_reader(server: TokenServer) -> None:
    saved = save_account(server.issue("one"), "one")
    accounts = registry()
    first = accounts.reader(accounts.find("one"))
    manage.rename(registry(), "one", "two")
    assert first is accounts.reader(accounts.find("two"))
    assert first is not accounts.reader(accounts.find("claude-code"))
    assert saved.id == accounts.find("two").key


def test_the_version_changes_with_the_accounts(server: TokenServer) -> None:
    accounts = registry()
    seen = [accounts.version()]
    for act in (
        lambda: save_account(server.issue("one"), "one"),
        lambda: manage.use(registry(), "one"),
        lambda: manage.rename(registry(), "one", "two"),
        lambda: manage.remove(registry(), "two"),
    ):
        act()
        seen.append(accounts.version())
        assert seen[-1] == accounts.version()
    assert 5 == len({str(version) for version in seen})


def test_the_user_agent_of_each_endpoint(server: TokenServer) -> None:
    """The API gets the one that is set, or Claude Code's; the token endpoint always gets ours."""
    settings = Settings(user_agent="my-own/1.0")
    accounts = AccountRegistry(Services(os.environ, settings, utc_now))
    saved = save_account(server.issue("one", expires_in=-60), "one")
    listed = next(listed for listed in accounts.all_accounts() if listed.key == saved.id)
    accounts.reader(listed).read(AccountStatus(listed.account))
    agents = {seen.path: seen.user_agent for seen in server.requests}
    assert agents.pop("/v1/oauth/token").startswith("claude-usage-monitor/")
    assert {"my-own/1.0"} == set(agents.values())


def test_the_reader_of_a_removed_account_is_forgotten() -> None:
    """Live mode may run for months."""
    save_account({"claudeAiOauth": {"accessToken": "sk-ant-oat01-of-work"}}, "work")
    found = registry()
    reader = weakref.ref(found.reader(found.find("work")))
    assert reader() is not None
    manage.remove(registry(), "work")
    found.all_accounts()
    gc.collect()
    assert reader() is None


# --- the same login twice -------------------------------------------------------------------------


def test_two_accounts_that_are_the_same_login_are_shown_once_and_named(
    server: TokenServer, store: Store
) -> None:
    save_account(server.issue("one"), "one")
    store.write(as_bytes(server.issue("one")))
    found = registry()
    reader = found.reader(found.find("claude-code"))
    reader.read(AccountStatus(CLAUDE_CODE))  # the API names the account
    assert ["claude-code"] == shown(every=True)
    accounts = SelectedAccounts(registry(), (), "auto", every=True)
    assert "one is the same login as claude-code: shown once." == accounts.warning
    assert ["claude-code", "one"] == shown("claude-code", "one")  # the user names both


def test_a_key_that_is_saved_and_in_the_environment_is_one_organization(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_admin_key("Org", monkeypatch)
    key = "sk-ant-admin01-canary-5f2a91"
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", key)
    found = registry()
    saved = next(each for each in found.all_accounts() if each.saved)
    assert saved.saved is not None
    fingerprint = token_fingerprint(Secret(key))
    found.services.state.link_identity(fingerprint, "organization")
    profile = Profile(account_uuid="organization")
    found.services.accounts.store_profile(saved.saved.id, profile)
    save_account(server.issue("one"), "one")
    names = shown(every=True)
    assert 1 == len({"Org", "console"} & set(names))
