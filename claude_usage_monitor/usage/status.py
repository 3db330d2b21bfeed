"""An account: who it is, its plan, its last good reading, and what has gone wrong since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from unicodedata import normalize

from claude_usage_monitor.errors import (
    CredentialsExpired,
    RateLimited,
    UsageMonitorError,
    error_of,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING, Literal, NamedTuple
from claude_usage_monitor.usage.limits.windows import Usage

if TYPE_CHECKING:  # these modules take 10 ms
    from claude_usage_monitor.usage.attribution.shown import WindowUse
    from claude_usage_monitor.usage.money.spend import Spend
    from claude_usage_monitor.usage.service import ServiceStatus
    from claude_usage_monitor.usage.throttling import Throttling
else:  # for `typing.get_type_hints`
    WindowUse = Spend = ServiceStatus = Throttling = object

Kind = Literal["code", "console"]

STALE_INTERVALS = 3
MIN_STALE_INTERVAL = timedelta(seconds=300)

_PLAN_TYPES = {
    "claude_max": "Max",
    "claude_pro": "Pro",
    "claude_team": "Team",
    "claude_enterprise": "Enterprise",
    "claude_free": "Free",
}
_ORGANIZATION_PLANS = ("Team", "Enterprise")
_SEAT_PLANS = {"team_standard": "Team Standard", "team_tier_1": "Team Premium"}


class Account(NamedTuple):
    """A named account; ``kind`` is ``code`` (subscription) or ``console`` (organization)."""

    name: str
    kind: Kind = "code"
    email: str | None = None
    active: bool = True
    saved_at: datetime | None = None


# The accounts that exist without being added, where their credential does.
CLAUDE_CODE = Account("claude-code")
CONSOLE = Account("console", "console", active=False)


class Profile(NamedTuple):
    """The person, organization and plan of an account; each field is ``None`` if unknown.

    ``plan`` is a label such as ``Max 5x``.
    """

    display_name: str | None = None
    email: str | None = None
    organization: str | None = None
    plan: str | None = None
    rate_limit_tier: str | None = None
    account_uuid: str | None = None
    organization_uuid: str | None = None

    @property
    def identity(self) -> str | None:
        """The key of the account's limits: a person has separate limits in each organization."""
        if self.account_uuid is None or self.organization_uuid is None:
            return self.account_uuid
        return f"{self.account_uuid}/{self.organization_uuid}"


class Problem(NamedTuple):
    """Why there are no fresh figures: a stable code, what happened, what to do.

    ``retry_at`` is when the next try is due; ``since`` is when a login expired; ``retry_after`` is
    how long the API asked to wait, ``None`` if it did not say. ``error_class`` is the class of the
    error, ``None`` if only its code was stored.
    """

    code: str
    message: str
    hint: str
    retry_at: datetime | None = None
    since: datetime | None = None
    retry_after: timedelta | None = None
    error_class: type[UsageMonitorError] | None = None

    @classmethod
    def from_error(cls, error: UsageMonitorError, retry_at: datetime | None = None) -> Problem:
        """Return the problem that an error describes."""
        return cls(
            error.code,
            error.message,
            error.hint,
            retry_at or error.retry_at,
            getattr(error, "expired_at", None),
            getattr(error, "retry_after", None),
            type(error),
        )

    def as_error(self) -> UsageMonitorError:
        """Return the error that this problem came from, with its times."""
        error = error_of(self.code, self.message, self.hint, self.error_class)
        error.retry_at = self.retry_at
        if isinstance(error, CredentialsExpired):
            error.expired_at = self.since
        if isinstance(error, RateLimited):
            error.retry_after = self.retry_after
        return error


