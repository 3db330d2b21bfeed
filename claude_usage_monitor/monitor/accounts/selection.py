"""Decides which accounts to show."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.monitor.accounts.registry import (
    LISTED_CLAUDE_CODE,
    LISTED_CONSOLE,
    AccountRegistry,
    ListedAccount,
)
from claude_usage_monitor.store.settings import Mode


def selected(
    registry: AccountRegistry, names: Sequence[str], mode: Mode, *, every: bool = False
) -> tuple[ListedAccount, ...]:
    """Return the accounts to show: the named ones, every one, or the active one.

    In mode ``auto``, an organization is shown after the active subscription. Raises UnknownAccount,
    and AccountsUnavailable when the list of accounts cannot be read.
    """
    if names:
        named = [registry.find(name) for name in names]
        return tuple({listed.key: listed for listed in named}.values())
    return _of_mode(registry, registry.all_accounts(), mode, every=every)


def selected_without_list(registry: AccountRegistry, mode: Mode) -> tuple[ListedAccount, ...]:
    """Return the account to show while the list of accounts cannot be read."""
    return _of_mode(registry, (LISTED_CLAUDE_CODE,), mode, every=False)


def _of_mode(
    registry: AccountRegistry, listed: tuple[ListedAccount, ...], mode: Mode, *, every: bool
) -> tuple[ListedAccount, ...]:
    if mode != "auto":
        listed = tuple(each for each in listed if each.account.kind == mode)
    if not listed:
        # The organization's status says how to add a key, and shows figures once there is one.
        return (LISTED_CONSOLE,)
    if every:
        return without_duplicates(registry, _without_logged_out(registry, listed))[0]
    organizations = [each for each in listed if each.account.kind == "console"]
    first = listed[0]
    if not first.account.active:  # the active account is of the other kind
        first = organizations[0] if organizations else _without_logged_out(registry, listed)[0]
    if not organizations or mode != "auto" or first.account.kind == "console":
        return (first,)
    return _without_logged_out(registry, (first, organizations[0]))


def without_duplicates(
    registry: AccountRegistry, listed: Sequence[ListedAccount]
) -> tuple[tuple[ListedAccount, ...], tuple[str, ...]]:
    """Leave out accounts that are the same login, or the same organization, as an earlier one.

    Returns the others, and a note about each that was left out.
    """
    shown: dict[str, ListedAccount] = {}
    notes = []
    for each in listed:
        identity = registry.identity_of(each) or each.key
        first = shown.setdefault(identity, each)
        if first is not each:
            same = "the same organization" if each.account.kind == "console" else "the same login"
            notes.append(f"{each.account.name} is {same} as {first.account.name}: shown once.")
    return tuple(shown.values()), tuple(notes)


def _without_logged_out(
    registry: AccountRegistry, listed: tuple[ListedAccount, ...]
) -> tuple[ListedAccount, ...]:
    """Leave out Claude Code's account while it is logged out, unless no other is left."""
    key = LISTED_CLAUDE_CODE.key
    with_login = [each for each in listed if each.key != key or registry.has_claude_code()]
    return tuple(with_login) or listed
