from __future__ import annotations

import json
import os
import random
import resource
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import AccountsUnavailable, SecretStoreUnavailable
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
from tests.support.secret_contract import CANARY, SharedStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable

_REUSED_FOLDER = HealthCheck.function_scoped_fixture  # each example writes the whole file anew
_LOCK = "accounts.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "secrets.json"


def file_at(path: Path) -> EncryptedFile:
    """Return the file with the lock that the program gives it."""
    return EncryptedFile(path, AccountStore(path.with_name(_LOCK)).exclusive_lock)


@pytest.fixture
def file(path: Path) -> EncryptedFile:
    return file_at(path)


def entries(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())["entries"]
    return found


def names_beside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


def refusal(file: EncryptedFile, operation: Callable[[EncryptedFile], object] | None = None) -> str:
    """Return the message when the file is read, or else used."""
    with pytest.raises(SecretStoreUnavailable) as raised:
        (operation or (lambda file: file.read("account")))(file)
    error = raised.value
    assert error.hint
    assert CANARY not in f"{error!r} {error.hint}"
    assert error.__suppress_context__ or error.__context__ is None
    return error.message


def write(file: EncryptedFile) -> None:
    file.write("account", CANARY)


class TestContract(SharedStoreContract):
    modules = (AccountStore.__module__, EncryptedFile.__module__)

    @pytest.fixture
    def store(self, file: EncryptedFile) -> EncryptedFile:
        return file

    @pytest.fixture
    def create(self, path: Path) -> str:
        return (
            "from pathlib import Path\n"
            "from claude_usage_monitor.store.accounts.account_store import AccountStore\n"
            "from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile\n"
            f"folder = Path({str(path.parent)!r})\n"
            f"accounts = AccountStore(folder / {_LOCK!r})\n"
            f"store = EncryptedFile(folder / {path.name!r}, accounts.exclusive_lock)\n"
        )


# --- content --------------------------------------------------------------------------------------


def test_the_file_contains_no_plain_secret(file: EncryptedFile, path: Path) -> None:
    """Salt, nonce and data are new with each write."""
    seen = set()
    for _ in range(3):
        file.write("account", CANARY)
        assert CANARY not in path.read_text()
        seen |= set(entries(path)["account"].values())
    assert 9 == len(seen)


@pytest.fixture
def three(path: Path) -> tuple[dict[str, str], bytes]:
    """Return the secrets of three accounts, and the content of the file."""
    secrets = {"a": CANARY, "b": "second", "c": "third"}
    for account, content in secrets.items():
        file_at(path).write(account, content)
    return secrets, path.read_bytes()


@settings(max_examples=200, suppress_health_check=[_REUSED_FOLDER])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_is_an_error_or_changes_nothing(
    path: Path, three: tuple[dict[str, str], bytes], at: int, bit: int
) -> None:
    secrets, whole = three
    damaged = bytearray(whole)
    damaged[at % len(whole)] ^= 1 << bit
    path.write_bytes(damaged)
    for account, content in secrets.items():
        with suppress(SecretStoreUnavailable):
            assert file_at(path).read(account) in (content, None)
    assert bytes(damaged) == path.read_bytes()


def test_a_damaged_entry_affects_no_other(file: EncryptedFile, path: Path) -> None:
    for account in ("account", "b", "c"):
        file.write(account, account)
    document = json.loads(path.read_bytes())
    odd: list[object] = [{}, None, [], "x", 7, {"salt": 1}, dict.fromkeys(["salt", "data"], "é")]
    for damage in odd:
        document["entries"]["account"] = damage
        path.write_text(json.dumps(document))
        assert "an entry in it is damaged" in refusal(file)
        assert ("b", True) == (file.read("b"), file.contains("account"))
        file.write("c", "more")
        assert damage == entries(path)["account"]
    file.write("account", "again")
    assert ["again", "b", "more"] == [file.read(account) for account in ("account", "b", "c")]


def test_an_entry_is_not_decrypted_as_another_accounts(file: EncryptedFile, path: Path) -> None:
    file.write("account", CANARY)
    file.write("b", "second")
    document = json.loads(path.read_bytes())
    found = document["entries"]
    found["account"], found["b"] = found["b"], found["account"]
    path.write_text(json.dumps(document))
    assert "made on another machine or by another user" in refusal(file)


