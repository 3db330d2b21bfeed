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
    return _directory(environ) / "config.toml"


def _directory(environ: Mapping[str, str]) -> Path:
    own = environ.get(HOME_VARIABLE)
    if own:
        return Path(own)
    if sys.platform not in ("darwin", "win32"):
        # What platformdirs would answer; importing it costs half as much as all the rest.
        base = environ.get("XDG_CONFIG_HOME", "")
        if Path(base).is_absolute():
            return Path(base) / APP
        home = environ.get("HOME", "")
        if Path(home).is_absolute():
            return Path(home) / ".config" / APP
    from platformdirs import user_config_path

    return user_config_path(APP, appauthor=False)
