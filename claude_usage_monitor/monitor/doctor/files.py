"""Findings about our files and folders: whether they exist, and who else can use them."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from claude_usage_monitor.files import is_foreign, is_writable_by_others
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.paths import (
    ACCOUNTS_BACKUP,
    accounts_path,
    config_path,
    fallback_path,
    locks_path,
    secrets_path,
    state_path,
    transcripts_path,
)
from claude_usage_monitor.store.state import spare_ledger
from claude_usage_monitor.usage.findings import Finding, FindingState

_AREA = "Files"
_MIN_FREE_BYTES = 1 << 20  # a write needs up to a few hundred KiB for the database and its log


class Condition(Enum):
    """The condition of a file or folder; the value is its description."""

    GOOD = "good"
    MISSING = "does not exist yet"
    INACCESSIBLE = "you have no access to it"
    WRONG_TYPE = "not a regular file"
    LINK = "a symbolic link, which is not followed"
    FOREIGN = "another user owns it"
    WRITABLE = "other users can write to it"
    READABLE = "other users can read it"


class OwnPath(NamedTuple):
    """A file or folder of ours; ``is_private`` means that others may not read it either."""

    name: str
    path: Path
    is_folder: bool = False
    is_private: bool = True
    may_be_link: bool = False


def own_paths(environ: Mapping[str, str]) -> tuple[OwnPath, ...]:
    """Return all files and folders of this program."""
    state, config = Path(state_path(environ)), Path(config_path(environ))
    folders = (
        OwnPath("folder", folder, is_folder=True, is_private=False, may_be_link=True)
        for folder in dict.fromkeys((state.parent, config.parent))  # may be the same folder
    )
    return (
        *folders,
        OwnPath("state", state),
        OwnPath("spare ledger", state.with_name(spare_ledger.FILE_NAME)),
        OwnPath("transcripts", Path(transcripts_path(environ))),
        OwnPath("accounts", Path(accounts_path(environ))),
        OwnPath("copy of accounts", state.with_name(ACCOUNTS_BACKUP)),
        OwnPath("encrypted file", Path(secrets_path(environ))),
        OwnPath("locks", Path(locks_path(environ)), is_folder=True, is_private=False),
        OwnPath("fallback folder", Path(fallback_path(environ)).parent, is_folder=True),
        OwnPath("settings", config, is_private=False, may_be_link=True),
    )


def condition_of(own: OwnPath) -> Condition:
    """Return the condition of a path, without opening it: opening a FIFO would wait forever."""
    try:
        status = own.path.stat() if own.may_be_link else own.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Condition.MISSING
    except OSError:
        return Condition.INACCESSIBLE
    is_expected = stat.S_ISDIR if own.is_folder else stat.S_ISREG
    if not is_expected(status.st_mode):
        return Condition.LINK if stat.S_ISLNK(status.st_mode) else Condition.WRONG_TYPE
    if is_foreign(status):
        return Condition.FOREIGN
    if is_writable_by_others(status):
        return Condition.WRITABLE
    if own.is_private and sys.platform != "win32" and status.st_mode & 0o055:
        return Condition.READABLE
    return Condition.GOOD


def remedy(own: OwnPath, condition: Condition) -> str:
    """Return the command that repairs a path; empty if nothing is wrong."""
    path = shlex.quote(str(own.path))
    mode = "700" if own.is_folder else "600" if own.is_private else "go-w"
    remedies = {
        Condition.INACCESSIBLE: _access_command(_closed_folder(own.path)),
        Condition.WRONG_TYPE: f"mv {path} {path}.old",
        Condition.LINK: f"mv {path} {path}.old",
        Condition.FOREIGN: _take_over_command(own.path),
        Condition.WRITABLE: f"chmod {mode} {path}",
        Condition.READABLE: f"chmod {mode} {path}",
    }
    return remedies.get(condition, "")


def file_findings(
    environ: Mapping[str, str],
    state_notice: str | None,
    state_remedy: str,
    settings_warnings: Sequence[str],
) -> Iterator[Finding]:
    """Yield the findings about our files.

    ``state_notice`` describes a problem with state.db and its consequence, ``settings_warnings``
    problems in config.toml. Where the condition of the file or its folder is the cause, only the
    finding about that has a remedy, and the warnings are left out.
    """
    problems = set()
    for own in own_paths(environ):
        condition = condition_of(own)
        hint = remedy(own, condition)
        if hint:
            problems.add(own.name)
        is_wrong_folder = own.is_folder and condition is Condition.WRONG_TYPE
        words = "not a folder" if is_wrong_folder else condition.value
        detail = str(own.path) if condition is Condition.GOOD else f"{own.path}: {words}"
        if own.name == "settings" and settings_warnings and not hint:
            continue  # its warnings follow
        yield Finding(_AREA, own.name, "problem" if hint else "ok", detail, hint)
    if state_notice is None:
        yield from _space_findings(os.path.dirname(state_path(environ)))
    elif problems & {"folder", "state"}:
        yield Finding(_AREA, "storage", "note", state_notice)
    else:
        state: FindingState = "problem" if state_remedy else "note"
        yield Finding(_AREA, "state", state, state_notice, state_remedy)
    if not problems & {"folder", "settings"}:
        for warning in settings_warnings:
            yield Finding(_AREA, "settings", "problem", warning, "Correct or remove that line.")


def _space_findings(folder: str) -> Iterator[Finding]:
    """Yield a finding if the disk has little space; a write may still succeed then."""
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < _MIN_FREE_BYTES:
            detail = f"{free // 1024} KiB are left for {folder}"
            yield Finding(_AREA, "space", "problem", detail, "Free space.")


def alert_command_findings(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding about the user's alert command: alerts run it, so no one else may change it.

    ``command`` is empty if alerts run none.
    """
    if not command:
        return
    name = "alert command"
    program = shutil.which(os.path.expanduser(command[0]), path=environ.get("PATH"))
    if program is None:
        detail = f"{command[0]}: does not exist, or is not executable"
        yield Finding(_AREA, name, "problem", detail, "Correct `command` in config.toml.")
        return
    own = OwnPath(name, Path(program), is_private=False, may_be_link=True)
    condition = condition_of(own)
    if condition is Condition.GOOD and _anyone_can_replace(own.path):
        detail = f"{program}: other users can write to its folder"
        hint = (
            "Move it to a folder that only you can write to, and correct `command` in config.toml."
        )
        yield Finding(_AREA, name, "problem", detail, hint)
    else:
        detail = program if condition is Condition.GOOD else f"{program}: {condition.value}"
        hint = remedy(own, condition)
        yield Finding(_AREA, name, "problem" if hint else "ok", detail, hint)


def _anyone_can_replace(path: Path) -> bool:
    """Return whether every user can replace a file, by the permissions of its folder."""
    mode = path.resolve().parent.stat().st_mode
    return sys.platform != "win32" and bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _take_over_command(path: Path) -> str:
    user = os.getuid() if hasattr(os, "getuid") else ""
    return f"sudo chown {user} {shlex.quote(str(path))}"


def _access_command(folder: Path) -> str:
    """Return the command that lets this user enter a folder."""
    with suppress(OSError):
        if is_foreign(folder.stat()):
            return _take_over_command(folder)
    return f"chmod u+rwx {shlex.quote(str(folder))}"


def _closed_folder(path: Path) -> Path:
    """Return the outermost folder of a path that this user may not enter."""
    closed = (folder for folder in reversed(path.parents) if not os.access(folder, os.X_OK))
    return next(closed, path.parent)
