from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from datetime import timedelta
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import AccountsUnavailable, InvalidName, UnknownAccount
from claude_usage_monitor.store.accounts import account_store, accounts_file
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.accounts.schema import SCHEMA_VERSION
from claude_usage_monitor.store.paths import ACCOUNTS_BACKUP
from claude_usage_monitor.usage.status import Profile
from tests.support.forks import run_at_once
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOBODY = 65534
ADDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.usage.status import Profile
store = AccountStore(Path(sys.argv[1]))
for name in sys.argv[2:]:
    moment = datetime.now(UTC)
    store.add(SavedAccount(name, name, "code", "login", moment, Profile(), {}, "file", 1))
"""
USER = """
import os, sys
from pathlib import Path
from claude_usage_monitor.errors import AccountsUnavailable
from claude_usage_monitor.store.accounts.account_store import AccountStore
if os.getuid() == 0:  # root has every permission
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
store = AccountStore(Path(sys.argv[1]))
for _ in range(2):
    try:
        print([account.name for account in store.all()])
        store.set_active("claude-code")
    except AccountsUnavailable as error:
        print(error.message, bool(error.hint))
"""
FILLER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size,) * 2)
from claude_usage_monitor.errors import AccountsUnavailable
from claude_usage_monitor.store.accounts.account_store import AccountStore
store = AccountStore(Path(sys.argv[1]))
added = 0
try:
    while added < 10_000:
        store.record_refresh("first", "file", 1, "x" * 1000 + str(added))
        added += 1
except AccountsUnavailable as error:
    print([account.name for account in store.all()])
    print(error.message, error.hint)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "accounts.db"


@pytest.fixture
def store(path: Path) -> AccountStore:
    return AccountStore(path)


def account(name: str, account_id: str | None = None, seconds: float = 0) -> SavedAccount:
    """Return an account that was saved ``seconds`` after the others."""
    return SavedAccount(
        id=account_id or name,
        name=name,
        kind="code",
        origin="claude-code",
        saved_at=NOW + timedelta(seconds=seconds),
        profile=Profile(email="user@example.com", account_uuid="uuid"),
        claude_code_environ={"HOME": "/home/ü", "CLAUDE_CONFIG_DIR": "here"},
        location="file",
        generation=7,
    )


def names(store: AccountStore) -> list[str]:
    return [saved.name for saved in store.all()]


def run(code: str, *arguments: str | Path) -> str:
    """Run Python code in another process; returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout


def refusal(use: Callable[[], object]) -> str:
    with pytest.raises(AccountsUnavailable) as caught:
        use()
    assert caught.value.hint
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.message


# --- what is stored ------------------------------------------------------------------------------


def test_an_empty_list_has_no_file(store: AccountStore, path: Path) -> None:
    found = (
        store.all(),
        store.get("x"),
        store.active_key(),
        store.refresh_state("x", "print"),
        store.is_used_up("x"),
    )
    assert ((), None, None, RefreshState("print"), False) == found
    assert (None, 0) == store.version()
    assert not path.parent.exists()


def test_an_account_is_read_as_it_was_added(store: AccountStore, path: Path) -> None:
    added = account("Wörk 🙂 仕事")
    store.add(added)
    assert (added,) == store.all() == AccountStore(path).all()
    assert added == AccountStore(path).get(added.id)


def test_accounts_are_in_the_order_they_were_added(store: AccountStore) -> None:
    """By time, and those of the same instant as they were added."""
    for name, seconds in (("c", 5), ("b", 0), ("a", 0), ("d", 9)):
        store.add(account(name, seconds=seconds))
    assert ["b", "a", "c", "d"] == names(store)


TAKEN = [
    ("Work", "wORK"),
    ("Straße", "STRASSE"),
    ("İstanbul", "i̇stanbul"),
    ("caf\u00e9", "CAFE\u0301"),
    ("ΟΔΟΣ", "οδος"),
    ("\u212b", "\u00e5"),
]
FREE = [("ılık", "ilik"), ("Work", "Work 2"), ("cafe", "café"), ("ß", "s"), ("a", "а")]


