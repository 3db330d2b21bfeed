"""The Admin API's lists and reports of one organisation, summed as they come in.

The seam that the announced analytics endpoints can take the place of: a client and a key in,
ground types out. Amounts come in cents, as decimal strings or numbers with fractions; what leaves
here is in the currency's unit, exact.
"""

from __future__ import annotations

import re
from datetime import UTC, date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.anthropic.admin_api import listed, reported
from claude_usage_monitor.sources.values import JsonObject, instant, json_object
from claude_usage_monitor.usage.money.spend import (
    Costs,
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

CURRENCY = "USD"  # of every amount, the documentation says; an empty report names none
_CENTS = 2
_MOST_BUCKETS = "31"
_MOST_RECORDS = "1000"
_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,40})?", re.ASCII)
_DIGITS = range(-40, 16)  # exponents of an amount in cents; an honest one is far within
_MOST_TOKENS = 10**18
_SEATS = "subscription"  # such rows are not billed by use


_text = lru_cache(4096)(values.text)  # the same few names stand in thousands of rows


def text(value: object) -> str | None:
    """Return a cleaned, non-empty string, else ``None``."""
    return _text(value) if isinstance(value, str) else None


def get_names(client: HttpClient, key: Secret, kind: str) -> dict[str, str]:
    """Ask what the ids of ``workspaces``, of ``api_keys``, or the e-mails of ``users`` stand for.

    Raises as `admin_api.get_organization` does, like all here.
    """
    # Archived ones spent money this month too.
    query = [("include_archived", "true")] if kind == "workspaces" else []
    names: dict[str, str] = {}
    for item in listed(client, key, kind, query):
        known_as = text(item.get("email" if kind == "users" else "id"))
        name = text(item.get("name"))
        if known_as is not None and name is not None:
            names[known_as.lower() if kind == "users" else known_as] = name
    return names


def get_costs(client: HttpClient, key: Secret, today: date, by: str) -> Costs:
    """Ask what the month of ``today`` has cost so far, today included.

    ``by`` is ``workspace_id`` or ``description`` (models and other types of cost).
    """
    daily: dict[date, Decimal | None] = {day: Decimal(0) for day in _month_until(today)}
    groups: dict[str | None, Decimal | None] = {}
    currencies: set[str] = set()
    for bucket in reported(client, key, COSTS, _month_query(today, by)):
        day = _day(bucket)
        for row in _rows(bucket) if day in daily else ():  # one that was not asked for
            amount = _amount(row.get("amount"))
            daily[day] = add_amounts(daily[day], amount)
            group = text(row.get("workspace_id")) if by == "workspace_id" else _cost_of(row)
            groups[group] = add_amounts(groups.get(group, Decimal(0)), amount)
            currencies.add(text(row.get("currency")) or CURRENCY)
    if len(currencies) > 1:
        raise UnexpectedResponse(f"{COSTS} has amounts in several currencies: they have no sum.")
    return Costs(currencies.pop() if currencies else CURRENCY, daily, groups)


def _cost_of(row: JsonObject) -> str | None:
    """Return what a cost is of: its model, else its type, as ``Web search``."""
    kind = text(row.get("cost_type"))
    return text(row.get("model")) or (kind.replace("_", " ").capitalize() if kind else None)


def get_key_tokens(client: HttpClient, key: Secret, today: date) -> dict[str | None, Tokens]:
    """Ask for the tokens of each API key's id in the month; ``None`` is the Console itself."""
    tokens: dict[str | None, Tokens] = {}
    for bucket in reported(client, key, MESSAGES, _month_query(today, "api_key_id")):
        for row in _rows(bucket):
            of_key = text(row.get("api_key_id"))
            before = tokens.get(of_key, Tokens(0, 0, 0, 0))
            tokens[of_key] = Tokens(*map(add_amounts, before, _message_tokens(row)))
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
    """Ask what each user and key did with Claude Code on one UTC day, one row for each.

    ``name`` is an API key's; a user has an ``email`` only. Rows of subscription seats are left
    out: what they cost is not in the bill.
    """
    query = [("starting_at", day.isoformat()), ("limit", _MOST_RECORDS)]
    users: dict[tuple[str | None, str | None], list[UserSpend]] = {}
    for record in reported(client, key, CLAUDE_CODE, query):
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
    for model in _list(record.get("model_breakdown")):
        cost = json_object(model.get("estimated_cost")) or {}
        amount = add_amounts(amount, _amount(cost.get("amount")))
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
    )


def _month_query(today: date, group_by: str) -> list[tuple[str, str]]:
    """Return the query for a month up to the end of today: an earlier end drops today's bucket."""
    return [
        ("starting_at", f"{today.replace(day=1).isoformat()}T00:00:00Z"),
        ("ending_at", f"{(today + timedelta(days=1)).isoformat()}T00:00:00Z"),
        ("bucket_width", "1d"),
        ("limit", _MOST_BUCKETS),
        ("group_by[]", group_by),
    ]


def _month_until(today: date) -> list[date]:
    return [today.replace(day=number) for number in range(1, today.day + 1)]


def _day(bucket: JsonObject) -> date:
    moment = instant(bucket.get("starting_at"))
    if moment is None:
        raise UnexpectedResponse(f"{COSTS} has a day without a date.")
    return moment.astimezone(UTC).date()


def _rows(bucket: JsonObject) -> list[JsonObject]:
    results = bucket.get("results")
    if not isinstance(results, list):
        raise UnexpectedResponse("A report's day has no list of results.")
    return _list(results)


def _list(value: object) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _amount(cents: object) -> Decimal | None:
    """Return an amount of cents in the currency's unit, exact; ``None`` if it is no number."""
    if isinstance(cents, str):
        amount = Decimal(cents) if _DECIMAL.fullmatch(cents) else None
    else:
        number = isinstance(cents, int | Decimal) and not isinstance(cents, bool)
        amount = Decimal(cents) if number else None  # type: ignore[arg-type] # checked
    if amount is None or not _DIGITS.start <= int(amount.as_tuple().exponent) < _DIGITS.stop:
        return None
    return amount.scaleb(-_CENTS) if amount.adjusted() < _DIGITS.stop else None


def _count(value: object) -> int | None:
    """Return a whole, non-negative number, else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    whole = 0 <= value < _MOST_TOKENS and value == int(value)
    return int(value) if whole else None
