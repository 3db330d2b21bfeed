"""Adding accounts: a login made for us, raw credentials, Claude Code's own, an Admin key.

An account counts as added when the API has accepted it, or could not be asked. What the API
refuses is not kept.
"""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    GrantEnded,
    InvalidSetting,
    ServiceError,
    TornCredentials,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.accounts.manage import checked_name, require_free
from claude_usage_monitor.monitor.accounts.registry import account_of
from claude_usage_monitor.monitor.login.credentials import Credential
from claude_usage_monitor.monitor.login.ownership import place_of, shared_part
from claude_usage_monitor.monitor.login.stored_credentials import (
    Pair,
    content_of,
    credentials_from,
    pair_of,
)
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state.identities import fingerprint_of
from claude_usage_monitor.usage.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claude_usage_monitor.monitor.accounts.registry import Roster
    from claude_usage_monitor.store.accounts.saved_account import Origin
    from claude_usage_monitor.store.secrets.secret_store import Kept
    from claude_usage_monitor.usage.secret import Secret
    from claude_usage_monitor.usage.status import Account, Kind


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


def _added(roster: Roster, saved: SavedAccount, notes: tuple[str, ...]) -> Added:
    """Return an account as it is listed: it may be the active one by now."""
    found = next((e.account for e in roster.entries() if e.key == saved.id), account_of(saved))
    return Added(found, notes)


def add_login(
    roster: Roster, name: str, credentials: Mapping[str, object], *, replace: bool = False
) -> Added:
    """Keep the credentials of a login that was made for us."""
    return _add_own(roster, name, credentials, "login", replace=replace)


def add_credentials(
    roster: Roster, name: str, content: bytes, place: str, *, replace: bool = False
) -> Added:
    """Keep raw credentials JSON, from then on ours to renew; ``place`` names it in errors.

    Those that Claude Code holds itself are kept as its own. Raises NoCredentials when there is no
    login in them, InvalidSetting when another account has them.
    """
    credentials = credentials_from(content, place)
    login = credentials_file.login_from_blob(dict(credentials), place)
    if _is_claude_codes(roster, credentials, login.token):
        added = add_from_claude_code(roster, name, replace=replace)
        note = "These are Claude Code's own credentials: it renews them, not this program."
        return added._replace(notes=(note, *added.notes))
    return _add_own(roster, name, credentials, "credentials", replace=replace)


def add_from_claude_code(roster: Roster, name: str, *, replace: bool = False) -> Added:
    """Keep the login that Claude Code holds now. It stays Claude Code's to renew.

    Raises NoCredentials, SecretStoreUnavailable.
    """
    replaced = require_free(roster, name, "code", replace=replace)
    now = roster.clock()
    content, credential = roster.finder.stored_content(now)
    credentials = shared_part(content)
    known = global_config.GlobalConfig(roster.environ).read().profile or Profile()
    notes: tuple[str, ...] = ()
    profile: Profile | None = None
    if credential.expired(now):
        notes = ("Its token has expired: open Claude Code once (`claude`), it renews it.",)
    else:
        profile, notes = _asked(roster, credential.token)
    candidate = _Candidate(
        checked_name(name),
        "code",
        "claude-code",
        content_of(Pair(credentials, 0)),
        profile or known,
        place_of(roster.environ),
        replaced,
    )
    return _added(roster, _kept(roster, candidate), notes)


def _add_own(
    roster: Roster,
    name: str,
    credentials: Mapping[str, object],
    origin: Origin,
    *,
    replace: bool,
) -> Added:
    replaced = require_free(roster, name, "code", replace=replace)
    pair = Pair(credentials, 0)
    login = pair.login(name)
    other = _owner_of(roster, pair, replaced)
    if other is not None:
        raise InvalidSetting(
            f"These credentials are kept already, as {other.name!r}.",
            "A login can be renewed by one account only.",
        )
    token = pair.refresh_token
    if token is not None and roster.accounts.is_spent(fingerprint_of(token)):
        raise InvalidSetting(
            "These credentials are old: their login was kept before, and has been renewed since.",
            "Log in anew: `--login`.",
        )
    expired = Credential(login, "").expired(roster.clock())
    if expired and token is None:
        raise CredentialsExpired(hint="Log in again.", expired_at=login.expires_at)
    profile: Profile | None = None
    notes: tuple[str, ...] = ()
    if not expired:
        profile, notes = _asked(roster, login.token)
    candidate = _Candidate(
        checked_name(name),
        "code",
        origin,
        content_of(pair),
        profile or Profile(),
        {},
        replaced,
    )
    before = _secret_of(roster, replaced)
    saved = _kept(roster, candidate)
    if expired:
        try:
            saved, notes = _renewed(roster, saved, login.token)
        except GrantEnded:
            _undo(roster, saved, replaced, before)
            raise
    if token is None:
        notes += ("It has no refresh token: it ends when its access token does.",)
    return _added(roster, saved, notes)


