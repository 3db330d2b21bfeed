"""Readings in state.db: every figure for eight days, the highest of each hour for a year.

What faces show is a table of its own with one row a window, so that years of history make no
start-up slower.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, UpdatePolicy
from claude_usage_monitor.usage.limits.windows import (
    CreditPool,
    ExtraUsage,
    Usage,
    UsageWindow,
    mark_binding,
    sorted_for_display,
)

if TYPE_CHECKING:
    import sqlite3
    from decimal import Decimal

KEPT = timedelta(days=8)
HOURLY_KEPT = timedelta(days=366)
PRESENT = timedelta(days=7)  # nothing older is shown as present
SAME_RESET = timedelta(seconds=60)  # the API's resets wobble by a second

_COLUMNS = "key, label, utilization, resets_at, source, as_of, model, is_active"
_THINNED_BEHIND = 300  # readings
_THINNED_AT_ONCE = 1000  # rows; more would hold the write lock for long
_HOUR = 3_600_000


def milliseconds(moment: datetime) -> int:
    """Return an instant as the database keeps it."""
    return round(moment.timestamp() * 1000)


def instant(value: int | None) -> datetime | None:
    """Return an instant that the database kept."""
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


def record_usage(
    connection: sqlite3.Connection,
    account: str,
    usage: Usage,
) -> None:
    """Store a reading by its source's policy.

    A complete reading also removes the windows that it does not report.
    """
    _, policy, complete = SOURCES[usage.source]
    with transaction(connection):
        for reported in usage.windows:
            window = _taken(connection, account, reported, policy)
            if window is not None:
                _keep(connection, account, window)
        if complete and _is_last(connection, account, usage, policy):
            _keep_complete(connection, account, usage, policy)
        _thin(connection)


def _taken(
    connection: sqlite3.Connection, account: str, window: UsageWindow, policy: UpdatePolicy
) -> UsageWindow | None:
    """Return the figure to keep, ``None`` if the known one stays."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM newest WHERE account = ? AND key = ?",  # noqa: S608 - a constant
        (account, window.key),
    ).fetchone()
    if policy is UpdatePolicy.REPLACE or row is None:
        return window
    known = _window(row)
    if policy is UpdatePolicy.IF_NEWER:
        return window if window.as_of > known.as_of else None
    return _moved_on(window, known)


def _moved_on(window: UsageWindow, known: UsageWindow) -> UsageWindow | None:
    """Return a figure that tells no age if it is beyond the known one: more used, or reset later.

    What it does not tell (which window binds, the reset) is taken over from the known one.
    """
    if window.utilization is None:
        return None
    resets_at = window.resets_at
    if resets_at is None and known.state(window.as_of) == "running":
        resets_at = known.resets_at
    if resets_at is not None and known.resets_at is not None:
        apart = resets_at - known.resets_at
        if apart < -SAME_RESET:
            return None
        more = known.utilization is None or window.utilization > known.utilization
        if apart <= SAME_RESET and not more:
            return None
    elif resets_at is None and window.utilization == known.utilization:
        return None
    return replace(
        window,
        resets_at=resets_at,
        label=known.label,
        model=known.model,
        is_active=known.is_active,
    )


def _keep(connection: sqlite3.Connection, account: str, window: UsageWindow) -> None:
    as_of = milliseconds(window.as_of)
    resets_at = None if window.resets_at is None else milliseconds(window.resets_at)
    connection.execute(
        "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account,
            window.key,
            window.label,
            window.model,
            window.utilization,
            resets_at,
            window.is_active,
            window.source,
            as_of,
        ),
    )
    connection.execute(
        "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?)",
        (account, window.key, as_of, window.utilization, resets_at, window.source),
    )
    if window.utilization is not None:
        connection.execute(
            "INSERT INTO hourly VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET utilization = max(utilization, excluded.utilization)",
            (account, window.key, as_of - as_of % _HOUR, window.utilization),
        )


def _is_last(
    connection: sqlite3.Connection, account: str, usage: Usage, policy: UpdatePolicy
) -> bool:
    row = connection.execute("SELECT as_of FROM complete WHERE account = ?", (account,)).fetchone()
    return policy is UpdatePolicy.REPLACE or row is None or milliseconds(usage.as_of) > row[0]


