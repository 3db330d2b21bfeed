from __future__ import annotations

import json
import os
import random
import resource
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import SecretStoreUnavailable
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
from tests.support.secret_contract import CANARY, SharedContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FIXTURES = HealthCheck.function_scoped_fixture  # each example writes the whole file anew


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "secrets.json"


def file_at(path: Path, machine: bytes = b"machine") -> EncryptedFile:
    return EncryptedFile(path, lambda: machine)


@pytest.fixture
def file(path: Path) -> EncryptedFile:
    return file_at(path)


def entries(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())["entries"]
    return found


def names_beside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


def refusal(file: EncryptedFile, operation: Callable[[EncryptedFile], object] | None = None) -> str:
    """Return what is said when it is read, or else used."""
    with pytest.raises(SecretStoreUnavailable) as raised:
        (operation or (lambda file: file.read("account")))(file)
    error = raised.value
    assert error.hint
    assert CANARY not in f"{error!r} {error.hint}"
    assert error.__suppress_context__ or error.__context__ is None
    return error.message


def write(file: EncryptedFile) -> None:
    file.write("account", CANARY)


class TestSecretsFile(SharedContract):
    @pytest.fixture
    def place(self, file: EncryptedFile) -> EncryptedFile:
        return file

    @pytest.fixture
    def making(self, path: Path) -> str:
        return (
            "from pathlib import Path\n"
            "from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile\n"
            f"place = EncryptedFile(Path({str(path)!r}), lambda: b'machine')\n"
        )


# --- what is in it --------------------------------------------------------------------------------


def test_nothing_in_it_can_be_read_by_itself(file: EncryptedFile, path: Path) -> None:
    """No secret, none of it twice the same, and salt and nonce new with each write."""
    seen = set()
    for _ in range(3):
        file.write("account", CANARY)
        assert CANARY not in path.read_text()
        seen |= set(entries(path)["account"].values())
    assert 9 == len(seen)


@pytest.fixture
def three(path: Path) -> tuple[dict[str, str], bytes]:
    """Return three accounts' secrets, and the file that holds them."""
    kept = {"a": CANARY, "b": "second", "c": "third"}
    for account, content in kept.items():
        file_at(path).write(account, content)
    return kept, path.read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[_FIXTURES])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_is_an_error_or_changes_nothing(
    path: Path, three: tuple[dict[str, str], bytes], at: int, bit: int
) -> None:
    kept, whole = three
    damaged = bytearray(whole)
    damaged[at % len(whole)] ^= 1 << bit
    path.write_bytes(damaged)
    for account, content in kept.items():
        with suppress(SecretStoreUnavailable):
            assert file_at(path).read(account) in (content, None)
    assert bytes(damaged) == path.read_bytes()


def test_a_damaged_entry_costs_only_itself(file: EncryptedFile, path: Path) -> None:
    for account in ("account", "b", "c"):
        file.write(account, account)
    document = json.loads(path.read_bytes())
    odd: list[object] = [{}, None, [], "x", 7, {"salt": 1}, dict.fromkeys(["salt", "data"], "é")]
    for damage in odd:
        document["entries"]["account"] = damage
        path.write_text(json.dumps(document))
        assert "an entry in it is damaged" in refusal(file)
        assert ("b", True) == (file.read("b"), file.holds("account"))
        file.write("c", "more")
        assert damage == entries(path)["account"]
    file.write("account", "again")
    assert ["again", "b", "more"] == [file.read(account) for account in ("account", "b", "c")]


def test_entries_do_not_open_for_another_account(file: EncryptedFile, path: Path) -> None:
    file.write("account", CANARY)
    file.write("b", "second")
    document = json.loads(path.read_bytes())
    found = document["entries"]
    found["account"], found["b"] = found["b"], found["account"]
    path.write_text(json.dumps(document))
    assert "made on another machine or by another user" in refusal(file)


