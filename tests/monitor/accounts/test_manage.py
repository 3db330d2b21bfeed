from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor.errors import InvalidName, SecretStoreUnavailable, UnknownAccount
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.manage import checked_name
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.store.paths import accounts_path, secrets_path, state_path
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.login import TOKEN
from tests.support.payloads import as_bytes
from tests.support.saved import Clock, read, registry, save_account
from tests.support.secret_service import unlocked
from tests.support.token_server import TokenServer, email_of, uuid_of

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.login import Store

ADMIN_KEY = "sk-ant-admin01-canary-5f2a91"
NOWHERE = "http://127.0.0.1:9"  # the discard port, where no server listens


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Work", "Work"),
        ("  Work \t", "Work"),
        ("My  two\N{SPACE}jobs", "My two jobs"),
        ("x" * 64, "x" * 64),
        ("仕事", "仕事"),
        ("Ünïcødé", "Ünïcødé"),
        ("cafe\u0301", "caf\u00e9"),
        ("🙂", "🙂"),
        ("❤\ufe0f", "❤"),
        ("../../x", "../../x"),
        ("/etc/passwd", "/etc/passwd"),
        ("--help", "--help"),
        ("-", "-"),
        ("'; DROP TABLE account; --", "'; DROP TABLE account; --"),
        ("%s{0}[bold]", "%s{0}[bold]"),
        ("claude", "claude"),
        ("Console 2", "Console 2"),
    ],
)
def test_any_printable_text_is_a_name(raw: str, name: str) -> None:
    assert name == checked_name(raw) == checked_name(checked_name(raw))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        ("\t\n", "needs a name"),
        ("x" * 65, "65 characters"),
        ("x" * 10_000, "10000 characters"),
        ("a\0b", "cannot be printed"),
        ("a\nb", "cannot be printed"),
        ("\x1b[31mred", "cannot be printed"),
        ("a\x7f", "cannot be printed"),
        ("\u202eabc", "cannot be printed"),
        ("a\u2066b", "cannot be printed"),
        ("zero\u200bwidth", "cannot be printed"),
        ("\ud800", "cannot be printed"),
        ("a\udcff", "cannot be printed"),
        ("\ue000", "cannot be printed"),
        ("a\u2028b", "cannot be printed"),
        ("\u0301\u0301", "cannot be printed"),
        ("claude-code", "taken"),
        ("Claude-Code", "taken"),
        ("console", "taken"),
        ("Console", "taken"),
        (" CONSOLE ", "taken"),
        ("demo", "taken"),
        ("DEMO", "taken"),
        ("demo\ufe0f", "taken"),
        ("claude-code\ufe0f", "taken"),
        (TOKEN, "looks like a token or key"),
        (f"my key {TOKEN}", "looks like a token or key"),
        (TOKEN.upper() * 9, "looks like a token or key"),
    ],
)
def test_an_invalid_name_is_refused_with_the_reason(raw: str, message: str) -> None:
    with pytest.raises(InvalidName) as caught:
        checked_name(raw)
    assert message in caught.value.message
    assert caught.value.hint
    assert f"{caught.value.message}{caught.value.hint}".isprintable()


@pytest.mark.parametrize("raw", [TOKEN, ADMIN_KEY, f" {TOKEN}\n", f"Work {TOKEN}"])
def test_a_token_or_key_as_a_name_is_never_stored_or_shown(server: TokenServer, raw: str) -> None:
    save_account(server.issue("work"), "Work")
    for act in (
        lambda: add.add_login(registry(), raw, server.issue("new")),
        lambda: add.add_admin_key(registry(), raw, ADMIN_KEY),
        lambda: manage.rename(registry(), "Work", raw),
        lambda: manage.use(registry(), raw),
        lambda: manage.remove(registry(), raw),
    ):
        with pytest.raises((InvalidName, UnknownAccount)) as caught:
            act()
        assert "canary" not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert ["Work"] == [saved.name for saved in registry().services.accounts.all()]
    assert not [row for row in state_rows() if "canary" in row]


@pytest.mark.parametrize("raw", ["❤\ufe0f", "two  blanks", "cafe\u0301", "🇩🇪", " Work "])
def test_an_account_is_found_by_the_name_it_was_added_with(server: TokenServer, raw: str) -> None:
    add.add_login(registry(), raw, server.issue("work"))
    manage.use(registry(), raw)
    manage.rename(registry(), raw, "Job")
    manage.rename(registry(), "JOB", raw)
    manage.remove(registry(), raw)
    assert () == registry().services.accounts.all()


