"""The clock, which only ``cli/`` and library calls without ``now`` read, and time zones by name."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from claude_usage_monitor.errors import InvalidSetting


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def given_or_current(now: object) -> datetime:
    """Return the ``now`` of a library call; ``None`` stands for the current time.

    Raises InvalidSetting if it is not a timezone-aware datetime.
    """
    if now is None:
        return utc_now()
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise InvalidSetting(
            f"`now` must be a timezone-aware datetime, not {now!r}.",
            "Use `datetime.now(UTC)`, or leave it out. The length of a window is `hours=5`.",
        )
    return now


def time_zone(name: str) -> tzinfo:
    """Return a time zone. Raises ValueError, OSError or LookupError if there is none."""
    from zoneinfo import ZoneInfo  # takes 4 ms; most users have set no zone

    return ZoneInfo(name)
