"""Adding accounts: a login made for us, raw credentials, Claude Code's own, an Admin key.

An account counts as added when the API has accepted it, or could not be asked. What the API
refuses is not kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

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
from claude_usage_monitor.monitor.accounts.manage import checked_name, require_free
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, account_of
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.ownership import place_of, shared_part
from claude_usage_monitor.monitor.login.stored_credentials import (
    StoredCredentials,
    credentials_from_secret,
    parse_credentials,
    secret_from_credentials,
)
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.store.accounts.saved_account import Origin, SavedAccount
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Account, Kind

if TYPE_CHECKING:
    from claude_usage_monitor.store.secrets.secret_store import StoredSecret


class Added(NamedTuple):
    """An account that was added, and what its owner should know of it."""

    account: Account
    notes: tuple[str, ...] = ()


class _Candidate(NamedTuple):
    """An account that is to be added."""

    name: str
    kind: Kind
    origin: Origin
    content: Mapping[str, object]
    profile: Profile
    home: Mapping[str, str]
    replaced: SavedAccount | None


def _added(registry: AccountRegistry, saved: SavedAccount, notes: tuple[str, ...]) -> Added:
    """Return an account as it is listed: it may be the active one by now."""
    found = next((e.account for e in registry.entries() if e.key == saved.id), account_of(saved))
    return Added(found, notes)


def add_login(
    registry: AccountRegistry,
    name: str,
    credentials: Mapping[str, object],
    *,
    replace: bool = False,
) -> Added:
    """Keep the credentials of a login that was made for us."""
    return _add_own(registry, name, credentials, "login", replace=replace)


def add_credentials(
    registry: AccountRegistry, name: str, content: bytes, place: str, *, replace: bool = False
) -> Added:
    """Keep raw credentials JSON, from then on ours to renew; ``place`` names it in errors.

    Those that Claude Code holds itself are kept as its own. Raises NoCredentials when there is no
    login in them, InvalidSetting when another account has them.
    """
    credentials = parse_credentials(content, place)
    login = credentials_file.login_from_json(dict(credentials), place)
    if _is_claude_codes(registry, credentials, login.token):
        added = add_from_claude_code(registry, name, replace=replace)
        note = "These are Claude Code's own credentials: it renews them, not this program."
        return added._replace(notes=(note, *added.notes))
    return _add_own(registry, name, credentials, "credentials", replace=replace)


def add_from_claude_code(registry: AccountRegistry, name: str, *, replace: bool = False) -> Added:
    """Keep the login that Claude Code holds now. It stays Claude Code's to renew.

    Raises NoCredentials, SecretStoreUnavailable.
    """
    replaced = require_free(registry, name, "code", replace=replace)
    now = registry.services.clock()
    content, credential = registry.services.finder.stored_content(now)
    credentials = shared_part(content)
    known = global_config.GlobalConfig(registry.services.environ).read().profile or Profile()
    notes: tuple[str, ...] = ()
    profile: Profile | None = None
    if credential.expired(now):
        notes = ("Its token has expired: open Claude Code once (`claude`), it renews it.",)
    else:
        profile, notes = _asked(registry, credential.token)
    candidate = _Candidate(
        checked_name(name),
        "code",
        "claude-code",
        secret_from_credentials(StoredCredentials(credentials, 0)),
        profile or known,
        place_of(registry.services.environ),
        replaced,
    )
    return _added(registry, _kept(registry, candidate), notes)


def _add_own(
    registry: AccountRegistry,
    name: str,
    credentials: Mapping[str, object],
    origin: Origin,
    *,
    replace: bool,
) -> Added:
    replaced = require_free(registry, name, "code", replace=replace)
    stored = StoredCredentials(credentials, 0)
    login = stored.login(name)
    other = _owner_of(registry, stored, replaced)
    if other is not None:
        raise InvalidSetting(
            f"These credentials are kept already, as {other.name!r}.",
            "A login can be renewed by one account only.",
        )
    token = stored.refresh_token
    if token is not None and registry.services.accounts.is_spent(token_fingerprint(token)):
        raise InvalidSetting(
            "These credentials are old: their login was kept before, and has been renewed since.",
            "Log in anew: `--login`.",
        )
    expired = Credential(login, "").expired(registry.services.clock())
    if expired and token is None:
        raise CredentialsExpired(hint="Log in again.", expired_at=login.expires_at)
    profile: Profile | None = None
    notes: tuple[str, ...] = ()
    if not expired:
        profile, notes = _asked(registry, login.token)
    candidate = _Candidate(
        checked_name(name),
        "code",
        origin,
        secret_from_credentials(stored),
        profile or Profile(),
        {},
        replaced,
    )
    before = _secret_of(registry, replaced)
    saved = _kept(registry, candidate)
    if expired:
        try:
            saved, notes = _refresh_now(registry, saved, login.token)
        except RefreshTokenRevoked:
            _undo(registry, saved, replaced, before)
            raise
    if token is None:
        notes += ("It has no refresh token: it ends when its access token does.",)
    return _added(registry, saved, notes)


def add_admin_key(
    registry: AccountRegistry, name: str, raw: str, *, replace: bool = False
) -> Added:
    """Keep an organisation's Admin API key. Raises NoCredentials when it cannot be one."""
    from claude_usage_monitor.sources.anthropic import admin_api

    key = admin_api.checked_admin_key(raw)
    replaced = require_free(registry, name, "console", replace=replace)
    profile = Profile()
    notes: tuple[str, ...] = ()
    try:
        found = admin_api.get_organization(registry.services.admin_client(), key)
        profile = Profile(organization=found.name, account_uuid=found.id)
        _remember(registry, key, profile)
    except ServiceError as error:
        notes = (_unchecked(error),)
    candidate = _Candidate(
        checked_name(name),
        "console",
        "admin-key",
        {"admin_key": key.reveal()},
        profile,
        {},
        replaced,
    )
    return _added(registry, _kept(registry, candidate), notes)


