"""The state of a saved account's token refreshes."""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple

MAX_BACKOFF = timedelta(hours=25)  # longer than the back-off of any problem


class RefreshState(NamedTuple):
    """The result of sending a refresh token: attempts without a response, and the last failure.

    ``next_request_at`` is ``None`` after a final failure. While a response is expected, ``sent_by``
    names the process that waits for it, until ``next_request_at`` at most. ``used_up`` is whether
    the server has exchanged the token for the next one.
    """

    fingerprint: str
    unanswered: int = 0
    failures: int = 0
    next_request_at: datetime | None = None
    code: str | None = None
    message: str = ""
    hint: str = ""
    used_up: bool = False
    sent_by: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the token must never be sent again."""
        return self.code is not None and self.next_request_at is None

    def is_backing_off(self, now: datetime) -> bool:
        """Return whether the last failure forbids sending the token now."""
        return self.is_final or (self.code is not None and self._is_waiting(now))

    def is_in_flight(self, now: datetime) -> bool:
        """Return whether a response is still expected, if the process that waits for it runs."""
        return bool(self.sent_by) and self._is_waiting(now)

    def _is_waiting(self, now: datetime) -> bool:
        """Return whether it is too early; ignores an impossibly long wait from a wrong clock."""
        at = self.next_request_at
        return at is not None and now < at <= now + MAX_BACKOFF
