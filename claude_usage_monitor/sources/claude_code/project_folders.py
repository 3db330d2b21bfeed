"""Find the project of a working folder: of a git worktree, the repository it belongs to."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache

from claude_usage_monitor.files import read_regular_file
from claude_usage_monitor.sources.text import clean

_CLAUDE_CODE_WORKTREES = ("/.claude/worktrees/", "\\.claude\\worktrees\\")
_MAX_FOLDER = 1000  # characters
_MAX_GIT_FILE = 4096  # bytes: one line with a path
_NETWORK_PATHS = ("//", "\\\\")  # on Windows, reading one sends a login to any server


@lru_cache(maxsize=4096)
def project_of(folder: str) -> str:
    """Return the project of a working folder: of a worktree, its repository.

    A worktree that no longer exists is a project of its own, unless Claude Code created it inside
    the repository.
    """
    project = _repository_of(folder) or folder
    for separator in _CLAUDE_CODE_WORKTREES:
        project = project.partition(separator)[0]
    if project[1:2] == ":":  # Windows writes a drive letter in either case
        project = project[0].upper() + project[1:]
    return clean(project, _MAX_FOLDER)


def _repository_of(folder: str) -> str | None:
    """Return the repository of a git worktree, ``None`` for any other folder.

    In a worktree, git writes a file ``.git``: ``gitdir: REPOSITORY/.git/worktrees/NAME``.
    """
    if not os.path.isabs(folder) or folder.startswith(_NETWORK_PATHS):
        return None
    with suppress(OSError, UnicodeDecodeError):
        text = read_regular_file(os.path.join(folder, ".git"), _MAX_GIT_FILE).decode()
        key, _, target = text.rstrip("\r\n").partition(" ")
        parts = os.path.normpath(os.path.join(folder, target)).split(os.sep)
        if key == "gitdir:" and parts[-3:-1] == [".git", "worktrees"]:
            return os.sep.join(parts[:-3]) or os.sep
    return None
