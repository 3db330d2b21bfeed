"""Anthropic's status page: one request for components and unresolved incidents, without a login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.sources.anthropic.api_url import API_URL_VARIABLE, base_url_from
from claude_usage_monitor.sources.values import (
    instant,
    json_object,
    parse_json_object,
    text,
)
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus

if TYPE_CHECKING:  # requests costs 100 ms; only a process that sends a request imports it
    from claude_usage_monitor.sources.http import HttpClient

PATH = "/api/v2/summary.json"
_URL = "https://status.claude.com"
_COMPONENTS = ("Claude Code", "Claude API")  # what this program depends on, as their names begin
_MAX_ITEMS = 100
_MAX_ETAG = 200  # characters


class Page(NamedTuple):
    """An answer of the page: ``status`` is None where it is the one of ``etag``, or unusable.

    ``is_current`` is whether the page has confirmed what it said last; ``wait`` is how long it
    asked to wait.
    """

    status: ServiceStatus | None = None
    etag: str | None = None
    is_current: bool = False
    wait: timedelta = timedelta()


def status_base_url_from(environ: Mapping[str, str]) -> str:
    """Return the status page's base URL: the API's if the user set it, else the real one."""
    return base_url_from(environ) if environ.get(API_URL_VARIABLE) else _URL


def get_page(client: HttpClient, etag: str | None) -> Page:
    """Ask the page once. Raises Unreachable, UnexpectedResponse for a reply that is too large."""
    reply = client.get(PATH, {"If-None-Match": etag} if etag else {})
    wait = reply.retry_after() or timedelta()
    if reply.status == 304:
        return Page(etag=etag, is_current=True, wait=wait)
    document = parse_json_object(reply.body) if reply.status == 200 else None
    status = None if document is None else _status(document, reply.at)
    if status is None:
        return Page(wait=wait)
    new_etag = reply.headers.get("ETag", "")
    usable = new_etag.isascii() and new_etag.isprintable() and len(new_etag) <= _MAX_ETAG
    return Page(status, new_etag if usable and new_etag else None, is_current=True, wait=wait)


def _status(document: dict[str, object], now: datetime) -> ServiceStatus | None:
    overall = json_object(document.get("status")) or {}
    indicator = text(overall.get("indicator"))
    components = tuple(_components(document))
    if indicator is None or not components:
        return None
    return ServiceStatus(
        indicator,
        text(overall.get("description")) or "",
        components,
        tuple(_incidents(document)),
        now,
    )


def _components(document: dict[str, object]) -> Iterator[Component]:
    for item in _items(document, "components"):
        name, status = text(item.get("name")), text(item.get("status"))
        wanted = (short for short in _COMPONENTS if name is not None and name.startswith(short))
        short_name = next(wanted, None)
        if short_name is not None and status is not None and item.get("group") is not True:
            yield Component(short_name, status)


def _incidents(document: dict[str, object]) -> Iterator[Incident]:
    """Yield the incidents that concern one of our components, or no component at all."""
    for item in _items(document, "incidents"):
        parts = [text(part.get("name")) or "" for part in _items(item, "components")]
        name, id_ = text(item.get("name")), text(item.get("id"))
        concerns = not parts or any(part.startswith(_COMPONENTS) for part in parts)
        if name is None or id_ is None or not concerns:
            continue
        yield Incident(
            id_,
            name,
            text(item.get("impact")) or "none",
            text(item.get("status")) or "investigating",
            instant(item.get("started_at")),
            text(item.get("shortlink")),
        )


def _items(document: dict[str, object], key: str) -> list[dict[str, object]]:
    value = document.get(key)
    items = value[:_MAX_ITEMS] if isinstance(value, list) else []
    return [item for item in map(json_object, items) if item is not None]
