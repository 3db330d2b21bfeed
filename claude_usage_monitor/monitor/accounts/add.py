"""Adds accounts: a new login, raw credentials, Claude Code's login, or an Admin API key.

An account is added if the API accepts its login or cannot be reached, but not if the API refuses
the login.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    InvalidSetting,
    PartialCredentials,
    RefreshTokenRevoked,
    ServiceError,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.accounts.manage import account_to_replace, checked_name
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, account_of
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.ownership import imported_part, location_of
from claude_usage_monitor.monitor.login.refresh import RefreshReason
from claude_usage_monitor.monitor.login.shutdown import run_critical, shutting_down
from claude_usage_monitor.monitor.login.stored import StoredCredentials, parse_credentials
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.anthropic import admin_api, oauth_api
from claude_usage_monitor.sources.anthropic.admin_key import checked_admin_key
from claude_usage_monitor.sources.claude_code import global_config
from claude_usage_monitor.store.accounts.saved_account import Origin, SavedAccount
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Account, Kind, Profile


class Added(NamedTuple):
    """An account that was added, and notes for the user."""

    account: Account
    notes: tuple[str, ...] = ()


def add_login(
    registry: AccountRegistry,
    name: str,
    credentials: Mapping[str, object],
    *,
    replace: bool = False,
) -> Added:
    """Add the credentials of a login that was made for this program."""
    return _add_own(registry, name, StoredCredentials(credentials), "login", replace=replace)


def add_credentials(
    registry: AccountRegistry, name: str, content: bytes, source: str, *, replace: bool = False
) -> Added:
    """Add raw credentials JSON, which only this program refreshes; ``source`` names it in errors.

    If Claude Code has the same login, it is imported as Claude Code's. Raises NoCredentials if
    there is no login in the JSON, InvalidSetting if another account has it.
    """
    stored = StoredCredentials(parse_credentials(content, source))
    if _is_claude_codes(registry.services, stored):
        added = add_from_claude_code(registry, name, replace=replace)
        note = "These are Claude Code's own credentials: only Claude Code refreshes them."
        return added._replace(notes=(note, *added.notes))
    return _add_own(registry, name, stored, "credentials", replace=replace)


def add_from_claude_code(registry: AccountRegistry, name: str, *, replace: bool = False) -> Added:
    """Import Claude Code's current login, which only Claude Code refreshes.

    Raises NoCredentials, SecretStoreUnavailable.
    """
    services = registry.services
    replaced = account_to_replace(registry, name, "code", replace=replace)
    content, credential = services.finder.stored_content(services.clock())
    profile: Profile | None = None
    notes: tuple[str, ...]
    if credential.expired(services.clock()):
        notes = ("Its token has expired. Open Claude Code once (`claude`): it renews its login.",)
    else:
        profile, notes = _checked_profile(services, credential.token)
    profile = profile or global_config.GlobalConfig(services.environ).read().profile or Profile()
    account = _new_account(services, name, "claude-code", profile, replaced)
    account = account._replace(claude_code_environ=location_of(services.environ))
    secret = StoredCredentials(imported_part(content)).as_secret()
    return _added(registry, _save(services, account, secret, replaced), notes)


def add_admin_key(
    registry: AccountRegistry, name: str, raw: str, *, replace: bool = False
) -> Added:
    """Add an organization by its Admin API key. Raises NoCredentials if it cannot be one."""
    services = registry.services
    key = checked_admin_key(raw)
    replaced = account_to_replace(registry, name, "console", replace=replace)
    profile = Profile()
    notes: tuple[str, ...] = ()
    try:
        organization = admin_api.get_organization(services.admin_client(), key)
        profile = Profile(organization=organization.name, account_uuid=organization.id)
        _record_profile(services, key, profile)
    except ServiceError as error:
        notes = (_not_checked(error),)
    account = _new_account(services, name, "admin-key", profile, replaced)
    saved = _save(services, account, {"admin_key": key.reveal()}, replaced)
    return _added(registry, saved, notes)


def _add_own(
    registry: AccountRegistry,
    name: str,
    stored: StoredCredentials,
    origin: Origin,
    *,
    replace: bool,
) -> Added:
    """Add a login that this program refreshes. An expired one is refreshed at once."""
    services = registry.services
    replaced = account_to_replace(registry, name, "code", replace=replace)
    login, token = stored.login(name), stored.refresh_token
    if token is not None:
        _require_unused(registry, token, replaced)
    expired = Credential(login, "").expired(services.clock())
    if expired and token is None:
        raise CredentialsExpired(hint="Log in again.", expired_at=login.expires_at)
    profile: Profile | None = None
    notes: tuple[str, ...] = ()
    if not expired:
        profile, notes = _checked_profile(services, login.token)
    account = _new_account(services, name, origin, profile or Profile(), replaced)
    if expired:
        work = partial(_save_and_refresh, services, account, stored, replaced)
        saved, notes = run_critical(work, account.name)
    else:
        saved = _save(services, account, stored.as_secret(), replaced)
    if token is None:
        notes += ("It has no refresh token: it works until its access token expires.",)
    return _added(registry, saved, notes)


# --- checks --------------------------------------------------------------------------------------


def _is_claude_codes(services: Services, stored: StoredCredentials) -> bool:
    """Return whether Claude Code has this login: the same access token or refresh token."""
    try:
        _, live = services.finder.stored_content(services.clock())
    except PartialCredentials:
        raise  # Claude Code is writing its store: the user can try again in a moment
    except UsageMonitorError:
        return False
    token = stored.refresh_token
    if token is not None and token == live.login.refresh_token:
        return True
    return live.token == stored.login("").token


def _require_unused(
    registry: AccountRegistry, token: Secret, replaced: SavedAccount | None
) -> None:
    """Raise InvalidSetting if another account has the login, or has refreshed it since.

    If two accounts refreshed the same login, they would invalidate it.
    """
    services = registry.services
    for saved in services.accounts.all():
        if saved.kind != "code" or (replaced is not None and saved.id == replaced.id):
            continue
        try:
            other = services.credentials.load(saved)
        except UsageMonitorError:
            continue  # the error appears when that account is read
        if other.refresh_token == token:
            raise InvalidSetting(
                f"These credentials are already saved as {registry.without_names(saved.name)!r}.",
                "Only one account can refresh a login.",
            )
    if services.accounts.is_used_up(token_fingerprint(token)):
        raise InvalidSetting(
            "These credentials are outdated: this program has refreshed their login since.",
            "Log in again with `--login`.",
        )


def _checked_profile(services: Services, token: Secret) -> tuple[Profile | None, tuple[str, ...]]:
    """Return the profile of a token; ``None`` and a note if the API cannot be reached.

    Raises CredentialError if the API refuses the token.
    """
    try:
        profile = oauth_api.get_profile(services.api_client(), token)
    except ServiceError as error:
        return None, (_not_checked(error),)
    _record_profile(services, token, profile)
    return profile, ()


def _record_profile(services: Services, token: Secret, profile: Profile) -> None:
    fingerprint = token_fingerprint(token)
    services.state.store_profile(fingerprint, profile)
    if profile.identity:
        services.state.link_identity(fingerprint, profile.identity)


def _not_checked(error: UsageMonitorError) -> str:
    return (
        f"It could not be checked: {error.message} It was added, and is checked when it is shown."
    )


# --- storing -------------------------------------------------------------------------------------


def _new_account(
    services: Services,
    name: str,
    origin: Origin,
    profile: Profile,
    replaced: SavedAccount | None,
) -> SavedAccount:
    account_id = replaced.id if replaced else uuid.uuid4().hex
    kind: Kind = "console" if origin == "admin-key" else "code"
    saved_at = services.clock()
    return SavedAccount(
        account_id, checked_name(name), kind, origin, saved_at, profile, {}, "file", 0
    )


def _save(
    services: Services,
    account: SavedAccount,
    content: Mapping[str, object],
    replaced: SavedAccount | None,
) -> SavedAccount:
    """Store the secret, then the account: an account without a secret is never listed."""
    with services.credentials.lock(account) if replaced else nullcontext():
        secret = services.secrets.write(account.id, content, prompt=True)
        saved = account._replace(location=secret.location, generation=secret.generation)
        try:
            if replaced:
                services.accounts.replace(saved)
            else:
                services.accounts.add(saved)
        except UsageMonitorError as error:
            if not replaced or isinstance(error, UnknownAccount):
                services.secrets.delete(saved.id, location=saved.location)
            raise
    return saved


def _save_and_refresh(
    services: Services,
    account: SavedAccount,
    stored: StoredCredentials,
    replaced: SavedAccount | None,
) -> tuple[SavedAccount, tuple[str, ...]]:
    """Save an expired login and refresh it; return the account and notes.

    Raises RefreshTokenRevoked if the login is no longer valid, after restoring the replaced one.
    """
    previous: Mapping[str, object] | None = None
    if replaced is not None:
        with suppress(CredentialError):  # an unreadable login cannot be restored
            previous = services.secrets.read(replaced.id, location=replaced.location).content
    saved = _save(services, account, stored.as_secret(), replaced)
    fingerprint = token_fingerprint(stored.login(saved.name).token)
    try:
        refreshed = services.refresher.refresh(saved, fingerprint, RefreshReason.EXPIRING)
        if shutting_down.is_set():
            return saved, ()
        profile, notes = _checked_profile(services, refreshed.login(saved.name).token)
    except RefreshTokenRevoked:
        if replaced is not None and previous is not None:
            _save(services, replaced, previous, replaced)
        else:
            with services.credentials.lock(saved):
                services.secrets.delete(saved.id, location=saved.location)
                services.accounts.remove(saved.id)
        raise
    except UsageMonitorError as error:  # the account stays: a refreshed login is never dropped
        return saved, (_not_checked(error),)
    if profile is not None:
        services.accounts.store_profile(saved.id, profile)
    return saved, notes


def _added(registry: AccountRegistry, saved: SavedAccount, notes: tuple[str, ...]) -> Added:
    """Return the account as now listed: it may have become the active one."""
    listed = {each.key: each.account for each in registry.all_accounts()}
    return Added(listed.get(saved.id, account_of(saved)), notes)
