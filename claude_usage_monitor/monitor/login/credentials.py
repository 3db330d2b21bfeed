"""Finds the credential of the account ``claude-code``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsNotFound,
    PartialCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.files import StrPath
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.claude_code.credentials_file import Login
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.secret import Secret

ENVIRONMENT = f"{credentials_file.TOKEN_VARIABLE} variable"
FILE = "Claude Code credentials file"
KEYCHAIN = "Claude Code keychain item"

_EXPIRY_MARGIN = timedelta(seconds=5)  # a token with less time left may expire on the way
_KEYCHAIN_INTERVAL = timedelta(seconds=60)  # between two reads of an expired or missing item
_KEYCHAIN_DENIED_COOLDOWN = timedelta(hours=1)  # each read may open a dialog on the screen


class Credential(NamedTuple):
    """A login, and where it was found."""

    login: Login
    origin: str

    @property
    def token(self) -> Secret:
        """The access token."""
        return self.login.token

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the access token."""
        return token_fingerprint(self.login.token)

    def expired(self, now: datetime) -> bool:
        """Return whether the token has expired, or will expire before a request arrives."""
        return self.login.expires_at is not None and self.login.expires_at <= now + _EXPIRY_MARGIN


class CredentialFinder:
    """Finds the credential: in the environment, or where Claude Code stores it.

    The stores are read each time, except the keychain, because a read may open a dialog. The last
    valid file is cached, and used while Claude Code rewrites the file. ``security`` replaces the
    tool that reads the keychain.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        use_keychain: bool = sys.platform == "darwin",
        security: StrPath | None = None,
    ) -> None:
        self._environ = environ
        self._use_keychain = use_keychain
        self._security = security
        self._keychain_result: Login | CredentialError | None = None
        self._keychain_read_at: datetime | None = None
        self._last_good_file: Login | None = None

    def find(self, now: datetime, *, force: bool = False) -> Credential:
        """Return the credential to use, even if it has expired.

        ``force`` reads the keychain even if its last answer is cached. Raises NoCredentials,
        PermissionDenied or SecretStoreUnavailable.
        """
        login = credentials_file.token_from_environment(self._environ)
        if login is not None:
            return Credential(login, ENVIRONMENT)
        return self.find_stored(now, force=force)

    def find_stored(self, now: datetime, *, force: bool = False) -> Credential:
        """Return Claude Code's stored login, ignoring the environment. Raises as `find`."""
        if not self._use_keychain:
            return self._from_file(now)
        try:
            credential = self._from_keychain(now, force=force)
        except CredentialError as keychain_error:
            try:
                return self._from_file(now)
            except CredentialError as file_error:
                # The error of an unusable store says more than that of a missing one.
                no_item = isinstance(keychain_error, CredentialsNotFound)
                raise (file_error if no_item else keychain_error) from None
        if not credential.expired(now):
            return credential
        try:
            other = self._from_file(now)
        except CredentialError:
            return credential
        return credential if other.expired(now) else other

    def stored_content(self, now: datetime) -> tuple[bytes, Credential]:
        """Read Claude Code's stored login again; return its raw bytes too. Raises as `find`."""
        origin = self.find_stored(now, force=True).origin
        if origin == FILE:
            path = credentials_file.credentials_path(self._environ)
            content = credentials_file.read_credentials_file(path)
        else:
            content = self._read_keychain()
        return content, Credential(credentials_file.parse_login(content, origin), origin)

    def _from_file(self, now: datetime) -> Credential:
        path = credentials_file.credentials_path(self._environ)
        try:
            self._last_good_file = credentials_file.read_login(path)
        except PartialCredentials:
            last = self._last_good_file
            if last is None or Credential(last, FILE).expired(now):
                raise
            return Credential(last, FILE)
        except CredentialError:
            self._last_good_file = None
            raise
        return Credential(self._last_good_file, FILE)

    def _from_keychain(self, now: datetime, *, force: bool) -> Credential:
        result = self._keychain_result
        if result is None or force or self._keychain_read_due(result, now):
            try:
                result = credentials_file.parse_login(self._read_keychain(), "the macOS keychain")
            except CredentialError as error:
                result = error
            self._keychain_result, self._keychain_read_at = result, now
        if isinstance(result, CredentialError):
            raise result
        return Credential(result, KEYCHAIN)

    def _keychain_read_due(self, result: Login | CredentialError, now: datetime) -> bool:
        age = now - (self._keychain_read_at or now)
        if isinstance(result, SecretStoreUnavailable):
            return age >= _KEYCHAIN_DENIED_COOLDOWN
        if isinstance(result, CredentialError) or Credential(result, KEYCHAIN).expired(now):
            return age >= _KEYCHAIN_INTERVAL
        return False

    def _read_keychain(self) -> bytes:
        # Imports subprocess (3 ms): only needed on a Mac.
        from claude_usage_monitor.sources.claude_code import keychain

        return keychain.read_content(self._environ, self._security or keychain.SECURITY)
