"""The snapshot of a login, made without a request, and the protocol of its source."""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple, Protocol
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.ledger import Backoff
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import Account, Problem, Profile, plan_label

if TYPE_CHECKING:  # `--json` takes 4 ms less if there is no Pace Maker
    from claude_usage_monitor.usage.throttling import Throttling


class LoginSnapshot(NamedTuple):
    """A login as its store describes it, without a request to the API.

    ``identity`` names the person and the organization, or is provisional. ``problem`` says why
    ``credential`` cannot be used, ``notice`` why the first choice was not used. ``refreshable`` is
    whether this program may refresh the token. ``backoff`` is that of the token's last request.

    ``throttling`` is Claude Pace Maker's state. ``pace_maker_polled_at`` is when it read this
    account's usage, if that was after our own last request; ``pace_maker_problem`` is the back-off
    that the API gave it for this account.
    """

    identity: str | None = None
    credential: Credential | None = None
    profile: Profile | None = None
    problem: UsageMonitorError | None = None
    notice: str | None = None
    refreshable: bool = False
    backoff: Backoff | None = None
    throttling: Throttling | None = None
    pace_maker_polled_at: datetime | None = None
    pace_maker_problem: Problem | None = None

    def usable(self, now: datetime) -> bool:
        """Return whether a request can be sent with the credential."""
        if self.credential is None or self.problem is not None:
            return False
        return not self.credential.expired(now)

    def extended_backoff(self, floor: timedelta) -> Backoff | None:
        """Return our back-off, extended by Claude Pace Maker's last request and its back-off.

        Both programs use the same request budget.
        """
        backoff = self.backoff
        if backoff is None:
            return None
        polled_at, problem = self.pace_maker_polled_at, self.pace_maker_problem
        next_request_at = backoff.next_request_at
        if polled_at is not None:
            next_request_at = max(next_request_at, polled_at + floor)
            backoff = backoff._replace(requested_at=polled_at)
        if problem is not None and problem.retry_at is not None:
            next_request_at = max(next_request_at, problem.retry_at)
        return backoff._replace(next_request_at=next_request_at)


class LoginSource(Protocol):
    """The login of one account: Claude Code's, or a saved one."""

    @property
    def account(self) -> Account:
        """The account."""
        ...

    @property
    def login_hint(self) -> str | None:
        """What to do if the API refuses the login; ``None`` to use the error's hint."""
        ...

    def snapshot(self, now: datetime, *, force: bool = False) -> LoginSnapshot:
        """Return the login's snapshot. ``force`` reads its store again, even if it is cached."""
        ...

    def refresh(self, snapshot: LoginSnapshot, now: datetime, *, refused: bool) -> bool:
        """Refresh an expired or refused token if we may; return whether we did.

        Raises UsageMonitorError when this fails.
        """
        ...

    def account_exists(self) -> bool:
        """Return whether the account still exists."""
        ...

    def store_profile(self, profile: Profile) -> None:
        """Store the profile that the API has sent for this account."""
        ...


def identity_to_show(
    state: StateStore, token_identity: str, configured_identity: str | None, now: datetime
) -> str:
    """Return the identity to show figures for until the API has confirmed the token's.

    This is the one in ``~/.claude.json`` until the first figures of the token are stored. After
    that it is the token's provisional one: the file may still name the previous login.
    """
    if configured_identity is None or not identities.is_provisional(token_identity):
        return token_identity
    has_figures = state.latest_usage(token_identity, now) is not None
    return token_identity if has_figures else configured_identity


def profile_of_login(credential: Credential) -> Profile:
    """Return the profile that is stored with a login: its plan at the time of the login."""
    login = credential.login
    plan = plan_label(login.subscription_type, login.rate_limit_tier)
    return Profile(plan=plan, rate_limit_tier=login.rate_limit_tier)
