from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.anthropic.admin_api import exact_fraction
from claude_usage_monitor.sources.values import (
    boolean,
    expiry,
    instant,
    json_object,
    number,
    parse_json,
    parse_json_object,
    percent,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENT = datetime(2026, 7, 26, 20, 0, 0, 254877, tzinfo=UTC)
PLAIN = MOMENT.replace(microsecond=0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-07-26T20:00:00.254877+00:00", MOMENT),
        ("2026-07-26T20:00:00.254877123Z", MOMENT),
        ("2026-07-26T20:00:00Z", PLAIN),
        ("2026-07-26T22:00:00+02:00", PLAIN),
        ("2026-07-26T20:00:00", PLAIN),
        (PLAIN.timestamp(), PLAIN),
        (int(PLAIN.timestamp()), PLAIN),
        (int(PLAIN.timestamp() * 1000), PLAIN),
        (str(int(PLAIN.timestamp() * 1000)), PLAIN),
        ("", None),
        ("soon", None),
        ("9999-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        (0, None),
        (-1, None),
        (1e300, None),
        (nan, None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_an_instant_is_read_in_all_its_forms(value: object, expected: datetime | None) -> None:
    assert expected == instant(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (0.42, 0.42), (0, 0.0), (-1, None), (nan, None), (inf, None), (-inf, None)]
    + [("8%", None), ("8", None), (True, None), ([], None), ({}, None), (None, None)],
)
def test_a_number_is_finite_and_not_negative(value: object, expected: float | None) -> None:
    assert expected == number(value)


def test_an_impossible_percentage_is_none() -> None:
    assert (percent(250), percent(1_738_425_600)) == (250.0, None)


def test_the_other_readers_accept_their_own_type_only() -> None:
    assert (boolean(True), boolean(1)) == (True, None)
    assert (json_object({}), json_object([])) == ({}, None)
    assert (text("x\x1b"), text("\x1b"), text(7)) == ("x", None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_json_is_read_in_all_its_encodings(encoding: str) -> None:
    assert parse_json('{"name": "Zoë"}'.encode(encoding)) == {"name": "Zoë"}


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"{}"'])
def test_json_that_is_not_an_object_is_none(body: bytes) -> None:
    assert parse_json_object(body) is None


def test_invalid_utf_8_spoils_only_the_character() -> None:
    assert parse_json(b'{"a": "\xff"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a": 1', b"<html>", b"[" * 100_000, b"\xff\xfe", b'{"a": ' * 50_000],
    ids=["empty", "brace", "cut", "html", "deep", "bom", "deep objects"],
)
def test_anything_but_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words do not matter
        parse_json(body)


def test_an_integer_of_thousands_of_digits_spoils_no_other_field() -> None:
    found = json_object(parse_json(b'{"huge": ' + b"9" * 5000 + b', "good": 7}')) or {}
    assert (number(found["huge"]), number(found["good"])) == (None, 7.0)


@given(st.binary(max_size=200))
def test_bytes_are_json_or_a_value_error_and_nothing_else(body: bytes) -> None:
    try:
        parsed = parse_json(body)
    except ValueError:
        return
    for reader in (number, percent, text, boolean, json_object, instant):
        reader(parsed)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_reader_ever_raises(value: object) -> None:
    for reader in (number, percent, text, boolean, json_object, instant):
        reader(value)


def test_nan_and_infinity_are_unknown() -> None:
    found = json_object(parse_json(json.dumps({"a": nan, "b": inf, "c": 1}).encode())) or {}
    assert [number(found[key]) for key in "abc"] == [None, None, 1.0]


@pytest.mark.parametrize("parse_float", [None, exact_fraction])
@pytest.mark.parametrize("huge", ["1e400", "1e5000000000000000000", "-1.5e-" + "9" * 400])
def test_a_huge_exponent_spoils_no_other_field(
    huge: str, parse_float: Callable[[str], object] | None
) -> None:
    found = parse_json_object(f'{{"odd": {huge}, "good": 7}}'.encode(), parse_float) or {}
    assert 7.0 == number(found["good"])


def test_fractions_are_exact_on_request() -> None:
    body = b'{"amount": 0.1234567890123456789, "count": 7, "odd": 1e400}'
    found = json_object(parse_json(body, exact_fraction)) or {}
    assert (Decimal("0.1234567890123456789"), 7) == (found["amount"], found["count"])
    assert {"amount": 0.12345678901234568, "count": 7, "odd": inf} == parse_json(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_795_000_000_000, datetime.fromtimestamp(1_795_000_000, UTC)),
        (1_795_000_000, datetime.fromtimestamp(1_795_000_000, UTC)),
        ("1795000000", datetime.fromtimestamp(1_795_000_000, UTC)),
        (1_500_000_000_000, datetime.fromtimestamp(1_500_000_000, UTC)),
        (10_000_000_000, datetime.fromtimestamp(10_000_000, UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-5, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1999-12-31T00:00:00Z", datetime(1999, 12, 31, tzinfo=UTC)),
        (4_200_000_000_000, None),
        (1e300, None),
        (float("nan"), None),
        (True, None),
        ("soon", None),
        (None, None),
        ({}, None),
    ],
)
def test_an_expiry_is_known_in_either_unit_and_however_long_ago(
    value: object, expected: datetime | None
) -> None:
    assert expected == expiry(value)


@given(st.one_of(st.floats(), st.integers(), st.text(), st.datetimes().map(str)))
def test_any_expiry_is_a_moment_before_2100_or_unknown(value: object) -> None:
    found = expiry(value)
    assert found is None or found < datetime(2100, 1, 1, tzinfo=UTC)
