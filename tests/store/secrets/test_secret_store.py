# ruff: noqa: ARG002 - stand-ins have the arguments of what they stand for
from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    NoCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.store.secrets.encrypted_file import PROTECTION, EncryptedFile
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from claude_usage_monitor.store.secrets.secret_store import SecretStore, StoredSecret
from tests.support.secret_contract import CANARY
from tests.support.secret_service import session, unlocked

if TYPE_CHECKING:
    from pathlib import Path

    from claude_usage_monitor.store.accounts.saved_account import SecretLocation

LOGIN = {"refreshToken": CANARY, "kept": [1, None, "ü"]}
LATER = {"refreshToken": CANARY + "-later"}


class Ring(KeyringBackend):
    """A keyring in memory, that is locked, absent or takes nothing as a test sets it."""

    priority: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.items: dict[str, str] = {}
        self.state: dict[str, Exception] = {}  # shared by the copies that properties are set on

    def shut(self, error: Exception) -> None:
        self.state["error"] = error

    def open(self) -> None:
        self.state.clear()

    def _enter(self) -> None:
        if "error" in self.state:
            raise self.state["error"]

    def get_password(self, service: str, username: str) -> str | None:
        self._enter()
        return self.items.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._enter()
        self.items[username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._enter()
        if self.items.pop(username, None) is None:
            raise PasswordDeleteError


LOCKED, ABSENT = KeyringLocked(), NoKeyringError()
ANYWHERE: tuple[SecretLocation | None, ...] = (None, "file", "keyring")


class Rig:
    """A store over a keyring in memory and a real file; each `process` is a fresh one."""

    def __init__(self, path: Path) -> None:
        self.ring = Ring()
        self.file = EncryptedFile(path, lambda: b"machine")
        self.said: list[str] = []
        self.now = 1000.0
        self.store = self.process()

    def process(self) -> SecretStore:
        return SecretStore(
            KeyringStore(lambda: self.ring, None),
            self.file,
            self.said.append,
            lambda: datetime.fromtimestamp(self.now, UTC),
        )

    def places(self) -> tuple[bool, bool]:
        """Return whether the keyring and the file have something for the account."""
        return "account" in self.ring.items, self.file.holds("account")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "secrets.json")


def break_file(rig: Rig) -> None:
    rig.file.path.parent.mkdir(exist_ok=True)
    rig.file.path.unlink(missing_ok=True)
    rig.file.path.mkdir()


# --- writing --------------------------------------------------------------------------------------


def test_the_keyring_is_used_where_there_is_one(rig: Rig) -> None:
    kept = rig.store.write("account", LOGIN)
    assert (LOGIN, "keyring") == (kept.content, kept.location)
    assert kept == rig.store.read("account") == rig.process().read("account")
    assert ((True, False), []) == (rig.places(), rig.said)
    assert not rig.file.exists()


@pytest.mark.parametrize("why", [LOCKED, ABSENT, FileNotFoundError(), ValueError(CANARY)])
def test_else_the_file_is_and_its_first_write_is_announced(rig: Rig, why: Exception) -> None:
    rig.ring.shut(why)
    assert "file" == rig.store.write("account", LOGIN).location
    assert LOGIN == rig.process().read("account").content
    rig.store.write("b", LOGIN)
    (said,) = rig.said
    assert (True, True) == (PROTECTION in said, str(rig.file.path) in said)
    assert said.startswith("The Secret Service keyring ") or sys.platform != "linux"
    assert CANARY not in said


def test_it_is_announced_before_it_is_written(rig: Rig) -> None:
    existed: list[bool] = []
    store = SecretStore(
        KeyringStore(lambda: rig.ring, None),
        rig.file,
        lambda _: existed.append(rig.file.exists()),
    )
    rig.ring.shut(ABSENT)
    store.write("account", LOGIN)
    assert [False] == existed


