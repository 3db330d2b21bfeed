"""Readings of usage: every figure for eight days, the use of each hour for a year.

A separate table has the newest figure of each window, so that years of history do not slow down the
start.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import TYPE_CHECKING, Any
from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.windows.forecasts import stored_forecasts
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, UpdatePolicy
from claude_usage_monitor.usage.limits.windows import (
    SPEND_LIMIT,
    Amounts,
    CreditPool,
    ExtraUsage,
    Usage,
    UsageWindow,
    mark_binding,
    sorted_for_display,
)

if TYPE_CHECKING:
    from claude_usage_monitor.usage.limits.saved_resets import SavedResets

READING_RETENTION = timedelta(days=8)
HOURLY_RETENTION = timedelta(days=366)
MAX_SHOWN_AGE = timedelta(days=7)
RESET_TOLERANCE = timedelta(seconds=60)  # the API's reset times vary by a second

_COLUMNS = "key, label, utilization, resets_at, source, as_of, model, is_active, amounts"
_CLOCK_JUMP_READINGS = 300  # see _delete_old_rows
_MAX_DELETED_ROWS = 1000  # in one pass; more would lock out other processes for too long


def record_usage(connection: sqlite3.Connection, identity: str, usage: Usage) -> None:
    """Store a reading according to its source's update policy.

    A complete reading also deletes the windows that it does not report.
    """
    _, policy, complete = SOURCES[usage.source]
    with transaction(connection):
        windows = [
            window
            for reported in usage.windows
            if (window := _window_to_store(connection, identity, reported, policy)) is not None
        ]
        for window in windows:
            _store_window(connection, identity, window)
        if windows:
            # Takes 2 ms, which commands that only show stored figures save.
            from claude_usage_monitor.store.state.windows import history, limit_events

            history.record(connection, identity, windows)
            limit_events.count_confirmed(connection, identity, windows)
        if complete and _is_latest(connection, identity, usage, policy):
            _store_complete(connection, identity, usage, policy)
        _delete_old_rows(connection, usage.as_of)


def _window_to_store(
    connection: sqlite3.Connection, identity: str, window: UsageWindow, policy: UpdatePolicy
) -> UsageWindow | None:
    """Return the figure to store, ``None`` if the stored one stays."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM newest WHERE account = ? AND key = ?",  # noqa: S608 - a constant
        (identity, window.key),
    ).fetchone()
    if policy is UpdatePolicy.REPLACE or row is None:
        return window
    stored = _window(row)
    if policy is UpdatePolicy.IF_NEWER:
        return window if window.as_of > stored.as_of else None
    return _if_increased(window, stored)


def _if_increased(window: UsageWindow, stored: UsageWindow) -> UsageWindow | None:
    """Return a figure of unknown age if it is newer than the stored one: higher, or reset later.

    Fields that its source does not report (label, model, binding, sometimes the reset) come from
    the stored one.
    """
    if window.utilization is None:
        return None
    resets_at = window.resets_at
    if resets_at is None and stored.state(window.as_of) == "running":
        resets_at = stored.resets_at
    if resets_at is not None and stored.resets_at is not None:
        later_by = resets_at - stored.resets_at
        if later_by < -RESET_TOLERANCE:
            return None
        increased = stored.utilization is None or window.utilization > stored.utilization
        if later_by <= RESET_TOLERANCE and not increased:
            return None
    elif resets_at is None and window.utilization == stored.utilization:
        return None
    return window._replace(
        resets_at=resets_at,
        label=stored.label,
        model=stored.model,
        is_active=stored.is_active,
    )


def _store_window(connection: sqlite3.Connection, identity: str, window: UsageWindow) -> None:
    as_of = milliseconds(window.as_of)
    resets_at = optional_milliseconds(window.resets_at)
    connection.execute(
        "INSERT OR REPLACE INTO newest (account, key, label, model, utilization, resets_at,"
        " is_active, source, as_of, amounts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            window.key,
            window.label,
            window.model,
            window.utilization,
            resets_at,
            window.is_active,
            window.source,
            as_of,
            _amounts_as_json(window.amounts),
        ),
    )
    connection.execute(
        "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?)",
        (identity, window.key, as_of, window.utilization, resets_at, window.source),
    )


def _is_latest(
    connection: sqlite3.Connection, identity: str, usage: Usage, policy: UpdatePolicy
) -> bool:
    row = connection.execute("SELECT as_of FROM complete WHERE account = ?", (identity,)).fetchone()
    return policy is UpdatePolicy.REPLACE or row is None or milliseconds(usage.as_of) > row[0]


def _store_complete(
    connection: sqlite3.Connection, identity: str, usage: Usage, policy: UpdatePolicy
) -> None:
    if policy is not UpdatePolicy.REPLACE:  # other programs do not ask for saved resets
        usage = usage._replace(saved_resets=_stored_saved_resets(connection, identity))
    connection.execute(
        "INSERT OR REPLACE INTO complete VALUES (?, ?, ?, ?)",
        (identity, usage.source, milliseconds(usage.as_of), _money_as_json(usage)),
    )
    # A complete reading reports every window but the one of the status line.
    reported = json.dumps([SPEND_LIMIT, *(window.key for window in usage.windows)])
    connection.execute(
        "DELETE FROM newest WHERE account = ? AND (? OR as_of <= ?)"
        " AND key NOT IN (SELECT value FROM json_each(?))",
        (identity, policy is UpdatePolicy.REPLACE, milliseconds(usage.as_of), reported),
    )


