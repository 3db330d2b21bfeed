"""Which credential serves the ``claude-code`` account, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    CredentialsNotFound,
    NoCredentials,
    PartialCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.claude_code.credentials_file import Login
from claude_usage_monitor.usage.secret import Secret

ENVIRONMENT = f"{credentials_file.TOKEN_VARIABLE} variable"
FILE = "Claude Code credentials file"
KEYCHAIN = "Claude Code keychain item"

_IN_FLIGHT = timedelta(seconds=5)  # a token this near its end may expire on its way
_KEYCHAIN_REST = timedelta(seconds=60)  # least time between two unasked reads of the keychain
_DENIED_REST = timedelta(hours=1)  # after a refusal nobody wants the dialog again soon


class Credential(NamedTuple):
    """A login and the words for where it was found."""

    login: Login
    origin: str

    @property
    def token(self) -> Secret:
        """The access token."""
        return self.login.token

    def expired(self, now: datetime) -> bool:
        """Return whether its time is up, or will be before a request arrives."""
        return self.login.expires_at is not None and self.login.expires_at <= now + _IN_FLIGHT

    def raise_if_expired(self, now: datetime) -> None:
        """Raise CredentialsExpired instead of letting an expired token be sent."""
        if self.expired(now):
            raise CredentialsExpired(expired_at=self.login.expires_at)


class CredentialFinder:
    """Looks a credential up: the environment first, then what Claude Code stored.

    Remembers only what looking again would cost: the keychain's answer (it may open a dialog) and
    the last good file (Claude Code rewrites it in place).
    """

    def __init__(
        self, environ: Mapping[str, str], platform: str, security: Path | None = None
    ) -> None:
        self._environ = environ
        self._has_keychain = platform == "darwin"
        self._security = security
        self._keychain_answer: Login | CredentialError | None = None
        self._keychain_read_at: datetime | None = None
        self._last_good_file: Login | None = None

    def find(self, now: datetime, *, force: bool = False) -> Credential:
        """Return the credential to use. ``force`` reads the stores anew, whatever is remembered.

        Raises NoCredentials or SecretStoreUnavailable. An expired credential is returned: that it
        has expired is its own problem.
        """
        login = credentials_file.token_from_environment(self._environ)
        if login is not None:
            return Credential(login, ENVIRONMENT)
        return self.find_stored(now, force=force)

    def find_stored(self, now: datetime, *, force: bool = False) -> Credential:
        """Return what Claude Code stored, the environment aside. Raises as `find` does."""
        if not self._has_keychain:
            return Credential(self._file(now), FILE)
        try:
            kept = Credential(self._keychain(now, force=force), KEYCHAIN)
        except CredentialError as error:
            return self._file_instead(now, error)
        if kept.expired(now):
            try:
                other = Credential(self._file(now), FILE)
            except NoCredentials:
                return kept
            return kept if other.expired(now) else other
        return kept

    def stored_content(self, now: datetime) -> tuple[bytes, Credential]:
        """Return what Claude Code stored, raw, read anew. Raises as `find` does."""
        credential = self.find_stored(now, force=True)
        if credential.origin == FILE:
            content = credentials_file.read_credentials_file(
                credentials_file.credentials_path(self._environ)
            )
        else:
            from claude_usage_monitor.sources.claude_code import keychain

            security = self._security or keychain.SECURITY
            content = keychain.read_content(self._environ, security)
        login = credentials_file.parse_login(content, credential.origin)
        return content, Credential(login, credential.origin)

    def _file_instead(self, now: datetime, keychain_error: CredentialError) -> Credential:
        try:
            return Credential(self._file(now), FILE)
        except NoCredentials as file_error:
            # The one that says more: an unusable store before a missing one.
            no_item = isinstance(keychain_error, CredentialsNotFound)
            raise (file_error if no_item else keychain_error) from None

    def _file(self, now: datetime) -> Login:
        path = credentials_file.credentials_path(self._environ)
        try:
            self._last_good_file = credentials_file.read_login(path)
        except PartialCredentials:
            last = self._last_good_file
            if last is None or Credential(last, FILE).expired(now):
                raise
            return last
        except NoCredentials:
            self._last_good_file = None
            raise
        return self._last_good_file

    def _keychain(self, now: datetime, *, force: bool) -> Login:
        answer = self._keychain_answer
        if answer is None or force or self._worth_reading_again(answer, now):
            # Brings subprocess in, 10 ms, on a Mac alone.
            from claude_usage_monitor.sources.claude_code import keychain

            try:
                answer = keychain.read_keychain(self._environ, self._security or keychain.SECURITY)
            except CredentialError as error:
                answer = error
            self._keychain_answer, self._keychain_read_at = answer, now
        if isinstance(answer, CredentialError):
            raise answer
        return answer

    def _worth_reading_again(self, answer: Login | CredentialError, now: datetime) -> bool:
        rested = now - (self._keychain_read_at or now)
        if isinstance(answer, SecretStoreUnavailable):
            return rested >= _DENIED_REST
        if isinstance(answer, CredentialError) or Credential(answer, KEYCHAIN).expired(now):
            return rested >= _KEYCHAIN_REST
        return False
