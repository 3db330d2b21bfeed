from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.readings_file import ReadingsFile, parse_lines
from claude_usage_monitor.usage.limits.resets import Reading

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
LINE: dict[str, Any] = {
    "type": "reading",
    "key": "five_hour",
    "read_at": "2026-11-02T09:00:00Z",
    "utilization": 12.5,
    "resets_at": None,
    "source": "statusline",
}


def line(**changes: object) -> bytes:
    return json.dumps(LINE | changes).encode() + b"\n"


def test_a_reading() -> None:
    parsed = parse_lines([line(), b"\n", line(account="other", unknown=[1])], AT)
    reading = ("five_hour", Reading(AT, 12.5, None, "statusline"))
    assert ReadingsFile([reading, reading], 0, 0, frozenset({"other"})) == parsed


def test_a_line_without_account_type_and_source() -> None:
    short = {name: LINE[name] for name in ("key", "read_at", "utilization")}
    ((_, reading),) = parse_lines([json.dumps(short).encode()], AT).readings
    assert Reading(AT, 12.5, None, "api") == reading


@pytest.mark.parametrize(
    "unusable",
    [
        b"nonsense",
        b"[1]",
        b"\xff\xfe",
        line(key=None),
        line(key=""),
        line(read_at=None),
        line(read_at="yesterday"),
        line(read_at="1970-01-01T00:00:00Z"),
        line(utilization="12"),
        line(utilization=-1),
        line(utilization=1e9),
        line(utilization=float("nan")),
        line(resets_at="soon"),
        line(resets_at="2026-11-02T17:00:00Z"),  # of a window of five hours
        json.dumps({"key": "five_hour", "read_at": LINE["read_at"]}).encode(),
    ],
)
def test_an_unusable_line_is_counted(unusable: bytes) -> None:
    parsed = parse_lines([unusable, line()], AT)
    assert (1, 1) == (len(parsed.readings), parsed.unusable_lines)


def test_readings_of_the_future_are_counted() -> None:
    times = [AT + timedelta(minutes=5), AT + timedelta(minutes=6), datetime(2099, 1, 1, tzinfo=UTC)]
    parsed = parse_lines([line(read_at=at.isoformat()) for at in times], AT)
    assert (times, 0, 2) == (
        [reading.read_at for _, reading in parsed.readings],
        parsed.unusable_lines,
        parsed.future_readings,
    )


def test_lines_of_another_type_are_skipped() -> None:
    parsed = parse_lines([line(type="window"), line(type="event")], AT)
    assert ReadingsFile([], 0, 0, frozenset()) == parsed


@pytest.mark.parametrize(("source", "expected"), [("pace-maker", "pace-maker"), ("later", "api")])
def test_an_unknown_source_counts_as_the_api(source: str, expected: str) -> None:
    ((_, reading),) = parse_lines([line(source=source)], AT).readings
    assert expected == reading.source


def test_a_key_is_cleaned() -> None:
    ((key, _),) = parse_lines([line(key="\x1b[31mfive\u202e")], AT).readings
    assert key.isprintable()


@given(st.lists(st.binary()))
def test_any_bytes_are_readings_or_unusable(lines: list[bytes]) -> None:
    parsed = parse_lines(lines, AT)
    assert len(parsed.readings) + parsed.unusable_lines <= len(lines)
