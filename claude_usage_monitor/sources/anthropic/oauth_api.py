"""The undocumented OAuth API that Claude Code's ``/usage`` command calls."""

from __future__ import annotations

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.sources.anthropic.failed_reply import (
    NEWER_VERSION,
    ErrorRow,
    FailedReply,
    Failure,
)
from claude_usage_monitor.sources.anthropic.saved_resets import QUERY as SAVED_RESETS_QUERY
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.sources.values import boolean, json_object, parse_json_object, text
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile, plan_label

if TYPE_CHECKING:  # requests costs 100 ms; only a process that sends a request imports it
    from claude_usage_monitor.sources.http import HttpClient

USAGE_PATH = "/api/oauth/usage"
PROFILE_PATH = "/api/oauth/profile"
BETA_HEADER = {"anthropic-beta": "oauth-2025-04-20"}
_PROFILE_TIMEOUT = 5.0  # seconds; a slow profile must not delay the figures

_ERRORS = {
    Failure.RATE_LIMITED: ErrorRow(RateLimited, "The API {wait}."),
    Failure.UNAUTHORIZED: ErrorRow(Unauthorized),
    Failure.FORBIDDEN: ErrorRow(Forbidden),
    Failure.NOT_FOUND: ErrorRow(
        UnexpectedResponse,
        "The API no longer answers at the address for usage (404).",
        NEWER_VERSION,
    ),
    Failure.SERVER_ERROR: ErrorRow(ServerError, "The API has a problem ({reason})."),
    Failure.UNEXPECTED: ErrorRow(
        UnexpectedResponse, "The reply was not usage figures (HTTP {status})."
    ),
}


def get_usage(client: HttpClient, token: Secret, *, saved_resets: bool = False) -> Usage:
    """Send one request for the account's limits, and for its saved resets if so asked.

    Raises CredentialError when the API refuses the token, ServiceError when there is no usable
    reply.
    """
    query = SAVED_RESETS_QUERY if saved_resets else ()
    reply = client.get(USAGE_PATH, BETA_HEADER, bearer=token, query=query)
    _raise_for_error(reply)
    return usage_from(reply.body, reply.at)


def get_profile(client: HttpClient, token: Secret) -> Profile:
    """Send one request for the account's profile. Raises as `get_usage` does."""
    reply = client.get(PROFILE_PATH, BETA_HEADER, bearer=token, timeout=_PROFILE_TIMEOUT)
    _raise_for_error(reply)
    return profile_from(reply.body)


def _raise_for_error(reply: Reply) -> None:
    """Raise the error in a reply, unless it is a 200 without one."""
    document = parse_json_object(reply.body) or {}
    if reply.status == 200 and json_object(document.get("error")) is None:
        return
    failed = FailedReply(reply)
    # The API has no separate error type for an expired token or a missing scope.
    if failed.failure is Failure.UNAUTHORIZED and "expired" in failed.message:
        raise CredentialsExpired("The API reports that this login has expired.")
    if failed.failure is Failure.FORBIDDEN and "scope" in failed.message:
        raise MissingScope
    raise failed.error(_ERRORS)


def profile_from(body: bytes) -> Profile:
    """Return the profile in a reply's body. Raises UnexpectedResponse when it is not one."""
    document = parse_json_object(body)
    if document is None:
        raise UnexpectedResponse("The reply was not a profile.")
    account = json_object(document.get("account")) or {}
    organization = json_object(document.get("organization")) or {}
    tier = text(organization.get("rate_limit_tier"))
    organization_type = text(organization.get("organization_type"))
    if organization_type is None and boolean(account.get("has_claude_max")):
        organization_type = "max"
    elif organization_type is None and boolean(account.get("has_claude_pro")):
        organization_type = "pro"
    return Profile(
        display_name=text(account.get("display_name")) or text(account.get("full_name")),
        email=text(account.get("email")),
        organization=text(organization.get("name")),
        plan=plan_label(organization_type, tier, text(organization.get("seat_tier"))),
        rate_limit_tier=tier,
        account_uuid=text(account.get("uuid")),
        organization_uuid=text(organization.get("uuid")),
    )