@pytest.mark.parametrize(("first", "second"), TAKEN)
def test_a_name_is_taken_in_any_case_and_composition(
    store: AccountStore, first: str, second: str
) -> None:
    store.add(account(first, "one"))
    store.add(account("other", "two"))
    with pytest.raises(InvalidName, match="already"):
        store.add(account(second, "three"))
    with pytest.raises(InvalidName, match="already"):
        store.rename("two", second)
    assert [first, "other"] == names(store)


@pytest.mark.parametrize(("first", "second"), FREE)
def test_names_that_only_look_alike_are_different(
    store: AccountStore, first: str, second: str
) -> None:
    store.add(account(first, "one"))
    store.add(account(second, "two"))
    assert [first, second] == names(store)


def test_an_account_can_change_the_case_of_its_name(store: AccountStore) -> None:
    store.add(account("Work", "one"))
    store.rename("one", "WORK")
    assert ["WORK"] == names(store)


def test_an_abandoned_name_is_free(store: AccountStore) -> None:
    store.add(account("Work", "one"))
    store.rename("one", "Job")
    store.add(account("work", "two"))
    store.remove("one")
    store.add(account("JOB", "three"))
    assert ["work", "JOB"] == names(store)


def test_removing_an_account_deletes_its_refresh_state_and_its_choice(store: AccountStore) -> None:
    store.add(account("Work", "one"))
    store.set_active("one")
    store.store_refresh_state("one", RefreshState("fingerprint", 1))
    store.store_refresh_state("two", RefreshState("of another account", 1))
    store.remove("one")
    store.remove("never there")
    state = store.refresh_state("one", "fingerprint")
    assert ((), None, RefreshState("fingerprint")) == (store.all(), store.active_key(), state)
    assert 1 == store.refresh_state("two", "of another account").unanswered


def test_a_used_up_token_is_known_after_its_account_was_removed(store: AccountStore) -> None:
    """So that it is never accepted again."""
    store.add(account("Work", "one"))
    store.record_refresh("one", "file", 1, "spent")
    store.remove("one")
    assert (True, False) == (store.is_used_up("spent"), store.is_used_up("fresh"))


def test_the_last_chosen_account_is_active(store: AccountStore) -> None:
    for key in ("one", "claude-code", "two"):
        store.set_active(key)
        assert key == store.active_key()


def test_of_two_attempts_with_a_token_the_newer_one_may_still_be_answered(
    store: AccountStore,
) -> None:
    """The process that sent the older one was killed."""
    for account_id, sent_by, seconds in (("b", "living", 20), ("a", "dead", 0)):
        until = NOW + timedelta(seconds=seconds)
        store.store_refresh_state(account_id, RefreshState("print", 1, 0, until, sent_by=sent_by))
    states = [store.refresh_state(each, "print") for each in ("a", "b", "c")]
    assert ["living"] * 3 == [state.sent_by for state in states]


def test_replacing_a_login_deletes_the_refresh_state_of_the_old_one(
    store: AccountStore,
) -> None:
    store.add(account("Work", "one"))
    store.store_refresh_state("one", RefreshState("print", 2, code="credentials_expired"))
    other = account("ignored", "one", 60)._replace(
        origin="login", claude_code_environ={}, generation=9
    )
    store.replace(other)
    assert other._replace(name="Work") == store.get("one")
    assert RefreshState("print") == store.refresh_state("one", "print")


def test_the_login_of_a_removed_account_is_not_replaced(
    store: AccountStore,
) -> None:
    store.add(account("Other"))
    with pytest.raises(UnknownAccount, match="Work was removed") as caught:
        store.replace(account("Work", "one"))
    assert (True, ["Other"]) == (bool(caught.value.hint), names(store))


def test_the_profile_and_the_location_of_the_secret_can_change(store: AccountStore) -> None:
    store.add(account("Work", "one"))
    store.store_profile("one", Profile(email="new@example.com", plan="Pro"))
    store.store_secret_location("one", "keyring", 8)
    found = store.get("one")
    assert found is not None
    assert Profile(email="new@example.com", plan="Pro") == found.profile
    assert ("keyring", 8) == (found.location, found.generation)


