"""Limits hit that Claude Code reported through its hook.

An event names no window. A ``usage_limit`` is one hit of the binding window, at any figure.
Claude Code reports a plan's limit and a passing 429 alike as ``rate_limit``: that one is a hit of a
window that a reading within ten minutes shows at 99 % or more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import Literal
from claude_usage_monitor.store.columns import instant, milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow

Kind = Literal["rate_limit", "usage_limit"]

CONFIRMED_WITHIN = timedelta(minutes=10)
CONFIRMING_UTILIZATION = 99.0  # percent
_RETENTION = timedelta(days=366)


def record_event(
    connection: sqlite3.Connection, identity: str, kind: Kind, usage: Usage | None, now: datetime
) -> None:
    """Store an event, and count it if the newest figures say which window it is of."""
    windows = () if usage is None else usage.windows
    if kind == "usage_limit":
        hit = [window.key for window in windows if window.binding]
    else:
        hit = [
            window.key
            for window in windows
            if window.as_of >= now - CONFIRMED_WITHIN and _is_nearly_full(window)
        ]
    with transaction(connection):
        connection.execute(
            "INSERT OR IGNORE INTO limit_event VALUES (?, ?, ?)",
            (identity, milliseconds(now), kind),
        )
        connection.execute(
            "DELETE FROM limit_event WHERE account = ? AND at < ?",
            (identity, milliseconds(now - _RETENTION)),
        )
        _count(connection, identity, hit, now)


def count_confirmed(
    connection: sqlite3.Connection, identity: str, windows: Iterable[UsageWindow]
) -> None:
    """Count an event of the minutes before that a reading confirms, in the caller's transaction."""
    for window in windows:
        if not _is_nearly_full(window):
            continue
        row = connection.execute(
            "SELECT min(at) FROM limit_event"
            " WHERE account = ? AND kind = 'rate_limit' AND at BETWEEN ? AND ?",
            (identity, milliseconds(window.as_of - CONFIRMED_WITHIN), milliseconds(window.as_of)),
        ).fetchone()
        if row[0] is not None:
            _count(connection, identity, [window.key], instant(row[0]))


def _is_nearly_full(window: UsageWindow) -> bool:
    return window.utilization is not None and window.utilization >= CONFIRMING_UTILIZATION


def _count(
    connection: sqlite3.Connection, identity: str, keys: Iterable[str], at: datetime
) -> None:
    """Mark the current windows of these keys as full, unless they are already."""
    current = history.current_windows(connection, identity)
    for key in keys:
        window = current.get(key)
        if window is None or window.full_at is not None:
            continue
        if window.started_at <= at < window.resets_at:
            full = window._replace(full_at=at, full_since=at)
            history.store_window(connection, identity, full)
