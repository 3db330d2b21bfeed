"""The schema of the JSON document: it describes everything that the document contains."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.formats.json_document import document
from claude_usage_monitor.formats.published_schema import schema_text
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import AccountStatus
from tests.support import spends
from tests.support.payloads import NOW, PAYLOADS
from tests.support.statuses import (
    AT_REST,
    LOGINS,
    NORMAL,
    ON_PACE,
    REFUSED,
    THROTTLING,
    UNREADABLE,
)
from tests.test_figures import status_with

ROOT = Path(__file__).parent.parent.parent
STATUSES = (
    *LOGINS.values(),
    *(status for status in vars(spends).values() if isinstance(status, AccountStatus)),
    *(
        NORMAL._replace(throttling=throttling)
        for throttling in (AT_REST, ON_PACE, REFUSED, THROTTLING, UNREADABLE)
    ),
)


def closed(schema: Any) -> Any:
    """Return the schema without permission for fields that it does not name."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema:
            schema["additionalProperties"] = False
    return schema


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time", ValueError)
def is_instant(text: object) -> bool:
    return text is None or datetime.fromisoformat(str(text)).utcoffset() == timedelta()


@FORMATS.checks("date", ValueError)
def is_date(text: object) -> bool:
    return text is None or bool(date.fromisoformat(str(text)))


PUBLISHED = json.loads(schema_text())
CLOSED = jsonschema.Draft202012Validator(closed(deepcopy(PUBLISHED)), format_checker=FORMATS)


def check(*statuses: AccountStatus, **more: Any) -> None:
    values = document(statuses, NOW, ClockStyle(), **more)
    CLOSED.validate(json.loads(json.dumps(values)))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)


def test_the_published_file_is_this_schema() -> None:
    """Write it with ``claude-usage-monitor --json-schema > docs/json-schema.json``."""
    assert schema_text() + "\n" == (ROOT / "docs" / "json-schema.json").read_text()


@pytest.mark.parametrize("status", STATUSES)
def test_it_describes_every_kind_of_account(status: AccountStatus) -> None:
    check(status)
    check(status, NORMAL)


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("usage_*.json")))
def test_it_describes_every_recorded_reply(name: str) -> None:
    content = (PAYLOADS / f"{name}.json").read_bytes()
    check(NORMAL._replace(usage=usage_from(content, NOW)))


def test_it_describes_failures() -> None:
    check(error=NoCredentials())
    check()


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(-200, 200),
    st.floats(-1e6, 1e6),
)
def test_it_describes_the_document_of_any_figures(
    utilization: float, hours_left: float | None, age: float
) -> None:
    status = status_with(utilization, hours_left)
    check(status._replace(clock_skew=timedelta(seconds=age), problem=LOGINS["expired"].problem))


def test_a_field_that_it_does_not_name_is_found() -> None:
    """Otherwise the tests above could not fail."""
    values = json.loads(json.dumps(document((NORMAL,), NOW, ClockStyle())))
    values["accounts"][0]["windows"][0]["new"] = 1
    with pytest.raises(jsonschema.ValidationError, match="new"):
        CLOSED.validate(values)
    jsonschema.validate(values, PUBLISHED)  # readers must accept it
