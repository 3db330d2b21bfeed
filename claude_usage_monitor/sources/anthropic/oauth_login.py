"""Logging in and renewing a login: PKCE (RFC 7636) and the token endpoint. Undocumented.

The client id is Claude Code's own: there is no other for a subscription. Codes and refresh tokens
are good for one use, so each function here sends one request and never repeats it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from claude_usage_monitor.errors import (
    LoginFailed,
    RateLimited,
    RefreshTokenRevoked,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UsageMonitorError,
)
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.claude_code.credentials_file import TOKEN_PATTERN
from claude_usage_monitor.sources.values import json_object, number, text
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient, Reply

CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
SCOPES = "user:profile user:inference"  # the least with which usage and profile can be read
AUTHORIZE_URL = "https://claude.ai/oauth/authorize"
MANUAL_REDIRECT = "https://platform.claude.com/oauth/code/callback"  # shows `code#state` to copy
TOKEN_PATH = "/v1/oauth/token"  # noqa: S105 - a path

_LONGEST_LIFE = timedelta(days=3660).total_seconds()  # more is no token's lifetime
_LONGEST_SCOPES = 2000  # characters; a full login has ninety
_ENDED = re.compile(r"\binvalid_grant\b|refresh token not found or invalid", re.IGNORECASE)
# What errors may quote. Anything else in a reply may be an echo of what was sent.
_KNOWN_KINDS = frozenset(
    (
        "access_denied",
        "authentication_error",
        "invalid_client",
        "invalid_request",
        "invalid_request_error",
        "invalid_scope",
        "not_found_error",
        "permission_error",
        "unauthorized_client",
        "unsupported_grant_type",
    )
)
_OTHER_PROGRAM = "Look for a newer version of claude-usage-monitor."


@dataclass(frozen=True)
class Challenge:
    """What ties a code to the one who asked for it: a secret verifier and an independent state."""

    verifier: Secret
    state: str

    @classmethod
    def fresh(cls) -> Challenge:
        """Return one that nobody can guess, for one login."""
        return cls(Secret(secrets.token_urlsafe(64)), secrets.token_urlsafe(32))

    def url(self, redirect_uri: str) -> str:
        """Return the address at which the user allows the login."""
        digest = sha256(self.verifier.reveal().encode()).digest()
        query = {
            "code": "true",
            "client_id": CLIENT_ID,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": SCOPES,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": self.state,
        }
        return f"{AUTHORIZE_URL}?{urlencode(query, quote_via=quote)}"


class Grant(NamedTuple):
    """What a token reply gave; ``None`` and empty mean: not said."""

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: timedelta | None = None
    refresh_expires_in: timedelta | None = None
    scopes: tuple[str, ...] = ()
    account_uuid: str | None = None
    email: str | None = None
    organization_uuid: str | None = None
    organization: str | None = None


def exchange_code(
    client: HttpClient, code: Secret, challenge: Challenge, redirect_uri: str
) -> Grant:
    """Trade a code for tokens, once. ``redirect_uri`` is the one of the URL the code came by.

    Raises LoginFailed when the code is not accepted, else as `refresh_grant` does.
    """
    document = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "state": challenge.state,
        "redirect_uri": redirect_uri,
        "client_id": CLIENT_ID,
        "code_verifier": challenge.verifier.reveal(),
    }
    reply = _post(client, document)
    with contextlib.suppress(RefreshTokenRevoked):  # said of a code, it is no login that has ended
        return grant_from(reply)
    raise LoginFailed(
        "The code was not accepted: it is too old, was used already, or is not whole.",
        "Log in again, and paste the code as it is shown.",
    )


def refresh_grant(
    client: HttpClient, refresh_token: Secret, before_sending: Callable[[], None]
) -> Grant:
    """Trade a refresh token for the next pair, once. ``before_sending`` as in `HttpClient.post`.

    Raises GrantEnded when the token is not good any more, RateLimited, ServerError and Unreachable
    when waiting may help, Unauthorized and UnexpectedResponse otherwise. ``sent`` of Unreachable
    and UnexpectedResponse tells whether the token may have been used up all the same.
    """
    document = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.reveal(),
        "client_id": CLIENT_ID,
    }
    return grant_from(_post(client, document, before_sending))


def _post(
    client: HttpClient,
    document: Mapping[str, str],
    before_sending: Callable[[], None] = lambda: None,
) -> Reply:
    try:
        return client.post(TOKEN_PATH, document, before_sending)
    except UnexpectedResponse as error:  # larger than any reply
        error.message = "The login service's reply was no login: it is too large."
        error.args, error.sent = (error.message,), True
        raise


def grant_from(reply: Reply) -> Grant:
    """Return what a reply of the token endpoint grants. Raises as `refresh_grant` does."""
    document = json_object(_parsed_or_none(reply.body))
    if not 200 <= reply.status < 300 or (document or {}).get("error") is not None:
        raise _error_from(reply, document)
    access, refresh = (
        _token((document or {}).get(key)) for key in ("access_token", "refresh_token")
    )
    if document is None or access is None or (refresh is None and document.get("refresh_token")):
        raise _unusable("The login service's reply was no login.")
    account = json_object(document.get("account")) or {}
    organization = json_object(document.get("organization")) or {}
    return Grant(
        access_token=access,
        refresh_token=refresh,
        expires_in=_span(document.get("expires_in")),
        refresh_expires_in=_span(document.get("refresh_token_expires_in")),
        scopes=tuple((text(document.get("scope"), _LONGEST_SCOPES) or "").split()),
        account_uuid=text(account.get("uuid")),
        email=text(account.get("email_address")),
        organization_uuid=text(organization.get("uuid")),
        organization=text(organization.get("name")),
    )


def _error_from(reply: Reply, document: values.JsonObject | None) -> UsageMonitorError:
    status = reply.status
    kind, words = _kind_and_words(document or {})
    if status in (200, 400, 401) and _ENDED.search(f"{kind} {words}"):
        return RefreshTokenRevoked()
    if status == 429 or kind == "rate_limit_error":
        return RateLimited(
            "The login service asks to wait.",
            "Nothing is lost; wait a few minutes before you try again.",
            retry_after=reply.retry_after(),
        )
    if (status >= 500 and status != 511) or status == 408:
        return ServerError(f"The login service has a problem ({status}).")
    if kind in ("overloaded_error", "api_error"):
        return ServerError(f"The login service has a problem ({kind}).")
    named = kind if kind in _KNOWN_KINDS else f"HTTP {status}"
    if status < 300:
        return _unusable(f"The login service's reply was no login ({named}).")
    if status == 401 and document is not None and kind != "invalid_client":
        return Unauthorized(f"The login service refuses the login ({named}).", "Log in again.")
    if status in (400, 401) and document is not None:
        return UnexpectedResponse(
            f"The login service does not understand the request ({named}).", _OTHER_PROGRAM
        )
    if status == 403 and document is not None:
        return UnexpectedResponse(
            f"The login service does not allow the login ({named}).",
            "Ask your organisation's admin, or log in with another account.",
        )
    if status == 404:
        return UnexpectedResponse(
            "The login service is not at its address any more (404).", _OTHER_PROGRAM
        )
    return UnexpectedResponse(f"The reply was not the login service's (HTTP {status}).")


def _kind_and_words(document: values.JsonObject) -> tuple[str, str]:
    """Return an error's type and its text, of either shape: OAuth's own or the API's."""
    error = document.get("error")
    if (found := json_object(error)) is not None:
        kind, words = found.get("type"), found.get("message")
    else:
        kind, words = error, document.get("error_description") or document.get("message")
    return text(kind) or "", text(words) or ""


