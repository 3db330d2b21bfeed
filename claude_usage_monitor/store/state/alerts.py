"""The alerts that were sent or held back: each once for its instance, across all processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from claude_usage_monitor.store.columns import milliseconds
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.alerts import Alert

_BASELINE = "baseline"


def claim(  # noqa: PLR0913 - one transaction decides and stores all
    connection: sqlite3.Connection,
    identity: str,
    alerts: Sequence[Alert],
    now: datetime,
    *,
    quiet: bool = False,
    with_figures: bool = True,
) -> list[Alert]:
    """Claim the alerts that no process has sent or held back, and return those to send.

    In ``quiet`` hours none is sent: the claimed ones are stored until `release`. Conditions that
    hold when an account's first figures arrive are claimed, but neither sent nor stored.
    ``with_figures`` is whether the account has figures.
    """
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
        if quiet and not is_new:
            connection.executemany(
                "INSERT OR IGNORE INTO held_alert VALUES (?, ?, ?)",
                [(identity, alert.instance, alert.rule) for alert in claimed],
            )
    return [] if is_new or quiet else claimed


def instances(connection: sqlite3.Connection, identity: str, rule: str) -> frozenset[str]:
    """Return the instances for which an alert with this rule was claimed."""
    rows = connection.execute(
        "SELECT instance FROM alert WHERE account = ? AND rule = ?", (identity, rule)
    )
    return frozenset(str(instance) for (instance,) in rows)


def release(
    connection: sqlite3.Connection, identity: str, holding: Sequence[Alert], *, with_figures: bool
) -> list[Alert]:
    """Delete the alerts of the quiet hours, and return one alert for those that still hold.

    Without current figures it is unknown whether the others still hold: they stay stored.
    """
    if not _held(connection, identity):
        return []  # almost always: without a lock
    with transaction(connection):
        held = _held(connection, identity)  # another process may have deleted them meanwhile
        still = [alert for alert in holding if (alert.instance, alert.rule) in held]
        known = held if with_figures else {(alert.instance, alert.rule) for alert in still}
        connection.executemany(
            "DELETE FROM held_alert WHERE account = ? AND instance = ? AND rule = ?",
            [(identity, *each) for each in known],
        )
    if not still:
        return []
    return [still[0]._replace(text="; ".join(alert.text for alert in still))]


def _held(connection: sqlite3.Connection, identity: str) -> set[tuple[str, str]]:
    """Return instance and rule of the alerts that quiet hours have held back."""
    return set(
        connection.execute("SELECT instance, rule FROM held_alert WHERE account = ?", (identity,))
    )


def _is_known(connection: sqlite3.Connection, identity: str) -> bool:
    return _is_sent(connection, identity, _BASELINE, _BASELINE)


def _unsent(connection: sqlite3.Connection, identity: str, alerts: Sequence[Alert]) -> bool:
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
