"""Which of the accounts to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import AccountsUnavailable
from claude_usage_monitor.monitor.accounts.registry import (
    CONSOLE_ENTRY,
    AccountRegistry,
    ListedAccount,
)
from claude_usage_monitor.usage.status import CLAUDE_CODE

if TYPE_CHECKING:
    from claude_usage_monitor.store.settings import Mode


def selected(
    registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
) -> tuple[ListedAccount, ...]:
    """Return the accounts to show: those named, every one, or the active one.

    Beneath an active subscription, the organisation if there is a key of one. Raises
    UnknownAccount, and AccountsUnavailable when every account is asked for.
    """
    if names:
        return tuple({(found := registry.named(name)).key: found for name in names}.values())
    try:
        entries = registry.entries()
    except AccountsUnavailable as error:
        if every:
            raise
        registry.notice = f"{error.message} {error.hint}"
        entries = (ListedAccount(CLAUDE_CODE.name, CLAUDE_CODE),)
    if mode != "auto":
        entries = tuple(entry for entry in entries if entry.account.kind == mode)
    if not entries:
        return (CONSOLE_ENTRY,)  # which says that it lacks a key, and follows when there is one
    return _with_login(registry, entries) if every else _by_default(registry, entries, mode)


def _with_login(
    registry: AccountRegistry, entries: tuple[ListedAccount, ...]
) -> tuple[ListedAccount, ...]:
    """Leave out what Claude Code would be logged in as, if it were; not if that is all."""
    found = [e for e in entries if e.key != CLAUDE_CODE.name or registry.has_claude_code()]
    return tuple(found) or entries


def _by_default(
    registry: AccountRegistry, entries: tuple[ListedAccount, ...], mode: Mode
) -> tuple[ListedAccount, ...]:
    organizations = [entry for entry in entries if entry.account.kind == "console"]
    chosen = entries[0]  # the active one, if that is of a kind that is shown
    if not chosen.account.active:
        chosen = next(iter(organizations), _with_login(registry, entries)[0])
    if not organizations or mode != "auto" or chosen.account.kind == "console":
        return (chosen,)
    return _with_login(registry, (chosen, organizations[0]))
