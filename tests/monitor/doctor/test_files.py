from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.doctor.files import (
    Condition,
    OwnPath,
    alert_command_findings,
    condition_of,
    file_findings,
    own_paths,
    remedy,
)
from tests.support.permissions import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534


def create(path: Path, mode: int = 0o600) -> None:
    path.write_bytes(b"content")
    path.chmod(mode)


def create_folder(path: Path, mode: int = 0o700) -> None:
    path.mkdir()
    path.chmod(mode)


FILES: list[tuple[Callable[[Path], None], Condition]] = [
    (create, Condition.GOOD),
    (lambda _: None, Condition.MISSING),
    (lambda path: create(path, 0o644), Condition.READABLE),
    (lambda path: create(path, 0o622), Condition.WRITABLE),
    (os.mkfifo, Condition.WRONG_TYPE),
    (create_folder, Condition.WRONG_TYPE),
    (lambda path: path.symlink_to("/etc/passwd"), Condition.LINK),
    (lambda path: path.symlink_to("nowhere"), Condition.LINK),
]


@pytest.mark.parametrize(("make", "expected"), FILES, ids=range(len(FILES)))
def test_the_remedy_repairs_the_condition_of_a_file(
    tmp_path: Path, make: Callable[[Path], None], expected: Condition
) -> None:
    own = OwnPath("state", tmp_path / "state of\tmine.db")
    make(own.path)
    assert expected is condition_of(own)
    command = remedy(own, expected)
    subprocess.run(shlex.split(command or "true"), check=True)
    assert condition_of(own) in (Condition.GOOD, Condition.MISSING)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o700, Condition.GOOD), (0o755, Condition.GOOD), (0o770, Condition.WRITABLE)],
)
def test_others_may_read_a_folder_but_not_write_to_it(
    tmp_path: Path, mode: int, expected: Condition
) -> None:
    own = OwnPath("folder", tmp_path / "own", is_folder=True, is_private=False)
    create_folder(own.path, mode)
    assert expected is condition_of(own)


def test_a_folder_without_access_is_named_with_the_command_to_open_it(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    create_folder(folder)
    own = OwnPath("state", folder / "state.db")
    with unreadable(folder):
        condition = condition_of(own)
    assert Condition.INACCESSIBLE is condition
    assert f"chmod u+rwx {folder}" == remedy(own, condition)


def test_a_file_of_another_user_is_named_with_the_command_to_own_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnPath("accounts", tmp_path / "accounts.db")
    create(own.path)
    if os.getuid() == 0:
        os.chown(own.path, NOBODY, NOBODY)
    else:
        user = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: user)
    assert Condition.FOREIGN is condition_of(own)
    assert f"sudo chown {os.getuid()} {own.path}" == remedy(own, Condition.FOREIGN)


def test_config_toml_may_be_a_link_that_others_can_read(tmp_path: Path) -> None:
    """People keep it in a folder of dotfiles."""
    own = next(own for own in own_paths(os.environ) if own.name == "settings")
    own.path.parent.mkdir(parents=True)
    own.path.symlink_to(tmp_path / "dotfile")
    create(tmp_path / "dotfile", 0o644)
    assert Condition.GOOD is condition_of(own)
    (tmp_path / "dotfile").chmod(0o646)
    assert Condition.WRITABLE is condition_of(own)
    assert f"chmod go-w {own.path}" == remedy(own, Condition.WRITABLE)


def test_what_the_stores_say_is_a_problem() -> None:
    warnings = ("line 3 is wrong",)
    findings = list(file_findings(os.environ, "The disk is full.", "Free space.", warnings))
    problems = [finding for finding in findings if finding.state == "problem"]
    assert ["The disk is full.", "line 3 is wrong"] == [f.detail for f in problems]
    assert all(finding.hint for finding in problems)


def test_the_consequence_of_a_refused_file_is_a_note_beside_the_finding_with_the_remedy() -> None:
    own = next(own for own in own_paths(os.environ) if own.name == "state")
    own.path.parent.mkdir(parents=True)
    os.mkfifo(own.path)
    notice = "nothing is stored for now."
    findings = {f.name: f for f in file_findings(os.environ, notice, "Mend it.", ())}
    refused, consequence = findings["state"], findings["storage"]
    assert ("problem", f"mv {own.path} {own.path}.old") == (refused.state, refused.hint)
    assert ("note", notice, "") == (consequence.state, consequence.detail, consequence.hint)


def test_every_file_of_this_program_is_named() -> None:
    names = [finding.name for finding in file_findings(os.environ, None, "", ())]
    assert {
        "folder",
        "state",
        "accounts",
        "copy of accounts",
        "encrypted file",
        "spare ledger",
        "transcripts",
        "locks",
        "fallback folder",
        "settings",
    } == set(names)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "state", "detail"),
    [
        (0o755, 0o755, "ok", "notify"),
        (0o777, 0o755, "problem", "other users can write to it"),
        (0o755, 0o777, "problem", "other users can write to its folder"),
        (0o755, 0o1777, "ok", "notify"),
        (0o644, 0o755, "problem", "not executable"),
    ],
)
def test_an_alert_command_that_others_can_change_is_a_problem(
    tmp_path: Path, file_mode: int, folder_mode: int, state: str, detail: str
) -> None:
    folder = tmp_path / "bin"
    create_folder(folder, folder_mode)
    create(folder / "notify", file_mode)
    (found,) = alert_command_findings(["notify", "--now"], {"PATH": str(folder)})
    assert state == found.state
    assert detail in found.detail
    assert bool(found.hint) is (state == "problem")
    assert [] == list(alert_command_findings((), {}))
