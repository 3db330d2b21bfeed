"""The JSON schema of the ``--json`` document, and the values of objects by their schema.

A field is one line here; `object_of` reads the attribute of that name. Templates take their fields
from the schema, too. ``x-unit`` says what a number counts: ``percent``, ``seconds``, ``currency``
(of the ``currency`` beside it) or ``tokens``. `published_schema` describes the fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from claude_usage_monitor.light_typing import SupportsFloat, TypeAlias, cast
from claude_usage_monitor.usage.durations import iso_instant

Json: TypeAlias = dict[str, object]
Schema: TypeAlias = dict[str, object]

DIGITS = "digits"  # the decimals that a number is rounded to; not published

_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_INTEGER: Schema = {"type": "integer"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_DATE: Schema = {"type": "string", "format": "date"}
_PERCENT: Schema = {"type": "number", "x-unit": "percent"}
_PERCENT_1: Schema = {**_PERCENT, DIGITS: 1}
_PERCENT_2: Schema = {**_PERCENT, DIGITS: 2}
_SECONDS: Schema = {"type": "integer", "x-unit": "seconds"}
_AMOUNT: Schema = {"type": "number", "x-unit": "currency"}
_TOKENS: Schema = {"type": "integer", "x-unit": "tokens"}


def _object(**fields: Schema) -> Schema:
    """Return an object that has at least these fields; later versions add more."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be unknown."""
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        nullable["enum"] = [*cast("list[str]", schema["enum"]), None]
    return nullable


PROBLEM = _object(code=_STRING, message=_STRING, hint=_STRING, retry_at=_or_null(_INSTANT))

_PROFILE = _object(
    display_name=_or_null(_STRING),
    email=_or_null(_STRING),
    organization=_or_null(_STRING),
    plan=_or_null(_STRING),
    rate_limit_tier=_or_null(_STRING),
)

_FORECAST = _object(
    run_out_at=_or_null(_INSTANT),
    run_out_earliest=_or_null(_INSTANT),
    run_out_latest=_or_null(_INSTANT),
    probability={"type": "number", DIGITS: 3},
    expected_at_reset=_PERCENT_1,
    basis=_STRING,
)

_USE = _object(
    rows=_array(_object(project=_STRING, points=_PERCENT_2, share=_PERCENT_2)),
    elsewhere=_or_null(_PERCENT_2),
    plus_minus=_PERCENT_1,
    basis=_STRING,
    subagents=_PERCENT_2,
    rebuilds=_INTEGER,
    as_of=_INSTANT,
)

WINDOW = _object(
    key=_STRING,
    label=_STRING,
    model=_or_null(_STRING),
    utilization=_or_null(_PERCENT),
    severity=_or_null(_one_of("normal", "elevated", "high", "exhausted")),
    binding=_BOOLEAN,
    state=_one_of("running", "idle", "reset"),
    resets_at=_or_null(_INSTANT),
    resets_in_seconds=_or_null(_SECONDS),
    window_seconds=_or_null(_SECONDS),
    elapsed_percent=_or_null(_PERCENT_1),
    pace=_or_null(_one_of("over", "on", "under")),
    pace_delta=_or_null(_PERCENT_1),
    full_at=_or_null(_INSTANT),
    forecast=_or_null(_FORECAST),
    source=_STRING,
    as_of=_INSTANT,
    amounts=_or_null(
        _object(used=_or_null(_AMOUNT), limit=_or_null(_AMOUNT), currency=_or_null(_STRING))
    ),
    use=_or_null(_USE),
)

_EXTRA_USAGE = _object(
    enabled=_or_null(_BOOLEAN),
    used=_or_null(_AMOUNT),
    limit=_or_null(_AMOUNT),
    currency=_or_null(_STRING),
    utilization=_or_null(_PERCENT_2),
    disabled_reason=_or_null(_STRING),
)

_CREDIT_POOL = _object(
    key=_STRING,
    label=_STRING,
    used=_or_null(_AMOUNT),
    limit=_or_null(_AMOUNT),
    utilization=_or_null(_PERCENT_2),
    currency=_or_null(_STRING),
    expires_at=_or_null(_INSTANT),
)

SAVED_RESETS = _object(
    count=_INTEGER, use_by=_or_null(_INSTANT), clears=_array(_STRING), as_of=_INSTANT
)

_TOKEN_COUNTS = {
    "input_tokens": _or_null(_TOKENS),
    "output_tokens": _or_null(_TOKENS),
    "cache_read_tokens": _or_null(_TOKENS),
    "cache_creation_tokens": _or_null(_TOKENS),
}
_NAMED_AMOUNTS = _array(_object(name=_or_null(_STRING), amount=_or_null(_AMOUNT)))
_USERS = _array(
    _object(
        name=_or_null(_STRING),
        email=_or_null(_STRING),
        amount=_or_null(_AMOUNT),
        **_TOKEN_COUNTS,
        sessions=_or_null(_INTEGER),
        lines_added=_or_null(_INTEGER),
        lines_removed=_or_null(_INTEGER),
        commits=_or_null(_INTEGER),
        pull_requests=_or_null(_INTEGER),
        actor_type=_one_of("user", "api_key"),
    )
)
_CLAUDE_CODE_SPEND = _object(
    estimated=_BOOLEAN,
    as_of=_INSTANT,
    month_to_date=_or_null(_AMOUNT),
    projected=_or_null(_AMOUNT),
    you=_or_null(_object(email=_STRING, amount=_or_null(_AMOUNT), projected=_or_null(_AMOUNT))),
    you_unknown_because=_or_null(_one_of("no_email", "no_row")),
    by_user=_USERS,
    by_model=_or_null(_NAMED_AMOUNTS),
    tokens=_or_null(_object(**_TOKEN_COUNTS)),
    missing_days=_INTEGER,
)
_SPEND = _object(
    currency=_or_null(_STRING),
    period_start=_DATE,
    period_end=_DATE,
    month_to_date=_or_null(_AMOUNT),
    projected=_or_null(_AMOUNT),
    projected_low=_or_null(_AMOUNT),
    projected_high=_or_null(_AMOUNT),
    remaining_projected=_or_null(_AMOUNT),
    rate_per_hour=_or_null(_AMOUNT),
    projection_note=_or_null(_STRING),
    budget=_or_null(_AMOUNT),
    budget_reached_on=_or_null(_DATE),
    daily=_array(_object(date=_DATE, amount=_or_null(_AMOUNT))),
    by_workspace=_or_null(_NAMED_AMOUNTS),
    by_model=_or_null(_NAMED_AMOUNTS),
    by_api_key=_or_null(_array(_object(name=_or_null(_STRING), **_TOKEN_COUNTS))),
    claude_code=_or_null(_CLAUDE_CODE_SPEND),
)

