"""The row about a plan without a 5-hour limit, and the one about saved resets."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest

from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.statusline import statusline
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import NOW, usage_body
from tests.support.render import LIVE, frame_lines, frame_text
from tests.support.statuses import NORMAL, with_body

WITHOUT_FIVE_HOUR = with_body({**usage_body(), "five_hour": None})
END = NOW + timedelta(days=2)


def with_saved_resets(*grants: ResetGrant) -> AccountStatus:
    assert NORMAL.usage is not None
    return NORMAL._replace(usage=NORMAL.usage._replace(saved_resets=SavedResets(grants, NOW)))


@pytest.mark.parametrize("width", [28, 40, 60, 100])
def test_a_plan_without_a_5_hour_limit_says_so_once(width: int) -> None:
    """No 0 %, no problem; the week comes first, and it has a binding limit."""
    text = frame_text(WITHOUT_FIVE_HOUR, width)
    assert 1 == text.count("no 5-hour limit")
    assert "0 %" not in text
    assert text.index("7" if width < 40 else "7-day") < text.index("Fable")
    assert "▸" in text


def test_the_status_line_works_without_a_5_hour_limit() -> None:
    line = statusline(WITHOUT_FIVE_HOUR, NOW, FormatOptions(color=False))
    assert "7d 35%" in line
    assert "▸Fable 94% 3d2h" in line
    assert "5h" not in line


@pytest.mark.parametrize(
    "status",
    [
        NORMAL,
        with_body({"five_hour": {"utilization": 0.0, "resets_at": None}, "seven_day": None}),
        with_body({"five_hour": None, "seven_day": None, "extra_usage": None}),
        with_body({}),
    ],
)
def test_no_other_account_says_so(status: AccountStatus) -> None:
    assert "no 5-hour limit" not in frame_text(status)


def test_a_source_that_does_not_list_all_limits_does_not_say_so() -> None:
    assert WITHOUT_FIVE_HOUR.usage is not None
    usage = WITHOUT_FIVE_HOUR.usage._replace(source="statusline")
    assert "no 5-hour limit" not in frame_text(WITHOUT_FIVE_HOUR._replace(usage=usage))


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (
            [ResetGrant(2, END, ("five_hour", "seven_day"))],
            "2 saved resets · use by 23 Nov · clear 5-hour and week",
        ),
        ([ResetGrant(1, END, ("five_hour",))], "1 saved reset · use by 23 Nov · clears 5-hour"),
        ([ResetGrant(1, None, ())], "1 saved reset"),
    ],
)
def test_saved_resets_are_one_line(grants: list[ResetGrant], expected: str) -> None:
    lines = frame_lines((with_saved_resets(*grants),), 80)
    assert [expected] == [line.strip("│ ") for line in lines if "saved reset" in line]


def test_the_last_day_is_that_of_the_users_zone() -> None:
    zone = timezone(timedelta(hours=14))
    options = LIVE.__class__(clock=LIVE.clock._replace(zone=zone), live=True)
    status = with_saved_resets(ResetGrant(1, END, ()))
    assert "use by 24 Nov" in frame_text(status, 60, options)
    assert UTC is LIVE.clock.zone


@pytest.mark.parametrize("grants", [[], [ResetGrant(0, END, ())], [ResetGrant(3, NOW, ())]])
def test_without_a_saved_reset_there_is_no_line(grants: list[ResetGrant]) -> None:
    assert "saved reset" not in frame_text(with_saved_resets(*grants), 80)
