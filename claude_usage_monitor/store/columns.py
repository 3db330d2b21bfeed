"""Convert instants to and from the columns of our databases."""

from __future__ import annotations

from datetime import UTC, datetime


def milliseconds(moment: datetime) -> int:
    """Return an instant as milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def optional_milliseconds(moment: datetime | None) -> int | None:
    """Return an instant, if there is one, as milliseconds since the epoch."""
    return None if moment is None else milliseconds(moment)


def instant(value: int) -> datetime:
    """Return the instant for a column's milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC)


def optional_instant(value: int | None) -> datetime | None:
    """Return the instant in a column, ``None`` for NULL."""
    return None if value is None else instant(value)
