"""The alerts that were sent: each once for its instance, whichever process is the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from claude_usage_monitor.store.columns import milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.alerts import Alert

_BASELINE = "baseline"


def claim(
    connection: sqlite3.Connection,
    identity: str,
    alerts: Iterable[Alert],
    now: datetime,
    *,
    with_figures: bool = True,
) -> list[Alert]:
    """Claim the alerts that no process has sent, and return them for the caller to send.

    Conditions that hold when an account's first figures arrive are claimed, but not returned.
    ``with_figures`` is whether the account has figures.
    """
    alerts = list(alerts)
    is_known = _is_known(connection, identity)
    if not is_known and not with_figures:
        return []
    if is_known and not _unsent(connection, identity, alerts):
        return []  # almost always: without a lock
    with transaction(connection):
        is_new = _insert(connection, identity, _BASELINE, _BASELINE, now)
        claimed = []
        for alert in alerts:
            if _insert(connection, identity, alert.instance, alert.rule, now):
                claimed.append(alert)
            for rule in alert.also:
                _insert(connection, identity, alert.instance, rule, now)
    return [] if is_new else claimed


def _is_known(connection: sqlite3.Connection, identity: str) -> bool:
    return _is_sent(connection, identity, _BASELINE, _BASELINE)


def _unsent(connection: sqlite3.Connection, identity: str, alerts: Iterable[Alert]) -> bool:
    return not all(_is_sent(connection, identity, each.instance, each.rule) for each in alerts)


def _is_sent(connection: sqlite3.Connection, identity: str, instance: str, rule: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM alert WHERE account = ? AND instance = ? AND rule = ?",
        (identity, instance, rule),
    ).fetchone()
    return row is not None


def _insert(
    connection: sqlite3.Connection, identity: str, instance: str, rule: str, now: datetime
) -> bool:
    """Return whether this process is the first to send an alert."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO alert VALUES (?, ?, ?, ?)",
        (identity, instance, rule, milliseconds(now)),
    )
    return cursor.rowcount == 1
