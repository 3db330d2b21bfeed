"""The JSON schema of the ``--json`` document. Templates take their fields from it, too.

A field that is added to the document must be added here: a test compares both. ``x-unit`` says
what a number counts: ``percent``, ``seconds``, ``currency`` (of the ``currency`` beside it) or
``tokens``.
"""

from __future__ import annotations

import json
from typing import TypeAlias, cast

Schema: TypeAlias = dict[str, object]

_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_INTEGER: Schema = {"type": "integer"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_DATE: Schema = {"type": "string", "format": "date"}
_PERCENT: Schema = {"type": "number", "x-unit": "percent"}
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


_PROBLEM = _object(code=_STRING, message=_STRING, hint=_STRING, retry_at=_or_null(_INSTANT))

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
    probability={"type": "number"},
    expected_at_reset=_PERCENT,
    basis=_STRING,
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
    elapsed_percent=_or_null(_PERCENT),
    pace=_or_null(_one_of("over", "on", "under")),
    pace_delta=_or_null(_PERCENT),
    full_at=_or_null(_INSTANT),
    forecast=_or_null(_FORECAST),
    source=_STRING,
    as_of=_INSTANT,
    amounts=_or_null(
        _object(used=_or_null(_AMOUNT), limit=_or_null(_AMOUNT), currency=_or_null(_STRING))
    ),
    use=_or_null(
        _object(
            rows=_array(_object(project=_STRING, points=_PERCENT, share=_PERCENT)),
            elsewhere=_or_null(_PERCENT),
            plus_minus=_PERCENT,
            basis=_STRING,
            subagents=_PERCENT,
            rebuilds=_INTEGER,
            as_of=_INSTANT,
        )
    ),
)

_EXTRA_USAGE = _object(
    enabled=_or_null(_BOOLEAN),
    used=_or_null(_AMOUNT),
    limit=_or_null(_AMOUNT),
    currency=_or_null(_STRING),
    utilization=_or_null(_PERCENT),
    disabled_reason=_or_null(_STRING),
)

_CREDIT_POOL = _object(
    key=_STRING,
    label=_STRING,
    used=_or_null(_AMOUNT),
    limit=_or_null(_AMOUNT),
    utilization=_or_null(_PERCENT),
    currency=_or_null(_STRING),
    expires_at=_or_null(_INSTANT),
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
        actor_type=_one_of("user", "api_key"),
        amount=_or_null(_AMOUNT),
        **_TOKEN_COUNTS,
        sessions=_or_null(_INTEGER),
        lines_added=_or_null(_INTEGER),
        lines_removed=_or_null(_INTEGER),
        commits=_or_null(_INTEGER),
        pull_requests=_or_null(_INTEGER),
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
    utilization=_or_null(_PERCENT),
    synthetic=_BOOLEAN,
    resets_at=_or_null(_INSTANT),
    target=_or_null(_PERCENT),
    deviation=_or_null(_PERCENT),
    stale=_BOOLEAN,
)
_THROTTLING = _object(
    enabled=_or_null(_BOOLEAN),
    throttling=_or_null(_BOOLEAN),
    delay_seconds=_or_null({"type": "number", "x-unit": "seconds"}),
    decided_at=_or_null(_INSTANT),
    window=_or_null(_STRING),
    target=_or_null(_PERCENT),
    deviation=_or_null(_PERCENT),
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
    saved_resets=_or_null(
        _object(count=_INTEGER, use_by=_or_null(_INSTANT), clears=_array(_STRING), as_of=_INSTANT)
    ),
    spend=_or_null(_SPEND),
    throttling=_or_null(_THROTTLING),
    source=_or_null(_STRING),
    as_of=_or_null(_INSTANT),
    age_seconds=_or_null(_SECONDS),
    stale=_BOOLEAN,
    next_read_at=_or_null(_INSTANT),
    problem=_or_null(_PROBLEM),
    notice=_or_null(_STRING),
)

_SERVICE = _object(
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
    service=_or_null(_SERVICE),
    problem=_or_null(_PROBLEM),
)


def schema_text() -> str:
    """Return the schema as a JSON document."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "claude-usage-monitor --json",
        "description": "Unknown is null, instants are UTC, percentages are 0-100 and may exceed "
        "100. Fields are added, never changed or removed.",
        **DOCUMENT,
    }
    return json.dumps(schema, indent=2)
