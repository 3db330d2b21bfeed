"""Opens the history of an account that the user names, or of the active one."""

from __future__ import annotations

from datetime import timedelta

from claude_usage_monitor.light_typing import cast
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.reader import require_subscription, unwrapped
from claude_usage_monitor.monitor.subscription.history import AccountHistory
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.usage.status import AccountStatus


def account_history(
    registry: AccountRegistry, name: str | None
) -> tuple[str, AccountHistory, timedelta]:
    """Return an account's name, its history in the API's time, and the clock skew.

    The skew is how far this computer's clock is ahead of the API's.
    Raises UnknownAccount, AccountsUnavailable, and InvalidSetting for an organization.
    """
    listed = selected(registry, () if name is None else (name,), "code")[0]
    require_subscription(listed.account)
    reader = cast("SubscriptionReader", unwrapped(registry.reader(listed)))
    status = reader.cached_status(AccountStatus(listed.account))
    return listed.account.name, reader.history(), status.clock_skew
