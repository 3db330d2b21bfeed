"""What the status page said last, and when any process may ask it again."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)
from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus

_INTERVAL = timedelta(minutes=5)
_MAX_WAIT = timedelta(hours=24)


def stored_status(connection: sqlite3.Connection) -> ServiceStatus | None:
    """Return what the page said last, ``None`` if it has not been read yet."""
    row = connection.execute("SELECT content, as_of FROM service_page").fetchone()
    if row is None or row[0] is None:
        return None
    content = json.loads(row[0])
    return ServiceStatus(
        content["indicator"],
        content["description"],
        tuple(Component(*part) for part in content["components"]),
        tuple(
            Incident(id_, name, impact, status, optional_instant(started_at), url)
            for id_, name, impact, status, started_at, url in content["incidents"]
        ),
        instant(row[1]),
    )


def status_as_of(connection: sqlite3.Connection) -> int | None:
    """Return a value that changes when the page was read."""
    row = connection.execute("SELECT as_of FROM service_page").fetchone()
    return None if row is None else row[0]


def claim_request(connection: sqlite3.Connection, now: datetime) -> bool:
    """Return whether this process may ask the page now; the others wait then."""
    row = connection.execute("SELECT next_at FROM service_page").fetchone()
    if row is not None and not _is_due(row[0], now):
        return False
    with transaction(connection):
        row = connection.execute("SELECT next_at FROM service_page").fetchone()
        if row is not None and not _is_due(row[0], now):
            return False
        connection.execute(
            "INSERT INTO service_page (id, next_at) VALUES (1, ?1)"
            " ON CONFLICT DO UPDATE SET next_at = ?1",
            (milliseconds(now + _INTERVAL),),
        )
        return True


def _is_due(next_at: int, now: datetime) -> bool:
    """Return whether a time has come; a later one than any wait is from a wrong clock."""
    return not now < instant(next_at) <= now + _MAX_WAIT


def stored_etag(connection: sqlite3.Connection) -> str | None:
    """Return the ETag of what is stored."""
    row = connection.execute("SELECT etag FROM service_page").fetchone()
    return None if row is None else row[0]


def record_answer(
    connection: sqlite3.Connection,
    status: ServiceStatus | None,
    etag: str | None,
    as_of: datetime,
    wait: timedelta,
) -> None:
    """Store an answer; ``status`` is None if the page still says what is stored."""
    if status is not None:
        content = {
            "indicator": status.indicator,
            "description": status.description,
            "components": status.components,
            "incidents": [
                [*incident[:4], optional_milliseconds(incident.started_at), incident.url]
                for incident in status.incidents
            ],
        }
        connection.execute(
            "UPDATE service_page SET content = ?, etag = ?", (json.dumps(content), etag)
        )
    connection.execute("UPDATE service_page SET as_of = ?", (milliseconds(as_of),))
    postpone_request(connection, as_of, wait)


def postpone_request(connection: sqlite3.Connection, now: datetime, wait: timedelta) -> None:
    """Let every process wait, as long as the page asked."""
    until = milliseconds(now + min(wait, _MAX_WAIT))
    connection.execute("UPDATE service_page SET next_at = max(next_at, ?)", (until,))
