"""Reads what used the running windows from transcripts.db, without opening it for writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from claude_usage_monitor.files import StrPath
from claude_usage_monitor.store.database import connect
from claude_usage_monitor.usage.attribution.shown import WindowUse

_BUSY_TIMEOUT = 0.25  # seconds


def read_shown(path: StrPath, account: str) -> dict[str, WindowUse]:
    """Return the use of an account's windows by key; nothing if the file cannot be used."""
    try:
        with closing(connect(path, _BUSY_TIMEOUT, "ro")) as connection:
            rows = connection.execute(
                "SELECT key, content FROM shown_use WHERE account = ?", (account,)
            ).fetchall()
        return {str(key): WindowUse.from_json(content) for key, content in rows}
    except (OSError, sqlite3.Error, ValueError, TypeError):
        return {}
