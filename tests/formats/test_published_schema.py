"""The published schema describes each field of the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.json_schema import DOCUMENT
from claude_usage_monitor.formats.published_schema import DESCRIPTIONS, PROBLEM_CODES, schema_text
from tests.cli.test_exit_codes import subclasses_of

_MAX_LENGTH = 110  # characters: one sentence


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the schema of each field, also inside arrays."""
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")
    for name, inner in schema.get("properties", {}).items():
        inside = f"{path}.{name}" if path else name
        yield inside, inner
        yield from fields(inner, inside)


def test_every_field_has_a_description_and_every_description_a_field() -> None:
    assert {path for path, _ in fields(DOCUMENT)} == set(DESCRIPTIONS)
    published = dict(fields(json.loads(schema_text())))
    assert {path: inner["description"] for path, inner in published.items()} == DESCRIPTIONS


def test_a_description_is_one_sentence() -> None:
    for path, text in DESCRIPTIONS.items():
        assert text.endswith("."), path
        assert ". " not in text, path
        assert len(text) <= _MAX_LENGTH or path.endswith("problem.code"), path


def test_a_description_says_what_null_means_where_it_is_possible() -> None:
    for path, inner in fields(DOCUMENT):
        assert ("null" in inner["type"]) == ("null" in DESCRIPTIONS[path]), path


def test_every_problem_code_is_named() -> None:
    assert {kind.code for kind in subclasses_of(UsageMonitorError)} == set(PROBLEM_CODES)
    assert len(PROBLEM_CODES) == len(set(PROBLEM_CODES))


def test_descriptions_change_nothing_else() -> None:
    """Only the internal number of decimals is missing."""
    published = json.loads(schema_text())
    described = dict(fields(published))
    for path, inner in fields(DOCUMENT):
        unpublished = {"properties", "items", "digits"}
        expected = {key: value for key, value in inner.items() if key not in unpublished}
        shown = {key: described[path].get(key) for key in expected}
        assert expected == shown, path
        assert "digits" not in described[path]
