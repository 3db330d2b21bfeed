"""The Admin API's lists and reports of one organization, summed page by page.

The API gives amounts in cents, as decimal strings or as numbers with fractions. The functions here
return exact amounts in the currency's unit. Each raises as `admin_api.get_organization` does.
"""

from __future__ import annotations

import re
from datetime import UTC, date, timedelta
from decimal import Decimal
from functools import lru_cache

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.anthropic.admin_api import list_items, report_entries
from claude_usage_monitor.sources.values import JsonObject, instant, json_object
from claude_usage_monitor.usage.money.spend import (
    Costs,
    NamedAmount,
    Tokens,
    UserSpend,
    add_amounts,
    merge_user_rows,
)
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

COSTS = "cost_report"
MESSAGES = "usage_report/messages"
CLAUDE_CODE = "usage_report/claude_code"

CURRENCY = "USD"  # the documented currency of every amount; an empty report names none
_CENT_EXPONENT = -2
_DAILY_BUCKETS = (("bucket_width", "1d"), ("limit", "31"))  # a whole month on one page
_MAX_RECORDS = "1000"  # the API's maximum; its default is 20
_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,40})?", re.ASCII)
_EXPONENTS = range(-40, 16)  # of an amount in cents; far beyond any real amount
_MAX_TOKENS = 10**18
_SEATS = "subscription"  # the customer type of rows that are not billed by usage


_cached_text = lru_cache(4096)(values.text)  # thousands of rows have the same few names


def text(value: object) -> str | None:
    """Return a cleaned, non-empty string, else ``None``."""
    return _cached_text(value) if isinstance(value, str) else None  # only strings are hashable


def get_names(client: HttpClient, key: Secret, kind: str) -> dict[str, str]:
    """Request the names of ``workspaces`` and ``api_keys`` by id, or of ``users`` by e-mail."""
    # Archived workspaces spent money this month too.
    query = [("include_archived", "true")] if kind == "workspaces" else []
    names: dict[str, str] = {}
    for item in list_items(client, key, kind, query):
        identifier = text(item.get("email" if kind == "users" else "id"))
        name = text(item.get("name"))
        if identifier is not None and name is not None:
            names[identifier.lower() if kind == "users" else identifier] = name
    return names


def get_costs(client: HttpClient, key: Secret, today: date, by: str) -> Costs:
    """Request the costs of the month up to and including ``today``.

    Costs are grouped ``by`` ``workspace_id`` or ``description`` (models and other cost types).
    Also raises UnexpectedResponse for a report in several currencies.
    """
    days = [today.replace(day=number) for number in range(1, today.day + 1)]
    daily: dict[date, Decimal | None] = dict.fromkeys(days, Decimal(0))
    groups: dict[str | None, Decimal | None] = {}
    currencies: set[str] = set()
    for bucket in report_entries(client, key, COSTS, _month_query(today, by)):
        day = _day(bucket)
        if day not in daily:
            continue
        for row in _results(bucket):
            amount = _amount(row.get("amount"))
            daily[day] = add_amounts(daily[day], amount)
            group = text(row.get("workspace_id")) if by == "workspace_id" else _cost_name(row)
            groups[group] = add_amounts(groups.get(group, Decimal(0)), amount)
            currencies.add(text(row.get("currency")) or CURRENCY)
    if len(currencies) > 1:
        raise UnexpectedResponse(
            f"{COSTS} has amounts in several currencies, which cannot be added up."
        )
    return Costs(currencies.pop() if currencies else CURRENCY, daily, groups)


def _cost_name(row: JsonObject) -> str | None:
    """Return the model of a cost, else its type, e.g. ``Web search``."""
    cost_type = text(row.get("cost_type"))
    label = cost_type.replace("_", " ").capitalize() if cost_type else None
    return text(row.get("model")) or label


def get_key_tokens(client: HttpClient, key: Secret, today: date) -> dict[str | None, Tokens]:
    """Request the month's tokens by API key id; ``None`` is the Console's playground."""
    tokens: dict[str | None, Tokens] = {}
    for bucket in report_entries(client, key, MESSAGES, _month_query(today, "api_key_id")):
        for row in _results(bucket):
            key_id = text(row.get("api_key_id"))
            sum_so_far = tokens.get(key_id, Tokens(0, 0, 0, 0))
            tokens[key_id] = Tokens(*map(add_amounts, sum_so_far, _message_tokens(row)))
    return tokens