def test_it_opens_on_no_other_machine(file: EncryptedFile, path: Path) -> None:
    file.write("account", CANARY)
    assert "made on another machine" in refusal(file_at(path, b"another"))
    assert CANARY == file_at(path).read("account")


def test_what_is_not_understood_is_kept(file: EncryptedFile, path: Path) -> None:
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
        (b"garbage " + CANARY.encode(), "no whole JSON"),
        (b'{"version": 1, "entries": {"a": {"salt', "no whole JSON"),
        (b"\xff\xfe\x00", "no whole JSON"),
        (b"[" * 100_000, "no whole JSON"),
        (b"[]", "not a file of ours"),
        (b'{"version": 1, "entries": []}', "not a file of ours"),
        (b'{"version": 2, "entries": {}}', "another version"),
        (b'{"entries": {}}', "another version"),
        (b" " * (1 << 20) + b" ", "larger than a mebibyte"),
    ],
)
def test_a_file_that_is_not_ours_is_named_and_left_alone(
    file: EncryptedFile, path: Path, content: bytes, expected: str
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for operation in (None, write, lambda file: file.delete("account")):
        assert expected in refusal(file, operation)
    assert content == path.read_bytes()


def test_an_empty_file_holds_nothing(file: EncryptedFile, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert (None, True) == (file.read("account"), file.exists())
    file.write("account", CANARY)
    assert CANARY == file.read("account")


def test_more_than_it_can_hold_is_refused_before_it_is_written(
    file: EncryptedFile, path: Path
) -> None:
    file.write("account", CANARY)
    before = path.read_bytes()
    message = refusal(file, lambda file: file.write("b", "x" * (1 << 20)))
    assert "it would be larger than a mebibyte" in message
    assert before == path.read_bytes()


# --- what it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o777, 0o022])
def test_all_of_it_is_the_users_alone_from_the_beginning(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "one" / "two" / "secrets.json"
    if umask == 0o777:  # no folder can be made under it
        path.parent.mkdir(mode=0o700, parents=True)
    before = os.umask(umask)
    try:
        for _ in range(2):
            file_at(path).write("account", CANARY)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["secrets.json", "secrets.lock.db"] == names_beside(path)
    assert not stat.S_IMODE(path.with_name("secrets.lock.db").stat().st_mode) & 0o077
    if umask != 0o777:
        for folder in (path.parent, path.parent.parent):
            assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_copy_that_was_opened_to_others_is_closed(file: EncryptedFile, path: Path) -> None:
    """On this machine its permissions protect it: the machine's id is no secret here."""
    file.write("account", CANARY)
    path.chmod(0o644)
    assert CANARY == file.read("account")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_damaged_lock_says_what_to_do(file: EncryptedFile, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("secrets.lock.db").write_bytes(b"garbage" * 1000)
    assert "secrets.lock.db: file is not a database" in refusal(file, write)


@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "folder", "fifo", "foreign"])
def test_what_stands_in_its_place_is_refused_and_left_alone(
    file: EncryptedFile, path: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b'{"version": 1, "entries": {}}')
    path.parent.mkdir()
    if kind in ("link", "dangling"):
        path.symlink_to(victim if kind == "link" else tmp_path / "none")
    elif kind == "hard link":
        path.hardlink_to(victim)
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(victim.read_bytes())
        another = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: another)
    expected = {
        "link": "a symbolic link",
        "dangling": "a symbolic link",
        "hard link": "a second name",
        "folder": "not a regular file",
        "fifo": "not a regular file",
        "foreign": "belongs to another user",
    }[kind]
    before = path.lstat()
    for operation in (None, write):
        assert expected in refusal(file, operation)
    assert before.st_ino == path.lstat().st_ino
    assert b'{"version": 1, "entries": {}}' == victim.read_bytes()


@pytest.mark.parametrize("kind", ["file", "link", "hard link", "fifo"])
def test_a_temporary_file_that_stands_there_is_never_written_into(
    file: EncryptedFile, path: Path, tmp_path: Path, kind: str
) -> None:
    path.parent.mkdir()
    victim, new = tmp_path / "victim", path.with_name("secrets.json.new")
    victim.write_text("untouched")
    if kind == "file":
        new.write_text("half a write")
        new.chmod(0o666)
    elif kind == "link":
        new.symlink_to(victim)
    elif kind == "hard link":
        new.hardlink_to(victim)
    else:
        os.mkfifo(new)
    file.write("account", CANARY)
    assert (CANARY, "untouched") == (file.read("account"), victim.read_text())
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert not new.exists()


def test_a_place_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    within = file_at(tmp_path / "in the way" / "secrets.json")
    assert "Not a directory" in refusal(within, write)
    assert "no such name is possible" in refusal(file_at(tmp_path / "\0" / "secrets.json"), write)


def test_a_full_disk_leaves_what_was_there(
    file: EncryptedFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limit on a file's size, which a write meets as it meets the end of a disk."""
    file.write("account", CANARY)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        message = refusal(file, lambda file: file.write("account", CANARY * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be used: File too large." in message
    assert before == path.read_bytes()
    assert ["secrets.json", "secrets.lock.db"] == names_beside(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in refusal(file, write)
    assert before == path.read_bytes()


# --- many at once ---------------------------------------------------------------------------------


def test_one_who_holds_the_lock_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_usage_monitor.store.secrets.encrypted_file.BUSY_TIMEOUT", 0.1)
    holding = (
        "import pathlib, sys, sqlite3\n"
        "kept = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "kept.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    file_at(path).write("account", CANARY)
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(path.with_name("secrets.lock.db"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert "locked" in refusal(file_at(path), write)
        assert CANARY == file_at(path).read("account")
    file_at(path).write("account", "after")


def test_the_callers_lock_is_held_over_reading_and_writing(path: Path) -> None:
    held: list[str] = []

    def exclusively() -> ExitStack:
        stack = ExitStack()
        held.append("taken")
        stack.callback(held.append, "given back")
        return stack

    file = EncryptedFile(path, lambda: b"machine", exclusively)
    file.write("account", CANARY)
    file.delete("account")
    assert ["taken", "given back"] * 2 == held
    assert ["secrets.json"] == names_beside(path)
    file.delete("account")
    assert 4 == len(held)
    EncryptedFile(path, lambda: b"machine", nullcontext).write("account", CANARY)


_WRITER = """
import itertools, sys
from pathlib import Path
from claude_usage_monitor.store.secrets.encrypted_file import EncryptedFile
file = EncryptedFile(Path(sys.argv[1]), lambda: b"machine")
for number in itertools.count(int(file.read("account") or 0) + 1):
    file.write("account", str(number))
    print(number, flush=True)
"""


def test_a_kill_at_any_instant_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """A short seed of ``tests/endurance``."""
    kill_writers(10, tmp_path)


def kill_writers(count: int, folder: Path) -> None:
    """Kill so many processes while they write; nothing acknowledged is lost, nothing is left."""
    path = folder / "killed" / "secrets.json"
    file = file_at(path)
    file.write("account", "0")
    file.write("neighbour", CANARY)
    neighbour = entries(path)["neighbour"]
    chance = random.Random(count)  # noqa: S311 - no secret
    for _ in range(count):
        before = int(file.read("account") or 0)
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.03))
        writer.kill()
        acknowledged = int((first + writer.communicate()[0]).split()[-1])
        kept = int(file.read("account") or 0)
        assert before < acknowledged
        assert kept in (acknowledged, acknowledged + 1)
        assert neighbour == entries(path)["neighbour"]
    file.write("account", "0")
    assert ["secrets.json", "secrets.lock.db"] == names_beside(path)


def test_without_cryptography_it_says_so(
    file: EncryptedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert "the package cryptography is missing" in refusal(file)
    assert file.holds("account")
