"""Where our own files are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "claude-usage-monitor"
HOME_VARIABLE = "CLAUDE_USAGE_MONITOR_HOME"


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of config.toml, whether or not it exists."""
    found = _directory(environ, "XDG_CONFIG_HOME", ".config")
    if found is None:
        from platformdirs import user_config_path

        found = user_config_path(APP, appauthor=False)
    return found / "config.toml"


def state_path(environ: Mapping[str, str]) -> Path:
    """Return the path of state.db, whether or not it exists."""
    found = _directory(environ, "XDG_STATE_HOME", ".local/state")
    if found is None:
        from platformdirs import user_state_path

        found = user_state_path(APP, appauthor=False)
    return found / "state.db"


def _directory(environ: Mapping[str, str], variable: str, fallback: str) -> Path | None:
    """Return our directory, ``None`` where only platformdirs knows it.

    What platformdirs would answer on Linux; importing it costs half as much as all the rest.
    """
    own = environ.get(HOME_VARIABLE)
    if own:
        return Path(own)
    if sys.platform in ("darwin", "win32"):
        return None
    base, home = environ.get(variable, ""), environ.get("HOME", "")
    if Path(base).is_absolute():
        return Path(base) / APP
    return Path(home) / fallback / APP if Path(home).is_absolute() else None
