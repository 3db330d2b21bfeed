"""Decides which reports of an organization to request now, and when the next ones are due.

Reports of costs and tokens are requested once per interval, lists of names once a day. The Claude
Code report of today and yesterday is requested once an hour; earlier days no longer change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from claude_usage_monitor.errors import Forbidden
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.state.reports import (
    COST_REPORTS,
    NAME_LISTS,
    USAGE_REPORT,
    StoredReports,
    day_report,
)

MAX_REPEATED_REQUESTS = 4  # in one read; the other due reports wait for the next read

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_LATE_FIGURES = timedelta(hours=2)  # a day's last figures arrive up to an hour after its end
_FORBIDDEN_COOLDOWN = timedelta(hours=1)

_ENDPOINTS = {
    **dict.fromkeys(COST_REPORTS, "cost_report"),
    **{names: names for names in NAME_LISTS},
    USAGE_REPORT: "usage_report/messages",
}
_CLAUDE_CODE_ENDPOINT = "usage_report/claude_code"


class ReportRequest(NamedTuple):
    """A request for one report; ``day`` is set for a day of the Claude Code report."""

    report: str
    day: date | None = None

    @property
    def endpoint(self) -> str:
        """The path of the endpoint below ``/v1/organizations/``."""
        return _ENDPOINTS[self.report] if self.day is None else _CLAUDE_CODE_ENDPOINT


def requests_due(stored: StoredReports, now: datetime, interval: timedelta) -> list[ReportRequest]:
    """Return the requests to send at ``now`` (by the API's clock), the most important first.

    Every report that was never read is requested. Other due reports are limited to
    `MAX_REPEATED_REQUESTS`: costs first, then the most overdue.
    """
    requests = [r for r in _all_requests(now.date()) if not _was_forbidden(r, stored, now)]
    unread = [r for r in requests if r.report not in stored.read_at]
    due = [
        (due_at, request)
        for request in requests
        if (due_at := due_again_at(request, stored, now, interval)) is not None and due_at <= now
    ]
    due.sort(key=lambda row: (row[1].report not in COST_REPORTS, row[0]))
    count = max(MAX_REPEATED_REQUESTS - len(unread), len(COST_REPORTS))
    return sorted([*unread, *(request for _, request in due[:count])], key=requests.index)


def next_due_at(stored: StoredReports, now: datetime, interval: timedelta) -> datetime:
    """Return when the next requests are due, by the API's clock.

    An unread report is due now, unless its endpoint has failed: then it is requested together with
    the next cost reports.
    """
    for request in _all_requests(now.date()):
        if request.report not in stored.read_at and request.endpoint not in stored.failures:
            return now
    due = [due_again_at(ReportRequest(report), stored, now, interval) for report in COST_REPORTS]
    return min((due_at for due_at in due if due_at is not None), default=now + interval)


def due_again_at(
    request: ReportRequest, stored: StoredReports, now: datetime, interval: timedelta
) -> datetime | None:
    """Return when to request a report again; None if it is final, or was never read."""
    read_at = stored.read_at.get(request.report)
    if read_at is None:
        return None
    if request.day is None:
        return read_at + (_DAY if request.report in NAME_LISTS else interval)
    end = datetime.combine(request.day, datetime.min.time(), UTC) + _DAY
    is_yesterday = now < end + _DAY
    if read_at >= end + _LATE_FIGURES and not is_yesterday:
        return None
    return read_at + _HOUR


def _all_requests(today: date) -> Iterator[ReportRequest]:
    """Yield a request for every report of the month, the most important first."""
    yield ReportRequest("workspaces")  # before the costs, which are shown by workspace name
    yield from (ReportRequest(report) for report in COST_REPORTS)
    for number in range(today.day, 0, -1):
        day = today.replace(day=number)
        yield ReportRequest(day_report(day), day)
        if number == today.day:
            yield from (ReportRequest(report) for report in ("users", USAGE_REPORT, "api_keys"))


def _was_forbidden(request: ReportRequest, stored: StoredReports, now: datetime) -> bool:
    failure = stored.failures.get(request.endpoint)
    return (
        failure is not None
        and failure.code == Forbidden.code
        and now < failure.failed_at + _FORBIDDEN_COOLDOWN
    )
