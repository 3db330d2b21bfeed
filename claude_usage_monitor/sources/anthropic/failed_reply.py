"""Turn a failed HTTP reply into one of our errors, by the rules that Anthropic's APIs share.

Each API has its own table of errors and messages, with a row for each `Failure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, auto

from claude_usage_monitor.errors import RateLimited, UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.sources.values import json_object, parse_json_object, text
from claude_usage_monitor.usage.durations import MAX_WAIT, countdown

NEWER_VERSION = "Check for a newer version of claude-usage-monitor."


class Failure(Enum):
    """Why a reply has no result."""

    INVALID_REQUEST = auto()
    RATE_LIMITED = auto()
    UNAUTHORIZED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    SERVER_ERROR = auto()
    UNEXPECTED = auto()


_BY_STATUS = {
    400: Failure.INVALID_REQUEST,
    401: Failure.UNAUTHORIZED,
    403: Failure.FORBIDDEN,
    404: Failure.NOT_FOUND,
    408: Failure.SERVER_ERROR,
    429: Failure.RATE_LIMITED,
    511: Failure.UNEXPECTED,  # "network authentication required": a portal, not the API
}
_BY_ERROR_TYPE = {  # for an error in the body of a reply with a success status
    "api_error": Failure.SERVER_ERROR,
    "authentication_error": Failure.UNAUTHORIZED,
    "overloaded_error": Failure.SERVER_ERROR,
    "permission_error": Failure.FORBIDDEN,
    "rate_limit_error": Failure.RATE_LIMITED,
    "timeout_error": Failure.SERVER_ERROR,
}


class ErrorRow(NamedTuple):
    """The error for one failure; ``None`` means the class's default message or hint.

    The message may contain ``{status}``, ``{reason}`` (the status, or the error type behind a 200),
    ``{wait}`` (what the API says about the time to wait) and the fields that are passed to
    `FailedReply.error`.
    """

    error: type[UsageMonitorError]
    message: str | None = None
    hint: str | None = None


class FailedReply:
    """A failed reply: its status, and the error in its body.

    The body is ``{"error": {"type": …, "message": …}}``, or OAuth's
    ``{"error": type, "error_description": message}``.
    """

    def __init__(self, reply: Reply) -> None:
        document = parse_json_object(reply.body)
        self.is_json = document is not None
        document = document or {}
        error = document.get("error")
        details = json_object(error)
        if details is None:
            details = {"type": error, "message": document.get("error_description")}
        self.status = reply.status
        self.has_success_status = 200 <= reply.status < 300
        self.error_type = text(details.get("type")) or ""
        self.message = text(details.get("message")) or text(document.get("message")) or ""
        self.request_id = text(document.get("request_id")) or text(reply.headers.get("request-id"))
        self._retry_after = reply.retry_after()

    @property
    def failure(self) -> Failure:
        """The kind of failure, by the status, or by the error type if the status is a success."""
        if self.has_success_status:
            return _BY_ERROR_TYPE.get(self.error_type, Failure.UNEXPECTED)
        if self.status in (400, 403) and not self.is_json:
            return Failure.UNEXPECTED  # the login page of a network, not the API
        default = Failure.SERVER_ERROR if self.status >= 500 else Failure.UNEXPECTED
        return _BY_STATUS.get(self.status, default)

    def error(
        self,
        rows: Mapping[Failure, ErrorRow],
        failure: Failure | None = None,
        **fields: str,
    ) -> UsageMonitorError:
        """Return the error from an API's table, with ``fields`` in its message.

        A failure without a row uses the row of UNEXPECTED.
        """
        row = rows.get(failure or self.failure, rows[Failure.UNEXPECTED])
        status = str(self.status)
        fields = {
            "status": status,
            "reason": self.error_type if self.has_success_status else status,
            "wait": _requested_wait(self._retry_after),
        } | fields
        error = row.error(None if row.message is None else row.message.format(**fields), row.hint)
        if isinstance(error, RateLimited):
            error.retry_after = self._retry_after
        return error


def _requested_wait(retry_after: timedelta | None) -> str:
    """Return what the API asks for, as the predicate of a sentence."""
    if not retry_after:
        return "refused and did not say how long"
    shown = f"asked to wait {countdown(retry_after)}"
    return f"{shown}, which counts as 24h" if retry_after > MAX_WAIT else shown
