"""The accounts of this user: what they may be called, which is shown, how they leave."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from claude_usage_monitor.errors import InvalidName, UsageMonitorError
from claude_usage_monitor.monitor.accounts.registry import (
    AccountRegistry,
    ListedAccount,
    account_of,
)
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.store.accounts.saved_account import SavedAccount, folded
from claude_usage_monitor.store.state.identities import is_provisional, token_fingerprint
from claude_usage_monitor.usage.status import (
    CLAUDE_CODE,
    CONSOLE,
    Account,
    AccountStatus,
    Kind,
    Problem,
)

LONGEST_NAME = 64  # characters
_DEMO = "demo"


class Listed(NamedTuple):
    """An account in the list: what it is, where its login is, and why that cannot be used."""

    account: Account
    plan: str | None
    stored_in: str | None
    problem: Problem | None


def checked_name(raw: str) -> str:
    """Return a name that an account can have. Raises InvalidName.

    Any printable text of at most 64 characters, white space at its ends aside.
    """
    name = raw.strip()
    if not name:
        raise InvalidName("An account needs a name.", "Any printable text up to 64 characters.")
    if len(name) > LONGEST_NAME:
        raise InvalidName(
            f"The name is too long: {len(name)} characters.", f"At most {LONGEST_NAME} are allowed."
        )
    if not name.isprintable() or not clean(name, LONGEST_NAME):
        raise InvalidName(
            "The name has characters that cannot be printed.", "Choose another, without them."
        )
    if folded(clean(name, LONGEST_NAME)) in (CLAUDE_CODE.name, CONSOLE.name, _DEMO):
        raise InvalidName(
            f"The name {name!r} is taken: it always means the built-in account.",
            "Choose another name.",
        )
    return clean(name, LONGEST_NAME)


def require_free(
    registry: AccountRegistry, raw: str, kind: Kind, *, replace: bool
) -> SavedAccount | None:
    """Return the account that a new one replaces, ``None`` if its name is free.

    Raises InvalidName when the name cannot be had.
    """
    name = checked_name(raw)
    for saved in registry.services.accounts.all():
        if folded(saved.name) != folded(name):
            continue
        if not replace:
            raise InvalidName(
                f"There is an account {saved.name!r} already.",
                "Choose another name, or `--replace` its login.",
            )
        if saved.kind != kind:
            raise InvalidName(
                f"The account {saved.name!r} is of another kind.", "Choose another name."
            )
        return saved
    return None


def listed(registry: AccountRegistry) -> tuple[Listed, ...]:
    """Return every account and how its login is, without asking the API."""
    return tuple(_listed(registry, entry) for entry in registry.entries())


def _listed(registry: AccountRegistry, entry: ListedAccount) -> Listed:
    problem: Problem | None = None
    if entry.saved is not None and entry.saved.kind == "console":
        stored_in: str | None = registry.services.secrets.location_name(entry.saved.location)
        try:
            registry.services.secrets.read(entry.saved.id, location=entry.saved.location)
        except UsageMonitorError as error:
            problem = Problem.from_error(error)
        return Listed(entry.account, None, stored_in, problem)
    status = registry.reader(entry).cached_status(AccountStatus(entry.account))
    stored_in = (
        registry.services.secrets.location_name(entry.saved.location) if entry.saved else None
    )
    plan = status.profile.plan if status.profile else None
    email = entry.account.email or (status.profile.email if status.profile else None)
    account = replace(entry.account, email=email)
    return Listed(account, plan, stored_in or status.credential_origin, status.problem)


# --- choosing, renaming, removing ------------------------------------------------------------


def use(registry: AccountRegistry, name: str) -> Account:
    """Make an account the one that is shown when none is named. Raises UnknownAccount."""
    entry = registry.named(name)
    registry.services.accounts.activate(entry.key)
    return entry.account


def rename(registry: AccountRegistry, name: str, new: str) -> Account:
    """Give an account another name. Raises UnknownAccount, InvalidName."""
    saved = _saved(registry.named(name), "renamed")
    changed = checked_name(new)
    registry.services.accounts.rename(saved.id, changed)
    return account_of(saved._replace(name=changed))


def removable(registry: AccountRegistry, name: str) -> Account:
    """Return the account that a name means, if it can be removed. Raises as `remove` does."""
    return account_of(_saved(registry.named(name), "removed"))


def remove(registry: AccountRegistry, name: str) -> tuple[str, ...]:
    """Delete an account, its login and its figures; returns what could not be made sure.

    Raises UnknownAccount; SecretStoreUnavailable when its login is in a place that is shut.
    """
    saved = _saved(registry.named(name), "removed")
    provisional_identity = _provisional_identity(registry, saved)
    with registry.services.credentials.lock(saved):  # no refreshed login is stored after this
        warnings = registry.services.secrets.delete(saved.id, prompt=True, location=saved.location)
        registry.services.accounts.remove(saved.id)
    identity = saved.profile.identity
    shared = {other.profile.identity for other in registry.services.accounts.all()}
    claude_codes = registry.services.state.last_login(CLAUDE_CODE.name)
    if identity is not None and identity not in shared | {claude_codes and claude_codes[0]}:
        registry.services.state.delete_account_data(identity)
    if provisional_identity is not None:
        registry.services.state.delete_account_data(provisional_identity)
    # A keyring that is not there can only hold what was put into it.
    return warnings if saved.location == "keyring" else ()


def _provisional_identity(registry: AccountRegistry, saved: SavedAccount) -> str | None:
    """Return what the figures of an account that nobody identified are kept under."""
    if saved.kind != "code" or saved.origin == "claude-code":
        return None
    try:
        token = registry.services.credentials.load(saved).login(saved.name).token
    except UsageMonitorError:
        return None
    account = registry.services.state.identity_of(token_fingerprint(token))
    return account if is_provisional(account) else None


def _saved(entry: ListedAccount, what: str) -> SavedAccount:
    if entry.saved is None:
        raise InvalidName(
            f"{entry.account.name} cannot be {what}: it is there as long as its login is.",
            "Only accounts that were added can be.",
        )
    return entry.saved
