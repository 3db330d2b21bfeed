"""Opens the history of an account that the user names, or of the active one."""

from __future__ import annotations

from claude_usage_monitor.light_typing import cast
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.reader import require_subscription, unwrapped
from claude_usage_monitor.monitor.subscription.history import AccountHistory
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader


def account_history(registry: AccountRegistry, name: str | None) -> tuple[str, AccountHistory]:
    """Return an account's name and history.

    Raises UnknownAccount, AccountsUnavailable, and InvalidSetting for an organization.
    """
    listed = selected(registry, () if name is None else (name,), "code")[0]
    require_subscription(listed.account)
    reader = cast("SubscriptionReader", unwrapped(registry.reader(listed)))
    return listed.account.name, reader.history()
