"""Where our own files are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

APP = "claude-usage-monitor"
HOME_VARIABLE = "CLAUDE_USAGE_MONITOR_HOME"


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of config.toml, whether or not it exists."""
    return _directory(environ, "XDG_CONFIG_HOME", ".config", "user_config_path") / "config.toml"


def state_path(environ: Mapping[str, str]) -> Path:
    """Return the path of state.db, whether or not it exists."""
    return _directory(environ, "XDG_STATE_HOME", ".local/state", "user_state_path") / "state.db"


def accounts_path(environ: Mapping[str, str]) -> Path:
    """Return the path of accounts.db, whether or not it exists."""
    return state_path(environ).with_name("accounts.db")


def secrets_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the encrypted file, whether or not it exists."""
    return state_path(environ).with_name("secrets.json")


def locks_path(environ: Mapping[str, str]) -> Path:
    """Return the folder of the locks that renewals hold."""
    return state_path(environ).with_name("locks")


def fallback_path(environ: Mapping[str, str]) -> Path:
    """Return where state.db is kept until the next restart when its own place cannot be used."""
    base = environ.get("XDG_RUNTIME_DIR") or environ.get("TMPDIR") or "/tmp"  # noqa: S108 - see below
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    # In a folder of its own, which is refused if it is not this user's alone.
    return Path(base) / f"{APP}-{user}" / "state.db"


def _directory(environ: Mapping[str, str], variable: str, fallback: str, asked: str) -> Path:
    """Return our directory: the one named for us, else the platform's. Never a relative home."""
    own = environ.get(HOME_VARIABLE)
    if own:
        return Path(own)
    if sys.platform in ("darwin", "win32"):
        import platformdirs

        found: Path = getattr(platformdirs, asked)(APP, appauthor=False)
        return found
    # What platformdirs would answer here; importing it costs half as much as all the rest.
    base = Path(environ.get(variable, ""))
    if base.is_absolute():
        return base / APP
    home = Path(environ.get("HOME", ""))
    return (home if home.is_absolute() else _home_of_user()) / fallback / APP


def _home_of_user() -> Path:
    """Return the home that the system knows; without one, a place where nothing can be made."""
    import pwd

    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        home = Path()
    return home if home.is_absolute() else Path(os.devnull)
