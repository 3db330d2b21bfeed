"""An organisation's reports asked for, and what comes of it kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialError,
    Forbidden,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.organization.schedule import ReportRequest, ReportThreads
from claude_usage_monitor.store.state.reports import (
    COST_REPORTS,
    NAME_LISTS,
    USAGE_REPORT,
    ReportContent,
    ReportFailure,
)
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient
    from claude_usage_monitor.store.state.state_store import StateStore

_STOPS = (CredentialError, RateLimited, Unreachable)  # whatever else is asked would meet the same


class Reports:
    """The reports of one key's organisation, as of one instant: ``began``, by our own clock."""

    def __init__(self, client: HttpClient, key: Secret, state: StateStore, began: datetime) -> None:
        self._client = client
        self._key = key
        self._state = state
        self._began = began

    @property
    def _now(self) -> datetime:
        """The instant by the API's clock, as far as that is known."""
        return self._began - self._client.clock_skew

    def identified(self, fingerprint: str) -> str:
        """Return whose key it is, or what stands in for that; asked until it is known.

        It is the key's check too: one that is refused makes this one request only. Raises
        UsageMonitorError.
        """
        from claude_usage_monitor.sources.anthropic.admin_api import get_organization

        if self._state.profile_of(fingerprint) is None:
            try:
                found = get_organization(self._client, self._key)
            except Forbidden:  # a key with few scopes may read reports all the same
                self._state.store_profile(fingerprint, Profile())
            except (ServerError, UnexpectedResponse):
                pass  # a name keeps no figures away: the next read asks again
            else:
                profile = Profile(organization=found.name, account_uuid=found.id)
                self._state.store_profile(fingerprint, profile)
                if found.id is not None:
                    self._state.link_identity(fingerprint, found.id)
        return self._state.identity_of(fingerprint)

    def asked_for(
        self, due: Sequence[ReportRequest], organization: str, meanwhile: Callable[[], None]
    ) -> Iterator[str]:
        """Do the errands, two at a time; yield each part once what came of it is kept.

        ``meanwhile`` is called every few seconds, and after each. Raises what all other errands
        would meet too, and what the figures of money met.
        """
        today = self._now.date()
        threads = ReportThreads(due, lambda request: self._answer(request, today), _is_for_all)
        troubled: set[str] = set()
        failure: Exception | None = None
        for request, answer, error in threads.outcomes(meanwhile):
            meanwhile()
            if error is None:
                content: ReportContent = answer  # type: ignore[assignment] # what _answer returns
                month = today.replace(day=1)
                self._state.record_report(organization, month, request.part, content, self._now)
                if request.call not in troubled:
                    self._state.record_report_failure(organization, request.call, None)
            elif isinstance(error, UsageMonitorError) and not _is_for_all(request, error):
                troubled.add(request.call)
                trouble = ReportFailure(error.code, error.message, self._now)
                self._state.record_report_failure(organization, request.call, trouble)
            else:
                failure = failure or error
                continue
            yield request.part
        if failure is not None:
            raise failure

    def _answer(self, request: ReportRequest, today: date) -> ReportContent:
        # Brings decimal in, when there is something to ask.
        from claude_usage_monitor.sources.anthropic import admin_reports

        part = request.part
        if request.day is not None:
            return admin_reports.get_claude_code_day(self._client, self._key, request.day)
        if part == USAGE_REPORT:
            return admin_reports.get_key_tokens(self._client, self._key, today)
        if part in NAME_LISTS:
            return admin_reports.get_names(self._client, self._key, part)
        return admin_reports.get_costs(self._client, self._key, today, part)


def _is_for_all(request: ReportRequest, error: Exception) -> bool:
    """Return whether an error ends a read: all would meet it, it is about money, or it is a bug."""
    if isinstance(error, Forbidden):
        return False
    known = isinstance(error, UsageMonitorError)
    return request.part in COST_REPORTS or isinstance(error, _STOPS) or not known


def trouble_words(troubles: Mapping[str, ReportFailure]) -> str:
    """Return what keeps single calls from their answers: the first in full, the rest by name."""
    ordered = sorted(troubles, key=lambda call: (call in NAME_LISTS, call))  # money first
    refused = [call for call in ordered if troubles[call].code == Forbidden.code]
    sentences = [troubles[call].message for call in ordered if call not in refused]
    if refused:
        sentences.insert(0, troubles[refused[0]].message)
    if len(refused) > 1:
        sentences.insert(1, f"Nor {', '.join(refused[1:])}.")
    return " ".join(sentences)
