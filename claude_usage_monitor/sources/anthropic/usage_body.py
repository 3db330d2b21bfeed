"""The body of a usage reply, whichever shape it has and wherever it was found.

The shape changes monthly (``limits[]`` since 2026-07, the flat keys before and beside it). Each
window is read by itself, and unknown is never zero.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.values import (
    JsonObject,
    boolean,
    instant,
    json_object,
    number,
    percent,
    text,
)
from claude_usage_monitor.usage.limits.reading_sources import Source
from claude_usage_monitor.usage.limits.windows import (
    CreditPool,
    ExtraUsage,
    Usage,
    UsageWindow,
    label_for,
    mark_binding,
    sorted_for_display,
)

MAX_ROWS = 200  # of windows and of pools; no account has more than a dozen
_MAX_NAME = 60
_MAX_AMOUNT = 1e13  # in minor units; more is no amount of money here

_POOL_KEYS = frozenset(("iguana_necktie", "cinder_cove", "amber_ladder", "wattle_ember"))
_NEVER_SHOWN = frozenset(("nimbus_quill", "seven_day_breakdown", "spend", "extra_usage", "limits"))
_OTHER_KNOWN_KEYS = frozenset(
    (
        "cedar_ember",
        "copper_kite",
        "juniper_tide",
        "tangelo",
        "omelette_promotional",
        "member_dashboard_available",
    )
)
_WINDOW_PREFIXES = ("five_hour", "seven_day")
_KINDS = {"session": "five_hour", "weekly_all": "seven_day"}
_MODEL_KEYS = {"opus": "seven_day_opus", "sonnet": "seven_day_sonnet"}


def usage_from(body: bytes, as_of: datetime, source: Source = "api") -> Usage:
    """Return what a usage body reports. Raises UnexpectedResponse when it is no such body."""
    try:
        document = json_object(values.parse_json(body))
    except ValueError:
        document = None
    if document is None:
        raise UnexpectedResponse
    return usage_from_document(document, as_of, source)


def usage_from_document(document: JsonObject, as_of: datetime, source: Source) -> Usage:
    """Return what a parsed usage body reports. Raises UnexpectedResponse when it is none."""
    windows = _merged(_flat_windows(document, as_of, source), _rows(document, as_of, source))
    pools = tuple(
        pool
        for key, value in document.items()
        if (found := json_object(value)) is not None and (pool := _pool(key, found)) is not None
    )
    if document and not windows and not pools and not _is_usage_body(document):
        raise UnexpectedResponse
    return Usage(
        windows=mark_binding(sorted_for_display(windows[:MAX_ROWS])),
        source=source,
        as_of=as_of,
        extra_usage=_extra_usage(json_object(document.get("extra_usage"))),
        credit_pools=pools[:MAX_ROWS],
    )


def _is_usage_body(document: JsonObject) -> bool:
    known = _POOL_KEYS | _NEVER_SHOWN | _OTHER_KNOWN_KEYS
    return any(key in known or key.startswith(_WINDOW_PREFIXES) for key in document)


# --- windows under flat keys ---------------------------------------------------------------


def _flat_windows(document: JsonObject, as_of: datetime, source: Source) -> list[UsageWindow]:
    windows = []
    for key, value in document.items():
        found = json_object(value)
        if found is None or key in _NEVER_SHOWN or _is_pool(key, found):
            continue
        utilization = percent(found.get("utilization"))
        resets_at = instant(found.get("resets_at"))
        if key.startswith(_WINDOW_PREFIXES):
            shaped = "utilization" in found or "resets_at" in found
        else:  # an unknown code name: a placeholder of 0 % that never resets is no window
            shaped = "utilization" in found and (resets_at is not None or bool(utilization))
        name = text(key, _MAX_NAME)
        if shaped and name:
            label = label_for(name)
            model = label if name in _MODEL_KEYS.values() else None
            windows.append(UsageWindow(name, label, utilization, resets_at, source, as_of, model))
    return windows


# --- rows of limits[] ----------------------------------------------------------------------


class _Scope(NamedTuple):
    model: str | None
    surface: str | None


def _scope(value: object) -> _Scope:
    found = json_object(value) or {}
    return _Scope(_named(found.get("model")), _named(found.get("surface")))


def _named(value: object) -> str | None:
    """Return a name given as a string or as an object with a display name or an id."""
    found = json_object(value)
    if found is None:
        return text(value, _MAX_NAME)
    return text(found.get("display_name"), _MAX_NAME) or text(found.get("id"), _MAX_NAME)


def _rows(document: JsonObject, as_of: datetime, source: Source) -> list[UsageWindow]:
    limits = document.get("limits")
    windows: dict[str, UsageWindow] = {}
    for value in limits[:MAX_ROWS] if isinstance(limits, list) else ():
        row = json_object(value)
        window = _row(row, as_of, source) if row is not None else None
        if window is not None:
            windows.setdefault(window.key, window)
    return list(windows.values())


def _row(row: JsonObject, as_of: datetime, source: Source) -> UsageWindow | None:
    kind = text(row.get("kind"), _MAX_NAME)
    scope = _scope(row.get("scope"))
    name = scope.model or scope.surface
    if kind in _KINDS and name is None:
        key, label = _KINDS[kind], label_for(_KINDS[kind])
    elif name is not None and (kind or "").startswith("weekly"):
        known = _MODEL_KEYS.get(name.casefold()) if scope.model else None
        key = known or f"seven_day:{name.lower()}"
        label = label_for(known) if known else name
    elif kind is not None:
        key = kind if name is None else f"{kind}:{name.lower()}"
        label = name or label_for(kind)
    else:
        return None
    return UsageWindow(
        key=key,
        label=label,
        utilization=percent(row.get("percent")),
        resets_at=instant(row.get("resets_at")),
        source=source,
        as_of=as_of,
        model=scope.model,
        is_active=boolean(row.get("is_active")) is True,
    )


def _merged(flat: list[UsageWindow], rows: list[UsageWindow]) -> list[UsageWindow]:
    """Return one window a limit: the flat one where both shapes have it, flagged by the row."""
    by_key = {row.key: row for row in rows}
    merged = []
    for window in flat:
        row = by_key.pop(window.key, None)
        if row is None:
            merged.append(window)
        elif window.utilization is None:
            merged.append(dataclasses.replace(row, resets_at=window.resets_at or row.resets_at))
        else:
            merged.append(dataclasses.replace(window, is_active=row.is_active))
    return merged + list(by_key.values())


# --- money ---------------------------------------------------------------------------------


def _is_pool(key: str, found: JsonObject) -> bool:
    return key in _POOL_KEYS or number(found.get("limit_dollars")) is not None


def _pool(key: str, found: JsonObject) -> CreditPool | None:
    name = text(key, _MAX_NAME)
    if key in _NEVER_SHOWN or name is None or not _is_pool(key, found):
        return None
    used, limit = _decimal(found.get("used_dollars")), _decimal(found.get("limit_dollars"))
    remaining = _decimal(found.get("remaining_dollars"))
    if used is None and limit is not None and remaining is not None:
        used = max(Decimal(), limit - remaining)
    utilization = percent(found.get("utilization"))
    if utilization is None:
        utilization = _ratio(used, limit)
    if used is None and limit is None and utilization is None:
        return None
    label = text(found.get("label"), _MAX_NAME) or label_for(name)
    expires_at = instant(found.get("resets_at"))
    return CreditPool(name, label, used, limit, utilization, "USD", expires_at)


def _extra_usage(found: JsonObject | None) -> ExtraUsage | None:
    if found is None:
        return None
    places = number(found.get("decimal_places"))
    minor = Decimal(10) ** (int(places) if places is not None and places <= 6 else 2)
    used, limit = _decimal(found.get("used_credits")), _decimal(found.get("monthly_limit"))
    used = None if used is None else used / minor
    limit = None if limit is None else limit / minor
    utilization = percent(found.get("utilization"))
    return ExtraUsage(
        enabled=boolean(found.get("is_enabled")),
        used=used,
        limit=limit,
        currency=_currency(found.get("currency")),
        utilization=_ratio(used, limit) if utilization is None else utilization,
        disabled_reason=text(found.get("disabled_reason"), _MAX_NAME),
    )


def _decimal(value: object) -> Decimal | None:
    figure = number(value)
    return Decimal(repr(figure)) if figure is not None and figure < _MAX_AMOUNT else None


def _currency(value: object) -> str | None:
    code = text(value)
    return code.upper() if code and len(code) == 3 and code.isascii() and code.isalpha() else None


def _ratio(used: Decimal | None, limit: Decimal | None) -> float | None:
    return float(used / limit * 100) if used is not None and limit else None