def _keep_complete(
    connection: sqlite3.Connection, account: str, usage: Usage, policy: UpdatePolicy
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO complete VALUES (?, ?, ?, ?)",
        (account, usage.source, milliseconds(usage.as_of), _money_as_json(usage)),
    )
    reported = json.dumps([window.key for window in usage.windows])
    connection.execute(
        "DELETE FROM newest WHERE account = ? AND (? OR as_of <= ?)"
        " AND key NOT IN (SELECT value FROM json_each(?))",
        (account, policy is UpdatePolicy.REPLACE, milliseconds(usage.as_of), reported),
    )


def _thin(connection: sqlite3.Connection) -> None:
    """Drop what is too old, a little at a time.

    Too old as of a reading some hundred before the last: a clock that jumped once loses nothing.
    """
    row = connection.execute(
        "SELECT read_at FROM reading ORDER BY read_at DESC LIMIT 1 OFFSET ?", (_THINNED_BEHIND,)
    ).fetchone()
    now = instant(row[0]) if row else None
    if now is None:
        return
    connection.execute(
        "DELETE FROM reading WHERE (account, key, read_at) IN ("
        "SELECT account, key, read_at FROM reading WHERE read_at < ? ORDER BY read_at LIMIT ?)",
        (milliseconds(now - KEPT), _THINNED_AT_ONCE),
    )
    connection.execute(
        "DELETE FROM hourly WHERE (account, key, hour) IN ("
        "SELECT account, key, hour FROM hourly WHERE hour < ? ORDER BY hour LIMIT ?)",
        (milliseconds(now - HOURLY_KEPT), _THINNED_AT_ONCE),
    )


def latest_usage(connection: sqlite3.Connection, account: str, now: datetime) -> Usage | None:
    """Return the newest figure of each window, none older than seven days; ``None`` if none is.

    The reading's own source and time are those of the last complete one.
    """
    oldest = milliseconds(now - PRESENT)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM newest WHERE account = ? AND as_of >= ?",  # noqa: S608
        (account, oldest),
    ).fetchall()
    windows = mark_binding(sorted_for_display(_window(row) for row in rows))
    whole = connection.execute(
        "SELECT source, as_of, money FROM complete WHERE account = ? AND as_of >= ?",
        (account, oldest),
    ).fetchone()
    if whole is not None:
        extra_usage, pools = _money_from_json(whole[2])
        as_of = instant(whole[1]) or now
        return Usage(windows, whole[0], as_of, extra_usage, pools)
    if not windows:
        return None
    latest = max(windows, key=lambda window: window.as_of)
    return Usage(windows, latest.source, latest.as_of)


def _window(row: tuple[Any, ...]) -> UsageWindow:
    key, label, utilization, resets_at, source, as_of, model, is_active = row
    return UsageWindow(
        key=key,
        label=str(label),
        utilization=None if utilization is None else float(utilization),
        resets_at=instant(resets_at),
        source=source,
        as_of=datetime.fromtimestamp(as_of / 1000, UTC),
        model=model,
        is_active=bool(is_active),
    )


def _money_as_json(usage: Usage) -> str:
    extra = usage.extra_usage
    return json.dumps(
        {
            "extra": extra
            and [
                extra.enabled,
                _text(extra.used),
                _text(extra.limit),
                extra.currency,
                extra.utilization,
                extra.disabled_reason,
            ],
            "pools": [
                [
                    pool.key,
                    pool.label,
                    _text(pool.used),
                    _text(pool.limit),
                    pool.utilization,
                    pool.currency,
                    pool.expires_at and milliseconds(pool.expires_at),
                ]
                for pool in usage.credit_pools
            ],
        }
    )


def _money_from_json(raw: str) -> tuple[ExtraUsage | None, tuple[CreditPool, ...]]:
    kept = json.loads(raw)
    extra = None
    if kept["extra"]:
        enabled, used, limit, currency, utilization, reason = kept["extra"]
        amounts = _decimal(used), _decimal(limit)
        extra = ExtraUsage(enabled, *amounts, currency, utilization, reason)
    pools = tuple(
        CreditPool(
            key, label, _decimal(used), _decimal(limit), utilization, currency, instant(expires)
        )
        for key, label, used, limit, utilization, currency, expires in kept["pools"]
    )
    return extra, pools


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _decimal(text: str | None) -> Decimal | None:
    if text is None:
        return None
    from decimal import Decimal  # only accounts with money pay for it

    return Decimal(text)
