from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.render.account_frame import account_rows
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.frame import SIDES
from claude_usage_monitor.render.help import HelpTopics, help_lines
from claude_usage_monitor.render.limits.lines import ScreenColumns
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.render.panels.throttling import draw, with_target
from claude_usage_monitor.render.theme import RenderOptions, theme_for
from claude_usage_monitor.usage.throttling import Limiters, Throttling
from tests.support.payloads import NOW
from tests.support.render import LIVE, PLAIN, frame_lines, frames_of
from tests.support.statuses import (
    AT_REST,
    NORMAL,
    ON_PACE,
    RATE_LIMITED,
    REFUSED,
    THROTTLING,
    UNREADABLE,
)

if TYPE_CHECKING:
    from rich.text import Text
    from syrupy.assertion import SnapshotAssertion

    from claude_usage_monitor.usage.status import AccountStatus

STATES = {
    "throttling": THROTTLING,
    "on pace": ON_PACE,
    "refused": REFUSED,
    "at rest": AT_REST,
    "unreadable": UNREADABLE,
    "off": replace(THROTTLING, enabled=False),
    "nothing yet": Throttling(enabled=True),
}
THROTTLED = HelpTopics(throttling=True)
SIZES = [(120, None), (60, None), (46, None), (40, None), (28, None), (60, 24), (28, 8), (20, 8)]


def status_of(throttling: Throttling) -> AccountStatus:
    next_read_at = throttling.backoff_until or NORMAL.next_read_at
    return NORMAL._replace(throttling=throttling, next_read_at=next_read_at)


def drawn(
    throttling: Throttling,
    width: int = 60,
    height: int | None = None,
    options: RenderOptions = LIVE,
) -> str:
    lines = frame_lines((status_of(throttling),), width, height, options)
    return "\n".join(line.rstrip() for line in lines)


def lines_of(
    throttling: Throttling, width: int = 56, options: RenderOptions = LIVE, *, level: int = 2
) -> list[Text]:
    status = status_of(throttling)
    columns = ScreenColumns(account_rows(NORMAL, NOW, options), width + SIDES, options)
    context = PanelContext(status, NOW, width, options, (), columns, framed=True, blanks=True)
    return draw(context, level)


def text_of(throttling: Throttling, width: int = 56) -> str:
    return " ".join(" ".join(line.plain for line in lines_of(throttling, width)).split())


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
def test_frames(frames: SnapshotAssertion, name: str, options: RenderOptions) -> None:
    assert frames == frames_of((status_of(STATES[name]),), SIZES, options)


# --- laws -----------------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(STATES)),
    st.integers(1, 200),
    st.none() | st.integers(1, 60),
    st.sampled_from([LIVE, PLAIN]),
)
def test_no_line_is_wider_nor_the_frame_higher_than_the_pane(
    name: str, width: int, height: int | None, options: RenderOptions
) -> None:
    lines = dashboard((status_of(STATES[name]),), NOW, width, height, options)
    assert all(line.cell_len <= min(width, 100) for line in lines)
    assert height is None or len(lines) <= height


@given(st.sampled_from(sorted(STATES)), st.integers(20, 120), st.integers(1, 60))
def test_it_is_shortened_before_anything_else(name: str, width: int, height: int) -> None:
    """In any pane, the rest of the frame is as complete as without it."""
    without = dashboard((NORMAL,), NOW, width, height, LIVE)
    with_section = dashboard((NORMAL._replace(throttling=STATES[name]),), NOW, width, height, LIVE)
    marks = str.maketrans("▾╋━─┃", "=====")
    lines = [line.plain.translate(marks) for line in with_section]
    footer = lines[-1]
    for line in [line.plain.translate(marks) for line in without][:-1]:
        assert line in lines or not line.strip("│ ")
    assert footer


@given(st.integers(20, 96), st.sampled_from(sorted(STATES)), st.sampled_from([1, 2]))
def test_every_line_is_exactly_as_wide_as_the_panel(width: int, name: str, level: int) -> None:
    for line in lines_of(STATES[name], width, level=level):
        assert width == line.cell_len


@pytest.mark.parametrize("width", [24, 28, 40, 60, 100])
@pytest.mark.parametrize("name", STATES)
def test_ascii_means_ascii(name: str, width: int) -> None:
    assert drawn(STATES[name], width, None, PLAIN).isascii()


def test_with_fewer_rows_only_the_heading_is_shown() -> None:
    assert "blocked" in drawn(THROTTLING, 60, 20)
    shown = drawn(THROTTLING, 60, 16)
    assert "Pace Maker  throttling 35s · 5h +22 pts" in shown
    assert "blocked" not in shown


def test_a_problem_is_shown_first() -> None:
    lines = dashboard((RATE_LIMITED._replace(throttling=THROTTLING),), NOW, 60, 12, LIVE)
    text = "\n".join(line.plain for line in lines)
    assert "asked to wait" in text
    assert "Pace Maker" not in text


