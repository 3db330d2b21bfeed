"""Logging in and refreshing a login: PKCE (RFC 7636) and the undocumented token endpoint.

The client id is Claude Code's own: subscriptions have no other. Codes and refresh tokens are
single-use, so each function here sends one request and never repeats it.
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
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.sources.anthropic.failed_reply import (
    NEWER_VERSION,
    ErrorRow,
    FailedReply,
    Failure,
)
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.sources.text import is_token
from claude_usage_monitor.sources.values import json_object, number, parse_json_object, text
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:  # requests costs 100 ms; only a process that sends a request imports it
    from claude_usage_monitor.sources.http import HttpClient

CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
SCOPES = "user:profile user:inference"  # the minimum that can read usage and profile
AUTHORIZE_URL = "https://claude.ai/oauth/authorize"
MANUAL_REDIRECT = "https://platform.claude.com/oauth/code/callback"  # shows `code#state` to copy
TOKEN_PATH = "/v1/oauth/token"  # noqa: S105 - a path

_MAX_LIFETIME = timedelta(days=3660).total_seconds()
_MAX_SCOPES = 2000  # characters; the scopes of a full login have ninety

_REVOKED = re.compile(r"\binvalid_grant\b|refresh token not found or invalid", re.IGNORECASE)
# Error types that a message may quote. Other text may echo a code, verifier or token,
# all of which are long and contain digits or capitals.
_QUOTABLE = re.compile(r"[a-z_]{1,40}")
_ERRORS = {
    Failure.RATE_LIMITED: ErrorRow(
        RateLimited,
        "The login service {wait}.",
        "Nothing is lost. Wait a few minutes before you try again.",
    ),
    Failure.UNAUTHORIZED: ErrorRow(
        Unauthorized, "The login service refuses the login ({reason}).", "Log in again."
    ),
    Failure.FORBIDDEN: ErrorRow(
        UnexpectedResponse,
        "The login service does not allow the login ({reason}).",
        "Ask your organization's admin, or log in with another account.",
    ),
    Failure.INVALID_REQUEST: ErrorRow(
        UnexpectedResponse,
        "The login service does not understand the request ({reason}).",
        NEWER_VERSION,
    ),
    Failure.NOT_FOUND: ErrorRow(
        UnexpectedResponse,
        "The login service is no longer at its address (404).",
        NEWER_VERSION,
    ),
    Failure.SERVER_ERROR: ErrorRow(ServerError, "The login service has a problem ({reason})."),
    Failure.UNEXPECTED: ErrorRow(
        UnexpectedResponse, "The reply did not come from the login service (HTTP {status})."
    ),
}


@dataclass(frozen=True)
class Challenge:
    """A secret verifier and an independent state, which tie a code to this login."""

    verifier: Secret
    state: str

    @classmethod
    def fresh(cls) -> Challenge:
        """Return a random challenge, for one login."""
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
    """The tokens in a reply, and their account; ``None`` and empty mean unknown."""

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: timedelta | None = None
    refresh_expires_in: timedelta | None = None
    scopes: tuple[str, ...] = ()
    account_uuid: str | None = None
    email: str | None = None
    organization_uuid: str | None = None
    organization: str | None = None


def grant_from(reply: Reply) -> Grant:
    """Return the tokens in a reply of the token endpoint. Raises as `refresh_grant` does."""
    document = parse_json_object(reply.body)
    if not 200 <= reply.status < 300 or (document or {}).get("error") is not None:
        raise _error_from(reply)
    access_token = _token((document or {}).get("access_token"))
    refresh_token = _token((document or {}).get("refresh_token"))
    invalid = refresh_token is None and (document or {}).get("refresh_token")
    if document is None or access_token is None or invalid:
        raise _useless_success("The login service's reply has no login.")
    account = json_object(document.get("account")) or {}
    organization = json_object(document.get("organization")) or {}
    return Grant(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in=_lifetime(document.get("expires_in")),
        refresh_expires_in=_lifetime(document.get("refresh_token_expires_in")),
        scopes=tuple((text(document.get("scope"), _MAX_SCOPES) or "").split()),
        account_uuid=text(account.get("uuid")),
        email=text(account.get("email_address")),
        organization_uuid=text(organization.get("uuid")),
        organization=text(organization.get("name")),
    )


def _error_from(reply: Reply) -> UsageMonitorError:
    failed = FailedReply(reply)
    failure = failed.failure
    if reply.status in (200, 400, 401) and _REVOKED.search(f"{failed.error_type} {failed.message}"):
        return RefreshTokenRevoked()
    if failure in (Failure.RATE_LIMITED, Failure.SERVER_ERROR):
        return failed.error(_ERRORS)
    reason = failed.error_type if _QUOTABLE.fullmatch(failed.error_type) else f"HTTP {reply.status}"
    if failed.has_success_status:
        return _useless_success(f"The login service's reply has no login ({reason}).")
    if failed.error_type == "invalid_client":
        failure = Failure.INVALID_REQUEST
    elif failure is Failure.UNAUTHORIZED and not failed.is_json:
        failure = Failure.UNEXPECTED
    return failed.error(_ERRORS, failure, reason=reason)


def _useless_success(message: str) -> UnexpectedResponse:
    """Return the error for a success without a login: the code or refresh token is used up."""
    error = UnexpectedResponse(message)
    error.sent = True
    return error


def _token(value: object) -> Secret | None:
    return Secret(value) if isinstance(value, str) and is_token(value) else None


def _lifetime(value: object) -> timedelta | None:
    seconds = number(value)
    return timedelta(seconds=seconds) if seconds is not None and seconds <= _MAX_LIFETIME else None


def credentials_of(
    grant: Grant, now: datetime, previous: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return a grant as Claude Code stores it: ``{"claudeAiOauth": {…}, …}``.

    Everything that the grant does not contain is copied from the ``previous`` document, unknown
    keys included, except for the expiry of the old access token.
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
        login["scopes"] = SCOPES.split()  # a reply without scopes grants the requested ones
    document["claudeAiOauth"] = login
    if grant.organization_uuid is not None:
        document["organizationUuid"] = grant.organization_uuid
    return document


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# --- requests -----------------------------------------------------------------------------------


def _request_grant(
    client: HttpClient, document: Mapping[str, str], before_sending: Callable[[], None]
) -> Grant:
    return grant_from(client.post(TOKEN_PATH, document, before_sending))


def exchange_code(
    client: HttpClient, code: Secret, challenge: Challenge, redirect_uri: str
) -> Grant:
    """Exchange a code for tokens, once.

    ``redirect_uri`` must be the same as in the URL that returned the code. Raises LoginFailed
    when the code is not accepted, else as `refresh_grant` does.
    """
    document = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "state": challenge.state,
        "redirect_uri": redirect_uri,
        "client_id": CLIENT_ID,
        "code_verifier": challenge.verifier.reveal(),
    }
    with contextlib.suppress(RefreshTokenRevoked):  # a code has no refresh token to revoke
        return _request_grant(client, document, before_sending=lambda: None)
    raise LoginFailed(
        "The code was not accepted: it is too old, was used already, or is incomplete.",
        "Log in again, and paste the whole code.",
    )


def refresh_grant(
    client: HttpClient, refresh_token: Secret, before_sending: Callable[[], None]
) -> Grant:
    """Exchange a refresh token for new tokens, once; ``before_sending`` as in `HttpClient.post`.

    Raises RefreshTokenRevoked when the token is no longer valid; RateLimited, ServerError and
    Unreachable when a later attempt may succeed; Unauthorized and UnexpectedResponse otherwise.
    ``sent`` of Unreachable and UnexpectedResponse says whether the token may be used up.
    """
    document = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.reveal(),
        "client_id": CLIENT_ID,
    }
    return _request_grant(client, document, before_sending)
