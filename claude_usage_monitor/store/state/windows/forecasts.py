"""Forecasts: the newest one of each window, and what was said earlier, to compare with the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from claude_usage_monitor.light_typing import Any
from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.limits.pace import Forecast

_LOGGED_PERCENTS = (75, 50, 25)  # of a window's time


def store_forecasts(
    connection: sqlite3.Connection, identity: str, forecasts: Mapping[str, Forecast]
) -> None:
    """Store the newest forecasts of an account, by window key; log them at fixed times."""
    with transaction(connection):
        for key, forecast in forecasts.items():
            instants = (
                optional_milliseconds(moment)
                for moment in (
                    forecast.run_out_at,
                    forecast.run_out_earliest,
                    forecast.run_out_latest,
                )
            )
            connection.execute(
                "INSERT OR REPLACE INTO forecast VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    identity,
                    key,
                    *instants,
                    *forecast[3:8],
                    milliseconds(forecast.made_at),
                    forecast.utilization,
                    milliseconds(forecast.resets_at),
                ),
            )
            _log(connection, identity, key, forecast)


def _log(connection: sqlite3.Connection, identity: str, key: str, forecast: Forecast) -> None:
    """Log the first forecast of a window after 25, 50 and 75 % of its time."""
    row = connection.execute(
        "SELECT id, started_at, resets_at FROM tracking JOIN window_instance ON id = window_id"
        " WHERE tracking.account = ? AND tracking.key = ?",
        (identity, key),
    ).fetchone()
    if row is None:
        return
    window_id, started_at, resets_at = row
    elapsed = (milliseconds(forecast.made_at) - started_at) / (resets_at - started_at) * 100
    percent = next((percent for percent in _LOGGED_PERCENTS if elapsed >= percent), None)
    if percent is None:
        return
    connection.execute(
        "INSERT OR IGNORE INTO forecast_log VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            window_id,
            percent,
            milliseconds(forecast.made_at),
            optional_milliseconds(forecast.run_out_earliest),
            optional_milliseconds(forecast.run_out_at),
            optional_milliseconds(forecast.run_out_latest),
            forecast.probability,
        ),
    )


def stored_forecasts(connection: sqlite3.Connection, identity: str) -> dict[str, Forecast]:
    """Return the newest forecast of each window, by key."""
    rows = connection.execute(
        "SELECT key, run_out_at, run_out_earliest, run_out_latest, probability, expected_at_reset,"
        " expected_low, expected_high, basis, made_at, utilization, resets_at"
        " FROM forecast WHERE account = ?",
        (identity,),
    )
    return {str(row[0]): _forecast(row[1:]) for row in rows}


def _forecast(columns: tuple[Any, ...]) -> Forecast:
    *estimates, made_at, utilization, resets_at = columns[3:]
    instants = map(optional_instant, columns[:3])
    return Forecast._make(
        [*instants, *estimates, instant(made_at), utilization, instant(resets_at)]
    )


def interval_score(connection: sqlite3.Connection, now: datetime) -> tuple[int, int]:
    """Return how often the 80 % interval held, and of how many windows with a known end.

    The end is known if the window ran out at a known time, or somebody read it in the last quarter
    of its time. An interval that ends beyond the reset includes the reset.
    """
    held, total = connection.execute(
        "SELECT coalesce(sum(outcome BETWEEN coalesce(run_out_earliest, resets_at)"
        " AND coalesce(run_out_latest, resets_at)), 0), count(*) FROM ("
        "SELECT forecast_log.*, resets_at, coalesce(full_at, resets_at) AS outcome"
        " FROM forecast_log JOIN window_instance ON id = window_id"
        " WHERE resets_at <= ? AND ending IN ('reset', 'open') AND NOT full_at_is_latest"
        " AND (full_at IS NOT NULL OR last_seen >= resets_at - (resets_at - started_at) / 4))",
        (milliseconds(now),),
    ).fetchone()
    return held, total
