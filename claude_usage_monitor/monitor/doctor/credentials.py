"""Findings about the login of the ``claude-code`` account."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime

from claude_usage_monitor.errors import CredentialError
from claude_usage_monitor.monitor.login.credentials import KEYCHAIN, Credential, CredentialFinder
from claude_usage_monitor.sources.claude_code.credentials_file import (
    TOKEN_VARIABLE,
    USAGE_SCOPE,
    credentials_path,
    token_from_environment,
)
from claude_usage_monitor.usage.durations import ago, countdown
from claude_usage_monitor.usage.findings import Finding

_AREA = "Logins"


def login_works(finder: CredentialFinder, now: datetime) -> bool:
    """Return whether there is an unexpired login with the scope for usage."""
    try:
        credential = finder.find(now)
    except CredentialError:
        return False
    return not credential.expired(now) and not _lacks_scope(credential)


def credential_findings(
    finder: CredentialFinder, environ: Mapping[str, str], now: datetime
) -> Iterator[Finding]:
    """Yield the findings about the variable for a token and about Claude Code's stored login."""
    try:
        is_set = token_from_environment(environ) is not None
    except CredentialError as error:
        yield Finding(_AREA, TOKEN_VARIABLE, "problem", error.message, error.hint)
    else:
        detail = "set: used instead of a stored login" if is_set else "not set"
        yield Finding(_AREA, TOKEN_VARIABLE, "note" if is_set else "ok", detail)
    try:
        credential = finder.find_stored(now)
    except CredentialError as error:
        location = KEYCHAIN if sys.platform == "darwin" else _file_name(environ)
        yield Finding(_AREA, location, "problem", error.message, error.hint)
    else:
        location = KEYCHAIN if credential.origin == KEYCHAIN else _file_name(environ)
        yield _stored_login(credential, location, now)


def _stored_login(credential: Credential, location: str, now: datetime) -> Finding:
    login = credential.login
    if login.expires_at is None:
        expiry = "expiry unknown"
    elif credential.expired(now):
        expiry = f"expired {ago(now - login.expires_at)}"
    else:
        expiry = f"expires in {countdown(login.expires_at - now)}"
    detail = f"{expiry}; scopes: {', '.join(sorted(login.scopes)) or 'unknown'}"
    hint = ""
    if credential.expired(now):
        hint = "Open Claude Code once (`claude`): it renews its login."
    elif _lacks_scope(credential):
        hint = f"Run `claude`, then `/login`: reading usage needs the scope {USAGE_SCOPE}."
    return Finding(_AREA, location, "problem" if hint else "ok", detail, hint)


def _lacks_scope(credential: Credential) -> bool:
    scopes = credential.login.scopes
    return bool(scopes) and USAGE_SCOPE not in scopes


def _file_name(environ: Mapping[str, str]) -> str:
    try:
        return credentials_path(environ)
    except CredentialError:
        return "credentials file"
