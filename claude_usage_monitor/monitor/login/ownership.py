"""Decides whether this program may refresh a login that was imported from Claude Code.

A refresh token works once. As long as Claude Code is logged in to the same account, it refreshes
the login, and this program uses Claude Code's access token. We may refresh our copy only while the
API confirms that Claude Code is logged in to another account. A missing or empty store proves
nothing: another program may be replacing the file, and a refresh would use up Claude Code's token.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import Enum
from pathlib import Path

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    CredentialsNotFound,
    LoggedOut,
    PartialCredentials,
    UsageMonitorError,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.monitor.login.credentials import Credential, CredentialFinder
from claude_usage_monitor.monitor.login.stored import login_command
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.anthropic import oauth_api
from claude_usage_monitor.sources.claude_code import global_config
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

# The variables that locate Claude Code's store; saved with an account that was imported from it.
LOCATION_VARIABLES = ("CLAUDE_CONFIG_DIR", "CLAUDE_SECURESTORAGE_CONFIG_DIR", "HOME", "USERPROFILE")

_IMPORTED_KEYS = ("claudeAiOauth", "organizationUuid")


class Ownership(Enum):
    """The account that Claude Code is logged in to, compared with one of ours."""

    SAME = "same"
    UNKNOWN = "unknown"
    LOGGED_OUT = "logged_out"
    OTHER = "other"  # confirmed by the API


class OwnershipCheck(NamedTuple):
    """The ownership, Claude Code's login, and the uuid of its organization if known."""

    ownership: Ownership
    credential: Credential | None = None
    organization_id: str | None = None


class _Installation:
    """One Claude Code installation: its stored login and the account in its configuration."""

    def __init__(self, environ: Mapping[str, str], state: StateStore) -> None:
        self._environ = environ
        self._state = state
        self._config = global_config.GlobalConfig(environ)
        self.finder = CredentialFinder(environ)

    def without_cache(self) -> _Installation:
        """Return the same installation without a cached login, to see only its present store."""
        return _Installation(self._environ, self._state)

    def check(self, account_uuid: str | None, now: datetime, *, force: bool) -> OwnershipCheck:
        """Return the ownership according to its files and to earlier responses of the API."""
        try:
            credential = self.finder.find_stored(now, force=force)
        except (LoggedOut, CredentialsNotFound):
            return OwnershipCheck(Ownership.LOGGED_OUT)
        except CredentialError:
            return OwnershipCheck(Ownership.UNKNOWN)
        if account_uuid is None:
            return OwnershipCheck(Ownership.UNKNOWN, credential)
        config = self._config.read().profile
        token = self._state.profile_of(credential.fingerprint)
        configured_uuid = config.account_uuid if config else None
        token_uuid = token.account_uuid if token else None
        if token_uuid not in (None, account_uuid):
            # If the configuration names our account, Claude Code is switching between the two.
            contradiction = configured_uuid == account_uuid
            return OwnershipCheck(Ownership.UNKNOWN if contradiction else Ownership.OTHER)
        if account_uuid in (configured_uuid, token_uuid):
            profile = token if token_uuid else config
            organization_id = profile.organization_uuid if profile else None
            return OwnershipCheck(Ownership.SAME, credential, organization_id)
        return OwnershipCheck(Ownership.UNKNOWN, credential)

    def may_contain(self, token: Secret, now: datetime) -> bool:
        """Return whether the store contains this refresh token, or may contain it."""
        try:
            return self.finder.find_stored(now).login.refresh_token == token
        except PartialCredentials:
            return True  # Claude Code is writing it
        except CredentialError:
            return False


