from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import AccountsUnavailable, UnknownAccount
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.live.displayed import SelectedAccounts
from claude_usage_monitor.store.paths import accounts_path
from tests.support.saved import keep, registry
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claude_usage_monitor.store.settings import Mode
    from tests.support.login import Store


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, store: Store) -> Iterator[TokenServer]:
    """Return the server; Claude Code is logged in, and three accounts were added."""
    store.login()
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        for name in ("one", "two", "three"):
            keep(running.issue(name), name)
        yield running


def displayed_accounts(*names: str, mode: Mode = "auto", every: bool = False) -> SelectedAccounts:
    return SelectedAccounts(registry(), names, mode, every=every)


def on_show(subject: SelectedAccounts) -> list[str]:
    return [displayed.account.name for displayed in subject.current()]


def turned(subject: SelectedAccounts, times: int) -> list[list[str]]:
    """Return what is on show after each of so many turns."""
    found = []
    for _ in range(times):
        subject.show_next()
        found.append(on_show(subject))
    return found


EVERY = ["claude-code", "one", "two", "three"]


@pytest.mark.parametrize(
    ("names", "every", "first", "turns"),
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
def test_turns_go_through_every_account_and_back_to_what_was_asked_for(
    server: TokenServer,
    names: tuple[str, ...],
    every: bool,
    first: list[str],
    turns: list[list[str]],
) -> None:
    subject = displayed_accounts(*names, every=every)
    assert first == on_show(subject)
    assert turns == turned(subject, len(turns))


def test_with_one_account_a_turn_changes_nothing(store: Store) -> None:
    store.login()
    assert [["claude-code"]] * 3 == turned(displayed_accounts(), 3)
    assert [["claude-code"]] * 3 == turned(displayed_accounts(every=True), 3)


def test_it_is_the_active_one_that_is_first(server: TokenServer) -> None:
    manage.use(registry(), "two")
    assert ["two"] == on_show(displayed_accounts())
    assert ["two", "claude-code", "one", "three"] == on_show(displayed_accounts(every=True))
    assert [True, False, False, False] == [
        s.account.active for s in displayed_accounts(every=True).current()
    ]


def test_what_cannot_be_shown_is_refused_at_the_beginning(server: TokenServer) -> None:
    with pytest.raises(UnknownAccount):
        displayed_accounts("one", "four")


def test_an_account_that_was_asked_for_stays_by_whatever_name(server: TokenServer) -> None:
    subject = displayed_accounts("one")
    before = subject.current()
    manage.rename(registry(), "one", "first")
    after = subject.current()
    assert ("first", before[0].key) == (after[0].account.name, after[0].key)
    assert before[0].reader is after[0].reader


def test_who_takes_over_a_name_is_not_who_was_asked_for(server: TokenServer) -> None:
    subject = displayed_accounts("one")
    manage.rename(registry(), "one", "first")
    manage.rename(registry(), "two", "one")
    assert ["first"] == on_show(subject)


def test_what_is_added_or_removed_meanwhile_is_followed(server: TokenServer) -> None:
    subject = displayed_accounts(every=True)
    manage.remove(registry(), "two")
    assert ["claude-code", "one", "three"] == on_show(subject)
    keep(server.issue("four"), "four")
    assert ["claude-code", "one", "three", "four"] == on_show(subject)
    assert [["claude-code"], ["one"], ["three"], ["four"]] == turned(subject, 4)


def test_another_choice_is_followed_where_none_was_asked_for(server: TokenServer) -> None:
    subject, asked = displayed_accounts(), displayed_accounts("one")
    manage.use(registry(), "three")
    assert (["three"], ["one"]) == (on_show(subject), on_show(asked))


def test_the_only_one_that_is_shown_stays_when_it_is_removed(server: TokenServer) -> None:
    """It says that it was removed; a turn goes on to another."""
    subject = displayed_accounts("one")
    manage.remove(registry(), "one")
    assert ["one"] == on_show(subject) == on_show(subject)
    subject.show_next()
    assert ["claude-code"] == on_show(subject)
    assert [["two"], ["three"]] == turned(subject, 2)


def test_one_that_a_turn_came_to_stays_when_it_is_removed(server: TokenServer) -> None:
    subject = displayed_accounts()
    assert [["one"], ["two"]] == turned(subject, 2)
    manage.remove(registry(), "two")
    assert ["two"] == on_show(subject)
    subject.show_next()
    assert ["two"] != on_show(subject)


def test_of_several_asked_for_one_that_is_removed_goes(server: TokenServer) -> None:
    subject = displayed_accounts("one", "two")
    manage.remove(registry(), "one")
    assert ["two"] == on_show(subject)


def test_the_version_changes_with_the_accounts(server: TokenServer) -> None:
    subject = displayed_accounts()
    before = subject.version()
    assert before == subject.version()
    manage.rename(registry(), "one", "first")
    assert before != subject.version()


@pytest.mark.parametrize("names", [(), ("one",)])
def test_when_the_list_cannot_be_read_any_more_what_is_on_show_stays(
    server: TokenServer, names: tuple[str, ...]
) -> None:
    """Live mode does not leave because of a problem, whatever key is pressed."""
    subject = displayed_accounts(*names)
    before = on_show(subject)
    subject.version()
    whole = accounts_path(os.environ).read_bytes()
    accounts_path(os.environ).unlink()
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    subject.version()
    assert before == on_show(subject)
    subject.show_next()
    assert 1 == len(on_show(subject))
    accounts_path(os.environ).unlink()
    accounts_path(os.environ).write_bytes(whole)
    assert {"claude-code", "one", "two", "three"} == {
        name for names in turned(subject, 4) for name in names
    }


def test_every_account_cannot_be_asked_for_without_the_list(server: TokenServer) -> None:
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    with pytest.raises(AccountsUnavailable):
        displayed_accounts(every=True)


@pytest.mark.parametrize(("mode", "expected"), [("auto", "claude-code"), ("console", "console")])
def test_without_the_list_a_built_in_account_is_shown_with_a_warning(
    server: TokenServer, mode: Mode, expected: str
) -> None:
    manage.use(registry(), "one")
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    subject = SelectedAccounts(registry(), (), mode)
    assert [expected] == on_show(subject)
    assert "cannot be used" in (subject.warning or "")