# --- the text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "throttling, 35s a tool use"),
        ({"should_throttle": False}, "not throttling"),
        ({"enabled": False}, "switched off"),
        ({"decided_at": None}, "no decision yet"),
        ({"decided_at": NOW - timedelta(minutes=11)}, "at rest, last delay 35s 11m ago"),
        ({"delay_seconds": None}, "throttling 2m ago"),
        ({"decided_at": NOW + timedelta(seconds=5)}, "now"),
    ],
)
def test_says_what_it_does_now(change: dict[str, object], expected: str) -> None:
    assert expected in text_of(replace(THROTTLING, **change))  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("utilization", "words", "style"),
    [
        (40.0, "−16 pts under", "good"),
        (56.3, "on target", "good"),
        (57.4, "+1 pt over", "warning"),
        (61.0, "+5 pts over", "warning"),
        (62.0, "+6 pts over", "strong_warning"),
    ],
)
def test_the_deviation_has_a_sign_a_word_and_a_color(
    utilization: float, words: str, style: str
) -> None:
    window = replace(THROTTLING.windows[0], utilization=utilization)
    dark = replace(LIVE, theme=theme_for("dark"))
    lines = lines_of(replace(THROTTLING, windows=(window,)), options=dark)
    line = next(line for line in lines if words in line.plain)
    assert getattr(dark.theme, style) in {str(span.style) for span in line.spans}


def test_computed_figures_are_marked_at_every_width() -> None:
    """With a word if there is space, else with a sign that the help explains."""
    for width in range(24, 97):
        text = text_of(THROTTLING, width)
        assert "computed" in text or re.search(r"target 56 ?%\*", text), width
    helped = " ".join(line.plain for line in help_lines(60, 40, LIVE, THROTTLED)[0])
    assert "* computed here, by Claude Pace Maker's rules" in " ".join(helped.split())


def test_says_at_every_width_that_it_estimates() -> None:
    for width in range(24, 97):
        text = text_of(REFUSED, width)
        assert "estimating" in text, width
        assert "target" not in text


def test_the_end_of_a_back_off_is_in_the_section_and_in_the_footer() -> None:
    assert "API back-off until 12:50 (31m)" in text_of(REFUSED)
    for width in (40, 60, 100):
        assert "next request 12:50" in drawn(REFUSED, width, 14)


def test_old_figures_and_stale_windows_have_an_age() -> None:
    text = text_of(AT_REST)
    assert "figures 5h 0m old" in text
    assert "5-hour stale, reset 1h 0m ago" in text
    assert "old" not in text_of(THROTTLING)


def test_a_stale_section_is_dim_and_the_account_is_not() -> None:
    lines = dashboard((status_of(AT_REST),), NOW, 60, None, LIVE)
    name = next(line for line in lines if "Pace Maker" in line.plain)
    bar = next(line for line in lines if "78 %" in line.plain)
    whole = [span for span in name.spans if span.end - span.start >= 50]
    assert "dim" in {str(span.style) for span in whole}
    assert not [span for span in bar.spans if span.end - span.start >= 50]


@pytest.mark.parametrize(
    ("tempo", "away", "words"),
    [
        ("on", 0, "tempo on"),
        ("off", 0, "tempo off"),
        ("auto", 3, "tempo auto, waiting"),
        ("auto", 30, "tempo auto, engaged"),
    ],
)
def test_says_whether_the_tempo_is_engaged(tempo: str, away: int, words: str) -> None:
    last = NOW - timedelta(minutes=away)
    assert words in text_of(replace(THROTTLING, tempo=tempo, last_interaction=last))  # type: ignore[arg-type] # a literal


@pytest.mark.parametrize(
    ("five", "seven", "words"),
    [
        (True, True, "both limiters on"),
        (True, False, "5-hour limiter only"),
        (False, True, "7-day limiter only"),
        (False, False, "both limiters off"),
    ],
)
def test_says_which_limiters_are_on(five: bool, seven: bool, words: str) -> None:
    limiters = Limiters(five_hour=five, seven_day=seven)
    assert words in text_of(replace(THROTTLING, limiters=limiters))


def test_counts_blockages_by_category() -> None:
    assert "blocked in the last hour: 3 intent · 1 tdd" in text_of(THROTTLING)


def test_names_the_gaps() -> None:
    assert "not known" in text_of(UNREADABLE)
    assert "incomplete: usage.db is locked by another program" in text_of(UNREADABLE)


# --- the target on a bar --------------------------------------------------------------------------


def test_the_target_is_on_the_bar_of_the_window_it_paces_by() -> None:
    weekly = replace(THROTTLING, windows=THROTTLING.windows[1:])
    shown = drawn(weekly)
    assert 1 == shown.count("▾")
    assert "▾" in next(line for line in shown.splitlines() if "7-day" in line)
    assert "v" in next(
        line for line in drawn(weekly, options=PLAIN).splitlines() if "7-day" in line
    )


def test_a_target_on_the_pace_marker_has_a_mark_of_its_own() -> None:
    five = next(line for line in drawn(THROTTLING).splitlines() if "5-hour" in line)
    assert "╋" in five
    assert "┃" not in five


@pytest.mark.parametrize("change", [{"enabled": False}, {"windows": ()}])
def test_without_a_target_there_is_no_mark(change: dict[str, object]) -> None:
    shown = drawn(replace(THROTTLING, **change))  # type: ignore[arg-type] # by name
    assert not set("▾╋") & set(shown)
    assert with_target((), None, NOW) == ()


def test_the_help_explains_the_marks() -> None:
    for options, marks in ((LIVE, "▾╋"), (PLAIN, "v+")):
        text = " ".join(line.plain for line in help_lines(60, 40, options, THROTTLED)[0])
        assert "Claude Pace Maker's target" in " ".join(text.split())
        assert all(mark in text for mark in marks)