def _message_tokens(row: JsonObject) -> Tokens:
    creation = json_object(row.get("cache_creation")) or {}
    return Tokens(
        _count(row.get("uncached_input_tokens")),
        _count(row.get("output_tokens")),
        _count(row.get("cache_read_input_tokens")),
        add_amounts(
            _count(creation.get("ephemeral_5m_input_tokens")),
            _count(creation.get("ephemeral_1h_input_tokens")),
        ),
    )


def get_claude_code_day(client: HttpClient, key: Secret, day: date) -> tuple[UserSpend, ...]:
    """Request the use of Claude Code on one UTC day: one row for each user and API key.

    A user has an ``email`` and no ``name``; an API key has a ``name`` and no ``email``. Rows of
    subscription seats are left out, because their cost is not on the bill.
    """
    query = [("starting_at", day.isoformat()), ("limit", _MAX_RECORDS)]
    users: dict[tuple[str | None, str | None], list[UserSpend]] = {}
    for record in report_entries(client, key, CLAUDE_CODE, query):
        if record.get("customer_type") != _SEATS:
            row = _user_row(record)
            users.setdefault(row[:2], []).append(row)
    return tuple(map(merge_user_rows, users.values()))


def _user_row(record: JsonObject) -> UserSpend:
    actor = json_object(record.get("actor")) or {}
    email = text(actor.get("email_address"))
    metrics = json_object(record.get("core_metrics")) or {}
    lines = json_object(metrics.get("lines_of_code")) or {}
    amount: Decimal | None = Decimal(0)
    tokens = Tokens(0, 0, 0, 0)
    models: list[NamedAmount] = []
    for model in _objects(record.get("model_breakdown")):
        cost = json_object(model.get("estimated_cost")) or {}
        models.append(NamedAmount(text(model.get("model")), _amount(cost.get("amount"))))
        amount = add_amounts(amount, models[-1].amount)
        used = json_object(model.get("tokens")) or {}
        kinds = (used.get(kind) for kind in ("input", "output", "cache_read", "cache_creation"))
        tokens = Tokens(*map(add_amounts, tokens, map(_count, kinds)))
    return UserSpend(
        text(actor.get("api_key_name")) if email is None else None,
        email.lower() if email is not None else None,
        amount,
        *tokens,
        _count(metrics.get("num_sessions")),
        _count(lines.get("added")),
        _count(lines.get("removed")),
        _count(metrics.get("commits_by_claude_code")),
        _count(metrics.get("pull_requests_by_claude_code")),
        tuple(models),
    )


def _month_query(today: date, group_by: str) -> list[tuple[str, str]]:
    """Return the query for a month. Its end is tomorrow: a report leaves out unfinished buckets."""
    return [
        ("starting_at", f"{today.replace(day=1).isoformat()}T00:00:00Z"),
        ("ending_at", f"{(today + timedelta(days=1)).isoformat()}T00:00:00Z"),
        *_DAILY_BUCKETS,
        ("group_by[]", group_by),
    ]


def _day(bucket: JsonObject) -> date:
    moment = instant(bucket.get("starting_at"))
    if moment is None:
        raise UnexpectedResponse("A day of a report has no date.")
    return moment.astimezone(UTC).date()


def _results(bucket: JsonObject) -> list[JsonObject]:
    results = bucket.get("results")
    if not isinstance(results, list):
        raise UnexpectedResponse("A day of a report has no list of results.")
    return _objects(results)


def _objects(value: object) -> list[JsonObject]:
    """Return the JSON objects in a list; none if it is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _amount(cents: object) -> Decimal | None:
    """Return an amount of cents in the currency's unit, exact; ``None`` if it is not a number."""
    amount = None
    if isinstance(cents, str):
        amount = Decimal(cents) if _DECIMAL.fullmatch(cents) else None
    elif isinstance(cents, int | Decimal) and not isinstance(cents, bool):
        amount = Decimal(cents)
    if amount is None or not amount.is_finite() or amount.as_tuple().exponent not in _EXPONENTS:
        return None
    return amount.scaleb(_CENT_EXPONENT) if amount.adjusted() < _EXPONENTS.stop else None


def _count(value: object) -> int | None:
    """Return a whole, non-negative number, else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if 0 <= value < _MAX_TOKENS and value == int(value) else None