def test_an_entry_of_another_machine_is_not_decrypted(
    file: EncryptedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write("account", CANARY)
    with monkeypatch.context() as patch:
        patch.setattr(
            "claude_usage_monitor.store.secrets.encryption.machine_id", lambda: b"another"
        )
        assert "made on another machine" in refusal(file)
    assert CANARY == file.read("account")


def test_an_entry_of_another_user_is_not_decrypted(
    file: EncryptedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write("account", CANARY)
    monkeypatch.setattr("claude_usage_monitor.store.secrets.encryption.user_id", lambda: b"0815")
    assert "by another user" in refusal(file)


def test_a_write_keeps_whatever_this_version_does_not_understand(
    file: EncryptedFile, path: Path
) -> None:
    file.write("account", "before")
    file.write("b", "second")
    document = json.loads(path.read_bytes())
    document["later"] = {"x": [1, None, "ü"]}
    document["entries"]["account"]["note"] = 1
    document["entries"]["d"] = {"kind": "of a later version"}
    path.write_text(json.dumps(document))
    file.write("account", "after")
    file.delete("b")
    again = json.loads(path.read_bytes())
    assert ("after", 1) == (file.read("account"), again["entries"]["account"]["note"])
    del document["entries"]["account"], again["entries"]["account"], document["entries"]["b"]
    assert document == again


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"garbage " + CANARY.encode(), "its JSON is not complete"),
        (b'{"version": 1, "entries": {"a": {"salt', "its JSON is not complete"),
        (b"\xff\xfe\x00", "its JSON is not complete"),
        (b"[" * 100_000, "its JSON is not complete"),
        (b"[]", "this program did not write it"),
        (b'{"version": 1, "entries": []}', "this program did not write it"),
        (b'{"version": 2, "entries": {}}', "another version"),
        (b'{"entries": {}}', "another version"),
        (b" " * (1 << 20) + b" ", "larger than 1 MiB"),
    ],
)
def test_an_unusable_file_is_never_changed(
    file: EncryptedFile, path: Path, content: bytes, expected: str
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for operation in (None, write, lambda file: file.delete("account")):
        assert expected in refusal(file, operation)
    assert content == path.read_bytes()


def test_an_empty_file_has_no_entries(file: EncryptedFile, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert (None, True) == (file.read("account"), file.exists())
    file.write("account", CANARY)
    assert CANARY == file.read("account")


def test_a_write_beyond_the_maximum_size_changes_nothing(file: EncryptedFile, path: Path) -> None:
    file.write("account", CANARY)
    before = path.read_bytes()
    message = refusal(file, lambda file: file.write("b", "x" * (1 << 20)))
    assert "it would be larger than 1 MiB" in message
    assert before == path.read_bytes()


# --- kind, owner, permissions ---------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o777, 0o022])
def test_only_the_user_may_use_the_file_from_the_beginning(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "one" / "two" / "secrets.json"
    if umask == 0o777:  # no folder can be used that is created with it
        path.parent.mkdir(mode=0o700, parents=True)
    before = os.umask(umask)
    try:
        for _ in range(2):
            EncryptedFile(path, nullcontext).write("account", CANARY)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["secrets.json"] == names_beside(path)
    if umask != 0o777:
        for folder in (path.parent, path.parent.parent):
            assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_copy_that_others_may_read_is_made_private(file: EncryptedFile, path: Path) -> None:
    """On this machine its permissions protect it: the machine's id is no secret here."""
    file.write("account", CANARY)
    path.chmod(0o644)
    assert CANARY == file.read("account")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_others_may_change_is_refused(file: EncryptedFile, path: Path) -> None:
    file.write("account", CANARY)
    path.chmod(0o606)
    for operation in (None, write):
        assert f"other users can write to it: `chmod go-w '{path}'`" in refusal(file, operation)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("link", "a symbolic link"),
        ("dangling link", "a symbolic link"),
        ("folder", "not a regular file"),
        ("FIFO", "not a regular file"),
    ],
)
def test_anything_but_a_regular_file_is_refused_and_not_replaced(
    file: EncryptedFile, path: Path, tmp_path: Path, kind: str, expected: str
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b'{"version": 1, "entries": {}}')
    path.parent.mkdir()
    if kind.endswith("link"):
        path.symlink_to(target if kind == "link" else tmp_path / "none")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    before = path.lstat()
    for operation in (None, write):
        assert expected in refusal(file, operation)
    assert before.st_ino == path.lstat().st_ino
    assert b'{"version": 1, "entries": {}}' == target.read_bytes()


def test_a_path_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    below_a_file = EncryptedFile(tmp_path / "in the way" / "secrets.json", nullcontext)
    assert "Not a directory" in refusal(below_a_file, write)
    impossible = EncryptedFile(tmp_path / "\0" / "secrets.json", nullcontext)
    assert "not a possible file name" in refusal(impossible, write)


def test_a_full_disk_leaves_the_old_file(
    file: EncryptedFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on the size of files ends a write as the end of a disk does."""
    file.write("account", CANARY)
    before, names = path.read_bytes(), names_beside(path)
    file = EncryptedFile(path, nullcontext)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        message = refusal(file, lambda file: file.write("account", CANARY * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be used: File too large." in message
    assert before == path.read_bytes()
    assert names == names_beside(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in refusal(file, write)
    assert before == path.read_bytes()


# --- several writers ------------------------------------------------------------------------------


def test_a_writer_that_does_not_get_the_lock_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.01)
    file_at(path).write("account", CANARY)
    with AccountStore(path.with_name(_LOCK)).exclusive_lock():
        with pytest.raises(AccountsUnavailable, match="is in use"):
            file_at(path).write("account", "x")
        assert CANARY == file_at(path).read("account")
    file_at(path).write("account", "after")
    assert "after" == file_at(path).read("account")


def test_the_lock_is_held_for_writes_and_deletions_only(path: Path) -> None:
    events: list[str] = []

    def lock() -> ExitStack:
        stack = ExitStack()
        events.append("locked")
        stack.callback(events.append, "unlocked")
        return stack

    file = EncryptedFile(path, lock)
    file.write("account", CANARY)
    file.read("account")
    file.delete("account")
    assert ["locked", "unlocked"] * 2 == events
    file.delete("account")
    assert 4 == len(events)


def test_threads_may_share_the_file(file: EncryptedFile) -> None:
    def write(number: int) -> str | None:
        file.write("shared", f"{number}" * 2000)
        file.write(f"own {number}", f"{number}" * 2000)
        return file.read(f"own {number}")

    with ThreadPoolExecutor(4) as threads:
        assert [f"{number}" * 2000 for number in range(8)] == list(threads.map(write, range(8)))
    assert file.read("shared") in {f"{number}" * 2000 for number in range(8)}


_WRITER = """
import itertools, sys
from pathlib import Path
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
path = Path(sys.argv[1])
file = EncryptedFile(path, AccountStore(path.with_name("accounts.db")).exclusive_lock)
for number in itertools.count(int(file.read("account") or 0) + 1):
    file.write("account", str(number))
    print(number, flush=True)
"""


def test_a_kill_at_any_instant_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    """The short form of a test in ``tests/endurance``."""
    kill_writers(5, tmp_path)


def kill_writers(count: int, folder: Path) -> None:
    """Kill so many processes while they write: no acknowledged write is lost, no file is left."""
    path = folder / "killed" / "secrets.json"
    file = file_at(path)
    file.write("account", "0")
    file.write("untouched", CANARY)
    untouched = entries(path)["untouched"]
    random_delay = random.Random(count)  # noqa: S311 - no secret
    for _ in range(count):
        before = int(file.read("account") or 0)
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random_delay.uniform(0.0, 0.03))
        writer.kill()
        acknowledged = int((first + writer.communicate()[0]).split()[-1])
        stored = int(file.read("account") or 0)
        assert before < acknowledged
        assert stored in (acknowledged, acknowledged + 1)
        assert untouched == entries(path)["untouched"]
    file.write("account", "0")
    assert [_LOCK, "secrets.json"] == names_beside(path)
