"""The reader of an account: a subscription's or an organization's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.monitor.organization.admin_key import AdminKey, find_admin_key
from claude_usage_monitor.monitor.reader import Reader
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
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
    return SubscriptionReader(services.saved_logins.login_source(saved), services)


def claude_code_reader(services: Services) -> SubscriptionReader:
    """Return a reader of the account that Claude Code is logged in as."""
    login_source = ClaudeCodeLogin(services.finder, services.state, services.environ)
    return SubscriptionReader(login_source, services)


def organization_reader(
    services: Services, account: Account, saved: SavedAccount | None = None
) -> OrganizationReader:
    """Return a reader of an organization; without ``saved`` its key comes from the environment."""
    # 8 ms (decimal, calendar, the reports) that only users with an organization pay.
    from claude_usage_monitor.monitor.organization.reader import OrganizationReader

    config = GlobalConfig(services.environ)

    def admin_key() -> AdminKey:
        if saved is None:
            return find_admin_key(services.environ)
        return services.saved_logins.admin_key(saved)

    return OrganizationReader(
        account,
        admin_key,
        services.admin_client,
        services.state,
        services.settings,
        services.clock,
        services.random_fraction,
        lambda: own_email(services, config),
    )


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
