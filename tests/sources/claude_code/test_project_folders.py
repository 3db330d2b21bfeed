from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.claude_code.project_folders import project_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-C")


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    yield
    project_of.cache_clear()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a repository with a commit."""
    folder = tmp_path / "atlas"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*_GIT, str(folder), *arguments], check=True)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/work/atlas/.claude/worktrees/a b/src", "/work/atlas"),
        ("c:\\src\\orbit", "C:\\src\\orbit"),
        ("C:\\src\\orbit\\.claude\\worktrees\\x", "C:\\src\\orbit"),
        ("/", "/"),
        ("/evil\x1b[2J\u202e", "/evil[2J"),
        ("/a\x00b", "/ab"),
        ("", ""),
    ],
)
def test_folders_become_projects(folder: str, expected: str) -> None:
    assert expected == project_of(folder)


def test_a_git_worktree_belongs_to_its_repository(repository: Path) -> None:
    worktree = repository.parent / "atlas-feature"
    git(repository, "worktree", "add", "-q", str(worktree))
    assert str(repository) == project_of(str(worktree)) == project_of(str(repository))


def test_a_folder_in_a_git_worktree_belongs_to_the_repository(repository: Path) -> None:
    worktree = repository.parent / "atlas-feature"
    git(repository, "worktree", "add", "-q", str(worktree))
    inside = worktree / "src" / "deep"
    inside.mkdir(parents=True)
    assert str(repository) == project_of(str(inside)) == project_of(str(inside / "deleted"))


def test_a_folder_in_a_repository_is_a_project_of_its_own(repository: Path) -> None:
    worktree = repository.parent / "atlas-feature"
    git(repository, "worktree", "add", "-q", str(worktree))
    git(worktree, "init", "-q", "nested")
    for folder in (repository / "docs", worktree / "nested" / "docs"):
        folder.mkdir()
        assert str(folder) == project_of(str(folder))


def test_a_git_worktree_of_a_worktree_of_claude_code(repository: Path) -> None:
    inside = repository / ".claude" / "worktrees" / "fix"
    git(repository, "worktree", "add", "-q", str(inside))
    assert str(repository) == project_of(str(inside)) == project_of(str(inside / "src"))


def test_a_worktree_with_a_relative_path(repository: Path) -> None:
    worktree = repository.parent / "atlas-feature"
    git(repository, "worktree", "add", "-q", str(worktree))
    relative = os.path.relpath(repository / ".git" / "worktrees" / "atlas-feature", worktree)
    (worktree / ".git").write_text(f"gitdir: {relative}\n")
    assert str(repository) == project_of(str(worktree))


def test_a_deleted_worktree_is_a_project_of_its_own(repository: Path) -> None:
    worktree = repository.parent / "atlas-feature"
    git(repository, "worktree", "add", "-q", str(worktree))
    git(repository, "worktree", "remove", str(worktree))
    assert str(worktree) == project_of(str(worktree))


def test_a_submodule_is_a_project_of_its_own(repository: Path) -> None:
    submodule = repository / "lib"
    submodule.mkdir()
    (submodule / ".git").write_text("gitdir: ../.git/modules/lib\n")
    assert str(submodule) == project_of(str(submodule))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"gitdir: /work/atlas/.git/worktrees/x" + b"y" * 5000,
        b"/work/atlas/.git/worktrees/x\n",
        b"gitdir: /work/atlas/worktrees/x\n",
    ],
)
def test_another_file_named_git_changes_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    assert str(tmp_path) == project_of(str(tmp_path))


def test_a_fifo_named_git_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".git")
    assert str(tmp_path) == project_of(str(tmp_path))


def test_control_characters_of_a_git_file_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /evil\x1b[2J/.git/worktrees/x\n")
    assert "/evil[2J" == project_of(str(tmp_path))


def test_no_network_path_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise AssertionError("was read")

    module = "claude_usage_monitor.sources.claude_code.project_folders"
    monkeypatch.setattr(f"{module}.read_regular_file", fail)
    for folder in ("//server/share", "\\\\server\\share", "atlas"):
        assert folder == project_of(folder)
