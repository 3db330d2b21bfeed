"""A complete HTTP reply, and the dates and waits in its headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from claude_usage_monitor.light_typing import NamedTuple

_MAX_RETRY_AFTER = timedelta(days=365)  # a longer one is shown as this


class Reply(NamedTuple):
    """A complete HTTP reply; ``at`` is its time by the API's clock, as far as that is known."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def __repr__(self) -> str:
        """Return the reply without its headers and body, which may contain tokens."""
        return f"Reply(status={self.status}, at={self.at!r})"

    def retry_after(self) -> timedelta | None:
        """Return the ``Retry-After`` header, at most a year; ``None`` if absent or invalid."""
        raw = self.headers.get("Retry-After", "").strip()
        if raw.isascii() and raw.isdigit():
            return timedelta(seconds=min(float(raw), _MAX_RETRY_AFTER.total_seconds()))
        moment = http_date(raw)
        return None if moment is None else min(max(moment - self.at, timedelta()), _MAX_RETRY_AFTER)


def http_date(raw: str) -> datetime | None:
    """Return the UTC instant of a date header, ``None`` if it is not a date."""
    try:
        moment = parsedate_to_datetime(raw)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
