"""The command's one clock."""

from datetime import UTC, datetime


def utc_clock() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)
