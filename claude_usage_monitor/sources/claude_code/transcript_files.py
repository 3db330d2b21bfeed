"""Find Claude Code's transcripts: the session files below every folder that holds some. Read only.

Claude Code documents the folder and ``CLAUDE_CONFIG_DIR``; the format of the files is internal and
changes with its versions.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.claude_code.credentials_file import config_folder, home_directory

_SUFFIX = ".jsonl"
_NOT_TRANSCRIPTS = frozenset(("journal.jsonl", "history.jsonl"))  # a workflow's log; prompts
_SKIPPED_FOLDERS = frozenset(("tool-results", "memory"))  # they never contain usage
_MAX_DESKTOP_DEPTH = 6  # folders between Claude Desktop's sessions and a configuration folder


class TranscriptFile(NamedTuple):
    """A transcript as the file system describes it; ``root`` is its ``projects`` folder."""

    path: str
    root: str
    inode: int
    size: int
    mtime_ns: int


class TranscriptTree(NamedTuple):
    """The transcripts that were found, and how many folders could not be read."""

    files: tuple[TranscriptFile, ...]
    unreadable: int


def transcript_roots(
    environ: Mapping[str, str], other_folders: Iterable[Path] = ()
) -> tuple[Path, ...]:
    """Return the existing ``projects`` folders, each once.

    Claude Code uses ``CLAUDE_CONFIG_DIR`` as one path; other tools separate several with commas, so
    a value that is no folder is split. ``other_folders`` are the configuration folders of saved
    accounts.
    """
    try:
        home = Path(home_directory(environ))
        configured = Path(config_folder(environ))
    except NoCredentials:
        return ()
    candidates = [configured, *other_folders]
    if not configured.is_dir():
        candidates += [Path(part.strip()) for part in str(configured).split(",") if part.strip()]
    if not environ.get("CLAUDE_CONFIG_DIR"):
        xdg = environ.get("XDG_CONFIG_HOME")
        candidates.append((Path(xdg) if xdg else home / ".config") / "claude")
    candidates += _desktop_folders(environ, home)
    roots: dict[str, Path] = {}
    for folder in candidates:
        root = folder if folder.name == "projects" else folder / "projects"
        if root.is_dir():
            roots.setdefault(os.path.realpath(root), root)
    return tuple(roots.values())


def find_transcripts(roots: Iterable[Path]) -> TranscriptTree:
    """Return every transcript below the folders; links to folders are followed once."""
    files: list[TranscriptFile] = []
    visited: set[tuple[int, int]] = set()
    unreadable = 0
    for root in map(str, roots):
        folders = [root]
        while folders:
            folder = folders.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                entries = list(os.scandir(folder))
            except OSError:
                unreadable += 1
                continue
            for entry in entries:
                if entry.is_dir():
                    if entry.name not in _SKIPPED_FOLDERS:
                        folders.append(entry.path)
                elif entry.name.endswith(_SUFFIX) and entry.name not in _NOT_TRANSCRIPTS:
                    files += _transcript(entry, root)
    return TranscriptTree(tuple(files), unreadable)


def _transcript(entry: os.DirEntry[str], root: str) -> Iterator[TranscriptFile]:
    """Yield a regular file; nothing for another one, or one that was deleted meanwhile."""
    with suppress(OSError):
        status = entry.stat()
        if stat.S_ISREG(status.st_mode):
            yield TranscriptFile(
                entry.path, root, status.st_ino, status.st_size, status.st_mtime_ns
            )


def _desktop_folders(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield the configuration folders of Claude Desktop's local agent sessions."""
    if sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    folders = [(base / "Claude" / "local-agent-mode-sessions", 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            children = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
        except OSError:
            continue
        for child in children:
            if child.name.startswith("local_") and (child / ".claude").is_dir():
                yield child / ".claude"
            elif depth < _MAX_DESKTOP_DEPTH and not child.is_symlink():
                folders.append((child, depth + 1))
