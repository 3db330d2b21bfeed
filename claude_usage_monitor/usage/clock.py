"""The clock for library calls without ``now``. Otherwise, only ``cli/`` reads a clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
