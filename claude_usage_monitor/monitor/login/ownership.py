"""Whose an account saved from Claude Code is to renew: Claude Code's, for as long as it may use it.

Refresh tokens are single-use. While Claude Code holds any login of the same account, its live token
is used and nothing is renewed by us; only where it is known to be logged in as somebody else, or
logged out, is our copy ours to try.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsNotFound,
    LoggedOut,
    NoCredentials,
    PartialCredentials,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.credentials import Credential, CredentialFinder
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.store.state.state_store import StateStore

# What names the place that a Claude Code keeps its login in; kept with an account saved from it.
PLACE_VARIABLES = ("CLAUDE_CONFIG_DIR", "CLAUDE_SECURESTORAGE_CONFIG_DIR", "HOME", "USERPROFILE")

_SHARED = ("claudeAiOauth", "organizationUuid")

Whose = Literal["same", "other", "nobody", "unknown"]


class Verdict(NamedTuple):
    """Who Claude Code is logged in as, seen from an account; ``credential`` is the live one.

    ``organization`` is the uuid of the organisation that it is logged in to, if that is told.
    """

    whose: Whose
    credential: Credential | None = None
    problem: CredentialError | None = None
    organization: str | None = None


class _ClaudeCode:
    """One Claude Code: where it keeps its login, and who it says it is."""

    def __init__(self, environ: Mapping[str, str], state: StateStore) -> None:
        self._environ = environ
        self._state = state
        self._finder = CredentialFinder(environ)
        self._global_config = global_config.GlobalConfig(environ)

    def verdict(self, account_uuid: str | None, now: datetime, *, force: bool) -> Verdict:
        """Return whose login it holds, without asking the API."""
        try:
            credential = self._finder.find_stored(now, force=force)
        except LoggedOut as error:
            return Verdict("nobody", problem=error)
        except NoCredentials as error:
            gone = isinstance(error, CredentialsNotFound) and self._place_is_there()
            return Verdict("nobody" if gone else "unknown", problem=error)
        except CredentialError as error:
            return Verdict("unknown", problem=error)
        if account_uuid is None:
            return Verdict("unknown", credential)
        config = self._global_config.read().profile
        token = self._state.profile_of(token_fingerprint(credential.token))
        named = config.account_uuid if config else None
        told = token.account_uuid if token else None
        if told not in (None, account_uuid) and named in (None, account_uuid):
            # The token is another's, whatever the file says: not to be used, and nothing renewed
            # that the file may be right about.
            return Verdict("other" if named is None else "unknown")
        if account_uuid in (named, told):
            teller = token if told else config
            organization = teller.organization_uuid if teller else None
            return Verdict("same", credential, organization=organization)
        return Verdict("unknown" if named is None else "other", credential)

    def content(self, account_uuid: str | None, now: datetime) -> Mapping[str, object] | None:
        """Return the login that it holds of the account. Raises NoCredentials."""
        content, credential = self._finder.stored_content(now)
        seen = self.verdict(account_uuid, now, force=False)
        if seen.whose != "same" or seen.credential is None:
            return None
        if seen.credential.token != credential.token:
            return None  # it was replaced in between
        return shared_part(content)

    def holds(self, token: Secret, now: datetime) -> bool:
        """Return whether this very refresh token is in its store, or may be."""
        try:
            return self._finder.find_stored(now, force=True).login.refresh_token == token
        except PartialCredentials:
            return True  # it is being rewritten
        except CredentialError:
            return False

    def _place_is_there(self) -> bool:
        """Return whether a missing file means logged out: its folder may be on another disk."""
        folder = credentials_file.credentials_path(self._environ).parent
        if folder.is_dir():
            return True
        elsewhere = any(self._environ.get(name) for name in PLACE_VARIABLES[:2])
        return not elsewhere and not folder.is_symlink() and folder.parent.is_dir()


def shared_part(content: bytes) -> dict[str, object]:
    """Return what is kept of Claude Code's store: its login, and none of the others in it."""
    blob = values.json_object(values.parse_json(content)) or {}
    return {key: blob[key] for key in _SHARED if key in blob}


class LoginOwnership:
    """The Claude Codes that an account saved from one shares its grant with.

    ``ask_profile`` asks the API whose a token is, at most once a token.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Mapping[str, str],
        state: StateStore,
        ask_profile: Callable[[Secret], Profile | None],
    ) -> None:
        self._state = state
        self._ask_profile = ask_profile
        then = {name: value for name, value in environ.items() if name not in PLACE_VARIABLES}
        then |= home
        self._places = [_ClaudeCode(then, state)]
        if place_of(environ) != dict(home):
            self._places.append(_ClaudeCode(environ, state))

    def holds(self, token: Secret, now: datetime) -> bool:
        """Return whether a Claude Code holds this very refresh token: it is not ours to send."""
        return any(place.holds(token, now) for place in self._places)

    def content(self, account_uuid: str | None, now: datetime) -> Mapping[str, object] | None:
        """Return the credentials that Claude Code holds of the account, if it does."""
        for place in self._places:
            found = place.content(account_uuid, now)
            if found is not None:
                return found
        return None

    def verdict(
        self, account_uuid: str | None, now: datetime, *, force: bool = False, asking: bool = False
    ) -> Verdict:
        """Return whose login Claude Code holds: the same account's wherever one of them has it.

        ``asking`` lets the API be asked whose a live token is, which a file may tell wrong.
        """
        found = [place.verdict(account_uuid, now, force=force) for place in self._places]
        if asking and account_uuid is not None:
            found = [
                place.verdict(account_uuid, now, force=False) if self._asked(seen, now) else seen
                for place, seen in zip(self._places, found, strict=True)
            ]
        for whose in ("same", "unknown", "other"):
            for verdict in found:
                if verdict.whose == whose:
                    return verdict
        return found[0]

    def _asked(self, seen: Verdict, now: datetime) -> bool:
        credential = seen.credential
        if seen.whose == "same" or credential is None or credential.expired(now):
            return False
        fingerprint = token_fingerprint(credential.token)
        if self._state.profile_of(fingerprint) is not None:
            return False
        try:
            profile = self._ask_profile(credential.token)
        except UsageMonitorError:
            return False
        if profile is None:
            return False
        self._state.store_profile(fingerprint, profile)
        if profile.identity:
            self._state.link_identity(fingerprint, profile.identity)
        return True


def place_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what tells this Claude Code from another: its variables, as absolute paths."""
    named = {name: environ[name] for name in PLACE_VARIABLES if environ.get(name)}
    # On a Mac the keychain item is named after the raw value.
    kept_raw = PLACE_VARIABLES[:2] if sys.platform == "darwin" else ()
    return {
        name: value if name in kept_raw else str(Path(value).absolute())
        for name, value in named.items()
    }
