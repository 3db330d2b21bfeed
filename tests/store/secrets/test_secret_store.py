from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    NoCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.store.secrets.encrypted_file import PROTECTION, EncryptedFile
from claude_usage_monitor.store.secrets.keyring_backend import KeyringFailure, Limits, Reason
from claude_usage_monitor.store.secrets.keyring_store import KeyringAbsent, KeyringStore
from claude_usage_monitor.store.secrets.secret_store import SecretStore, StoredSecret
from tests.support.secret_contract import CANARY
from tests.support.secret_service import PATIENCE, session, unlocked

if TYPE_CHECKING:
    from pathlib import Path

    from claude_usage_monitor.store.accounts.saved_account import SecretLocation

LOGIN = {"refreshToken": CANARY, "others": [1, None, "ü"]}
LATER = {"refreshToken": CANARY + "-later"}
LOCKED, ABSENT = KeyringFailure(Reason.LOCKED), KeyringFailure(Reason.LIBRARY_MISSING)
ANYWHERE: tuple[SecretLocation | None, ...] = (None, "file", "keyring")


class Ring:
    """A keyring in memory that fails with the error that a test sets."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.error: Exception | None = None
        self.prompts: list[bool] = []

    def open(self, limits: Limits) -> Ring:
        self.prompts.append(limits.prompt)
        return self

    def read(self, account_id: str) -> str | None:
        self._fail()
        return self.items.get(account_id)

    def write(self, account_id: str, content: str) -> None:
        self._fail()
        self.items[account_id] = content

    def delete(self, account_id: str) -> None:
        self._fail()
        self.items.pop(account_id, None)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Rig:
    """A store over a keyring in memory and a real file; each `process` has no memory of others."""

    def __init__(self, path: Path) -> None:
        self.ring = Ring()
        self.file = EncryptedFile(path, nullcontext)
        self.notices: list[str] = []
        self.now = 1000.0
        self.store = self.process()

    def process(self) -> SecretStore:
        return SecretStore(
            KeyringStore(self.ring.open, PATIENCE),
            self.file,
            self.notices.append,
            lambda: datetime.fromtimestamp(self.now, UTC),
        )

    def locations(self) -> tuple[bool, bool]:
        """Return whether the keyring and the file have something for the account."""
        return "account" in self.ring.items, self.file.contains("account")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "secrets.json")


def make_file_unusable(rig: Rig) -> None:
    rig.file.path.parent.mkdir(exist_ok=True)
    rig.file.path.unlink(missing_ok=True)
    rig.file.path.mkdir()


# --- writing --------------------------------------------------------------------------------------


def test_a_login_goes_to_the_keyring_if_there_is_one(rig: Rig) -> None:
    stored = rig.store.write("account", LOGIN)
    assert (LOGIN, "keyring") == (stored.content, stored.location)
    assert stored == rig.store.read("account") == rig.process().read("account")
    assert ((True, False), []) == (rig.locations(), rig.notices)
    assert not rig.file.exists()


@pytest.mark.parametrize("why", [LOCKED, ABSENT, FileNotFoundError(), ValueError(CANARY)])
def test_without_a_usable_keyring_it_goes_to_the_file_which_is_announced_once(
    rig: Rig, why: Exception
) -> None:
    rig.ring.error = why
    assert "file" == rig.store.write("account", LOGIN).location
    assert LOGIN == rig.process().read("account").content
    rig.store.write("b", LOGIN)
    (notice,) = rig.notices
    assert (True, True) == (PROTECTION in notice, str(rig.file.path) in notice)
    assert notice.startswith("The Secret Service keyring ") or sys.platform != "linux"
    assert CANARY not in notice


def test_the_file_is_announced_before_it_is_created(rig: Rig) -> None:
    existed: list[bool] = []
    store = SecretStore(
        KeyringStore(rig.ring.open, PATIENCE),
        rig.file,
        lambda _: existed.append(rig.file.exists()),
    )
    rig.ring.error = ABSENT
    store.write("account", LOGIN)
    assert [False] == existed


def test_if_neither_location_accepts_a_login_the_old_one_is_intact(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    make_file_unusable(rig)
    rig.ring.error = LOCKED
    with pytest.raises(SecretStoreUnavailable) as raised:
        rig.store.write("account", LATER)
    assert "Nothing can be stored." in raised.value.message
    assert "is locked" in raised.value.message
    assert "not a regular file" in raised.value.message
    rig.ring.error = None
    assert LOGIN == rig.process().read("account").content


def test_moves_between_the_locations_lose_nothing_and_leave_one_copy(rig: Rig) -> None:
    generations = []
    for number in range(6):
        rig.now += 0.001
        if number % 2:
            rig.ring.error = LOCKED
        stored = rig.process().write("account", {"number": number})
        generations.append(stored.generation)
        assert stored == rig.process().read("account")
        rig.ring.error = None
        assert stored == rig.process().read("account")
        if not number % 2:
            assert (True, False) == rig.locations()
    assert sorted(set(generations)) == generations


# --- which copy is the newest ---------------------------------------------------------------------


def test_an_older_copy_in_a_locked_keyring_never_wins(rig: Rig) -> None:
    """Even if the process that wrote the newer one has never read it."""
    for _ in range(5):
        rig.store.write("account", LOGIN)
    rig.now += 1
    rig.ring.error = LOCKED
    rig.process().write("account", LATER)
    rig.ring.error = None
    assert (True, True) == rig.locations()
    assert LATER == rig.process().read("account").content


def test_a_write_is_newer_than_the_one_before_even_if_the_clock_was_set_back(rig: Rig) -> None:
    first = rig.store.write("account", LOGIN)
    rig.now = 1.0
    second = rig.store.write("account", LATER)
    rig.ring.error = LOCKED
    third = rig.store.write("account", LOGIN)
    rig.ring.error = None
    assert first.generation < second.generation < third.generation
    assert third == rig.process().read("account")


def test_a_late_write_by_a_keyring_that_did_not_answer_does_not_win(rig: Rig) -> None:
    late = json.dumps({"generation": 5, "content": LOGIN})
    rig.ring.error = LOCKED
    newer = rig.store.write("account", LATER)
    rig.ring.error = None
    rig.ring.items["account"] = late
    assert newer == rig.store.read("account") == rig.process().read("account")


def test_an_older_copy_is_not_used_while_the_newer_one_is_locked(rig: Rig) -> None:
    """Sending a refresh token that was used already would end the login."""
    rig.ring.error = LOCKED
    rig.store.write("account", LOGIN)
    stale = rig.file.path.read_bytes()
    rig.ring.error = None
    newer = rig.store.write("account", LATER)
    rig.file.path.write_bytes(stale)
    assert newer == rig.store.read("account")
    rig.ring.error = LOCKED
    for location in ANYWHERE:
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            rig.store.read("account", location=location)


class Killed(BaseException):
    """Raised in place of the end of a process."""


def killed_before_the_copy_in_the_file_is_deleted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> StoredSecret:
    """Return the login that a process was moving into the keyring when it was killed."""

    def kill(*_: object) -> None:
        raise Killed

    rig.ring.error = LOCKED
    rig.process().write("account", LOGIN)
    rig.ring.error = None
    rig.now += 1
    with monkeypatch.context() as patch:
        patch.setattr(EncryptedFile, "delete", kill)
        with pytest.raises(Killed):
            rig.process().write("account", LATER)
    newer = json.loads(rig.ring.items["account"])
    return StoredSecret(newer["content"], newer["generation"], "keyring")


def test_a_killed_process_leaves_no_old_copy_that_is_used(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accounts database still says that the login is in the file."""
    newer = killed_before_the_copy_in_the_file_is_deleted(rig, monkeypatch)
    assert (LATER, (True, True)) == (newer.content, rig.locations())
    for location in ANYWHERE:
        assert newer == rig.process().read("account", location=location)
    for error, message in ((LOCKED, "is locked"), (ABSENT, "library it needs is missing")):
        rig.ring.error = error
        for location in ANYWHERE:
            with pytest.raises(SecretStoreUnavailable, match=message):
                rig.process().read("account", location=location)


