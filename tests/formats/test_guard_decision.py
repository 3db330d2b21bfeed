from __future__ import annotations

import json
from datetime import UTC

import pytest

from claude_usage_monitor.formats.guard_decision import document, line
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.guard import Requirement, decide
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import NOW
from tests.support.spends import NO_BUDGET
from tests.support.statuses import EVERY_STATE, NO_LIMITS, NORMAL, NOT_LOGGED_IN

CLOCK = ClockStyle(UTC)


@pytest.mark.parametrize(
    ("status", "min_left", "expected"),
    [
        (NORMAL, 5, "ok: Fable 6 % left, resets Tue 14:40"),
        (
            NORMAL,
            30,
            "not enough: 5-hour 22 % left, resets 14:30; Fable 6 % left, resets Tue 14:40",
        ),
        (NO_LIMITS, 5, "ok: this account reports no limits"),
        (NOT_LOGGED_IN, 5, "unknown: no figures"),
        (NO_BUDGET, 5, "unknown: monthly budget is not set in config.toml"),
    ],
)
def test_the_line_names_the_windows_that_decided(
    status: AccountStatus, min_left: float, expected: str
) -> None:
    assert expected == line(decide(status, Requirement(min_left), NOW), NOW, CLOCK)


def test_unknown_is_null() -> None:
    values = json.loads(document(decide(EVERY_STATE, Requirement(0), NOW), 0))
    lefts = {window["key"]: window["left"] for window in values["windows"]}
    assert (None, 100.0, 0.0) == (
        lefts["seven_day_opus"],
        lefts["five_hour"],
        lefts["seven_day"],
    )
