"""Accounts as they are after ``accounts add``, without its requests."""

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
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.token_server import email_of, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from claude_usage_monitor.store.accounts.saved_account import Origin


class Clock:
    """This computer's clock, which a test may set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def later(self, **span: float) -> None:
        """Let so much more time pass."""
        self.ahead += timedelta(**span)


def registry(
    clock: Callable[[], datetime] = utc_now, settings: Settings | None = None
) -> AccountRegistry:
    """Return the accounts as a process would find them now."""
    return AccountRegistry(Services(os.environ, settings or Settings(), clock))


def keep(
    credentials: Mapping[str, object],
    name: str,
    origin: Origin = "login",
    home: Mapping[str, str] | None = None,
) -> SavedAccount:
    """Keep an account whose e-mail and uuids are those that the token server gives its name."""
    found = registry()
    account = uuid.uuid4().hex
    kept = found.services.secrets.write(account, StoredCredentials(credentials).as_secret())
    who = Profile(
        email=email_of(name),
        plan="Max 5x",
        account_uuid=uuid_of(name),
        organization_uuid=uuid_of(f"{name}'s"),
    )
    saved = SavedAccount(
        account, name, "code", origin, utc_now(), who, home or {}, kept.location, kept.generation
    )
    found.services.accounts.add(saved)
    return saved


def age(saved: SavedAccount) -> None:
    """Let an account's login be as old as one that is renewed usually is."""
    found = registry()
    kept = found.services.secrets.read(saved.id)
    pair = StoredCredentials.from_secret(kept.content, kept.generation)
    found.services.secrets.write(saved.id, pair._replace(refreshed_at=None).as_secret())


def refresh_token(saved: SavedAccount) -> str:
    """Return the refresh token that is stored for an account now."""
    kept = registry().services.secrets.read(saved.id)
    token = StoredCredentials.from_secret(kept.content, kept.generation).refresh_token
    assert token is not None
    return token.reveal()


def read(found: AccountRegistry, saved: SavedAccount) -> AccountStatus:
    """Read an account as a face would."""
    entry = next(entry for entry in found.all_accounts() if entry.key == saved.id)
    return found.reader(entry).read(AccountStatus(entry.account))