def test_the_next_write_cleans_up_after_a_killed_process(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_copy_in_the_file_is_deleted(rig, monkeypatch)
    rig.ring.error = LOCKED
    rig.now += 1
    stored = rig.process().write("account", {"third": 3})
    assert stored == rig.process().read("account", location="file")
    rig.ring.error = None
    assert stored == rig.process().read("account")
    rig.process().write("account", LATER)
    assert (True, False) == rig.locations()


def test_a_process_killed_before_the_keyring_stored_anything_leaves_the_old_login(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    rig.ring.error = LOCKED
    first = rig.store.write("account", LOGIN)
    rig.ring.error = None
    with monkeypatch.context() as patch:
        patch.setattr(KeyringStore, "write", kill)
        with pytest.raises(Killed):
            rig.process().write("account", LATER)
    for location in ANYWHERE:
        assert first == rig.process().read("account", location=location)


@pytest.mark.parametrize("error", [ABSENT, LOCKED])
def test_without_a_usable_keyring_the_file_is_written_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: KeyringFailure
) -> None:
    rig.ring.error = error
    rig.store.write("account", LOGIN)
    written: list[str] = []
    monkeypatch.setattr(rig.file, "write", lambda _, text: written.append(text))
    rig.store.write("account", LATER)
    assert 1 == len(written)


def test_a_login_goes_to_the_keyring_even_if_the_old_copy_cannot_be_marked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SecretStoreUnavailable

    rig.ring.error = LOCKED
    rig.store.write("account", LOGIN)
    rig.ring.error = None
    for name in ("write", "delete"):
        monkeypatch.setattr(rig.file, name, full)
    stored = rig.store.write("account", LATER)
    assert ("keyring", stored) == (
        stored.location,
        rig.process().read("account", location="keyring"),
    )


def test_of_one_write_in_both_locations_the_keyrings_copy_is_read(rig: Rig) -> None:
    stored = rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    assert stored == rig.process().read("account")


# --- reading --------------------------------------------------------------------------------------


def test_an_account_without_a_secret_has_no_credentials(rig: Rig) -> None:
    with pytest.raises(NoCredentials, match="Nothing is stored") as raised:
        rig.store.read("account")
    assert not isinstance(raised.value, CredentialsNotFound)
    rig.ring.error = ABSENT
    with pytest.raises(NoCredentials, match="a library it needs is missing"):
        rig.store.read("account")


def test_a_login_that_may_be_in_an_unusable_location_is_not_missing(rig: Rig) -> None:
    rig.ring.error = LOCKED
    with pytest.raises(SecretStoreUnavailable, match="is locked"):
        rig.store.read("account")
    rig.ring.error = ABSENT
    with pytest.raises(KeyringAbsent):
        rig.store.read("account", location="keyring")
    rig.ring.error = None
    make_file_unusable(rig)
    with pytest.raises(SecretStoreUnavailable, match="not a regular file"):
        rig.store.read("account")


def test_one_location_is_enough(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    make_file_unusable(rig)
    assert LOGIN == rig.store.read("account").content
    assert LATER == rig.store.write("account", LATER).content


def test_the_keyring_is_not_used_for_a_login_that_is_in_the_file_as_expected(rig: Rig) -> None:
    rig.ring.error = LOCKED
    rig.store.write("account", LOGIN)
    rig.ring.prompts.clear()
    assert LOGIN == rig.process().read("account", location="file").content
    assert [] == rig.ring.prompts


def test_a_login_that_is_expected_in_the_file_is_found_in_the_keyring(rig: Rig) -> None:
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
def test_unreadable_text_is_reported_without_a_quote_and_hides_no_login(
    rig: Rig, garbage: str
) -> None:
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
    assert (True, False) == rig.locations()


# --- deleting -------------------------------------------------------------------------------------


def test_a_deletion_is_made_in_both_locations(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    assert () == rig.store.delete("account")
    assert (False, False) == rig.locations()
    assert () == rig.store.delete("account")
    with pytest.raises(NoCredentials):
        rig.store.read("account")


def test_nothing_is_deleted_if_a_location_cannot_be_used(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    rig.ring.error = LOCKED
    with pytest.raises(
        SecretStoreUnavailable, match=r"is locked\. It may still contain this login\."
    ):
        rig.store.delete("account")
    rig.ring.error = None
    assert (True, True) == rig.locations()
    make_file_unusable(rig)
    with pytest.raises(SecretStoreUnavailable, match=r"regular file\. It may still contain"):
        rig.store.delete("account")
    assert "account" in rig.ring.items
    rig.file.path.rmdir()
    assert () == rig.store.delete("account")
    assert (False, False) == rig.locations()


def test_a_location_where_the_login_is_not_expected_is_only_a_warning(rig: Rig) -> None:
    rig.ring.error = LOCKED
    rig.store.write("account", LOGIN)
    (warning,) = rig.process().delete("account", location="file")
    assert "is locked. If a login of this account is in it, it stays there." in warning
    assert not rig.file.contains("account")
    rig.ring.error = None
    rig.store.write("account", LOGIN)
    make_file_unusable(rig)
    (warning,) = rig.process().delete("account", location="keyring")
    assert "not a regular file" in warning
    assert "account" not in rig.ring.items


@pytest.mark.parametrize("location", ["keyring", "file"])
def test_nothing_is_deleted_if_the_expected_location_cannot_be_used(
    rig: Rig, location: SecretLocation
) -> None:
    rig.store.write("account", LOGIN)
    rig.file.write("account", rig.ring.items["account"])
    if location == "keyring":
        rig.ring.error = LOCKED
    else:
        make_file_unusable(rig)
    with pytest.raises(SecretStoreUnavailable, match="It may still contain this login"):
        rig.store.delete("account", location=location)
    assert rig.file.contains("account") if location == "keyring" else rig.ring.items


def test_an_old_copy_is_not_deleted_while_the_newer_login_is_locked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_copy_in_the_file_is_deleted(rig, monkeypatch)
    rig.ring.error = LOCKED
    with pytest.raises(SecretStoreUnavailable, match="is locked"):
        rig.process().delete("account", location="file")
    assert rig.file.contains("account")


def test_a_deletion_opens_no_dialog_for_a_login_that_is_in_the_file(rig: Rig) -> None:
    for location in ANYWHERE:
        rig.store.delete("account", prompt=True, location=location)
    assert [True, False, True] == rig.ring.prompts


def test_dialogs_are_opened_with_permission_only(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.store.read("account")
    rig.store.delete("account")
    assert {False} == set(rig.ring.prompts)
    rig.ring.prompts.clear()
    rig.store.write("account", LOGIN, prompt=True)
    assert {True} == set(rig.ring.prompts)


def test_without_a_keyring_a_deletion_only_warns(rig: Rig) -> None:
    rig.ring.error = ABSENT
    rig.store.write("account", LOGIN)
    (warning,) = rig.store.delete("account")
    assert "a library it needs is missing" in warning
    assert (False, False) == rig.locations()


def test_a_login_that_is_added_again_after_its_deletion_is_read(rig: Rig) -> None:
    rig.store.write("account", LOGIN)
    rig.process().delete("account")
    rig.now = 1.0
    added = rig.process().write("account", LATER)
    assert added == rig.store.read("account")


# --- what is shown --------------------------------------------------------------


def test_no_repr_shows_a_secret(rig: Rig) -> None:
    stored = rig.store.write("account", LOGIN)
    shown = f"{stored!r} {stored} {rig.store!r} {rig.file!r} {[stored]}"
    assert (False, True) == (CANARY in shown, "<redacted>" in shown)


def test_the_location_for_new_logins_is_named_with_the_reason(rig: Rig) -> None:
    keyring = rig.store.location_name("keyring")
    assert keyring == rig.store.location_for_new_logins()
    assert "encrypted file" == rig.store.location_name("file")
    rig.ring.error = LOCKED
    assert (
        f"encrypted file (The {keyring} is locked.) {PROTECTION}"
        == rig.store.location_for_new_logins()
    )


# --- in real use -------------------------------------------------------------------------------


def test_threads_may_share_the_store(rig: Rig) -> None:
    def write(number: int) -> StoredSecret:
        rig.store.write("shared", {"number": number})
        return rig.store.write(f"own {number}", {"number": number})

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(write, range(12)))
    assert written == [rig.store.read(f"own {number}") for number in range(12)]
    assert rig.store.read("shared").content["number"] in range(12)


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")
def test_a_real_keyring_that_comes_and_goes_loses_nothing(tmp_path: Path) -> None:
    notices: list[str] = []

    def store(timeout: float = PATIENCE) -> SecretStore:
        file = EncryptedFile(tmp_path / "secrets.json", nullcontext)
        return SecretStore(KeyringStore(timeout=timeout), file, notices.append)

    with session():
        first = store().write("account", LOGIN)
        assert ("file", True) == (first.location, "not set up" in notices[0])
        (warning,) = store().delete("never stored")
        assert "not set up" in warning
    with unlocked() as service:
        assert first == store().read("account")
        second = store().write("account", LATER)
        assert ("keyring", second) == (second.location, store().read("account", location="keyring"))
        service.freeze()
        impatient = store(timeout=0.2)  # nothing is answered, however long it waits
        with pytest.raises(SecretStoreUnavailable, match="does not answer"):
            impatient.read("account")
        third = impatient.write("account", LOGIN)
        service.thaw()
        assert ("file", third) == (third.location, store().read("account"))
        fourth = store().write("account", LATER)
        service.lock()
        with pytest.raises(SecretStoreUnavailable, match="is locked"):
            store().read("account")
    assert first.generation < second.generation < third.generation < fourth.generation
    assert 1 == len(notices)


def test_no_library_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    EncryptedFile(path, nullcontext).write("account", '{"generation": 1, "content": {}}')
    code = (
        "import sys\n"
        "from contextlib import nullcontext\n"
        "from pathlib import Path\n"
        "from claude_usage_monitor.store.secrets.keyring_store import KeyringStore\n"
        "from claude_usage_monitor.store.secrets.secret_store import SecretStore\n"
        "from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile\n"
        "file = EncryptedFile(Path(sys.argv[1]), nullcontext)\n"
        "store = SecretStore(KeyringStore(), file, print)\n"
        "libraries = {'keyring', 'secretstorage', 'cryptography', 'logging', 'subprocess'}\n"
        "imported = libraries & set(sys.modules)\n"
        "assert not imported, imported\n"
        "store.read('account', location='file')\n"
        "assert not {'keyring', 'secretstorage'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