def test_the_refresh_state_is_stored_until_a_refresh_succeeds(store: AccountStore) -> None:
    store.add(account("Work", "one"))
    failed = RefreshState("print", 1, 3, NOW, "rate_limited", "It asks to wait.", "Wait.")
    ended = RefreshState("print", 2, 3, None, "credentials_expired", "Ended.", "Log in.")
    for state in (failed, ended, RefreshState("print")):
        store.store_refresh_state("one", state)
        assert state == store.refresh_state("one", "print")
    for _ in range(2):
        store.record_refresh("one", "keyring", 8, "print")
    assert RefreshState("print", used_up=True) == store.refresh_state("one", "print")
    assert store.is_used_up("print")
    saved = store.get("one")
    assert saved is not None
    assert ("keyring", 8) == (saved.location, saved.generation)


def test_a_refresh_token_that_stays_valid_is_not_used_up(store: AccountStore, path: Path) -> None:
    store.store_refresh_state("one", RefreshState("print", 1))
    store.store_refresh_state("two", RefreshState("of another account", 1))
    store.record_refresh("one", "file", 8, None)
    assert RefreshState("print") == store.refresh_state("one", "print")
    assert 1 == store.refresh_state("two", "of another account").unanswered
    with closing(sqlite3.connect(path)) as connection:
        assert [] == connection.execute("SELECT * FROM spent").fetchall()


@pytest.mark.parametrize("first", ["one", "two"])
def test_an_attempt_in_flight_is_seen_by_every_account_with_the_same_token(
    store: AccountStore, first: str
) -> None:
    attempt = RefreshState("print", 1, 3, NOW, sent_by="4711:1")
    states = {"one": attempt, "two": RefreshState("print", 0, 5, NOW, "unreachable")}
    for account_id in sorted(states, key=lambda each: each != first):
        store.store_refresh_state(account_id, states[account_id])
    for account_id in ("one", "two", "three"):
        assert attempt == store.refresh_state(account_id, "print")
    store.store_refresh_state("one", RefreshState("print", 1))
    assert "unreachable" == store.refresh_state("two", "print").code


@pytest.mark.parametrize(
    ("state", "backing_off", "in_flight"),
    [
        (RefreshState("print"), False, False),
        (RefreshState("print", 1), False, False),
        (RefreshState("print", 1, 0, NOW, sent_by="4711:1"), False, True),
        (RefreshState("print", 1, 1, NOW, "unreachable"), True, False),
        (RefreshState("print", 1, 1, None, "credentials_expired"), True, False),
    ],
)
def test_a_refresh_state_says_whether_the_token_may_be_sent(
    state: RefreshState, backing_off: bool, in_flight: bool
) -> None:
    before, after = NOW - timedelta(seconds=1), NOW
    assert (backing_off, in_flight) == (state.is_backing_off(before), state.is_in_flight(before))
    assert (state.is_final, False) == (state.is_backing_off(after), state.is_in_flight(after))
    by_a_wrong_clock = NOW - timedelta(days=2)
    assert state.is_final == state.is_backing_off(by_a_wrong_clock)
    assert not state.is_in_flight(by_a_wrong_clock)


def test_a_refresh_state_is_of_one_token(store: AccountStore) -> None:
    store.store_refresh_state("one", RefreshState("old", 1, 3, NOW, "rate_limited"))
    assert RefreshState("new") == store.refresh_state("one", "new")


def test_an_attempt_counts_for_every_account_with_the_same_token(store: AccountStore) -> None:
    store.store_refresh_state("one", RefreshState("print", 1, 3, NOW, "rate_limited"))
    store.store_refresh_state("two", RefreshState("print", 0, 5, NOW, "unreachable"))
    assert RefreshState("print", 1, 5, NOW, "unreachable") == store.refresh_state("two", "print")
    assert RefreshState("print", 1) == store.refresh_state("three", "print")


