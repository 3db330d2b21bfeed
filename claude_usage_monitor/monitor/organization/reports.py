"""Requests an organization's reports and stores them.

The reader imports this module when it sends a request: its imports take 10 ms (decimal, logging).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import date, datetime
from functools import partial

from claude_usage_monitor.errors import (
    CredentialError,
    Forbidden,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.monitor.organization.schedule import ReportRequest
from claude_usage_monitor.sources.anthropic import admin_reports
from claude_usage_monitor.sources.anthropic.admin_api import get_organization
from claude_usage_monitor.store.state.reports import (
    COST_REPORTS,
    NAME_LISTS,
    USAGE_REPORT,
    ReportContent,
    ReportFailure,
    record_report,
    record_report_failure,
)
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

MAX_IN_FLIGHT = 2  # the reports share one rate limit; ten requests at once were answered with 429
_CALLBACK_SECONDS = 5.0  # between two calls of `while_waiting`


class ReportResult(NamedTuple):
    """The result of a report request: its content, or an error."""

    request: ReportRequest
    outcome: ReportContent | UsageMonitorError


def fetch_reports(
    requests: Sequence[ReportRequest],
    fetch: Callable[[ReportRequest], ReportContent],
    while_waiting: Callable[[], None],
) -> Iterator[ReportResult]:
    """Request reports, two at a time, and yield each result as it arrives.

    Sends no more requests after an error that ends the read (see `stops_read`), and no more to the
    same endpoint after any other error. Waits for requests in flight. Raises unexpected exceptions.
    """
    pending = deque(requests)
    in_flight: dict[Future[ReportContent], ReportRequest] = {}
    while pending or in_flight:
        while pending and len(in_flight) < MAX_IN_FLIGHT:
            request = pending.popleft()
            in_flight[run_in_thread(partial(fetch, request), "report")] = request
        done, _ = wait(in_flight, _CALLBACK_SECONDS, FIRST_COMPLETED)
        while_waiting()
        for future in done:
            request = in_flight.pop(future)
            try:
                outcome: ReportContent | UsageMonitorError = future.result()
            except UsageMonitorError as error:
                outcome, stop = error, stops_read(request, error)
                pending = deque(p for p in pending if not stop and p.endpoint != request.endpoint)
            yield ReportResult(request, outcome)


def stops_read(request: ReportRequest, error: UsageMonitorError) -> bool:
    """Return whether an error ends the whole read, and not only the requests to its endpoint.

    It does if every other request would fail in the same way, or if the costs are missing.
    """
    if isinstance(error, Forbidden):
        return False
    fails_everywhere = isinstance(error, CredentialError | RateLimited | Unreachable)
    return fails_everywhere or request.report in COST_REPORTS


class Reports:
    """Requests the reports of one key's organization as of ``now``, by this computer's clock.

    Methods raise UsageMonitorError.
    """

    def __init__(self, client: HttpClient, key: Secret, state: StateStore, now: datetime) -> None:
        self._client = client
        self._key = key
        self._state = state
        self._now = now

    def identify(self, fingerprint: str) -> str:
        """Return the organization's id, or a provisional identity until the API returns one.

        Requests the organization until it is known. This also checks the key: a refused key costs
        one request, not thirty.
        """
        if self._state.profile_of(fingerprint) is None:
            try:
                organization = get_organization(self._client, self._key)
            except Forbidden:  # a key with few scopes may read reports nevertheless
                self._state.store_profile(fingerprint, Profile())
            except (ServerError, UnexpectedResponse):
                pass  # the reports can be read without the name; the next read requests it again
            else:
                profile = Profile(organization=organization.name, account_uuid=organization.id)
                self._state.store_profile(fingerprint, profile)
                if organization.id is not None:
                    self._state.link_identity(fingerprint, organization.id)
        return self._state.identity_of(fingerprint)

    def refresh(
        self,
        due: Sequence[ReportRequest],
        organization_id: str,
        while_waiting: Callable[[], None],
    ) -> Iterator[str]:
        """Request the due reports; yield the name of each when its result is stored.

        Raises the first error that stops the read, after the results of the other requests are
        stored.
        """
        today = self._api_now().date()
        month = today.replace(day=1)
        failed: set[str] = set()
        stopped_by: UsageMonitorError | None = None
        for request, outcome in fetch_reports(
            due, lambda request: self._fetch(request, today), while_waiting
        ):
            if not isinstance(outcome, UsageMonitorError):
                read_at = self._api_now()
                self._state.run(
                    record_report, organization_id, month, request.report, outcome, read_at
                )
                if request.endpoint not in failed:
                    self._state.run(record_report_failure, organization_id, request.endpoint, None)
            elif stops_read(request, outcome):
                stopped_by = stopped_by or outcome
                continue
            else:
                failed.add(request.endpoint)
                failure = ReportFailure(outcome.code, outcome.message, self._api_now())
                self._state.run(record_report_failure, organization_id, request.endpoint, failure)
            yield request.report
        if stopped_by is not None:
            raise stopped_by

    def _api_now(self) -> datetime:
        """Return ``now`` by the API's clock, as far as its responses have shown the difference."""
        return self._now - self._client.clock_skew

    def _fetch(self, request: ReportRequest, today: date) -> ReportContent:
        client, key, report = self._client, self._key, request.report
        if request.day is not None:
            return admin_reports.get_claude_code_day(client, key, request.day)
        if report == USAGE_REPORT:
            return admin_reports.get_key_tokens(client, key, today)
        if report in NAME_LISTS:
            return admin_reports.get_names(client, key, report)
        return admin_reports.get_costs(client, key, today, report)
