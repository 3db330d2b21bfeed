"""The body of a usage reply, in any of its shapes and from any source.

The shape changes monthly: ``limits[]`` was added in 2026-07; the flat keys are older and remain.
Each window is read separately, and an unknown figure is never zero.
"""

from __future__ import annotations

from datetime import datetime

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.sources.anthropic.saved_resets import saved_resets_from
from claude_usage_monitor.sources.values import (
    JsonObject,
    boolean,
    instant,
    json_object,
    number,
    parse_json_object,
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

MAX_ROWS = 200  # windows, and pools; no account has more than a dozen
_MAX_NAME = 60  # characters
_MAX_AMOUNT = 1e13  # in minor units; no account has more
_DEFAULT_DECIMAL_PLACES = 2
_MAX_DECIMAL_PLACES = 6

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
_WINDOW_OF_KIND = {"session": "five_hour", "weekly_all": "seven_day"}
_WINDOW_OF_MODEL = {"opus": "seven_day_opus", "sonnet": "seven_day_sonnet"}


def usage_from(body: bytes, as_of: datetime, source: Source = "api") -> Usage:
    """Return the usage in a body. Raises UnexpectedResponse when it is not a usage body."""
    document = parse_json_object(body)
    if document is None:
        raise UnexpectedResponse
    return usage_from_document(document, as_of, source)


def usage_from_document(document: JsonObject, as_of: datetime, source: Source) -> Usage:
    """Return the usage in a parsed body. Raises UnexpectedResponse when it is not a usage body."""
    document = _with_clean_keys(document)
    windows = _merged(_flat_windows(document, as_of, source), _row_windows(document, as_of, source))
    pools = [
        pool
        for key, value in document.items()
        if (fields := json_object(value)) is not None and (pool := _pool(key, fields)) is not None
    ]
    if document and not windows and not pools and not _is_usage_body(document):
        raise UnexpectedResponse
    return Usage(
        windows=mark_binding(sorted_for_display(windows[:MAX_ROWS]), as_of, as_of),
        source=source,
        as_of=as_of,
        extra_usage=_extra_usage(json_object(document.get("extra_usage"))),
        credit_pools=tuple(pools[:MAX_ROWS]),
        saved_resets=saved_resets_from(document, as_of) if document.get("cedar_ember") else None,
    )


def _with_clean_keys(document: JsonObject) -> JsonObject:
    """Return the document with printable keys.

    If keys differ only in invisible characters, the key without them wins.
    """
    cleaned = {name: value for key, value in document.items() if (name := text(key, _MAX_NAME))}
    return cleaned | {key: document[key] for key in cleaned.keys() & document.keys()}


def _is_usage_body(document: JsonObject) -> bool:
    known = _POOL_KEYS | _NEVER_SHOWN | _OTHER_KNOWN_KEYS
    return any(key in known or key.startswith(_WINDOW_PREFIXES) for key in document)


# --- windows under flat keys --------------------------------------------------------------------


def _flat_windows(document: JsonObject, as_of: datetime, source: Source) -> list[UsageWindow]:
    windows = []
    for key, value in document.items():
        fields = json_object(value)
        if fields is None or key in _NEVER_SHOWN or _is_pool(key, fields):
            continue
        utilization = percent(fields.get("utilization"))
        resets_at = instant(fields.get("resets_at"))
        if key.startswith(_WINDOW_PREFIXES):
            is_window = "utilization" in fields or "resets_at" in fields
        else:  # an unknown code name at 0 % that never resets is a placeholder
            is_window = "utilization" in fields and (resets_at is not None or bool(utilization))
        if is_window:
            label = label_for(key)
            model = label if key in _WINDOW_OF_MODEL.values() else None
            windows.append(UsageWindow(key, label, utilization, resets_at, source, as_of, model))
    return windows


# --- rows of limits[] ---------------------------------------------------------------------------


def _row_windows(document: JsonObject, as_of: datetime, source: Source) -> dict[str, UsageWindow]:
    """Return the windows of ``limits[]`` by key; the first of several rows with one key wins."""
    limits = document.get("limits")
    windows: dict[str, UsageWindow] = {}
    for value in limits[:MAX_ROWS] if isinstance(limits, list) else ():
        row = json_object(value)
        window = _row_window(row, as_of, source) if row is not None else None
        if window is not None:
            windows.setdefault(window.key, window)
    return windows


def _row_window(row: JsonObject, as_of: datetime, source: Source) -> UsageWindow | None:
    kind = text(row.get("kind"), _MAX_NAME)
    scope = json_object(row.get("scope")) or {}
    model = _name(scope.get("model"))
    name = model or _name(scope.get("surface"))
    if kind in _WINDOW_OF_KIND and name is None:
        key = _WINDOW_OF_KIND[kind]
        label = label_for(key)
    elif name is not None and (kind or "").startswith("weekly"):
        known_key = _WINDOW_OF_MODEL.get(name.casefold()) if model else None
        key = known_key or f"seven_day:{name.lower()}"
        label = label_for(known_key) if known_key else name
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
        model=model,
        is_active=boolean(row.get("is_active")) is True,
    )


