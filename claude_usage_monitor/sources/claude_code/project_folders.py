"""Find the project of a working folder: of a git worktree, the repository it belongs to."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

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
    """Return the repository of the git worktree that a folder is in, ``None`` for any other folder.

    At its top, git writes a file ``.git``: ``gitdir: REPOSITORY/.git/worktrees/NAME``.
    """
    if not os.path.isabs(folder) or folder.startswith(_NETWORK_PATHS):
        return None
    for top in (Path(folder), *Path(folder).parents):
        try:
            text = read_regular_file(top / ".git", _MAX_GIT_FILE).decode()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError):  # such as the folder `.git` of a repository
            return None
        key, _, target = text.rstrip("\r\n").partition(" ")
        parts = os.path.normpath(os.path.join(top, target)).split(os.sep)
        is_worktree = key == "gitdir:" and parts[-3:-1] == [".git", "worktrees"]
        return (os.sep.join(parts[:-3]) or os.sep) if is_worktree else None
    return None
