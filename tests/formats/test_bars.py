from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.formats import load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.windows import UsageWindow
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW
from tests.support.spends import OVER_BUDGET
from tests.support.statuses import NORMAL, NOT_LOGGED_IN, RATE_LIMITED, READING

OPTIONS = FormatOptions(clock=ClockStyle(UTC))
HOSTILE = "#S#(touch x)%n|<b>"


def block(name: str, *statuses: AccountStatus) -> dict[str, Any]:
    line = load_format(name)(statuses, NOW, OPTIONS)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def hostile() -> AccountStatus:
    window = UsageWindow(
        "seven_day:x", HOSTILE, 5.0, NOW + timedelta(days=1), "api", NOW, model=HOSTILE
    )
    assert NORMAL.usage is not None
    usage = NORMAL.usage._replace(windows=(window,))
    return NORMAL._replace(account=Account(HOSTILE), usage=usage)


def test_waybar_gets_markup_a_class_and_a_percentage() -> None:
    found = block("waybar", NORMAL)
    assert ("elevated", ["elevated"], 78) == (found["alt"], found["class"], found["percentage"])
    assert '<span foreground="#d7af00">▸5h 78% 2h11m</span>' in found["text"]
    assert found["tooltip"].splitlines() == [
        "Account claude-code, Max 5x",
        "78% 5-hour, resets 14:30 (2h 11m)",
        "35% 7-day, resets Tue 14:40 (3d 2h)",
        "94% Fable, resets Tue 14:40 (3d 2h)",
        "Read now",
    ]


def test_menus_and_tooltips_say_what_is_left_if_the_user_wants_that() -> None:
    menu = load_format("xbar")((NORMAL,), NOW, OPTIONS._replace(left=True)).splitlines()
    assert menu[0].startswith("▸5h 22% left 2h11m · 7d 65% left")
    assert "22% left 5-hour, resets 14:30 (2h 11m)" in menu


@pytest.mark.parametrize(
    ("status", "classes"),
    [
        (RATE_LIMITED, ["elevated", "stale", "problem"]),
        (NOT_LOGGED_IN, ["problem"]),
        (READING, ["unknown"]),
        (OVER_BUDGET, ["high"]),
    ],
)
def test_the_class_says_what_is_wrong(status: AccountStatus, classes: list[str]) -> None:
    assert classes == block("waybar", status)["class"]


@pytest.mark.parametrize("status", [NOT_LOGGED_IN, READING])
def test_an_unknown_percentage_is_absent_not_zero(status: AccountStatus) -> None:
    assert "percentage" not in block("waybar", status)


def test_the_problem_is_in_the_tooltip_with_what_to_do() -> None:
    tooltip = block("waybar", NOT_LOGGED_IN)["tooltip"]
    assert "Not logged in" in tooltip
    assert "accounts add" in tooltip
    failed = json.loads(load_format("waybar")((), NOW, OPTIONS, NoCredentials()))
    assert ["problem"] == failed["class"]


def test_markup_stays_valid_whatever_names_contain() -> None:
    for name in ("waybar", "i3status-rust"):
        found = block(name, hostile())
        for key in ("text", "tooltip", "short_text"):
            markup = f"<markup>{found.get(key, '')}</markup>"
            shown = "".join(ET.fromstring(markup).itertext())  # noqa: S314 - ours
            assert not found.get(key) or HOSTILE in shown


def test_i3blocks_gets_json_without_escapes() -> None:
    name = 'a "b" \\ü'
    window = UsageWindow("seven_day:x", name, 5.0, NOW + timedelta(days=1), "api", NOW, model=name)
    assert NORMAL.usage is not None
    status = NORMAL._replace(usage=NORMAL.usage._replace(windows=(window,)))
    line = load_format("i3blocks")((status,), NOW, OPTIONS)
    assert "\\" not in line
    assert "a 'b' /ü" in json.loads(line)["full_text"]


def test_i3blocks_gets_plain_text_and_the_color_of_the_severity() -> None:
    found = block("i3blocks", hostile())
    assert ("none", "#5faf5f") == (found["markup"], found["color"])
    assert HOSTILE in found["full_text"]
    assert "▸5h 78%" == block("i3blocks", NORMAL, RATE_LIMITED)["short_text"]


@pytest.mark.parametrize(
    ("status", "state"),
    [(NORMAL, "Info"), (NOT_LOGGED_IN, "Warning"), (READING, "Idle"), (OVER_BUDGET, "Warning")],
)
def test_i3status_rust_gets_one_of_its_states(status: AccountStatus, state: str) -> None:
    found = block("i3status-rust", status)
    assert {"icon", "state", "text", "short_text"} == found.keys()
    assert state == found["state"]


def test_xbar_gets_a_menu_in_which_only_we_write_parameters() -> None:
    lines = load_format("xbar")((hostile(),), NOW, OPTIONS).splitlines()
    assert "---" == lines[1]
    assert "Refresh | refresh=true" == lines[-1]
    assert not [line for line in (lines[0], *lines[2:-1]) if "|" in line]
    high = load_format("xbar")((OVER_BUDGET,), NOW, OPTIONS).splitlines()
    assert high[0].endswith(" | color=#ff8700")


def test_without_color_there_is_none() -> None:
    for name in ("waybar", "i3blocks", "xbar"):
        text = load_format(name)((NORMAL,), NOW, OPTIONS._replace(color=False))
        assert "color" not in text
        assert "#d7af00" not in text
