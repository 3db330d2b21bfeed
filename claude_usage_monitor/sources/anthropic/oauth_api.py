"""The OAuth usage API: what Claude Code's own ``/usage`` asks. Undocumented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UsageMonitorError,
)
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.sources.values import JsonObject, boolean, json_object, text
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.profile import Profile, plan_label
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient, Reply

USAGE_PATH = "/api/oauth/usage"
PROFILE_PATH = "/api/oauth/profile"
_PROFILE_SECONDS = 5.0  # a name is not worth a long wait
BETA_HEADER = {"anthropic-beta": "oauth-2025-04-20"}


def get_usage(client: HttpClient, token: Secret) -> Usage:
    """Ask for the account's limits, once.

    Raises CredentialError when the API refuses the token, ServiceError when no figures came.
    """
    reply = _get(client, USAGE_PATH, token)
    raise_for_problem(reply)
    return usage_from(reply.body, reply.at)


def get_profile(client: HttpClient, token: Secret) -> Profile:
    """Ask who the account is, once. Raises as `get_usage` does."""
    reply = _get(client, PROFILE_PATH, token, at_most=_PROFILE_SECONDS)
    raise_for_problem(reply)
    return profile_from(reply.body)


def _get(client: HttpClient, path: str, token: Secret, at_most: float | None = None) -> Reply:
    # Brings requests in, 100 ms; the client has by now.
    from claude_usage_monitor.sources.transport import Bearer

    return client.get(path, Bearer(token), BETA_HEADER, at_most=at_most)


def raise_for_problem(reply: Reply) -> None:
    """Raise the error that a reply's status and body tell of; return for a plain 200."""
    document = json_object(_parsed_or_none(reply.body))
    error = json_object(document.get("error")) if document else None
    if reply.status != 200 or error is not None:
        raise _error_from(reply, error or {}, in_json=document is not None)


def _error_from(reply: Reply, error: JsonObject, *, in_json: bool) -> UsageMonitorError:
    status = reply.status
    kind, words = text(error.get("type")), text(error.get("message")) or ""
    if status == 429 or (status == 200 and kind == "rate_limit_error"):
        return RateLimited(retry_after=reply.retry_after())
    if status == 401 or (status == 200 and kind == "authentication_error"):
        if "expired" in words:
            return CredentialsExpired("The API says that this login has expired.")
        return Unauthorized()
    if (status == 403 and in_json) or (status == 200 and kind == "permission_error"):
        return MissingScope() if "scope" in words else Forbidden()
    if status == 200 and kind in ("overloaded_error", "api_error"):
        return ServerError(f"The API has a problem ({kind}).")
    if (status >= 500 and status != 511) or status == 408:
        return ServerError(f"The API has a problem ({status}).")
    if status == 404:
        return UnexpectedResponse(
            "The API does not know the usage address any more (404).",
            "Look for a newer version of claude-usage-monitor.",
        )
    return UnexpectedResponse(f"The reply was not usage figures (HTTP {status}).")


def _parsed_or_none(body: bytes) -> object:
    try:
        return values.parse_json(body)
    except ValueError:
        return None


def profile_from(body: bytes) -> Profile:
    """Return who a profile body speaks of. Raises UnexpectedResponse when it is no such body."""
    document = json_object(_parsed_or_none(body))
    if document is None:
        raise UnexpectedResponse("The reply was not a profile.")
    account = json_object(document.get("account")) or {}
    organization = json_object(document.get("organization")) or {}
    tier = text(organization.get("rate_limit_tier"))
    kind = text(organization.get("organization_type"))
    if kind is None and boolean(account.get("has_claude_max")):
        kind = "max"
    elif kind is None and boolean(account.get("has_claude_pro")):
        kind = "pro"
    return Profile(
        display_name=text(account.get("display_name")) or text(account.get("full_name")),
        email=text(account.get("email")),
        organization=text(organization.get("name")),
        plan=plan_label(kind, tier, text(organization.get("seat_tier"))),
        rate_limit_tier=tier,
        account_uuid=text(account.get("uuid")),
        organization_uuid=text(organization.get("uuid")),
    )
