"""The one place below ``cli/`` that reads the clock, for ``now=None`` of the public library."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)
