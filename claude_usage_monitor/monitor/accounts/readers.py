"""The reader of an account: a subscription's or an organization's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UnknownAccount
from claude_usage_monitor.monitor.organization.admin_key import AdminKey, find_admin_key
from claude_usage_monitor.monitor.reader import Reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.sources.anthropic.admin_key import checked_admin_key
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.usage.status import CLAUDE_CODE, Account

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.organization.reader import OrganizationReader


def open_reader(services: Services, account: Account, saved: SavedAccount | None) -> Reader:
    """Return a reader of an account; ``saved`` is None for the two built-in accounts."""
    if account.kind == "console":
        return organization_reader(services, account, saved)
    if saved is None:
        return claude_code_reader(services)
    return _saved_subscription_reader(services, saved)


def claude_code_reader(services: Services) -> SubscriptionReader:
    """Return a reader of the account that Claude Code is logged in as."""
    login_source = ClaudeCodeLogin(services.finder, services.state, services.environ)
    return SubscriptionReader(login_source, services)


def _saved_subscription_reader(services: Services, saved: SavedAccount) -> SubscriptionReader:
    # 4 ms that only users with saved accounts pay.
    from claude_usage_monitor.monitor.subscription.saved_login import SavedLogin

    login_source = SavedLogin(
        saved,
        services.accounts,
        services.credentials,
        services.ownership,
        services.refresher,
        services.state,
    )
    return SubscriptionReader(login_source, services)


def organization_reader(
    services: Services, account: Account, saved: SavedAccount | None = None
) -> OrganizationReader:
    """Return a reader of an organization; without ``saved`` its key comes from the environment."""
    # 8 ms (decimal, calendar, the reports) that only users with an organization pay.
    from claude_usage_monitor.monitor.organization.reader import OrganizationReader

    config = GlobalConfig(services.environ)

    def find_key() -> AdminKey:
        return saved_admin_key(services, saved) if saved else find_admin_key(services.environ)

    return OrganizationReader(account, find_key, services, lambda: own_email(services, config))


def saved_admin_key(services: Services, saved: SavedAccount) -> AdminKey:
    """Return the key of a saved organization. Raises CredentialError, UnknownAccount."""
    current = services.accounts.get(saved.id)
    if current is None:
        message = f"The account {saved.name} was removed."
        raise UnknownAccount(message, "Press Tab for the others.")
    stored = services.secrets.read(current.id, location=current.location)
    key = checked_admin_key(str(stored.content.get("admin_key", "")))
    return AdminKey(key, f"the saved account {current.name}")


def own_email(services: Services, config: GlobalConfig) -> str | None:
    """Return the user's own e-mail address, None if it is not known.

    The setting comes first, then the profile of Claude Code's login, then ``~/.claude.json``. It
    is never guessed: without it, no row of the organization is marked as the user's.
    """
    if services.settings.email:
        return services.settings.email
    login = services.state.last_login(CLAUDE_CODE.name)
    email = services.state.email_of(login[0]) if login else None
    if email is None:
        profile = config.read().profile
        email = profile.email if profile else None
    return email