class LoginOwnership:
    """Compares our accounts with the login of each Claude Code installation that may share it.

    These are the one in this process's environment and the one an account was imported from.
    """

    def __init__(
        self, environ: Mapping[str, str], state: StateStore, connect: Callable[[], HttpClient]
    ) -> None:
        self._environ = environ
        self._state = state
        self._connect = connect
        self._current = _Installation(environ, state)
        self._by_location: dict[tuple[tuple[str, str], ...], _Installation] = {
            _as_key(location_of(environ)): self._current
        }

    def check(
        self, account: SavedAccount, now: datetime, *, force: bool = False, confirm: bool = False
    ) -> OwnershipCheck:
        """Return the ownership; ``OTHER`` only if every installation has another account.

        ``force`` reads a keychain again, even if it is cached. ``confirm`` uses no cache, and
        requests the account of a live token from the API, once per token: a file may still name
        the previous login.
        """
        uuid = account.profile.account_uuid
        checks = []
        for each in self._installations(account):
            installation = each.without_cache() if confirm else each
            check = installation.check(uuid, now, force=force)
            if confirm and uuid is not None and self._confirm(check, now):
                check = installation.check(uuid, now, force=False)
            checks.append(check)
        order = list(Ownership)
        return min(checks, key=lambda check: order.index(check.ownership))

    def live_credentials(
        self, account: SavedAccount, token: Secret, now: datetime
    ) -> values.JsonObject | None:
        """Return the stored credentials with this access token; ``None`` if they were replaced."""
        for installation in self._installations(account):
            with suppress(CredentialError):
                content, credential = installation.finder.stored_content(now)
                if credential.token == token:
                    return imported_part(content)
        return None

    def require_ours(self, account: SavedAccount, token: Secret, now: datetime) -> None:
        """Raise CredentialsExpired unless this program may send the account's refresh token."""
        for installation in self._installations(account):
            if installation.without_cache().may_contain(token, now):
                raise CredentialsExpired  # even if Claude Code reports another account
        if account.origin == "claude-code":
            problem = refresh_problem(account, self.check(account, now, confirm=True))
            if problem is not None:
                raise problem

    def _installations(self, account: SavedAccount) -> list[_Installation]:
        if account.origin != "claude-code":
            return [self._current]
        key = _as_key(account.claude_code_environ)
        if key not in self._by_location:
            others = {k: v for k, v in self._environ.items() if k not in LOCATION_VARIABLES}
            self._by_location[key] = _Installation(
                {**others, **account.claude_code_environ}, self._state
            )
        return list(dict.fromkeys((self._by_location[key], self._current)))

    def _confirm(self, check: OwnershipCheck, now: datetime) -> bool:
        """Request the profile of a live token; return whether it is new."""
        credential = check.credential
        if check.ownership is Ownership.SAME or credential is None or credential.expired(now):
            return False
        if self._state.profile_of(credential.fingerprint) is not None:
            return False

        try:
            profile = oauth_api.get_profile(self._connect(), credential.token)
        except UsageMonitorError:
            return False
        self._state.store_profile(credential.fingerprint, profile)
        if profile.identity:
            self._state.link_identity(credential.fingerprint, profile.identity)
        return True


def refresh_problem(account: SavedAccount, check: OwnershipCheck) -> CredentialsExpired | None:
    """Return why this program may not refresh its copy of Claude Code's login; ``None`` if it may.

    ``UNKNOWN`` may change when the API confirms the account.
    """
    if check.ownership is Ownership.OTHER:
        return None
    if check.ownership is Ownership.SAME:
        return CredentialsExpired()
    if check.ownership is Ownership.LOGGED_OUT:
        message = "The imported login has expired, and Claude Code is logged out."
    else:
        message = "The imported login has expired, and Claude Code may still use it."
    command = login_command(account.name)
    return CredentialsExpired(message, f"Log in with `claude`, or separately: `{command}`.")


def imported_part(content: bytes) -> dict[str, object]:
    """Return the part of Claude Code's store that an account imports: its login and no other."""
    blob = values.json_object(values.parse_json(content)) or {}
    return {key: blob[key] for key in _IMPORTED_KEYS if key in blob}


def location_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that locate Claude Code's store, as absolute paths."""
    location = {name: environ[name] for name in LOCATION_VARIABLES if environ.get(name)}
    # On a Mac, the name of the keychain item depends on the literal value of these.
    literal = LOCATION_VARIABLES[:2] if sys.platform == "darwin" else ()
    return {
        name: value if name in literal else str(Path(value).absolute())
        for name, value in location.items()
    }


def _as_key(location: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(location.items()))
