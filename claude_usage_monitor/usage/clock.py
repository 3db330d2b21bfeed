"""The clock of the public library, for calls without ``now``; only ``cli/`` reads it elsewhere."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