def _unusable(message: str) -> UnexpectedResponse:
    """Return the error for a success that gives nothing: the code or token is used up."""
    error = UnexpectedResponse(message)
    error.sent = True
    return error


def _parsed_or_none(body: bytes) -> object:
    try:
        return values.parse_json(body)
    except ValueError:
        return None


def _token(value: object) -> Secret | None:
    return Secret(value) if isinstance(value, str) and TOKEN_PATTERN.fullmatch(value) else None


def _span(value: object) -> timedelta | None:
    seconds = number(value)
    return timedelta(seconds=seconds) if seconds is not None and seconds <= _LONGEST_LIFE else None


def credentials_of(
    grant: Grant, now: datetime, previous: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return a grant as Claude Code stores it: ``{"claudeAiOauth": {…}, …}``.

    Of the ``previous`` document stays whatever the grant says nothing of, unknown keys too; but
    for the access token's end, which was the old token's.
    """
    document: dict[str, object] = dict(previous or {})
    login = dict(json_object(document.get("claudeAiOauth")) or {})
    login["accessToken"] = grant.access_token.reveal()
    login.pop("expiresAt", None)
    if grant.refresh_token is not None:
        login["refreshToken"] = grant.refresh_token.reveal()
    if grant.expires_in is not None:
        login["expiresAt"] = _milliseconds(now + grant.expires_in)
    if grant.refresh_expires_in is not None:
        login["refreshTokenExpiresAt"] = _milliseconds(now + grant.refresh_expires_in)
    if grant.scopes:
        login["scopes"] = list(grant.scopes)
    elif previous is None:
        login["scopes"] = SCOPES.split()  # a reply that names none grants what was asked for
    document["claudeAiOauth"] = login
    if grant.organization_uuid is not None:
        document["organizationUuid"] = grant.organization_uuid
    return document


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
