"""The clock of all commands."""

from datetime import UTC, datetime


def utc_clock() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)
