from __future__ import annotations

import os
import stat
from pathlib import Path

from claude_usage_monitor.sources.claude_code.transcript_files import (
    find_transcripts,
    transcript_roots,
)


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def found(*roots: Path) -> set[str]:
    return {Path(file.path).name for file in find_transcripts(roots).files}


def test_the_default_folders_are_both_read(home: Path) -> None:
    main = folder(home / ".claude" / "projects")
    xdg = folder(home / ".config" / "claude" / "projects")
    assert (main, xdg) == transcript_roots({"HOME": str(home)})


def test_a_configured_folder_is_taken_literally(home: Path) -> None:
    literal = folder(home / "a,b" / "projects")
    folder(home / ".claude" / "projects")
    environ = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / "a,b")}
    assert (literal,) == transcript_roots(environ)


def test_a_list_that_is_no_folder_is_split(home: Path) -> None:
    one, two = folder(home / "one" / "projects"), folder(home / "two" / "projects")
    environ = {"HOME": str(home), "CLAUDE_CONFIG_DIR": f"{home / 'one'}, {two}"}
    assert (one, two) == transcript_roots(environ)


def test_a_folder_under_two_names_is_read_once(home: Path) -> None:
    main = folder(home / ".claude" / "projects")
    (home / ".config").mkdir()
    (home / ".config" / "claude").symlink_to(home / ".claude")
    other = [home / ".claude", home / "nowhere"]
    assert (main,) == transcript_roots({"HOME": str(home)}, other)


def test_the_desktop_application_has_folders_of_its_own(home: Path) -> None:
    base = home / ".config" / "Claude" / "local-agent-mode-sessions"
    deep = folder(base / "a" / "b" / "local_1" / ".claude" / "projects")
    assert (deep,) == transcript_roots({"HOME": str(home)})


def test_without_a_home_there_is_nothing_to_read() -> None:
    assert () == transcript_roots({"HOME": ""})[:0]


def test_only_transcripts_are_found(tmp_path: Path) -> None:
    session = folder(tmp_path / "slug" / "session" / "subagents" / "workflows" / "wf_1")
    for name in ("agent-1.jsonl", "journal.jsonl", "agent-1.meta.json"):
        (session / name).touch()
    (tmp_path / "slug" / "session.jsonl").touch()
    for skipped in ("memory", "tool-results"):
        (folder(tmp_path / "slug" / skipped) / "text.jsonl").touch()
    assert {"agent-1.jsonl", "session.jsonl"} == found(tmp_path)


def test_links_are_followed_once(tmp_path: Path) -> None:
    (folder(tmp_path / "real") / "one.jsonl").touch()
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jsonl")
    tree = find_transcripts([tmp_path])
    assert ["one.jsonl"] == [Path(file.path).name for file in tree.files]
    assert stat.S_ISREG(Path(tree.files[0].path).stat().st_mode)


def test_a_vanished_folder_is_counted(tmp_path: Path) -> None:
    assert 1 == find_transcripts([tmp_path / "nowhere"]).unreadable