def test_the_oldest_used_up_tokens_are_deleted(
    store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_store, "_MAX_USED_UP", 3)
    for number in range(5):
        store.record_refresh("one", "file", 1, str(number))
    assert [False, False, True, True, True] == [store.is_used_up(str(n)) for n in range(5)]


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_only_the_user_can_use_the_file_and_its_folders(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "one" / "two" / "accounts.db"
    before = os.umask(umask)
    try:
        store = AccountStore(path)
        with store.exclusive_lock():  # its journal is there meanwhile
            store.add(account("Work"))
            found = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert {0o600} == found
    folders = (path.parent, path.parent.parent)
    assert [0o700] * 2 == [stat.S_IMODE(folder.stat().st_mode) for folder in folders]


@pytest.mark.parametrize("target", ["a list", "an empty file", "nothing"])
def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path, target: str) -> None:
    victim = tmp_path / "victim.db"
    if target == "a list":
        AccountStore(victim).add(account("Theirs"))
    elif target == "an empty file":
        victim.touch()
    before = victim.read_bytes() if victim.exists() else None
    path.parent.mkdir()
    path.symlink_to(victim)
    store = AccountStore(path)
    for use in (store.all, lambda: store.add(account("Work"))):
        assert str(path) in refusal(use)
    assert before == (victim.read_bytes() if victim.exists() else None)


@pytest.mark.parametrize("kind", ["folder", "fifo", "a file for a folder"])
def test_an_error_names_what_is_not_a_regular_file(path: Path, kind: str) -> None:
    if kind == "a file for a folder":
        path.parent.write_text("in the way")
    else:
        path.parent.mkdir()
        os.mkfifo(path) if kind == "fifo" else path.mkdir()
    assert str(path) in refusal(lambda: AccountStore(path).add(account("Work")))


@pytest.fixture
def others() -> Iterator[Path]:
    """Return the list of a user whom permissions restrict, which they do not if root runs this."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name) / "accounts.db"
        AccountStore(path).add(account("Work"))
        if os.getuid() == 0:
            for each in (path, path.parent):
                os.chown(each, NOBODY, NOBODY)
        yield path
        path.parent.chmod(0o700)


@pytest.mark.parametrize(("folder_mode", "mode"), [(0o700, 0o400), (0o500, 0o600), (0o500, 0o400)])
def test_a_list_that_cannot_be_written_is_read(others: Path, folder_mode: int, mode: int) -> None:
    before = others.read_bytes()
    others.chmod(mode)
    others.parent.chmod(folder_mode)
    first, refused, *again = run(USER, others).splitlines()
    assert "['Work']" == first
    assert f"{others} cannot be used" in refused
    assert [first, refused] == again
    assert before == others.read_bytes()


def test_a_folder_without_access_is_an_error_and_not_an_empty_list(others: Path) -> None:
    others.parent.chmod(0)
    lines = run(USER, others).splitlines()
    assert [f"{others} cannot be used (Permission denied). True"] * 2 == lines


def sqlite_file(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        for statement in statements:
            other.execute(statement)
        other.commit()


FOREIGN = {
    "newer": ("CREATE TABLE account (x)", f"PRAGMA user_version = {SCHEMA_VERSION + 1}"),
    "foreign, of our version": (
        "CREATE TABLE other (x)",
        f"PRAGMA user_version = {SCHEMA_VERSION}",
    ),
    "foreign, of no version": ("CREATE TABLE other (x)",),
    "foreign, a table of ours": ("CREATE TABLE account (x)",),
}
DAMAGED = {
    "garbage": b"garbage" * 1000,
    "a torn page": b"SQLite format 3\0" + b"\xff" * 5000,
}


@pytest.mark.parametrize("kind", [*FOREIGN, *DAMAGED, "cut off"])
def test_a_damaged_or_foreign_file_is_not_changed(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind in FOREIGN:
        sqlite_file(path, *FOREIGN[kind])
    elif kind in DAMAGED:
        path.write_bytes(DAMAGED[kind])
    else:
        AccountStore(path).add(account("Work"))
        path.write_bytes(path.read_bytes()[:5000])
    before = path.read_bytes()
    store = AccountStore(path)
    uses: Mapping[str, Callable[[], object]] = {
        "read": store.all,
        "write": lambda: store.add(account("Work")),
    }
    for use in uses.values():
        assert f"{path} cannot be used" in refusal(use)
    assert before == path.read_bytes()
    assert {path, path.with_name(ACCOUNTS_BACKUP)} >= set(path.parent.iterdir())


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("profile = 'null', home = x'ff', place = 'moon'", ["Work", "Private"]),
        ("profile = CAST(x'ff' AS TEXT), home = ''", ["Work", "Private"]),
        ("kind = 'moon'", ["Private"]),
        ("origin = 3", ["Private"]),
        ("name = x'ff'", ["Private"]),
        ("saved_at = 'today'", ["Private"]),
        (f"saved_at = {1 << 62}", ["Private"]),
    ],
)
def test_a_damaged_row_loses_only_its_account(
    store: AccountStore, path: Path, change: str, left: list[str]
) -> None:
    """The store counts how many are left out."""
    for name in ("Work", "Private"):
        store.add(account(name))
    sqlite_file(path, f"UPDATE account SET {change} WHERE id = 'Work'")
    assert set(left) == set(names(store))
    assert 2 - len(left) == store.unreadable_count
    assert (len(left) == 2) is (store.get("Work") is not None)
    assert account("Private") == store.get("Private")
    store.remove("Work")
    assert (["Private"], 0) == (names(store), store.unreadable_count)


@pytest.mark.parametrize(
    "change", ["unanswered = 'x'", f"next_at = {1 << 62}", "failures = CAST(x'ff' AS TEXT)"]
)
def test_a_damaged_refresh_state_is_an_error(store: AccountStore, path: Path, change: str) -> None:
    store.store_refresh_state("one", RefreshState("print", 1, 3, NOW))
    sqlite_file(path, f"UPDATE renewal SET {change}")
    assert f"{path} cannot be used" in refusal(lambda: store.refresh_state("one", "print"))


def test_a_new_list_begins_when_a_damaged_file_is_moved_away(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(DAMAGED["garbage"])
    store = AccountStore(path)
    refusal(store.all)
    path.unlink()
    assert () == store.all()
    store.add(account("Work"))
    assert ["Work"] == names(store)


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on a file's size here")
def test_a_full_disk_is_an_error_and_loses_nothing(store: AccountStore, path: Path) -> None:
    """A limit on the file's size has the same effect on a write as a full disk."""
    store.add(account("Work", "first"))
    first, error = run(FILLER, path).splitlines()
    assert "['Work']" == first
    assert f"{path} cannot be used" in error
    assert "Free space" in error
    assert ["Work"] == names(AccountStore(path))


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_change_is_refused_with_the_command_that_mends_it(
    store: AccountStore, path: Path, mode: int
) -> None:
    store.add(account("Work"))
    path.chmod(mode)
    for use in (store.all, lambda: AccountStore(path).add(account("Private"))):
        assert f"`chmod go-w '{path}'`" in refusal(use)
    path.chmod(0o600)
    assert ["Work"] == names(store)


