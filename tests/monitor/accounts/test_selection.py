from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import AccountsUnavailable, UnknownAccount
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.accounts.selection import SelectedAccounts
from claude_usage_monitor.store.paths import accounts_path
from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from claude_usage_monitor.store.settings import Mode
    from tests.support.login import Store


@pytest.fixture
def server(server: TokenServer, store: Store) -> TokenServer:
    """Return a server, with a login of Claude Code and three saved accounts."""
    store.login()
    for name in ("one", "two", "three"):
        save_account(server.issue(name), name)
    return server


def selection(*names: str, mode: Mode = "auto", every: bool = False) -> SelectedAccounts:
    return SelectedAccounts(registry(), names, mode, every=every)


def displayed(accounts: SelectedAccounts) -> list[str]:
    return [each.account.name for each in accounts.current()]


def views(accounts: SelectedAccounts, times: int) -> list[list[str]]:
    """Return the names displayed after each of so many `show_next`."""
    names = []
    for _ in range(times):
        accounts.show_next()
        names.append(displayed(accounts))
    return names


EVERY = ["claude-code", "one", "two", "three"]


@pytest.mark.parametrize(
    ("names", "every", "first", "others"),
    [
        ((), False, ["claude-code"], [["one"], ["two"], ["three"], ["claude-code"], ["one"]]),
        (("two",), False, ["two"], [["claude-code"], ["one"], ["three"], ["two"]]),
        (
            ("two", "one"),
            False,
            ["two", "one"],
            [["claude-code"], ["one"], ["two"], ["three"], ["two", "one"]],
        ),
        ((), True, EVERY, [["claude-code"], ["one"], ["two"], ["three"], EVERY]),
    ],
)
def test_show_next_goes_through_every_account_and_back_to_the_selection(
    server: TokenServer,
    names: tuple[str, ...],
    every: bool,
    first: list[str],
    others: list[list[str]],
) -> None:
    accounts = selection(*names, every=every)
    assert first == displayed(accounts)
    assert others == views(accounts, len(others))


def test_with_one_account_show_next_changes_nothing(store: Store) -> None:
    store.login()
    assert [["claude-code"]] * 3 == views(selection(), 3)
    assert [["claude-code"]] * 3 == views(selection(every=True), 3)


def test_the_active_account_is_first(server: TokenServer) -> None:
    manage.use(registry(), "two")
    assert ["two"] == displayed(selection())
    assert ["two", "claude-code", "one", "three"] == displayed(selection(every=True))
    assert [True, False, False, False] == [
        s.account.active for s in selection(every=True).current()
    ]


def test_an_unknown_name_is_refused_at_once(server: TokenServer) -> None:
    with pytest.raises(UnknownAccount):
        selection("one", "four")


def test_a_named_account_stays_after_a_rename(server: TokenServer) -> None:
    accounts = selection("one")
    before = accounts.current()
    manage.rename(registry(), "one", "first")
    after = accounts.current()
    assert ("first", before[0].key) == (after[0].account.name, after[0].key)
    assert before[0].reader is after[0].reader


def test_another_account_that_gets_the_name_is_not_displayed(server: TokenServer) -> None:
    accounts = selection("one")
    manage.rename(registry(), "one", "first")
    manage.rename(registry(), "two", "one")
    assert ["first"] == displayed(accounts)


def test_all_accounts_follows_added_and_removed_accounts(server: TokenServer) -> None:
    accounts = selection(every=True)
    manage.remove(registry(), "two")
    assert ["claude-code", "one", "three"] == displayed(accounts)
    save_account(server.issue("four"), "four")
    assert ["claude-code", "one", "three", "four"] == displayed(accounts)
    assert [["claude-code"], ["one"], ["three"], ["four"]] == views(accounts, 4)


def test_a_new_active_account_is_displayed_unless_accounts_were_named(server: TokenServer) -> None:
    accounts, named = selection(), selection("one")
    manage.use(registry(), "three")
    assert (["three"], ["one"]) == (displayed(accounts), displayed(named))


def test_the_only_displayed_account_stays_when_it_is_removed(server: TokenServer) -> None:
    """Its status says that it was removed; `show_next` displays another account."""
    accounts = selection("one")
    manage.remove(registry(), "one")
    assert ["one"] == displayed(accounts) == displayed(accounts)
    accounts.show_next()
    assert ["claude-code"] == displayed(accounts)
    assert [["two"], ["three"]] == views(accounts, 2)


def test_show_next_skips_a_selection_that_was_removed(server: TokenServer) -> None:
    accounts = selection("one")
    manage.remove(registry(), "one")
    assert [["claude-code"], ["two"], ["three"], ["claude-code"]] == views(accounts, 4)


def test_an_account_reached_with_show_next_stays_when_it_is_removed(server: TokenServer) -> None:
    accounts = selection()
    assert [["one"], ["two"]] == views(accounts, 2)
    manage.remove(registry(), "two")
    assert ["two"] == displayed(accounts)
    accounts.show_next()
    assert ["two"] != displayed(accounts)


def test_one_of_several_named_accounts_disappears_when_it_is_removed(server: TokenServer) -> None:
    accounts = selection("one", "two")
    manage.remove(registry(), "one")
    assert ["two"] == displayed(accounts)


def test_the_version_changes_with_the_accounts(server: TokenServer) -> None:
    accounts = selection()
    before = accounts.version()
    assert before == accounts.version()
    manage.rename(registry(), "one", "first")
    assert before != accounts.version()


@pytest.mark.parametrize("names", [(), ("one",)])
def test_the_displayed_account_stays_when_the_list_becomes_unreadable(
    server: TokenServer, names: tuple[str, ...]
) -> None:
    """Live mode does not leave because of a problem, for any key."""
    accounts = selection(*names)
    before = displayed(accounts)
    accounts.version()
    whole = Path(accounts_path(os.environ)).read_bytes()
    Path(accounts_path(os.environ)).unlink()
    Path(accounts_path(os.environ)).write_bytes(b"garbage" * 1000)
    accounts.version()
    assert before == displayed(accounts)
    accounts.show_next()
    assert 1 == len(displayed(accounts))
    Path(accounts_path(os.environ)).unlink()
    Path(accounts_path(os.environ)).write_bytes(whole)
    assert {"claude-code", "one", "two", "three"} == {
        name for names in views(accounts, 4) for name in names
    }


def test_all_accounts_need_a_readable_list(server: TokenServer) -> None:
    Path(accounts_path(os.environ)).write_bytes(b"garbage" * 1000)
    with pytest.raises(AccountsUnavailable):
        selection(every=True)


@pytest.mark.parametrize(("mode", "expected"), [("auto", "claude-code"), ("console", "console")])
def test_without_the_list_a_built_in_account_is_shown_with_a_warning(
    server: TokenServer, mode: Mode, expected: str
) -> None:
    manage.use(registry(), "one")
    Path(accounts_path(os.environ)).write_bytes(b"garbage" * 1000)
    accounts = SelectedAccounts(registry(), (), mode)
    assert [expected] == displayed(accounts)
    assert "cannot be used" in (accounts.warning or "")


def test_the_only_displayed_account_has_a_position_among_all(server: TokenServer) -> None:
    accounts = selection()
    positions = []
    for _ in range(5):
        accounts.current()
        positions.append(accounts.position())
        accounts.show_next()
    assert [(1, 4), (2, 4), (3, 4), (4, 4), (1, 4)] == positions
    several = selection(every=True)
    several.current()
    assert several.position() is None


def test_an_account_without_others_has_no_position(store: Store) -> None:
    store.login()
    accounts = selection()
    accounts.current()
    assert accounts.position() is None
