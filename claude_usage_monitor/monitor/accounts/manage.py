"""Checks account names, lists the accounts, and selects, renames and removes them."""

from __future__ import annotations

from claude_usage_monitor.errors import InvalidName, UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.accounts.registry import (
    AccountRegistry,
    ListedAccount,
    account_of,
)
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.text import clean, contains_secret
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state.identities import is_provisional, token_fingerprint
from claude_usage_monitor.usage.privacy import hidden
from claude_usage_monitor.usage.status import (
    CLAUDE_CODE,
    CONSOLE,
    Account,
    AccountStatus,
    Kind,
    Problem,
    name_key,
)

MAX_NAME_LENGTH = 64  # characters
_RESERVED_NAMES = (CLAUDE_CODE.name, CONSOLE.name, "demo")


class AccountSummary(NamedTuple):
    """A row of the list of accounts; ``stored_in`` names the store of the login."""

    account: Account
    plan: str | None
    stored_in: str | None
    problem: Problem | None


# --- names ---------------------------------------------------------------------------------------


def checked_name(raw: object) -> str:
    """Return an account name without white space at its ends. Raises InvalidName.

    Any printable text of at most 64 characters is a name, except a token or key.
    """
    if not isinstance(raw, str):
        raise InvalidName(f"A name is text, not {raw!r}.", "Use any printable text.")
    name = raw.strip()
    if contains_secret(name):
        raise InvalidName(
            "The name looks like a token or key, so it was not stored.",
            "Choose a name, and give the token or key on standard input. If others can see your "
            "shell's history, revoke it.",
        )
    if not name:
        raise InvalidName("An account needs a name.", "Use any printable text.")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidName(
            f"The name is too long: {len(name)} characters.",
            f"Use at most {MAX_NAME_LENGTH} characters.",
        )
    cleaned = clean(name, MAX_NAME_LENGTH)
    if not name.isprintable() or not cleaned:
        raise InvalidName("The name has characters that cannot be printed.", "Remove them.")
    if name_key(cleaned) in _RESERVED_NAMES:
        raise InvalidName(
            f"The name {cleaned!r} is taken by a built-in account.", "Choose another name."
        )
    return cleaned


def account_to_replace(
    registry: AccountRegistry, raw_name: object, kind: Kind, *, replace: bool
) -> SavedAccount | None:
    """Return the account that a new one replaces, None if its name is free.

    Raises InvalidName if the name is taken and ``replace`` is false, or the account is of another
    kind.
    """
    name = name_key(checked_name(raw_name))
    for saved in registry.services.accounts.all():
        if name_key(saved.name) != name:
            continue
        if not replace:
            raise InvalidName(
                f"There is an account {saved.name!r} already.",
                "Choose another name, or use `--replace` to replace its login.",
            )
        if saved.kind != kind:
            kinds = {"code": "a subscription", "console": "an organization"}
            raise InvalidName(
                f"The account {saved.name!r} is {kinds[saved.kind]}, not {kinds[kind]}.",
                "Choose another name.",
            )
        return saved
    return None


# --- the list ------------------------------------------------------------------------------------


def summaries(registry: AccountRegistry, *, hide_names: bool = False) -> tuple[AccountSummary, ...]:
    """Return every account and the state of its login, without a request."""
    found = tuple(_summary(registry, listed) for listed in registry.all_accounts())
    if not hide_names:
        return found
    shown = hidden([AccountStatus(each.account, problem=each.problem) for each in found])
    return tuple(
        each._replace(account=status.account, problem=status.problem)
        for each, status in zip(found, shown, strict=True)
    )


def _summary(registry: AccountRegistry, listed: ListedAccount) -> AccountSummary:
    status = registry.reader(listed).cached_status(AccountStatus(listed.account))
    stored_in = status.credential_origin
    if listed.saved is not None:
        stored_in = registry.services.secrets.location_name(listed.saved.location)
    email = listed.account.email or (status.profile.email if status.profile else None)
    plan = status.profile.plan if status.profile else None
    return AccountSummary(listed.account._replace(email=email), plan, stored_in, status.problem)


# --- choosing, renaming, removing ------------------------------------------------------------


def use(registry: AccountRegistry, name: str) -> Account:
    """Show an account by default from now on. Raises UnknownAccount."""
    listed = registry.find(name)
    registry.services.accounts.set_active(listed.key)
    return listed.account


def rename(registry: AccountRegistry, name: str, new_name: str) -> Account:
    """Give an account another name. Raises UnknownAccount, InvalidName."""
    saved = _require_saved(registry.find(name), "renamed")
    checked = checked_name(new_name)
    registry.services.accounts.rename(saved.id, checked)
    return account_of(saved._replace(name=checked))


def require_removable(registry: AccountRegistry, name: str) -> Account:
    """Return the named account. Raises UnknownAccount, InvalidName for a built-in account."""
    return account_of(_require_saved(registry.find(name), "removed"))


def remove(registry: AccountRegistry, name: str) -> tuple[str, ...]:
    """Delete an account, its login and its figures. Returns warnings.

    Raises as `require_removable` does, and SecretStoreUnavailable if the login cannot be deleted.
    """
    saved = _require_saved(registry.find(name), "removed")
    services = registry.services
    provisional_identity = _provisional_identity(services, saved)
    with services.credentials.lock(saved):  # no refreshed login is stored after this
        warnings = services.secrets.delete(saved.id, prompt=True, location=saved.location)
        services.accounts.remove(saved.id)
    identity = saved.profile.identity
    if identity is not None and identity not in _identities(services):
        services.state.delete_account_data(identity)
    if provisional_identity is not None:
        services.state.delete_account_data(provisional_identity)
    # A keyring that is unavailable matters only if the login was stored there.
    return warnings if saved.location == "keyring" else ()


def _identities(services: Services) -> list[str | None]:
    """Return the identities of all accounts, Claude Code's included."""
    login = services.state.last_login(CLAUDE_CODE.name)
    identities = [saved.profile.identity for saved in services.accounts.all()]
    return [*identities, login[0] if login else None]


def _provisional_identity(services: Services, saved: SavedAccount) -> str | None:
    """Return the identity that figures are stored under until the account's own is known."""
    if saved.kind != "code" or saved.origin == "claude-code":
        return None
    try:
        token = services.credentials.load(saved).login(saved.name).token
    except UsageMonitorError:
        return None
    identity = services.state.identity_of(token_fingerprint(token))
    return identity if is_provisional(identity) else None


def _require_saved(listed: ListedAccount, action: str) -> SavedAccount:
    if listed.saved is None:
        raise InvalidName(
            f"The built-in account {listed.account.name} cannot be {action}.",
            "It disappears when its login does.",
        )
    return listed.saved