def test_when_no_place_takes_it_what_was_kept_is_still_there(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    break_file(rig)
    rig.ring.shut(LOCKED)
    with pytest.raises(SecretStoreUnavailable) as raised:
        rig.store.write("account", LATER)
    assert "Nothing can be stored." in raised.value.message
    assert "is locked" in raised.value.message
    assert "not a regular file" in raised.value.message
    rig.ring.open()
    assert LOGIN == rig.process().read("account").content


def test_moving_to_and_fro_loses_nothing_and_leaves_one_copy(rig: Rig) -> None:
    generations = []
    for number in range(6):
        rig.now += 0.001
        if number % 2:
            rig.ring.shut(LOCKED)
        kept = rig.process().write("account", {"number": number})
        generations.append(kept.generation)
        assert kept == rig.process().read("account")
        rig.ring.open()
        assert kept == rig.process().read("account")
        if not number % 2:
            assert (True, False) == rig.places()
    assert sorted(set(generations)) == generations


# --- which copy is the newest ---------------------------------------------------------------------


def test_an_older_copy_behind_a_lock_never_wins(rig: Rig) -> None:
    """Nor when the process that wrote the newer one never saw it."""
    for _ in range(5):
        rig.store.write("account", LOGIN)
    rig.now += 1
    rig.ring.shut(LOCKED)
    rig.process().write("account", LATER)
    rig.ring.open()
    assert (True, True) == rig.places()
    assert LATER == rig.process().read("account").content


def test_a_clock_set_back_makes_no_write_older(rig: Rig) -> None:
    first = rig.store.write("account", LOGIN)
    rig.now = 1.0
    second = rig.store.write("account", LATER)
    rig.ring.shut(LOCKED)
    third = rig.store.write("account", LOGIN)
    rig.ring.open()
    assert first.generation < second.generation < third.generation
    assert third == rig.process().read("account")


def test_a_late_write_of_a_mute_keyring_does_not_win(rig: Rig) -> None:
    late = json.dumps({"generation": 5, "content": LOGIN})
    rig.ring.shut(LOCKED)
    newer = rig.store.write("account", LATER)
    rig.ring.open()
    rig.ring.items["account"] = late
    assert newer == rig.store.read("account") == rig.process().read("account")


def test_an_older_copy_is_not_taken_for_one_that_is_behind_a_lock(rig: Rig) -> None:
    """A refresh token that was used already would end the login."""
    rig.ring.shut(LOCKED)
    rig.store.write("account", LOGIN)
    stale = rig.file.path.read_bytes()
    rig.ring.open()
    newer = rig.store.write("account", LATER)
    rig.file.path.write_bytes(stale)
    assert newer == rig.store.read("account")
    rig.ring.shut(LOCKED)
    for known in (None, "file", "keyring"):
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            rig.store.read("account", location=known)


class Killed(BaseException):
    """The end of a process, at a place of the test's choice."""


def killed_before_the_file_is_cleared(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> StoredSecret:
    """Return what a process stored that was killed as a login moved into the keyring."""

    def kill(*_: object) -> None:
        raise Killed

    rig.ring.shut(LOCKED)
    rig.process().write("account", LOGIN)
    rig.ring.open()
    rig.now += 1
    with monkeypatch.context() as patch:
        patch.setattr(EncryptedFile, "delete", kill)
        with pytest.raises(Killed):
            rig.process().write("account", LATER)
    newer = json.loads(rig.ring.items["account"])
    return StoredSecret(newer["content"], newer["generation"], "keyring")


def test_a_process_that_was_killed_leaves_no_old_copy_to_be_taken(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list says that it is in the file, for the process did not get to say otherwise."""
    newer = killed_before_the_file_is_cleared(rig, monkeypatch)
    assert (LATER, (True, True)) == (newer.content, rig.places())
    for known in ANYWHERE:
        assert newer == rig.process().read("account", location=known)
    for why, words in ((LOCKED, "is locked"), (ABSENT, "library of it is missing")):
        rig.ring.shut(why)
        for known in ANYWHERE:
            with pytest.raises(SecretStoreUnavailable, match=words):
                rig.process().read("account", location=known)


def test_the_next_write_puts_right_what_a_killed_process_left(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_file_is_cleared(rig, monkeypatch)
    rig.ring.shut(LOCKED)
    rig.now += 1
    kept = rig.process().write("account", {"third": 3})
    assert kept == rig.process().read("account", location="file")
    rig.ring.open()
    assert kept == rig.process().read("account")
    rig.process().write("account", LATER)
    assert (True, False) == rig.places()


def test_killed_before_the_keyring_took_it_the_old_copy_is_still_the_login(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    rig.ring.shut(LOCKED)
    first = rig.store.write("account", LOGIN)
    rig.ring.open()
    with monkeypatch.context() as patch:
        patch.setattr(KeyringStore, "write", kill)
        with pytest.raises(Killed):
            rig.process().write("account", LATER)
    for known in ANYWHERE:
        assert first == rig.process().read("account", location=known)


def test_where_there_is_no_keyring_each_write_is_one_of_the_file(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.ring.shut(ABSENT)
    rig.store.write("account", LOGIN)
    written: list[str] = []
    monkeypatch.setattr(rig.file, "write", lambda _, text: written.append(text))
    rig.store.write("account", LATER)
    assert 1 == len(written)


def test_a_copy_that_cannot_be_marked_keeps_no_login_from_the_keyring(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SecretStoreUnavailable

    rig.ring.shut(LOCKED)
    rig.store.write("account", LOGIN)
    rig.ring.open()
    for name in ("write", "delete"):
        monkeypatch.setattr(rig.file, name, full)
    kept = rig.store.write("account", LATER)
    assert ("keyring", kept) == (kept.location, rig.process().read("account", location="keyring"))


def test_the_same_write_in_both_is_one(rig: Rig) -> None:
    kept = rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    assert kept == rig.process().read("account")


# --- reading --------------------------------------------------------------------------------------


def test_nothing_stored_is_no_credentials(rig: Rig) -> None:
    with pytest.raises(NoCredentials, match="Nothing is stored") as raised:
        rig.store.read("account")
    assert not isinstance(raised.value, CredentialsNotFound)
    rig.ring.shut(ABSENT)
    with pytest.raises(NoCredentials, match="a library of it is missing"):
        rig.store.read("account")


def test_what_may_be_behind_a_lock_is_not_missing(rig: Rig) -> None:
    rig.ring.shut(LOCKED)
    with pytest.raises(SecretStoreUnavailable, match="is locked"):
        rig.store.read("account")
    rig.ring.shut(ABSENT)
    with pytest.raises(KeyringAbsent):
        rig.store.read("account", location="keyring")
    rig.ring.open()
    break_file(rig)
    with pytest.raises(SecretStoreUnavailable, match="not a regular file"):
        rig.store.read("account")


def test_one_place_serves_while_the_other_is_shut(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    break_file(rig)
    assert LOGIN == rig.store.read("account").content
    assert LATER == rig.store.write("account", LATER).content


def test_what_is_known_to_be_in_the_file_asks_no_keyring(rig: Rig) -> None:
    rig.ring.shut(LOCKED)
    rig.store.write("account", LOGIN)

    def never() -> KeyringBackend:
        raise AssertionError

    store = SecretStore(KeyringStore(never, None), rig.file)
    assert LOGIN == store.read("account", location="file").content


def test_what_is_known_to_be_in_the_file_but_is_not_is_found(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    assert LOGIN == rig.process().read("account", location="file").content


@pytest.mark.parametrize(
    "garbage",
    [
        CANARY,
        "",
        "null",
        f'"{CANARY}"',
        "[]",
        "{}",
        '{"generation": 1}',
        '{"generation": 1, "content": []}',
        '{"generation": true, "content": {}}',
        '{"generation": -1, "content": {}}',
        '{"generation": "1", "content": {}}',
        '{"generation": 1.5, "content": {}}',
        '{"generation": ' + "9" * 5000 + ', "content": {}}',
        "[" * 100_000,
    ],
    ids=range(14),
)
def test_garbage_is_named_never_quoted_and_hides_nothing(rig: Rig, garbage: str) -> None:
    rig.ring.items["account"] = garbage
    with pytest.raises(NoCredentials, match="something unreadable") as raised:
        rig.store.read("account")
    assert CANARY not in f"{raised.value!r} {raised.value.hint}"
    text = json.dumps({"generation": 1, "content": LOGIN})
    rig.file.write("account", text)
    assert LOGIN == rig.store.read("account").content
    rig.ring.items["account"] = text
    rig.file.write("account", garbage)
    assert LOGIN == rig.process().read("account").content
    assert LATER == rig.store.write("account", LATER).content
    assert (True, False) == rig.places()


# --- deleting -------------------------------------------------------------------------------------


def test_a_deletion_is_everywhere(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    assert () == rig.store.delete("account")
    assert (False, False) == rig.places()
    assert () == rig.store.delete("account")
    with pytest.raises(NoCredentials):
        rig.store.read("account")


def test_what_may_be_left_behind_a_lock_is_told_and_nothing_is_deleted(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    rig.ring.shut(LOCKED)
    with pytest.raises(SecretStoreUnavailable, match=r"is locked. It may still hold this login\."):
        rig.store.delete("account")
    rig.ring.open()
    assert (True, True) == rig.places()
    break_file(rig)
    with pytest.raises(SecretStoreUnavailable, match=r"regular file. It may still hold"):
        rig.store.delete("account")
    assert "account" in rig.ring.items
    rig.file.path.rmdir()
    assert () == rig.store.delete("account")
    assert (False, False) == rig.places()


def test_where_it_is_known_to_be_the_other_place_only_warns(rig: Rig) -> None:
    rig.ring.shut(LOCKED)
    rig.store.write("account", LOGIN)
    (warning,) = rig.process().delete("account", location="file")
    assert "is locked. If a login of this account is in it, it stays." in warning
    assert not rig.file.holds("account")
    rig.ring.open()
    rig.store.write("account", LOGIN)
    break_file(rig)
    (warning,) = rig.process().delete("account", location="keyring")
    assert "not a regular file" in warning
    assert "account" not in rig.ring.items


@pytest.mark.parametrize("known", ["keyring", "file"])
def test_the_known_place_is_deleted_from_or_none_is(rig: Rig, known: SecretLocation) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    if known == "keyring":
        rig.ring.shut(LOCKED)
    else:
        break_file(rig)
    with pytest.raises(SecretStoreUnavailable, match="It may still hold this login"):
        rig.store.delete("account", location=known)
    assert rig.file.holds("account") if known == "keyring" else rig.ring.items


def test_a_newer_login_behind_a_lock_is_not_forgotten_with_the_older_one(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_file_is_cleared(rig, monkeypatch)
    rig.ring.shut(LOCKED)
    with pytest.raises(SecretStoreUnavailable, match="is locked"):
        rig.process().delete("account", location="file")
    assert rig.file.holds("account")


def test_no_dialog_is_opened_for_what_is_known_to_be_in_the_file(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(KeyringStore, "delete", lambda *_, prompt: asked.append(prompt))
    for known in ANYWHERE:
        rig.store.delete("account", prompt=True, location=known)
    assert [True, False, True] == asked


def test_where_there_is_no_keyring_a_deletion_only_warns(rig: Rig) -> None:
    rig.ring.shut(ABSENT)
    rig.store.write("account", LOGIN)
    (warning,) = rig.store.delete("account")
    assert "a library of it is missing" in warning
    assert (False, False) == rig.places()


def test_a_login_added_again_after_a_deletion_is_read(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.process().delete("account")
    rig.now = 1.0
    added = rig.process().write("account", LATER)
    assert added == rig.store.read("account")


# --- words, and what they do not say --------------------------------------------------------------


def test_no_secret_is_shown_by_accident(rig: Rig) -> None:
    kept = rig.store.write("account", LOGIN)
    shown = f"{kept!r} {kept} {rig.store!r} {rig.file!r} {[kept]}"
    assert (False, True) == (CANARY in shown, "<redacted>" in shown)


def test_the_place_in_use_is_named_with_its_reason(rig: Rig) -> None:
    keyring = rig.store.location_name("keyring")
    assert keyring == rig.store.location_for_new_logins()
    assert "encrypted file" == rig.store.location_name("file")
    rig.ring.shut(LOCKED)
    assert (
        f"encrypted file (The {keyring} is locked.) {PROTECTION}"
        == rig.store.location_for_new_logins()
    )


def test_by_itself_it_announces_on_standard_error(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.ring.shut(ABSENT)
    SecretStore(KeyringStore(lambda: rig.ring, None), rig.file).write("account", LOGIN)
    said = capsys.readouterr()
    assert ("", True) == (said.out, PROTECTION in said.err)


# --- the real thing -------------------------------------------------------------------------------


def test_threads_may_use_it_at_once(rig: Rig) -> None:
    def write(number: int) -> StoredSecret:
        rig.store.write("shared", {"number": number})
        return rig.store.write(f"own {number}", {"number": number})

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(write, range(12)))
    assert written == [rig.store.read(f"own {number}") for number in range(12)]
    assert rig.store.read("shared").content["number"] in range(12)


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")
def test_a_real_keyring_that_comes_and_goes_loses_nothing(tmp_path: Path) -> None:
    said: list[str] = []

    def store() -> SecretStore:
        file = EncryptedFile(tmp_path / "secrets.json", lambda: b"machine")
        return SecretStore(KeyringStore(deadline=0.3), file, said.append)

    with session():
        first = store().write("account", LOGIN)
        assert ("file", True) == (first.location, "not set up" in said[0])
        (warning,) = store().delete("never stored")
        assert "not set up" in warning
    with unlocked() as service:
        assert first == store().read("account")
        second = store().write("account", LATER)
        assert ("keyring", second) == (second.location, store().read("account", location="keyring"))
        service.freeze()
        mute = store()
        with pytest.raises(SecretStoreUnavailable, match="does not answer"):
            mute.read("account")
        third = mute.write("account", LOGIN)
        service.thaw()
        assert ("file", third) == (third.location, store().read("account"))
        fourth = store().write("account", LATER)
        service.lock()
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            store().read("account")
    assert first.generation < second.generation < third.generation < fourth.generation
    assert 1 == len(said)


def test_neither_library_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
        "from claude_usage_monitor.store.secrets.secret_store import SecretStore\n"
        "from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile\n"
        "file = EncryptedFile(Path(sys.argv[1]), lambda: b'machine')\n"
        "store = SecretStore(KeyringStore(), file)\n"
        "imported = {'keyring', 'secretstorage', 'cryptography'} & set(sys.modules)\n"
        "assert not imported, imported\n"
        "store.read('account', location='file')\n"
        "assert 'keyring' not in sys.modules\n"
    )
    path = tmp_path / "secrets.json"
    EncryptedFile(path, lambda: b"machine").write("account", '{"generation": 1, "content": {}}')
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environ)
