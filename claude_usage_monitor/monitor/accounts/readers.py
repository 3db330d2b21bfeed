"""Opens the reader of an account: a subscription or an organization."""

from __future__ import annotations

from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.reader import Reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.usage.status import Account

if TYPE_CHECKING:  # takes 2 ms, and only users with saved accounts need it
    from claude_usage_monitor.store.accounts.saved_account import SavedAccount


def open_reader(services: Services, account: Account, saved: SavedAccount | None) -> Reader:
    """Return a reader of an account; ``saved`` is None for the two built-in accounts."""
    reader = _open_reader(services, account, saved)
    if not services.settings.service_status:
        return reader
    # Takes 4 ms; only needed with this setting.
    from claude_usage_monitor.monitor.service_status import ServiceReader

    return ServiceReader(reader, services)


def _open_reader(services: Services, account: Account, saved: SavedAccount | None) -> Reader:
    if account.kind == "console":
        # Takes 9 ms (decimal, calendar, the reports); only needed for an organization.
        from claude_usage_monitor.monitor.accounts.organizations import organization_reader

        return organization_reader(services, saved)
    if saved is None:
        return claude_code_reader(services)
    return _saved_subscription_reader(services, saved)


def claude_code_reader(services: Services) -> SubscriptionReader:
    """Return a reader of the account that Claude Code is logged in as."""
    login_source = ClaudeCodeLogin(services.finder, services.state, services.environ)
    return SubscriptionReader(login_source, services)


def _saved_subscription_reader(services: Services, saved: SavedAccount) -> SubscriptionReader:
    # Takes 3 ms; only needed for a saved account.
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