def _name(value: object) -> str | None:
    """Return the name in a string, or in an object with a display name or an id."""
    fields = json_object(value)
    if fields is None:
        return text(value, _MAX_NAME)
    return text(fields.get("display_name"), _MAX_NAME) or text(fields.get("id"), _MAX_NAME)


def _merged(flat: list[UsageWindow], rows: dict[str, UsageWindow]) -> list[UsageWindow]:
    """Return one window for each key.

    If both shapes report a window, its figures come from the flat key and its flag from the row.
    """
    merged = []
    for window in flat:
        row = rows.pop(window.key, None)
        if row is None:
            merged.append(window)
        elif window.utilization is None:
            merged.append(row._replace(resets_at=window.resets_at or row.resets_at))
        else:
            merged.append(window._replace(is_active=row.is_active))
    return merged + list(rows.values())


# --- money --------------------------------------------------------------------------------------


def _is_pool(key: str, fields: JsonObject) -> bool:
    return key in _POOL_KEYS or number(fields.get("limit_dollars")) is not None


def _pool(key: str, fields: JsonObject) -> CreditPool | None:
    if key in _NEVER_SHOWN or not _is_pool(key, fields):
        return None
    used, limit = _amount(fields.get("used_dollars")), _amount(fields.get("limit_dollars"))
    remaining = _amount(fields.get("remaining_dollars"))
    if used is None and limit is not None and remaining is not None:
        used = max(0.0, round(limit - remaining, _MAX_DECIMAL_PLACES))
    utilization = percent(fields.get("utilization"))
    if utilization is None:
        utilization = _ratio(used, limit)
    if used is None and limit is None and utilization is None:
        return None
    label = text(fields.get("label"), _MAX_NAME) or label_for(key)
    return CreditPool(
        key, label, used, limit, utilization, "USD", expires_at=instant(fields.get("resets_at"))
    )


def _extra_usage(fields: JsonObject | None) -> ExtraUsage | None:
    if fields is None:
        return None
    places = number(fields.get("decimal_places"))
    if places is None or places > _MAX_DECIMAL_PLACES:
        places = _DEFAULT_DECIMAL_PLACES
    used, limit = (
        None if amount is None else amount / 10 ** int(places)
        for amount in (_amount(fields.get(key)) for key in ("used_credits", "monthly_limit"))
    )
    utilization = percent(fields.get("utilization"))
    return ExtraUsage(
        enabled=boolean(fields.get("is_enabled")),
        used=used,
        limit=limit,
        currency=_currency(fields.get("currency")),
        utilization=_ratio(used, limit) if utilization is None else utilization,
        disabled_reason=text(fields.get("disabled_reason"), _MAX_NAME),
    )


def _amount(value: object) -> float | None:
    figure = number(value)
    return figure if figure is not None and figure < _MAX_AMOUNT else None


def _currency(value: object) -> str | None:
    code = text(value)
    return code.upper() if code and len(code) == 3 and code.isascii() and code.isalpha() else None


def _ratio(used: float | None, limit: float | None) -> float | None:
    """Return the percentage that is used, if it can be computed."""
    return number(used / limit * 100) if used is not None and limit else None
