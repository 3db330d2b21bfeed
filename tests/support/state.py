"""Changes to state.db that stand for time that has passed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000  # milliseconds


def state_file(home: Path) -> Path:
    """Return the path of state.db."""
    return home / ".local" / "state" / "claude-usage-monitor" / "state.db"


def make_due(home: Path) -> None:
    """Make the last request an hour older, so that the next one is due."""
    with closing(sqlite3.connect(state_file(home), isolation_level=None)) as state:
        state.execute("UPDATE gate SET asked_at = asked_at - ?1, next_at = next_at - ?1", (HOUR,))
        state.execute("UPDATE request SET asked_at = asked_at - ?", (HOUR,))


def make_older(home: Path, milliseconds: int) -> None:
    """Make the stored figures older."""
    with closing(sqlite3.connect(state_file(home), isolation_level=None)) as state:
        for table, column in (("reading", "read_at"), ("newest", "as_of"), ("complete", "as_of")):
            state.execute(f"UPDATE {table} SET {column} = {column} - ?", (milliseconds,))
