"""The paths of our own files, whether or not the files exist."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.light_typing import Literal

if sys.platform == "darwin" or sys.platform == "win32":
    import platformdirs
else:
    import pwd

APP = "claude-usage-monitor"
ACCOUNTS_BACKUP = "accounts-backup.json"  # beside the list of accounts
HOME_VARIABLE = "CLAUDE_USAGE_MONITOR_HOME"

_XDG = {"config": ("XDG_CONFIG_HOME", ".config"), "state": ("XDG_STATE_HOME", ".local/state")}


def config_path(environ: Mapping[str, str]) -> str:
    """Return the path of the settings, config.toml."""
    return os.path.join(_folder(environ, "config"), "config.toml")


def state_path(environ: Mapping[str, str]) -> str:
    """Return the path of state.db."""
    return _in_state_folder(environ, "state.db")


def transcripts_path(environ: Mapping[str, str]) -> str:
    """Return the path of what the transcripts' messages used, transcripts.db."""
    return _in_state_folder(environ, "transcripts.db")


def accounts_path(environ: Mapping[str, str]) -> str:
    """Return the path of the list of accounts, accounts.db."""
    return _in_state_folder(environ, "accounts.db")


def secrets_path(environ: Mapping[str, str]) -> str:
    """Return the path of the encrypted file."""
    return _in_state_folder(environ, "secrets.json")


def locks_path(environ: Mapping[str, str]) -> str:
    """Return the folder of the locks that processes use while they refresh a login."""
    return _in_state_folder(environ, "locks")


def has_accounts(environ: Mapping[str, str]) -> bool:
    """Return whether there may be a list of accounts, a copy of it, or secrets of accounts."""
    backup = _in_state_folder(environ, ACCOUNTS_BACKUP)
    return any(map(_may_exist, (accounts_path(environ), backup, secrets_path(environ))))


def fallback_path(environ: Mapping[str, str]) -> str:
    """Return the path of the state.db to use, until the next restart, where `state_path` fails."""
    folder = environ.get("XDG_RUNTIME_DIR") or environ.get("TMPDIR") or "/tmp"  # noqa: S108 - see below
    user = os.getuid() if hasattr(os, "getuid") else environ.get("USERNAME", "user")
    # A separate folder, which is used only if it is private to this user.
    return os.path.join(folder, f"{APP}-{user}", "state.db")


def _in_state_folder(environ: Mapping[str, str], name: str) -> str:
    return os.path.join(_folder(environ, "state"), name)


def _folder(environ: Mapping[str, str], kind: Literal["config", "state"]) -> str:
    """Return our folder for a kind of file: from our variable, else the platform's.

    Raises InvalidSetting if the variable is a relative path.
    """
    own = environ.get(HOME_VARIABLE)
    if own:
        if not os.path.isabs(own):  # it would name another folder in each working directory
            raise InvalidSetting(
                f"{HOME_VARIABLE} is not an absolute path: {own!r}.",
                "Write the whole path; `~` is not expanded.",
            )
        return own
    if sys.platform == "darwin" or sys.platform == "win32":
        if kind == "config":
            return platformdirs.user_config_dir(APP, appauthor=False)
        return platformdirs.user_state_dir(APP, appauthor=False)
    # The same paths as from platformdirs, which takes 10 ms to import. Ignores relative paths.
    variable, default = _XDG[kind]
    base = environ.get(variable, "")
    if os.path.isabs(base):
        return os.path.join(base, APP)
    home = environ.get("HOME", "")
    return os.path.join(home if os.path.isabs(home) else _home_of_user(), default, APP)


def _may_exist(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a folder that cannot be entered
        return True
    return True


def _home_of_user() -> str:
    """Return the home in the user database; without one, a path where nothing can be created."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    return home if os.path.isabs(home) else os.devnull