_PACED_WINDOW = _object(
    key=_STRING,
    utilization=_or_null(_PERCENT_1),
    synthetic=_BOOLEAN,
    resets_at=_or_null(_INSTANT),
    target=_or_null(_PERCENT_1),
    deviation=_or_null(_PERCENT_1),
    stale=_BOOLEAN,
)
THROTTLING = _object(
    enabled=_or_null(_BOOLEAN),
    throttling=_or_null(_BOOLEAN),
    delay_seconds=_or_null({"type": "number", "x-unit": "seconds"}),
    decided_at=_or_null(_INSTANT),
    window=_or_null(_STRING),
    target=_or_null(_PERCENT_1),
    deviation=_or_null(_PERCENT_1),
    tempo=_or_null(_one_of("on", "off", "auto")),
    tempo_engaged=_or_null(_BOOLEAN),
    mode=_or_null(_one_of("normal", "fallback")),
    limiters=_object(five_hour=_or_null(_BOOLEAN), seven_day=_or_null(_BOOLEAN)),
    backoff_until=_or_null(_INSTANT),
    blockages=_array(_object(category=_STRING, count=_INTEGER)),
    windows=_array(_PACED_WINDOW),
    computed=_array(_STRING),
    gaps=_array(_STRING),
    as_of=_or_null(_INSTANT),
    stale=_BOOLEAN,
)

ACCOUNT = _object(
    name=_STRING,
    kind=_one_of("code", "console"),
    active=_BOOLEAN,
    credential_origin=_or_null(_STRING),
    profile=_or_null(_PROFILE),
    windows=_array(WINDOW),
    extra_usage=_or_null(_EXTRA_USAGE),
    credit_pools=_array(_CREDIT_POOL),
    saved_resets=_or_null(SAVED_RESETS),
    spend=_or_null(_SPEND),
    throttling=_or_null(THROTTLING),
    source=_or_null(_STRING),
    as_of=_or_null(_INSTANT),
    age_seconds=_or_null(_SECONDS),
    stale=_BOOLEAN,
    next_read_at=_or_null(_INSTANT),
    problem=_or_null(PROBLEM),
    notice=_or_null(_STRING),
)

SERVICE = _object(
    indicator=_STRING,
    description=_STRING,
    components=_array(_object(name=_STRING, status=_STRING)),
    incidents=_array(
        _object(
            name=_STRING,
            impact=_STRING,
            status=_STRING,
            started_at=_or_null(_INSTANT),
            url=_or_null(_STRING),
        )
    ),
    as_of=_INSTANT,
    stale=_BOOLEAN,
)

DOCUMENT = _object(
    version={"type": "integer", "const": 1},
    generated_at=_INSTANT,
    accounts=_array(ACCOUNT),
    service=_or_null(SERVICE),
    problem=_or_null(PROBLEM),
)


def object_of(schema: Schema, source: object, now: datetime, /, **values: object) -> Json:
    """Return an object's fields by its schema, each from the attribute or method of its name.

    Methods get ``now``. ``values`` replace attributes, or are those of fields without one.
    """
    properties = cast("dict[str, Schema]", schema["properties"])
    return {
        name: _value(inner, values[name] if name in values else getattr(source, name), now)
        for name, inner in properties.items()
    }


def _value(schema: Schema, value: object, now: datetime) -> object:
    """Return a value for JSON by its schema. ``None`` and objects that are JSON do not change."""
    if callable(value):
        value = value(now)
    if value is None or isinstance(value, (str, int, dict)):
        return value
    if "properties" in schema:
        return object_of(schema, value, now)
    if "items" in schema:
        items = cast("Schema", schema["items"])
        return [_value(items, each, now) for each in cast("Iterable[object]", value)]
    if schema.get("x-unit") == "currency":
        return float(cast("SupportsFloat", value))
    return plain(value, cast("int | None", schema.get(DIGITS)))


def plain(value: object, digits: int | None = None) -> object:
    """Return a value for JSON: instants in UTC with a ``Z``, floats rounded to some digits."""
    if isinstance(value, datetime):
        return iso_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    return round(value, digits) if isinstance(value, float) and digits is not None else value


def fields(source: object, *names: str, digits: int | None = 2) -> Json:
    """Return attributes of an object for JSON, floats rounded."""
    return {name: plain(getattr(source, name), digits) for name in names}
