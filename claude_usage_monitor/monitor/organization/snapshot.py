"""The stored data of an organization, read without a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.errors import Forbidden, Unauthorized, UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.organization.admin_key import AdminKey
from claude_usage_monitor.sources.anthropic.admin_key import CREATE_KEY_HINT
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.store.state.reports import (
    NAME_LISTS,
    ReportFailure,
    StoredReports,
    stored_reports,
)
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.money.spend import Spend
from claude_usage_monitor.usage.status import Problem


class OrganizationSnapshot(NamedTuple):
    """An organization's key, and the data stored under its fingerprint.

    ``organization_id`` is provisional until the API has returned it. ``now`` is by the API's clock.
    Without a ``key``, ``key_error`` says why, and nothing else is known.
    """

    key: AdminKey | None
    key_error: UsageMonitorError | None
    fingerprint: str
    organization_id: str
    backoff: Backoff | None
    now: datetime
    stored: StoredReports

    @property
    def clock_skew(self) -> timedelta:
        """How far this computer's clock is ahead of the API's."""
        return self.backoff.clock_skew if self.backoff else timedelta()

    @property
    def is_refused(self) -> bool:
        """Whether the API refused the key (401) when it was last sent."""
        problem = self.backoff.problem if self.backoff else None
        return problem is not None and problem.code == Unauthorized.code

    def problem(self, spend: Spend | None) -> Problem | None:
        """Return why there are no newer figures than ``spend``."""
        if self.key is None:
            return Problem.from_error(self.key_error) if self.key_error else None
        problem = self.backoff.problem if self.backoff else None
        if problem is not None and self.is_refused:
            hint = f"The key is from: {self.key.origin}. {problem.hint}"
            return problem._replace(hint=hint)
        failures = self.stored.failures
        if problem is None and spend is None and failures:
            code = next(iter(failures.values())).code
            return Problem(
                code, failure_text(failures), f"Use a key with full access. {CREATE_KEY_HINT}"
            )
        return problem


def read_snapshot(
    find_key: Callable[[], AdminKey], state: StateStore, now: datetime
) -> OrganizationSnapshot:
    """Return the stored data as of ``now``, by this computer's clock."""
    try:
        key = find_key()
    except UsageMonitorError as error:
        return OrganizationSnapshot(
            None, error, "", "", None, now, StoredReports({}, {}, {}, None, {}, {})
        )
    fingerprint = token_fingerprint(key.secret)
    backoff = state.backoff_of(fingerprint)
    organization_id = state.identity_of(fingerprint)
    if backoff is not None:
        now -= backoff.clock_skew
    stored = state.run(stored_reports, organization_id, now.date().replace(day=1))
    return OrganizationSnapshot(key, None, fingerprint, organization_id, backoff, now, stored)


def failure_text(failures: Mapping[str, ReportFailure]) -> str:
    """Return a text about the failed endpoints: one 403 in full, other 403s by name."""
    endpoints = sorted(failures, key=lambda endpoint: (endpoint in NAME_LISTS, endpoint))
    forbidden = [e for e in endpoints if failures[e].code == Forbidden.code]
    sentences = [failures[endpoint].message for endpoint in forbidden[:1]]
    if len(forbidden) > 1:
        sentences.append(f"Also forbidden: {', '.join(forbidden[1:])}.")
    sentences += [failures[endpoint].message for endpoint in endpoints if endpoint not in forbidden]
    return " ".join(sentences)