def add_admin_key(roster: Roster, name: str, raw: str, *, replace: bool = False) -> Added:
    """Keep an organisation's Admin API key. Raises NoCredentials when it cannot be one."""
    from claude_usage_monitor.sources.anthropic import admin_api

    key = admin_api.checked_admin_key(raw)
    replaced = require_free(roster, name, "console", replace=replace)
    profile = Profile()
    notes: tuple[str, ...] = ()
    try:
        found = admin_api.get_organization(roster.connect_to_admin(), key)
        profile = Profile(organization=found.name, account_uuid=found.id)
        _remember(roster, key, profile)
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
    return _added(roster, _kept(roster, candidate), notes)


def _asked(roster: Roster, token: Secret) -> tuple[Profile | None, tuple[str, ...]]:
    """Ask whose a token is: who is refused is not kept, who cannot be asked is, with a note."""
    # Brings requests in, 100 ms.
    from claude_usage_monitor.sources.anthropic import oauth_api

    try:
        profile = oauth_api.get_profile(roster.connect(), token)
    except ServiceError as error:
        return None, (_unchecked(error),)
    _remember(roster, token, profile)
    return profile, ()


def _remember(roster: Roster, token: Secret, profile: Profile) -> None:
    fingerprint = fingerprint_of(token)
    roster.state.keep_profile(fingerprint, profile)
    if profile.identity:
        roster.state.link(fingerprint, profile.identity)


def _unchecked(error: UsageMonitorError) -> str:
    return f"It could not be checked: {error.message} It is kept, and tried when it is shown."


def _renewed(
    roster: Roster, saved: SavedAccount, token: Secret
) -> tuple[SavedAccount, tuple[str, ...]]:
    """Renew a login whose token had expired when it came to us."""
    try:
        pair = roster.renewer.renew(saved, fingerprint_of(token), refused=False)
        profile, notes = _asked(roster, pair.login(saved.name).token)
    except GrantEnded:
        raise
    except UsageMonitorError as error:  # what was renewed is never dropped
        return roster.accounts.get(saved.id) or saved, (_unchecked(error),)
    if profile is not None:
        roster.accounts.keep_profile(saved.id, profile)
    return roster.accounts.get(saved.id) or saved, notes


def _secret_of(roster: Roster, replaced: SavedAccount | None) -> Kept | None:
    try:
        return roster.secrets.read(replaced.id, known=replaced.place) if replaced else None
    except CredentialError:
        return None  # there is nothing to put back


def _undo(
    roster: Roster, saved: SavedAccount, replaced: SavedAccount | None, before: Kept | None
) -> None:
    """Take back an account whose login has ended, and put back the one that it replaced."""
    with roster.renewer.lock(saved):
        if replaced is None or before is None:
            roster.secrets.delete(saved.id, known=saved.place)
            roster.accounts.remove(saved.id)
            return
        kept = roster.secrets.write(saved.id, before.content)
        back = replaced._replace(place=kept.place, generation=kept.generation)
        roster.accounts.replace(back)


def _kept(roster: Roster, candidate: _Candidate) -> SavedAccount:
    """Keep the secret, then the account: one without a secret is never listed."""
    replaced = candidate.replaced
    account = replaced.id if replaced else uuid.uuid4().hex
    with roster.renewer.lock(replaced) if replaced else nullcontext():
        return _stored(roster, account, candidate)


def _stored(roster: Roster, account: str, candidate: _Candidate) -> SavedAccount:
    kept = roster.secrets.write(account, candidate.content, prompt=True)
    saved = SavedAccount(
        account,
        candidate.name,
        candidate.kind,
        candidate.origin,
        roster.clock(),
        candidate.profile,
        candidate.home,
        kept.place,
        kept.generation,
    )
    try:
        if candidate.replaced:
            roster.accounts.replace(saved)
        else:
            roster.accounts.add(saved)
    except UsageMonitorError as error:
        if not candidate.replaced or isinstance(error, UnknownAccount):
            roster.secrets.delete(account, known=kept.place)
        raise
    return saved


def _is_claude_codes(roster: Roster, credentials: Mapping[str, object], token: Secret) -> bool:
    """Return whether Claude Code holds these very credentials, or has since renewed their token."""
    try:
        content, live = roster.finder.stored_content(roster.clock())
    except TornCredentials:
        raise  # it is being rewritten: whose these are can be told in a moment
    except UsageMonitorError:
        return False
    theirs = Pair(values.mapping(values.parse_json(content)) or {}, 0).refresh_token
    ours = Pair(credentials, 0).refresh_token
    return live.token == token or (ours is not None and ours == theirs)


def _owner_of(roster: Roster, pair: Pair, replaced: SavedAccount | None) -> SavedAccount | None:
    """Return the account that has the same login: two that renew one would end it."""
    token = pair.refresh_token
    for saved in roster.accounts.all() if token is not None else ():
        if saved.kind != "code" or (replaced is not None and saved.id == replaced.id):
            continue
        try:
            kept = roster.secrets.read(saved.id, known=saved.place)
        except UsageMonitorError:
            continue  # said where that account is looked at
        if pair_of(kept.content, kept.generation).refresh_token == token:
            return saved
    return None