def _stored_saved_resets(connection: sqlite3.Connection, identity: str) -> SavedResets | None:
    row = connection.execute("SELECT money FROM complete WHERE account = ?", (identity,)).fetchone()
    return _money_from_json(row[0])[2] if row else None


def _delete_old_rows(connection: sqlite3.Connection, as_of: datetime) -> None:
    """Delete some of the rows that are too old.

    Their age is counted from a reading a few hundred before the last, so that a clock that jumps
    ahead once does not delete the history; nor do imported readings that are dated in the future.
    """
    row = connection.execute(
        "SELECT read_at FROM reading ORDER BY read_at DESC LIMIT 1 OFFSET ?",
        (_CLOCK_JUMP_READINGS,),
    ).fetchone()
    if row is None:
        return
    now = min(instant(row[0]), as_of)
    connection.execute(
        "DELETE FROM reading WHERE (account, key, read_at) IN ("
        "SELECT account, key, read_at FROM reading WHERE read_at < ? ORDER BY read_at LIMIT ?)",
        (milliseconds(now - READING_RETENTION), _MAX_DELETED_ROWS),
    )
    connection.execute(
        "DELETE FROM hourly WHERE (account, key, hour) IN ("
        "SELECT account, key, hour FROM hourly WHERE hour < ? ORDER BY hour LIMIT ?)",
        (milliseconds(now - HOURLY_RETENTION), _MAX_DELETED_ROWS),
    )


def latest_usage(connection: sqlite3.Connection, identity: str, now: datetime) -> Usage | None:
    """Return the newest figure of each window, none older than seven days; ``None`` without any.

    The source and time of the whole are those of the last complete reading.
    """
    oldest = milliseconds(now - MAX_SHOWN_AGE)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM newest WHERE account = ? AND as_of >= ?",  # noqa: S608 - names of ours
        (identity, oldest),
    ).fetchall()
    forecasts = stored_forecasts(connection, identity)
    windows = sorted_for_display(
        window.with_forecast(forecasts.get(window.key), now) for window in map(_window, rows)
    )
    complete = connection.execute(
        "SELECT source, as_of, money FROM complete WHERE account = ? AND as_of >= ?",
        (identity, oldest),
    ).fetchone()
    if complete is not None:
        source, as_of, money = complete
        usage = Usage(windows, source, instant(as_of), *_money_from_json(money))
    elif windows:
        latest = max(windows, key=lambda window: window.as_of)
        usage = Usage(windows, latest.source, latest.as_of)
    else:
        return None
    return usage._replace(windows=mark_binding(windows, now, usage.as_of))


def _window(row: tuple[Any, ...]) -> UsageWindow:
    key, label, utilization, resets_at, source, as_of, model, is_active, amounts = row
    return UsageWindow(
        key=key,
        label=str(label),
        utilization=None if utilization is None else float(utilization),
        resets_at=optional_instant(resets_at),
        source=source,
        as_of=instant(as_of),
        model=model,
        is_active=bool(is_active),
        amounts=_amounts_from_json(amounts),
    )


def _amounts_as_json(amounts: Amounts | None) -> str | None:
    if amounts is None:
        return None
    return json.dumps(amounts)


def _amounts_from_json(text: str | None) -> Amounts | None:
    if text is None:
        return None
    used, limit, currency = json.loads(text)
    return Amounts(_amount(used), _amount(limit), currency)


def _amount(stored: str | float | None) -> float | None:
    """Return a stored amount; earlier versions stored text."""
    return None if stored is None else float(stored)


def _money_as_json(usage: Usage) -> str:
    extra, saved = usage.extra_usage, usage.saved_resets
    return json.dumps(
        {
            "saved_resets": saved
            and [
                milliseconds(saved.as_of),
                [
                    [grant.left, optional_milliseconds(grant.ends_at), grant.clears]
                    for grant in saved.grants
                ],
            ],
            "extra": extra
            and [
                extra.enabled,
                extra.used,
                extra.limit,
                extra.currency,
                extra.utilization,
                extra.disabled_reason,
            ],
            "pools": [
                [
                    pool.key,
                    pool.label,
                    pool.used,
                    pool.limit,
                    pool.utilization,
                    pool.currency,
                    optional_milliseconds(pool.expires_at),
                ]
                for pool in usage.credit_pools
            ],
        }
    )


def _money_from_json(
    text: str,
) -> tuple[ExtraUsage | None, tuple[CreditPool, ...], SavedResets | None]:
    stored = json.loads(text)
    extra = None
    if stored["extra"]:
        enabled, used, limit, currency, utilization, reason = stored["extra"]
        extra = ExtraUsage(enabled, _amount(used), _amount(limit), currency, utilization, reason)
    pools = tuple(
        CreditPool(
            key,
            label,
            _amount(used),
            _amount(limit),
            utilization,
            currency,
            optional_instant(expires_at),
        )
        for key, label, used, limit, utilization, currency, expires_at in stored["pools"]
    )
    return extra, pools, _saved_resets(stored.get("saved_resets"))


def _saved_resets(stored: list[Any] | None) -> SavedResets | None:
    if stored is None:
        return None
    # Takes 1 ms; few accounts have saved resets.
    from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets

    as_of, grants = stored
    return SavedResets(
        tuple(
            ResetGrant(left, optional_instant(ends_at), tuple(clears))
            for left, ends_at, clears in grants
        ),
        instant(as_of),
    )
