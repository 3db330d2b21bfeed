"""The Admin API: one organisation, named by its key alone. No path holds an organisation's id.

Two pagers that must not be mixed: lists go on with ``after_id``, reports with ``page``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import (
    Forbidden,
    NoCredentials,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UsageMonitorError,
)
from claude_usage_monitor.sources.values import JsonObject, json_object, parse_json, text
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient, Reply

    Query = Sequence[tuple[str, str]]

_ROOT = "/v1/organizations/"
_HEADERS = {"anthropic-version": "2023-06-01"}
_MOST_BYTES = 32 << 20  # a page of a thousand groups a day for a month is a tenth of that
_MOST_PAGES = 50
_LIST_LIMIT = "1000"  # the most the API gives; without it, twenty

_USABLE = re.compile(r"sk-ant-(?:admin\d\d|api01)-[\x21-\x7e]{8,500}")
_WORKSPACE_KEY = re.compile(r"sk-ant-api(?!01)\d\d-")
_ANY_KEY = re.compile(r"sk-ant-[^\s\"']+")

MAKE_ONE = "An admin makes one at platform.claude.com/settings/admin-keys (sk-ant-admin01-…)."


class Organization(NamedTuple):
    """Whose key it is; ``None`` where the API does not say."""

    id: str | None
    name: str | None


def checked_admin_key(raw: str) -> Secret:
    """Return the key, if it is of a kind that may ask for an organisation's figures.

    Console keys begin ``sk-ant-admin01-``, those of Claude Enterprise ``sk-ant-api01-``. Raises
    NoCredentials that says what is wrong, without quoting any of it.
    """
    key = raw.strip()
    if not key:
        raise NoCredentials("The Admin API key is empty.", MAKE_ONE)
    if _USABLE.fullmatch(key):
        return Secret(key)
    if _WORKSPACE_KEY.match(key):
        raise NoCredentials(
            "This is a workspace's API key: it cannot read the organisation's figures.", MAKE_ONE
        )
    if key.startswith("sk-ant-oat"):
        raise NoCredentials("This is the token of a login, not an Admin API key.", MAKE_ONE)
    raise NoCredentials(
        "This is no Admin API key: it is cut off, or of another kind.",
        f"Copy the whole key. {MAKE_ONE}",
    )


def get_organization(client: HttpClient, key: Secret) -> Organization:
    """Ask whose key this is, once: also the cheapest check of a key.

    Raises Unauthorized when the key is refused, Forbidden when it may not ask this, ServiceError
    when no answer came.
    """
    document = get_document(client, key, "me")
    return Organization(text(document.get("id")), text(document.get("name")))


def listed(client: HttpClient, key: Secret, call: str, query: Query = ()) -> Iterator[JsonObject]:
    """Yield the items of a list (``users``, ``workspaces``, ``api_keys``), to its end.

    Raises as `get_organization` does.
    """
    seen: set[str] = set()
    last: str | None = None
    for _ in range(_MOST_PAGES):
        after = [("after_id", last)] if last is not None else []
        page = get_document(client, key, call, [*query, ("limit", _LIST_LIMIT), *after])
        yield from _data(page, call)
        last = text(page.get("last_id"))
        if page.get("has_more") is not True:
            return
        if last is None or last in seen:
            break
        seen.add(last)
    raise UnexpectedResponse(f"{call} does not come to an end: its pages repeat.")


def reported(client: HttpClient, key: Secret, call: str, query: Query) -> Iterator[JsonObject]:
    """Yield the entries of a report, to its end. Raises as `get_organization` does."""
    seen: set[str] = set()
    page_query: Query = ()
    for _ in range(_MOST_PAGES):
        page = get_document(client, key, call, [*query, *page_query])
        yield from _data(page, call)
        following = page.get("next_page")
        if page.get("has_more") is False or not isinstance(following, str) or not following:
            return
        if following in seen:
            break
        seen.add(following)
        page_query = [("page", following)]
    raise UnexpectedResponse(f"{call} does not come to an end: its pages repeat.")


def get_document(client: HttpClient, key: Secret, call: str, query: Query = ()) -> JsonObject:
    """Return the JSON object that a call answers with; its decimals are exact.

    Raises as `get_organization` does.
    """
    from claude_usage_monitor.sources.transport import ApiKey  # brings requests in, 100 ms

    reply = client.get(_ROOT + call, ApiKey(key), _HEADERS, query=query, most_bytes=_MOST_BYTES)
    document = _parsed_or_none(reply.body)
    if reply.status == 200 and document is not None and document.get("type") != "error":
        return document
    raise _error_from(reply, document or {}, call)


def _data(page: JsonObject, call: str) -> Iterator[JsonObject]:
    data = page.get("data")
    if not isinstance(data, list):
        raise UnexpectedResponse(f"The reply to {call} was not a list of figures.")
    yield from (item for item in data if isinstance(item, dict))


def _parsed_or_none(body: bytes) -> JsonObject | None:
    try:
        return json_object(parse_json(body, exact=True))
    except ValueError:
        return None


def _error_from(reply: Reply, document: JsonObject, call: str) -> UsageMonitorError:
    error = json_object(document.get("error")) or {}
    status, kind = reply.status, text(error.get("type"))
    # Quoted only without anything that could be a key.
    words = _ANY_KEY.sub("…", text(error.get("message")) or "").rstrip(".")
    said = f": {words}" if words else ""
    request = text(document.get("request_id")) or text(reply.headers.get("request-id"))
    number = f"{status}, request {request}" if request else f"{status}"
    if status == 429 or kind == "rate_limit_error":
        return RateLimited(
            f"The Admin API asks to wait ({number}).",
            "All who read reports of this organisation share its limit.",
            retry_after=reply.retry_after(),
        )
    if status == 401 or kind == "authentication_error":
        return Unauthorized(
            f"The API refuses this Admin key ({number}).",
            f"It may be revoked or expired. {MAKE_ONE}",
        )
    if (status == 403 and document) or kind == "permission_error":
        return Forbidden(
            f"This key may not call {call} ({number}){said}.",
            f"Give it the scope, or use a full Admin key. {MAKE_ONE}",
        )
    if (status >= 500 and status != 511) or status == 408 or kind in _THEIR_OWN:
        return ServerError(f"The API has a problem with {call} ({number}).")
    if status == 404:
        return UnexpectedResponse(
            f"The API does not know organizations/{call} ({number}).",
            "The Admin API is there for organisations only; else look for a newer version of "
            "claude-usage-monitor.",
        )
    return UnexpectedResponse(f"The reply to {call} was not figures (HTTP {number}){said}.")


_THEIR_OWN = frozenset(("overloaded_error", "api_error", "timeout_error"))
