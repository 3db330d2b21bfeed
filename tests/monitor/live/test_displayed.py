from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import AccountsUnavailable, UnknownAccount
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.live.displayed import Desk
from claude_usage_monitor.store.paths import accounts_path
from tests.support.saved import keep, roster
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


def desk(*names: str, mode: Mode = "auto", every: bool = False) -> Desk:
    return Desk(roster(), names, mode, every=every)


def on_show(subject: Desk) -> list[str]:
    return [seat.account.name for seat in subject.seats()]


def turned(subject: Desk, times: int) -> list[list[str]]:
    """Return what is on show after each of so many turns."""
    found = []
    for _ in range(times):
        subject.turn()
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
    subject = desk(*names, every=every)
    assert first == on_show(subject)
    assert turns == turned(subject, len(turns))


def test_with_one_account_a_turn_changes_nothing(store: Store) -> None:
    store.login()
    assert [["claude-code"]] * 3 == turned(desk(), 3)
    assert [["claude-code"]] * 3 == turned(desk(every=True), 3)


def test_it_is_the_active_one_that_is_first(server: TokenServer) -> None:
    manage.use(roster(), "two")
    assert ["two"] == on_show(desk())
    assert ["two", "claude-code", "one", "three"] == on_show(desk(every=True))
    assert [True, False, False, False] == [s.account.active for s in desk(every=True).seats()]


def test_what_cannot_be_shown_is_refused_at_the_beginning(server: TokenServer) -> None:
    with pytest.raises(UnknownAccount):
        desk("one", "four")


def test_an_account_that_was_asked_for_stays_by_whatever_name(server: TokenServer) -> None:
    subject = desk("one")
    before = subject.seats()
    manage.rename(roster(), "one", "first")
    after = subject.seats()
    assert ("first", before[0].key) == (after[0].account.name, after[0].key)
    assert before[0].reader is after[0].reader


def test_who_takes_over_a_name_is_not_who_was_asked_for(server: TokenServer) -> None:
    subject = desk("one")
    manage.rename(roster(), "one", "first")
    manage.rename(roster(), "two", "one")
    assert ["first"] == on_show(subject)


def test_what_is_added_or_removed_meanwhile_is_followed(server: TokenServer) -> None:
    subject = desk(every=True)
    manage.remove(roster(), "two")
    assert ["claude-code", "one", "three"] == on_show(subject)
    keep(server.issue("four"), "four")
    assert ["claude-code", "one", "three", "four"] == on_show(subject)
    assert [["claude-code"], ["one"], ["three"], ["four"]] == turned(subject, 4)


def test_another_choice_is_followed_where_none_was_asked_for(server: TokenServer) -> None:
    subject, asked = desk(), desk("one")
    manage.use(roster(), "three")
    assert (["three"], ["one"]) == (on_show(subject), on_show(asked))


def test_the_only_one_that_is_shown_stays_when_it_is_removed(server: TokenServer) -> None:
    """It says that it was removed; a turn goes on to another."""
    subject = desk("one")
    manage.remove(roster(), "one")
    assert ["one"] == on_show(subject) == on_show(subject)
    subject.turn()
    assert ["claude-code"] == on_show(subject)
    assert [["two"], ["three"]] == turned(subject, 2)


def test_one_that_a_turn_came_to_stays_when_it_is_removed(server: TokenServer) -> None:
    subject = desk()
    assert [["one"], ["two"]] == turned(subject, 2)
    manage.remove(roster(), "two")
    assert ["two"] == on_show(subject)
    subject.turn()
    assert ["two"] != on_show(subject)


def test_of_several_asked_for_one_that_is_removed_goes(server: TokenServer) -> None:
    subject = desk("one", "two")
    manage.remove(roster(), "one")
    assert ["two"] == on_show(subject)


def test_the_version_changes_with_the_accounts(server: TokenServer) -> None:
    subject = desk()
    before = subject.version()
    assert before == subject.version()
    manage.rename(roster(), "one", "first")
    assert before != subject.version()


@pytest.mark.parametrize("names", [(), ("one",)])
def test_when_the_list_cannot_be_read_any_more_what_is_on_show_stays(
    server: TokenServer, names: tuple[str, ...]
) -> None:
    """Live mode does not leave because of a problem, whatever key is pressed."""
    subject = desk(*names)
    before = on_show(subject)
    subject.version()
    whole = accounts_path(os.environ).read_bytes()
    accounts_path(os.environ).unlink()
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    subject.version()
    assert before == on_show(subject)
    subject.turn()
    assert 1 == len(on_show(subject))
    accounts_path(os.environ).unlink()
    accounts_path(os.environ).write_bytes(whole)
    assert {"claude-code", "one", "two", "three"} == {
        name for names in turned(subject, 4) for name in names
    }


def test_every_account_cannot_be_asked_for_without_the_list(server: TokenServer) -> None:
    accounts_path(os.environ).write_bytes(b"garbage" * 1000)
    with pytest.raises(AccountsUnavailable):
        desk(every=True)
