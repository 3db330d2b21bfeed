from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.claude_code.statusline_input import (
    StatuslineInput,
    parse_statusline_input,
)
from tests.support.payloads import NOW, as_bytes, payload

SOON = int((NOW + timedelta(hours=2)).timestamp())
RESETS_AT = datetime.fromtimestamp(SOON, UTC)


def parsed(limits: object, **more: object) -> list[tuple[str, float | None, datetime | None]]:
    found = parse_statusline_input(as_bytes({"rate_limits": limits, **more}), NOW).usage
    return [(w.key, w.utilization, w.resets_at) for w in found.windows] if found else []


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("statusline_rate_limits_real_float_noise", 1778750000, [16.0, 14.0]),
        ("statusline_rate_limits_2.1.252_team_real", 1788480000, [20.0, 22.0]),
        ("statusline_rate_limits_over_100", 1776440000, [105.0, 34.0]),
        ("statusline_2.1.330_recorded", 1795293000, [41.0, 20.0]),
    ],
)
def test_reads_the_recorded_inputs(name: str, at: int, expected: list[float]) -> None:
    usage = parse_statusline_input(payload(name), datetime.fromtimestamp(at, UTC)).usage
    assert usage is not None
    assert expected == [window.utilization for window in usage.windows]
    assert {"statusline"} == {window.source for window in usage.windows}


@pytest.mark.parametrize(
    "resets_at", [SOON, SOON * 1000, float(SOON), str(SOON), RESETS_AT.isoformat()]
)
def test_reads_a_reset_as_an_epoch_or_as_iso_8601(resets_at: object) -> None:
    window = {"used_percentage": 20, "resets_at": resets_at}
    assert [("five_hour", 20.0, RESETS_AT)] == parsed({"five_hour": window})


@pytest.mark.parametrize(
    "window",
    [
        {"used_percentage": 1738425600, "resets_at": SOON},
        {"used_percentage": -1, "resets_at": SOON},
        {"used_percentage": "20", "resets_at": SOON},
        {"used_percentage": None, "resets_at": SOON},
        {"used_percentage": 20, "resets_at": SOON - 7201},
        {},
        None,
        7,
    ],
)
def test_ignores_an_invalid_or_expired_window_only(window: object) -> None:
    good = {"used_percentage": 35, "resets_at": SOON}
    assert [("seven_day", 35.0, RESETS_AT)] == parsed({"five_hour": window, "seven_day": good})


def test_reads_a_window_without_a_reset() -> None:
    assert [("seven_day", 34.0, None)] == parsed({"seven_day": {"used_percentage": 34}})


def test_ignores_keys_that_are_not_windows() -> None:
    limits = {"spend_limits": {"used_percentage": 4}, "model_scoped": [{"utilization": 0.5}]}
    assert [] == parsed(limits)


def test_reads_the_members_own_spend_limit_with_its_amounts() -> None:
    """Behind a gateway. It may exceed 100 % and resets within a month, not within a week."""
    resets_at = NOW + timedelta(days=30)
    fields = {
        "used_percentage": 104.0,
        "resets_at": resets_at.timestamp(),
        "used_usd": 52.0,
        "limit_usd": 50,
        "period": "monthly",
    }
    usage = parse_statusline_input(as_bytes({"rate_limits": {"spend_limit": fields}}), NOW).usage
    assert usage is not None
    (window,) = usage.windows
    assert ("spend_limit", "Spend limit", 104.0) == (window.key, window.label, window.utilization)
    assert resets_at == window.resets_at
    assert (52.0, 50.0, "USD") == window.amounts


def test_a_spend_limit_of_an_older_claude_code_has_no_amounts() -> None:
    content = as_bytes({"rate_limits": {"spend_limit": {"used_percentage": 40}}})
    usage = parse_statusline_input(content, NOW).usage
    assert usage is not None
    assert [(40.0, None)] == [(window.utilization, window.amounts) for window in usage.windows]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"null", b"[" * 100_000, b"{"])
def test_reads_an_input_without_figures(content: bytes) -> None:
    assert parse_statusline_input(content, NOW).usage is None


def test_reads_the_start_of_the_session() -> None:
    content = as_bytes({"cost": {"total_duration_ms": 60_000}})
    assert NOW - timedelta(minutes=1) == parse_statusline_input(content, NOW).session_began
    for odd in (-1, 1e300, "x", None):
        content = as_bytes({"cost": {"total_duration_ms": odd}})
        assert StatuslineInput() == parse_statusline_input(content, NOW)


@given(st.binary(max_size=200))
def test_raises_nothing_for_random_bytes(content: bytes) -> None:
    parse_statusline_input(content, NOW)