def _asked(registry: AccountRegistry, token: Secret) -> tuple[Profile | None, tuple[str, ...]]:
    """Ask whose a token is: who is refused is not kept, who cannot be asked is, with a note."""
    # Brings requests in, 100 ms.
    from claude_usage_monitor.sources.anthropic import oauth_api

    try:
        profile = oauth_api.get_profile(registry.services.api_client(), token)
    except ServiceError as error:
        return None, (_unchecked(error),)
    _remember(registry, token, profile)
    return profile, ()


def _remember(registry: AccountRegistry, token: Secret, profile: Profile) -> None:
    fingerprint = token_fingerprint(token)
    registry.services.state.store_profile(fingerprint, profile)
    if profile.identity:
        registry.services.state.link_identity(fingerprint, profile.identity)


def _unchecked(error: UsageMonitorError) -> str:
    return f"It could not be checked: {error.message} It is kept, and tried when it is shown."


def _refresh_now(
    registry: AccountRegistry, saved: SavedAccount, token: Secret
) -> tuple[SavedAccount, tuple[str, ...]]:
    """Renew a login whose token had expired when it came to us."""
    try:
        stored = registry.services.refresher.refresh(saved, token_fingerprint(token), refused=False)
        profile, notes = _asked(registry, stored.login(saved.name).token)
    except RefreshTokenRevoked:
        raise
    except UsageMonitorError as error:  # what was renewed is never dropped
        return registry.services.accounts.get(saved.id) or saved, (_unchecked(error),)
    if profile is not None:
        registry.services.accounts.store_profile(saved.id, profile)
    return registry.services.accounts.get(saved.id) or saved, notes


def _secret_of(registry: AccountRegistry, replaced: SavedAccount | None) -> StoredSecret | None:
    try:
        return (
            registry.services.secrets.read(replaced.id, location=replaced.location)
            if replaced
            else None
        )
    except CredentialError:
        return None  # there is nothing to put back


def _undo(
    registry: AccountRegistry,
    saved: SavedAccount,
    replaced: SavedAccount | None,
    before: StoredSecret | None,
) -> None:
    """Take back an account whose login has ended, and put back the one that it replaced."""
    with registry.services.refresher.lock(saved):
        if replaced is None or before is None:
            registry.services.secrets.delete(saved.id, location=saved.location)
            registry.services.accounts.remove(saved.id)
            return
        kept = registry.services.secrets.write(saved.id, before.content)
        back = replaced._replace(location=kept.location, generation=kept.generation)
        registry.services.accounts.replace(back)


def _kept(registry: AccountRegistry, candidate: _Candidate) -> SavedAccount:
    """Keep the secret, then the account: one without a secret is never listed."""
    replaced = candidate.replaced
    account = replaced.id if replaced else uuid.uuid4().hex
    with registry.services.refresher.lock(replaced) if replaced else nullcontext():
        return _stored(registry, account, candidate)


def _stored(registry: AccountRegistry, account: str, candidate: _Candidate) -> SavedAccount:
    kept = registry.services.secrets.write(account, candidate.content, prompt=True)
    saved = SavedAccount(
        account,
        candidate.name,
        candidate.kind,
        candidate.origin,
        registry.services.clock(),
        candidate.profile,
        candidate.home,
        kept.location,
        kept.generation,
    )
    try:
        if candidate.replaced:
            registry.services.accounts.replace(saved)
        else:
            registry.services.accounts.add(saved)
    except UsageMonitorError as error:
        if not candidate.replaced or isinstance(error, UnknownAccount):
            registry.services.secrets.delete(account, location=kept.location)
        raise
    return saved


def _is_claude_codes(
    registry: AccountRegistry, credentials: Mapping[str, object], token: Secret
) -> bool:
    """Return whether Claude Code holds these very credentials, or has since renewed their token."""
    try:
        content, live = registry.services.finder.stored_content(registry.services.clock())
    except PartialCredentials:
        raise  # it is being rewritten: whose these are can be told in a moment
    except UsageMonitorError:
        return False
    theirs = StoredCredentials(
        values.json_object(values.parse_json(content)) or {}, 0
    ).refresh_token
    ours = StoredCredentials(credentials, 0).refresh_token
    return live.token == token or (ours is not None and ours == theirs)


def _owner_of(
    registry: AccountRegistry, stored: StoredCredentials, replaced: SavedAccount | None
) -> SavedAccount | None:
    """Return the account that has the same login: two that renew one would end it."""
    token = stored.refresh_token
    for saved in registry.services.accounts.all() if token is not None else ():
        if saved.kind != "code" or (replaced is not None and saved.id == replaced.id):
            continue
        try:
            kept = registry.services.secrets.read(saved.id, location=saved.location)
        except UsageMonitorError:
            continue  # said where that account is looked at
        if credentials_from_secret(kept.content, kept.generation).refresh_token == token:
            return saved
    return None