def test_a_taken_name_needs_replace_and_the_same_kind(server: TokenServer) -> None:
    saved = save_account(server.issue("work"), "Work")
    accounts = registry()
    assert None is manage.account_to_replace(accounts, "Other", "code", replace=False)
    assert None is manage.account_to_replace(accounts, "Other", "code", replace=True)
    replaced = manage.account_to_replace(accounts, "wORK", "code", replace=True)
    assert replaced is not None
    assert (saved.id, "Work") == (replaced.id, replaced.name)
    for kind, replace, message in (
        ("code", False, "already"),
        ("console", True, "is a subscription, not an organization"),
    ):
        with pytest.raises(InvalidName, match=message):
            manage.account_to_replace(accounts, "WORK", kind, replace=replace)  # type: ignore[arg-type]  # a plain str


# --- choosing and renaming -----------------------------------------------------------------------


def test_the_chosen_account_is_active_in_every_process(server: TokenServer) -> None:
    save_account(server.issue("work"), "Work")
    for name in ("work", "claude-code", "WORK"):
        used = manage.use(registry(), name)
        (first, *others) = registry().all_accounts()
        assert (used.name, True) == (first.account.name, first.account.active)
        assert [False] == [entry.account.active for entry in others]


def test_an_unknown_account_cannot_be_used_renamed_or_removed(server: TokenServer) -> None:
    save_account(server.issue("work"), "Work")
    manage.use(registry(), "Work")
    for act in (
        lambda: manage.use(registry(), "Wörk"),
        lambda: manage.rename(registry(), "Wörk", "Job"),
        lambda: manage.remove(registry(), "Wörk"),
    ):
        with pytest.raises(UnknownAccount, match="'Wörk'") as caught:
            act()
        assert "Known accounts: Work, claude-code." == caught.value.hint


def test_a_built_in_account_can_be_neither_renamed_nor_removed(store: Store) -> None:
    store.login()
    with pytest.raises(InvalidName, match="cannot be renamed"):
        manage.rename(registry(), "claude-code", "Job")
    with pytest.raises(InvalidName, match="cannot be removed"):
        manage.remove(registry(), "Claude-Code")
    assert store.path.exists()


@pytest.mark.parametrize("new", ["", "Console", "x" * 65, "OTHER", "a\nb"])
def test_an_account_keeps_its_name_when_the_new_one_is_refused(
    server: TokenServer, new: str
) -> None:
    save_account(server.issue("work"), "Work")
    save_account(server.issue("other"), "Other")
    with pytest.raises(InvalidName):
        manage.rename(registry(), "Work", new)
    assert ["Work", "Other"] == [saved.name for saved in registry().services.accounts.all()]


def test_a_renamed_account_keeps_login_and_figures_and_stays_active(
    server: TokenServer,
) -> None:
    saved = save_account(server.issue("work"), "Work")
    before = read(registry(), saved)
    manage.use(registry(), "Work")
    account = manage.rename(registry(), "Work", " Job ")
    assert ("Job", email_of("Work")) == (account.name, account.email)
    requests = len(server.requests)
    after = read(registry(), saved)
    assert ("Job", before.usage, True) == (
        after.account.name,
        after.usage,
        after.account.active,
    )
    assert requests == len(server.requests)


# --- removing ------------------------------------------------------------------------------------


def test_a_removed_account_leaves_no_data(server: TokenServer) -> None:
    """Its secret, row and figures are deleted. Other accounts keep theirs."""
    saved, other = (save_account(server.issue(name), name) for name in ("Work", "Other"))
    figures = read(registry(), other)
    read(registry(), saved)
    manage.use(registry(), "Work")
    assert () == manage.remove(registry(), "work")
    for trace in (saved.id, uuid_of("Work"), email_of("Work")):
        assert not [row for row in state_rows() if trace in row]
        assert trace not in Path(secrets_path(os.environ)).read_text()
    assert [other.id] == [each.id for each in registry().services.accounts.all()]
    assert figures.usage == read(registry(), other).usage
    assert "claude-code" == registry().find("claude-code").account.name


