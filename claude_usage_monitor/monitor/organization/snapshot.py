"""What can be known of an organisation without asking anybody, and the status it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import CredentialError, Unauthorized
from claude_usage_monitor.monitor.backoff import lengthened
from claude_usage_monitor.monitor.organization import schedule
from claude_usage_monitor.monitor.organization.reports import trouble_words
from claude_usage_monitor.monitor.organization.spend import spend_of
from claude_usage_monitor.sources.anthropic.admin_api import MAKE_ONE
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.store.state.reports import StoredReports
from claude_usage_monitor.usage.money.spend import Spend
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.monitor.organization.admin_key import AdminKey
    from claude_usage_monitor.store.state.state_store import StateStore


class OrganizationSnapshot(NamedTuple):
    """An organisation's key and what is kept under it; ``now`` is by the API's clock.

    ``organization`` is its id, or what stands in for it; ``problem`` is why there is no ``key``.
    """

    key: AdminKey | None
    fingerprint: str
    organization: str
    backoff: Backoff | None
    now: datetime
    month: date
    stored: StoredReports
    problem: CredentialError | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the key was answered with 401 a short while ago."""
        met = self.backoff.problem if self.backoff else None
        return met is not None and met.code == Unauthorized.code


class Rhythm(NamedTuple):
    """How often to read: ``turn`` is the interval, or shorter when the user asked for a read."""

    interval: timedelta
    turn: timedelta
    jitter: float


def read_snapshot(
    key_of: Callable[[], AdminKey], state: StateStore, clock: Callable[[], datetime]
) -> OrganizationSnapshot:
    """Return what is known now."""
    now = clock()
    key: AdminKey | None = None
    problem: CredentialError | None = None
    try:
        key = key_of()
    except CredentialError as error:
        problem = error
    fingerprint = token_fingerprint(key.secret) if key else ""
    backoff = state.backoff_of(fingerprint) if key else None
    organization = state.identity_of(fingerprint) if key else ""
    true_now = now - backoff.clock_skew if backoff else now
    month = true_now.date().replace(day=1)
    stored = state.stored_reports(organization, month)
    return OrganizationSnapshot(
        key, fingerprint, organization, backoff, true_now, month, stored, problem
    )


class Showing(NamedTuple):
    """What a status depends on besides the look: the account, and what the user has set."""

    account: Account
    state: StateStore
    budget: Decimal | None
    own_email: Callable[[], str | None]

    def status(
        self,
        snapshot: OrganizationSnapshot,
        previous: AccountStatus,
        rhythm: Rhythm,
        *,
        at_rest: bool,
    ) -> AccountStatus:
        """Return the status of a look; ``at_rest`` when nothing will be asked by itself."""
        if snapshot.key is None:
            spend, profile = previous.spend, None  # what was shown stays, with its age
        else:
            spend = spend_of(snapshot.stored, snapshot.now, self.budget, self.own_email())
            profile = self.state.profile_of(snapshot.fingerprint)
        return AccountStatus(
            account=self.account,
            spend=spend,
            profile=profile or previous.profile,
            credential_origin=snapshot.key.origin if snapshot.key else None,
            problem=_problem(snapshot, spend),
            notice=self._notice(snapshot, spend),
            next_read_at=None if at_rest or snapshot.key is None else _next_read(snapshot, rhythm),
            interval=rhythm.interval,
            clock_skew=snapshot.backoff.clock_skew if snapshot.backoff else timedelta(),
        )

    def _notice(self, snapshot: OrganizationSnapshot, spend: Spend | None) -> str | None:
        troubles = trouble_words(snapshot.stored.failures) if spend is not None else ""
        return " ".join(filter(None, (troubles, self.state.notice))) or None


def _problem(snapshot: OrganizationSnapshot, spend: Spend | None) -> Problem | None:
    if snapshot.problem is not None:
        return Problem.from_error(snapshot.problem)
    met = snapshot.backoff.problem if snapshot.backoff else None
    if met is not None and snapshot.is_refused and snapshot.key:
        return dataclasses.replace(met, hint=f"It comes from: {snapshot.key.origin}. {met.hint}")
    if met is None and spend is None and snapshot.stored.failures:
        code = next(iter(snapshot.stored.failures.values())).code
        return Problem(code, trouble_words(snapshot.stored.failures), f"Use a full one. {MAKE_ONE}")
    return met


def _next_read(snapshot: OrganizationSnapshot, rhythm: Rhythm) -> datetime:
    backoff = snapshot.backoff
    if backoff is not None and backoff.problem is not None:
        return backoff.next_request_at
    turn = schedule.next_turn(snapshot.stored, snapshot.now, rhythm.turn)
    if turn > snapshot.now and rhythm.turn == rhythm.interval:
        turn += lengthened(rhythm.interval, rhythm.jitter) - rhythm.interval
    return turn if backoff is None else max(turn + backoff.clock_skew, backoff.next_request_at)