# --- a list that is gone -------------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [delete, empty])
def test_a_list_that_was_deleted_or_emptied_is_restored(
    path: Path, damage: Callable[[Path], None]
) -> None:
    """With the names, kinds, origins and active account of the last change."""
    store = AccountStore(path)
    for name, seconds in (("Work", 0), ("Privat 🙂", 1), ("Gone", 2)):
        store.add(account(name, seconds=seconds))
    store.rename("Work", "Job")
    store.remove("Gone")
    store.set_active("Work")
    before = store.all()
    damage(path)
    notices: list[str] = []
    restored = AccountStore(path, announce=notices.append)
    assert before == restored.all()
    assert "Work" == restored.active_key()
    assert [
        f"{path} was missing or empty: the accounts were restored from {ACCOUNTS_BACKUP}."
    ] == notices
    assert before == store.all()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_list_that_was_deleted_is_restored_before_an_account_is_added(
    store: AccountStore, path: Path
) -> None:
    store.add(account("Work"))
    path.unlink()
    AccountStore(path).add(account("Private", seconds=1))
    assert ["Work", "Private"] == names(store)


def test_eight_processes_restore_a_list_once(store: AccountStore, path: Path) -> None:
    store.add(account("Work", seconds=-1))
    path.unlink()
    run_at_once(ADDER, [AccountStore.__module__], [[str(path), name] for name in "01234567"])
    assert ["Work", *"01234567"] == [names(store)[0], *sorted(names(store)[1:])]


def test_a_list_without_accounts_stays_without(store: AccountStore, path: Path) -> None:
    store.add(account("Work"))
    store.remove("Work")
    path.unlink()
    assert () == store.all()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"accounts": 5}', b"[" * 100_000])
