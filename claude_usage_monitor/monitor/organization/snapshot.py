"""What can be known of an organisation without asking anybody, and the status it makes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import CredentialError, Unauthorized
from claude_usage_monitor.monitor import backoff
from claude_usage_monitor.monitor.organization import requests
from claude_usage_monitor.monitor.organization.reports import trouble_words
from claude_usage_monitor.monitor.organization.spend import spend_of
from claude_usage_monitor.sources.anthropic.admin_api import MAKE_ONE
from claude_usage_monitor.store.state.identities import fingerprint_of
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from decimal import Decimal

    from claude_usage_monitor.monitor.organization.admin_key import AdminKey
    from claude_usage_monitor.store.state.ledger import Gate
    from claude_usage_monitor.store.state.spend import Stored
    from claude_usage_monitor.store.state.state_store import State
    from claude_usage_monitor.usage.money.spend import Spend


class OrganizationLook(NamedTuple):
    """An organisation's key and what is kept under it; ``now`` is by the API's clock.

    ``organization`` is its id, or what stands in for it; ``problem`` is why there is no ``key``.
    """

    key: AdminKey | None
    fingerprint: str
    organization: str
    gate: Gate | None
    now: datetime
    month: date
    stored: Stored
    problem: CredentialError | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the key was answered with 401 a short while ago."""
        met = self.gate.problem if self.gate else None
        return met is not None and met.code == Unauthorized.code


class Rhythm(NamedTuple):
    """How often to read: ``turn`` is the interval, or shorter when the user asked for a read."""

    interval: timedelta
    turn: timedelta
    chance: float


def look_at(
    key_of: Callable[[], AdminKey], state: State, clock: Callable[[], datetime]
) -> OrganizationLook:
    """Return what is known now."""
    now = clock()
    key: AdminKey | None = None
    problem: CredentialError | None = None
    try:
        key = key_of()
    except CredentialError as error:
        problem = error
    fingerprint = fingerprint_of(key.secret) if key else ""
    gate = state.gate_of(fingerprint) if key else None
    organization = state.account_of(fingerprint) if key else ""
    true_now = now - gate.clock_ahead if gate else now
    month = true_now.date().replace(day=1)
    stored = state.stored_parts(organization, month)
    return OrganizationLook(key, fingerprint, organization, gate, true_now, month, stored, problem)


class Showing(NamedTuple):
    """What a status depends on besides the look: the account, and what the user has set."""

    account: Account
    state: State
    budget: Decimal | None
    own_email: Callable[[], str | None]

    def status(
        self, look: OrganizationLook, previous: AccountStatus, rhythm: Rhythm, *, at_rest: bool
    ) -> AccountStatus:
        """Return the status of a look; ``at_rest`` when nothing will be asked by itself."""
        if look.key is None:
            spend, profile = previous.spend, None  # what was shown stays, with its age
        else:
            spend = spend_of(look.stored, look.now, self.budget, self.own_email())
            profile = self.state.profile_of(look.fingerprint)
        return AccountStatus(
            account=self.account,
            spend=spend,
            profile=profile or previous.profile,
            credential_origin=look.key.origin if look.key else None,
            problem=_problem(look, spend),
            notice=self._notice(look, spend),
            next_read_at=None if at_rest or look.key is None else _next_read(look, rhythm),
            interval=rhythm.interval,
            clock_ahead=look.gate.clock_ahead if look.gate else timedelta(),
        )

    def _notice(self, look: OrganizationLook, spend: Spend | None) -> str | None:
        troubles = trouble_words(look.stored.trouble) if spend is not None else ""
        return " ".join(filter(None, (troubles, self.state.notice))) or None


def _problem(look: OrganizationLook, spend: Spend | None) -> Problem | None:
    if look.problem is not None:
        return Problem.from_error(look.problem)
    met = look.gate.problem if look.gate else None
    if met is not None and look.is_refused and look.key:
        return dataclasses.replace(met, hint=f"It comes from: {look.key.origin}. {met.hint}")
    if met is None and spend is None and look.stored.trouble:
        code = next(iter(look.stored.trouble.values())).code
        return Problem(code, trouble_words(look.stored.trouble), f"Use a full one. {MAKE_ONE}")
    return met


def _next_read(look: OrganizationLook, rhythm: Rhythm) -> datetime:
    gate = look.gate
    if gate is not None and gate.problem is not None:
        return gate.next_at
    turn = requests.next_turn(look.stored, look.now, rhythm.turn)
    if turn > look.now and rhythm.turn == rhythm.interval:
        turn += rhythm.interval * backoff.JITTER * rhythm.chance
    return turn if gate is None else max(turn + gate.clock_ahead, gate.next_at)
