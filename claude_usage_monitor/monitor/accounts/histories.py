"""Opens the history of an account that the user names, or of the active one."""

from __future__ import annotations

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.reader import unwrapped
from claude_usage_monitor.monitor.subscription.history import AccountHistory
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader


def account_history(registry: AccountRegistry, name: str | None) -> tuple[str, AccountHistory]:
    """Return an account's name and history.

    Raises UnknownAccount, AccountsUnavailable, and InvalidSetting for an organization, which has
    no windows.
    """
    listed = registry.find(name) if name is not None else selected(registry, (), "code")[0]
    reader = unwrapped(registry.reader(listed))
    if not isinstance(reader, SubscriptionReader):
        raise InvalidSetting(
            "This account is an organization: it has no windows.",
            "Name a subscription with `--account NAME`.",
        )
    return listed.account.name, AccountHistory(
        registry.services.state, reader.identity(), listed.key
    )