def test_an_unreadable_backup_is_no_backup(store: AccountStore, path: Path, content: bytes) -> None:
    store.add(account("Work"))
    path.unlink()
    path.with_name(ACCOUNTS_BACKUP).write_bytes(content)
    assert () == AccountStore(path).all()


def test_a_damaged_row_of_a_backup_loses_only_its_account(store: AccountStore, path: Path) -> None:
    for name in ("Work", "Private"):
        store.add(account(name))
    path.unlink()
    backup = path.with_name(ACCOUNTS_BACKUP)
    backup.write_text(backup.read_text().replace('"name": "Work"', '"name": 5'))
    assert ["Private"] == names(store)


@pytest.mark.parametrize("damage", [delete, empty])
def test_secrets_without_a_list_are_damage_and_no_empty_list(
    path: Path, damage: Callable[[Path], None]
) -> None:
    secrets = path.with_name("secrets.json")
    AccountStore(path).add(account("Work"))
    damage(path)
    path.with_name(ACCOUNTS_BACKUP).unlink()
    store = AccountStore(path, secrets)
    assert () == store.all()
    path.unlink(missing_ok=True)
    secrets.write_text('{"version": 1, "entries": {"one": {}, "two": {}}}')
    secrets.chmod(0o600)
    for use in (store.all, lambda: store.add(account("Work"))):
        assert f"{secrets} has the logins of 2 accounts" in refusal(use)
    secrets.unlink()
    store.add(account("Work"))


def test_accounts_are_added_although_the_backup_cannot_be_written(
    store: AccountStore, path: Path
) -> None:
    path.with_name(ACCOUNTS_BACKUP).mkdir(parents=True)
    store.add(account("Work"))
    assert ["Work"] == names(store)


# --- many at once --------------------------------------------------------------------------------


def test_eight_processes_that_add_at_once_lose_nothing(path: Path) -> None:
    expected = [[f"{process} {number}" for number in range(5)] for process in range(8)]
    run_at_once(ADDER, [AccountStore.__module__], [[str(path), *added] for added in expected])
    found = names(AccountStore(path))
    assert sorted(chain.from_iterable(expected)) == sorted(found)


def test_the_version_changes_with_every_change_by_any_process(
    store: AccountStore, path: Path
) -> None:
    changes: list[Callable[[], object]] = [
        lambda: store.add(account("Work")),
        lambda: AccountStore(path).rename("Work", "Job"),
        lambda: run(ADDER, path, "Private"),
        lambda: store.set_active("Work"),
        path.unlink,
        lambda: AccountStore(path).add(account("Anew")),
    ]
    seen = [store.version()]
    for change in changes:
        change()
        seen.append(store.version())
        assert seen[-1] == store.version()
        store.all()
        assert seen[-1] == store.version()
    assert all(before != after for before, after in pairwise(seen))


def test_a_second_thread_waits_for_the_exclusive_lock(store: AccountStore) -> None:
    done: list[str] = []

    def second() -> None:
        with store.exclusive_lock():
            done.append(f"second sees {store.active_key()}")
            store.set_active("two")

    with store.exclusive_lock():
        thread = threading.Thread(target=second)
        thread.start()
        store.set_active("one")
        done.append(f"first sees {store.active_key()}")
    thread.join()
    assert (["first sees one", "second sees one"], "two") == (done, store.active_key())


def test_the_exclusive_lock_keeps_other_processes_from_writing_but_not_from_reading(
    store: AccountStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_file, "BUSY_TIMEOUT", 0.05)
    store.add(account("Work"))
    other = AccountStore(path)
    with store.exclusive_lock():
        assert f"{path} is in use." == refusal(lambda: other.set_active("Work"))
        assert ["Work"] == names(other)
    other.set_active("Work")
    assert "Work" == store.active_key()


def test_an_error_under_the_exclusive_lock_changes_nothing(store: AccountStore) -> None:
    store.add(account("Work"))

    def fail() -> None:
        with store.exclusive_lock():
            store.set_active("Work")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert store.active_key() is None
    store.set_active("Work")
    assert "Work" == store.active_key()


def test_threads_can_use_the_store_at_once(store: AccountStore) -> None:
    def add(thread: int) -> None:
        for number in range(10):
            store.add(account(f"{thread} {number}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 == len(store.all())