def state_rows() -> list[str]:
    """Return every row of state.db and accounts.db."""
    accounts: list[str] = []
    for path in (state_path(os.environ), accounts_path(os.environ)):
        with closing(sqlite3.connect(path)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                if table != "request":  # the request budget stays as it is
                    accounts += map(str, database.execute(f"SELECT * FROM {table}"))
    return accounts


def test_figures_under_a_provisional_identity_are_deleted_with_the_account(api: Api) -> None:
    api.answer_profile(b"", 500)
    add.add_login(registry(), "Work", {"claudeAiOauth": {"accessToken": "token"}})
    (saved,) = registry().services.accounts.all()
    assert read(registry(), saved).usage is not None
    manage.remove(registry(), "Work")
    assert not [row for row in state_rows() if "five_hour" in row]


def test_figures_that_another_account_shares_stay(server: TokenServer, store: Store) -> None:
    saved = [
        save_account(server.issue("Work"), name)._replace(name=name)
        for name in ("Work", "Work again")
    ]
    accounts = registry()
    for each in saved:
        accounts.services.accounts.store_profile(each.id, saved[0].profile)
    before = read(registry(), saved[1])
    manage.remove(registry(), "Work")
    assert before.usage == read(registry(), saved[1]).usage
    store.write(as_bytes(server.issue("Work")))
    mine = claude_code_reader(registry().services).read(AccountStatus(CLAUDE_CODE))
    manage.remove(registry(), "Work again")
    assert (
        mine.usage
        == claude_code_reader(registry().services).cached_status(AccountStatus(CLAUDE_CODE)).usage
    )


def test_an_account_whose_login_cannot_be_deleted_stays_listed(server: TokenServer) -> None:
    """Its login may still be stored, and the user must be able to see that."""
    save_account(server.issue("work"), "Work")
    Path(secrets_path(os.environ)).write_bytes(b"garbage")
    with pytest.raises(SecretStoreUnavailable, match="may still contain this login"):
        manage.remove(registry(), "Work")
    assert ["Work"] == [saved.name for saved in registry().services.accounts.all()]
    assert b"garbage" == Path(secrets_path(os.environ)).read_bytes()


def test_a_login_in_an_unavailable_keyring_is_a_warning(server: TokenServer) -> None:
    with unlocked():
        assert "keyring" == save_account(server.issue("work"), "Work").location
    (warning,) = manage.remove(registry(), "Work")
    assert "it stays" in warning
    assert () == registry().services.accounts.all()


def test_a_login_in_the_keyring_is_deleted_with_its_account(server: TokenServer) -> None:
    with unlocked():
        saved = save_account(server.issue("work"), "Work")
        assert () == manage.remove(registry(), "Work")
        with pytest.raises(Exception, match="Nothing is stored"):
            registry().services.secrets.read(saved.id)


# --- the list ------------------------------------------------------------------------------------


def test_the_list_has_each_accounts_plan_and_the_place_of_its_login(
    server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("mine")))
    save_account(server.issue("work"), "Work")
    save_account({"admin_key": "x"}, "Org")
    mine, work, org = manage.summaries(registry())
    assert ("claude-code", True) == (mine.account.name, mine.account.active)
    assert ("Max 5x", "Claude Code credentials file", None) == mine[1:]
    assert ("Work", email_of("Work"), False) == (
        work.account.name,
        work.account.email,
        work.account.active,
    )
    assert ("Max 5x", "encrypted file", None) == work[1:]
    assert timedelta() < utc_now() - (work.account.saved_at or utc_now()) < timedelta(minutes=1)
    assert "Org" == org.account.name
    assert [] == server.requests


def test_the_list_has_the_problem_of_each_login(server: TokenServer, store: Store) -> None:
    del store
    clock = Clock()
    save_account(server.issue("work", expires_in=60), "Work")
    credentials: Any = server.issue("gone", expires_in=60)
    del credentials["claudeAiOauth"]["refreshToken"]
    lost, expired = save_account(server.issue("lost"), "Lost"), save_account(credentials, "Expired")
    registry().services.secrets.delete(lost.id)
    clock.advance(hours=1)
    summaries = {each.account.name: each for each in manage.summaries(registry(clock))}
    problems = {name: each.problem and each.problem.code for name, each in summaries.items()}
    assert {
        "claude-code": "no_credentials",
        "Work": None,  # it is refreshed when it is read
        "Lost": "no_credentials",
        "Expired": "credentials_expired",
    } == problems
    assert None is summaries["claude-code"].stored_in
    assert "encrypted file" == summaries["Expired"].stored_in
    assert expired.id in Path(secrets_path(os.environ)).read_text()
    assert [] == server.requests


def test_the_list_has_the_problem_of_an_admin_key(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", NOWHERE)
    add.add_admin_key(registry(), "Org", ADMIN_KEY)
    org = manage.summaries(registry())[1]
    assert ("Org", "console", None, "encrypted file", None) == (
        org.account.name,
        org.account.kind,
        *org[1:],
    )
    Path(secrets_path(os.environ)).write_bytes(b"garbage")
    problem = manage.summaries(registry())[1].problem
    assert "secret_store_unavailable" == (problem.code if problem else None)
