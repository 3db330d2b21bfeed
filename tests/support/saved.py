"""Accounts as `accounts add` leaves them, without its requests."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.login.stored import StoredCredentials
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus, Profile
from tests.support.token_server import email_of, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from claude_usage_monitor.store.accounts.saved_account import Origin


class Clock:
    """This computer's clock, which a test can advance."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def advance(self, **span: float) -> None:
        """Advance the clock by a timedelta with these arguments."""
        self.ahead += timedelta(**span)


def registry(
    clock: Callable[[], datetime] = utc_now, settings: Settings | None = None
) -> AccountRegistry:
    """Return the registry that a new process would create."""
    return AccountRegistry(Services(os.environ, settings or Settings(), clock))


def save_account(
    credentials: Mapping[str, object],
    name: str,
    origin: Origin = "login",
    home: Mapping[str, str] | None = None,
) -> SavedAccount:
    """Save an account with the e-mail address and uuids that the token server has for its name."""
    services = registry().services
    account_id = uuid.uuid4().hex
    secret = services.secrets.write(account_id, StoredCredentials(credentials).as_secret())
    profile = Profile(
        email=email_of(name),
        plan="Max 5x",
        account_uuid=uuid_of(name),
        organization_uuid=uuid_of(f"{name}'s"),
    )
    saved = SavedAccount(
        account_id,
        name,
        "code",
        origin,
        utc_now(),
        profile,
        home or {},
        secret.location,
        secret.generation,
    )
    services.accounts.add(saved)
    return saved


def forget_last_refresh(saved: SavedAccount) -> None:
    """Make an account's login refreshable again at once."""
    services = registry().services
    stored = services.credentials.load(saved)
    services.secrets.write(saved.id, stored._replace(refreshed_at=None).as_secret())


def refresh_token(saved: SavedAccount) -> str:
    """Return the refresh token that is stored for an account now."""
    token = registry().services.credentials.load(saved).refresh_token
    assert token is not None
    return token.reveal()


def read(found: AccountRegistry, saved: SavedAccount) -> AccountStatus:
    """Read an account as every output does."""
    entry = next(entry for entry in found.all_accounts() if entry.key == saved.id)
    return found.reader(entry).read(AccountStatus(entry.account))
