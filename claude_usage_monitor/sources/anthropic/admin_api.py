"""The Admin API of one organization. The key alone identifies it: no path contains its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation

from claude_usage_monitor.errors import (
    Forbidden,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.sources.anthropic.admin_key import CREATE_KEY_HINT
from claude_usage_monitor.sources.anthropic.failed_reply import (
    NEWER_VERSION,
    ErrorRow,
    FailedReply,
    Failure,
)
from claude_usage_monitor.sources.values import JsonObject, parse_json_object, text
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:  # requests costs 100 ms; only a process that sends a request imports it
    from claude_usage_monitor.sources.http import HttpClient

    Query = Sequence[tuple[str, str]]

_ROOT = "/v1/organizations/"
_HEADERS = {"anthropic-version": "2023-06-01"}
_MAX_BYTES = 32 << 20  # ten times a month's page with a thousand groups a day
_MAX_PAGES = 50
_LIST_LIMIT = "1000"  # the API's maximum; its default is 20

_ERRORS = {
    Failure.RATE_LIMITED: ErrorRow(
        RateLimited,
        "The Admin API {wait} ({details}).",
        "All programs that read reports of this organization share its limit.",
    ),
    Failure.UNAUTHORIZED: ErrorRow(
        Unauthorized,
        "The API refuses this Admin key ({details}).",
        f"It may be revoked or expired. {CREATE_KEY_HINT}",
    ),
    Failure.FORBIDDEN: ErrorRow(
        Forbidden,
        "This key may not call {call} ({details}){quote}.",
        f"Give it the scope, or use a full Admin key. {CREATE_KEY_HINT}",
    ),
    Failure.NOT_FOUND: ErrorRow(
        UnexpectedResponse,
        "The API does not have organizations/{call} ({details}).",
        f"Only organizations can use the Admin API. If yours is one: {NEWER_VERSION}",
    ),
    Failure.SERVER_ERROR: ErrorRow(ServerError, "The API has a problem with {call} ({details})."),
    Failure.UNEXPECTED: ErrorRow(
        UnexpectedResponse, "The reply to {call} was not figures (HTTP {details}){quote}."
    ),
}


class Organization(NamedTuple):
    """The organization of a key; ``None`` means unknown."""

    id: str | None
    name: str | None


def get_organization(client: HttpClient, key: Secret) -> Organization:
    """Request the key's organization, once. This is also the cheapest way to check a key.

    Raises Unauthorized when the API refuses the key, Forbidden when the key may not make this
    call, ServiceError when there is no usable reply.
    """
    document = get_document(client, key, "me")
    return Organization(text(document.get("id")), text(document.get("name")))


def list_items(
    client: HttpClient, key: Secret, call: str, query: Query = ()
) -> Iterator[JsonObject]:
    """Yield the items of all pages of a list: ``users``, ``workspaces`` or ``api_keys``.

    Raises as `get_organization` does.
    """

    def next_id(page: JsonObject) -> str | None:
        return (text(page.get("last_id")) or "") if page.get("has_more") is True else None

    return _all_pages(client, key, call, [*query, ("limit", _LIST_LIMIT)], "after_id", next_id)


def report_entries(
    client: HttpClient, key: Secret, call: str, query: Query
) -> Iterator[JsonObject]:
    """Yield the entries of all pages of a report. Raises as `get_organization` does."""

    def next_page(page: JsonObject) -> str | None:
        token = page.get("next_page")
        if page.get("has_more") is False or not isinstance(token, str):
            return None
        return token or None

    return _all_pages(client, key, call, query, "page", next_page)


def _all_pages(  # noqa: PLR0913, PLR0917 - a request, and the two ways to continue it
    client: HttpClient,
    key: Secret,
    call: str,
    query: Query,
    parameter: str,
    next_of: Callable[[JsonObject], str | None],
) -> Iterator[JsonObject]:
    """Yield the data of each page.

    ``next_of`` returns the token of the page after the given page, ``None`` for the last page.
    The token is sent as ``parameter``.
    """
    tokens = {""}
    continuation: Query = ()
    for _ in range(_MAX_PAGES):
        page = get_document(client, key, call, [*query, *continuation])
        data = page.get("data")
        if not isinstance(data, list):
            raise UnexpectedResponse(f"The reply to {call} was not a list of figures.")
        yield from (item for item in data if isinstance(item, dict))
        token = next_of(page)
        if token is None:
            return
        if token in tokens:
            break
        tokens.add(token)
        continuation = [(parameter, token)]
    raise UnexpectedResponse(f"The pages of {call} never end.")


def exact_fraction(number: str) -> Decimal | float:
    """Return a JSON number as a Decimal, NaN if its exponent has too many digits."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return float("nan")


def get_document(client: HttpClient, key: Secret, call: str, query: Query = ()) -> JsonObject:
    """Return the JSON object in the reply to a call, with fractions as exact Decimals.

    Raises as `get_organization` does.
    """
    reply = client.get(_ROOT + call, _HEADERS, api_key=key, query=query, max_bytes=_MAX_BYTES)
    document = parse_json_object(reply.body, exact_fraction)
    if reply.status == 200 and document is not None and document.get("type") != "error":
        return document
    failed = FailedReply(reply)
    request = f", request {failed.request_id}" if failed.request_id else ""
    quote = f": {failed.message.rstrip('.')}" if failed.message else ""
    raise failed.error(_ERRORS, call=call, details=f"{reply.status}{request}", quote=quote)