class AccountStatus(NamedTuple):
    """One account, as every output shows it.

    ``usage`` (``spend`` for an organization) is the last good reading; it stays while a
    ``problem`` prevents a newer one. ``clock_skew`` is how far this computer's clock is ahead of
    the API's: ``resets_at`` and ``as_of`` are in the API's time, ``next_read_at`` in this
    computer's. ``identity`` is that of the person and the organization, if it is known; ``use`` is
    what used the running windows, if transcripts were read; ``use_progress`` is the share (0 to 1)
    of them that was read, while a long read runs. ``reading`` is whether a request is under way.
    ``alerts`` names the limits with an alert that is not over: keys of windows, or the event
    ``extra_usage`` or ``budget``.
    """

    account: Account
    usage: Usage | None = None
    profile: Profile | None = None
    credential_origin: str | None = None
    problem: Problem | None = None
    notice: str | None = None
    next_read_at: datetime | None = None
    interval: timedelta = MIN_STALE_INTERVAL
    clock_skew: timedelta = timedelta()
    throttling: Throttling | None = None
    spend: Spend | None = None
    identity: str | None = None
    use: tuple[WindowUse, ...] = ()
    use_progress: float | None = None
    service: ServiceStatus | None = None
    reading: bool = False
    alerts: frozenset[str] = frozenset()

    @property
    def has_figures(self) -> bool:
        """Whether there are figures to show, however old."""
        return self.usage is not None or self.spend is not None

    @property
    def as_of(self) -> datetime | None:
        """When the figures were read; ``None`` without figures."""
        reading = self.usage or self.spend
        return reading.as_of if reading is not None else None

    def api_time(self, now: datetime) -> datetime:
        """Return the API's time when this computer's clock shows ``now``."""
        return now - self.clock_skew

    def at(self, now: datetime) -> AccountStatus:
        """Return the status as of ``now``: windows that have reset since have no utilization."""
        usage = self.usage.at(self.api_time(now)) if self.usage else None
        return self if usage is self.usage else self._replace(usage=usage)

    def age(self, now: datetime) -> timedelta | None:
        """Return how old the figures are; ``None`` without figures."""
        as_of = self.as_of
        return None if as_of is None else max(timedelta(), self.api_time(now) - as_of)

    @property
    def max_age(self) -> timedelta:
        """The age from which figures are old."""
        return STALE_INTERVALS * max(self.interval, MIN_STALE_INTERVAL)

    def stale(self, now: datetime) -> bool:
        """Return whether the figures are old: a problem, or more than three intervals."""
        age = self.age(now)
        if age is None:
            return False
        return self.problem is not None or age > self.max_age

    def paused_until(self, now: datetime) -> datetime | None:
        """Return the end of Claude Pace Maker's back-off if it delays the next read."""
        throttling, next_read_at = self.throttling, self.next_read_at
        if throttling is None or next_read_at is None or not throttling.backing_off(now):
            return None
        until = throttling.backoff_until
        return until if until is not None and until <= next_read_at else None


def plan_label(
    plan_type: str | None,
    rate_limit_tier: str | None = None,
    seat_tier: str | None = None,
) -> str | None:
    """Return the plan's label: ``Max 5x``, ``Team Premium``, ``Pro``.

    ``plan_type`` is ``claude_max`` or, as Claude Code stores it, ``max``. It decides, not the
    tier: an Enterprise plan may have a Max tier. An unknown type is returned as it is. ``Ultra`` is
    used only where the API says ``ultra``.
    """
    name = _PLAN_TYPES.get(f"claude_{(plan_type or '').removeprefix('claude_')}")
    names_ultra = "ultra" in f"{plan_type} {rate_limit_tier}".casefold()
    if names_ultra and name not in _ORGANIZATION_PLANS:
        return "Ultra"
    if not plan_type:
        return None
    if name is None:
        return plan_type
    _, _, multiplier = (rate_limit_tier or "").partition("max_")  # as in default_claude_max_20x
    if name == "Max" and multiplier.endswith("x") and multiplier[:-1].isdecimal():
        return f"Max {multiplier}"
    if name == "Team" and seat_tier:
        return _SEAT_PLANS.get(seat_tier, f"Team {seat_tier}")
    return name


def name_key(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode composition."""
    return normalize("NFC", normalize("NFC", name).casefold())


def with_service_once(statuses: Sequence[AccountStatus]) -> list[AccountStatus]:
    """Return the statuses; only the first keeps the service's status, which all of them share."""
    return [*statuses[:1], *(status._replace(service=None) for status in statuses[1:])]
