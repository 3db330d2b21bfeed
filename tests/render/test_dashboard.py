from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor import errors
from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.help import help_lines
from claude_usage_monitor.render.panels.limits import NO_LIMITS
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW
from tests.support.statuses import (
    EVERY_STATE,
    EXPIRED,
    NORMAL,
    RATE_LIMITED,
    with_body,
    with_problem,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

LIVE = RenderOptions(clock=ClockStyle(UTC), live=True)
PLAIN = replace(LIVE, glyphs=ASCII, color=False)

STATUSES = {
    "normal": NORMAL,
    "rate limited": RATE_LIMITED,
    "expired": EXPIRED,
    "every state": EVERY_STATE,
    "no limits": with_body({}),
    "not logged in": with_problem(errors.NoCredentials(), figures=False),
    "reading": AccountStatus(Account("claude-code")),
}
SIZES = [(120, 40), (100, 30), (60, 24), (60, 12), (60, 8), (46, 24), (40, 24), (40, 10)] + [
    (30, 20),
    (28, 12),
    (28, 8),
    (24, 6),
    (20, 10),
    (20, 6),
    (12, 4),
    (1, 1),
]


def drawn(
    status: AccountStatus, width: int, height: int | None = None, options: RenderOptions = LIVE
) -> list[str]:
    return [line.plain for line in dashboard((status,), NOW, width, height, options)]


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
def test_frames(frames: SnapshotAssertion, name: str, options: RenderOptions) -> None:
    shown = []
    for width, height in SIZES:
        shown += [f"# {width} x {height}", *drawn(STATUSES[name], width, height, options), ""]
    assert frames == "\n".join(line.rstrip() for line in shown) + "\n"


# --- laws of every pane --------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sampled_from(sorted(STATUSES)),
    st.integers(1, 210),
    st.none() | st.integers(1, 60),
    st.sampled_from([LIVE, PLAIN, replace(LIVE, live=False)]),
)
def test_no_line_is_wider_nor_the_frame_higher_than_the_pane(
    name: str, width: int, height: int | None, options: RenderOptions
) -> None:
    lines = dashboard((STATUSES[name],), NOW, width, height, options)
    assert all(line.cell_len <= min(width, 100) for line in lines)
    assert height is None or len(lines) <= height
    assert lines


@settings(deadline=None)
@given(st.sampled_from(sorted(STATUSES)), st.integers(20, 200), st.integers(6, 60))
def test_no_border_breaks(name: str, width: int, height: int) -> None:
    lines = drawn(STATUSES[name], width, height)
    if lines[0].startswith("╭"):
        assert len({len(line) for line in lines}) == 1
        assert lines[0].endswith("╮")
        assert re.fullmatch("╰.*╯", lines[-1])
        assert all(re.fullmatch("│ .* │", line) for line in lines[1:-1])


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(6, 60))
def test_no_figure_is_lost_before_decoration_is(width: int, height: int) -> None:
    text = "\n".join(drawn(NORMAL, width, height))
    for percent in ("78", "35", "94", "34"):
        assert re.search(rf"\b{percent} ?%", text)
    for label in ("5", "7", "Fable", "Extra"):
        assert label in text
    assert re.search("2h ?11m", text)
    assert re.search("3d ?2h", text)


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(1, 60))
def test_with_too_few_rows_the_binding_window_survives(width: int, height: int) -> None:
    assert any("94" in line and "▸" in line for line in drawn(NORMAL, width, height))


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(2, 60))
def test_a_problem_is_never_lost(width: int, height: int) -> None:
    text = "\n".join(drawn(RATE_LIMITED, width, height))
    assert "wait" in text
    assert any("▸" in line for line in text.splitlines())


@pytest.mark.parametrize("width", [20, 28, 40, 60, 100])
def test_ascii_means_ascii(width: int) -> None:
    hostile = replace(EVERY_STATE, profile=Profile("漢字 é", "zoë@example.com", "Ünion", "Max 5x"))
    for status in (*STATUSES.values(), hostile):
        assert "".join(drawn(status, width, None, PLAIN)).isascii()


def test_numbers_stand_in_one_column() -> None:
    for width in (20, 28, 40, 60, 100):
        ends = {line.index("%") for line in drawn(NORMAL, width) if "%" in line}
        assert len(ends) == 1


def test_a_frame_of_any_height_is_whole() -> None:
    """``--once`` is never cut."""
    many = {f"seven_day_{n}": {"utilization": n, "resets_at": None} for n in range(1, 60)}
    text = "\n".join(drawn(with_body(many), 60))
    assert all(f" {n} %" in text for n in range(1, 60))


# --- what is said -----------------------------------------------------------------------------


def text_of(status: AccountStatus, width: int = 60, options: RenderOptions = LIVE) -> str:
    return "\n".join(drawn(status, width, None, options))


def test_pace_is_told_in_words() -> None:
    text = text_of(NORMAL)
    assert "resets in 2h 11m, 14:30 · 22 pts over pace" in text
    assert "full in 47m, 1h 23m before the reset" in text
    assert "resets in 3d 2h, Tue 14:40 · 21 pts under pace" in text


def test_the_header_tells_who() -> None:
    text = text_of(NORMAL)
    assert all(words in text for words in ("Max 5x", "Ada · Analytical Engines", "ada@example.com"))


def test_a_personal_organisation_is_not_worth_a_name() -> None:
    personal = Profile("Ada", "ada@example.com", "ada@example.com's Organization", "Pro")
    assert "Organization" not in text_of(replace(NORMAL, profile=personal))


def test_the_footer_tells_source_age_and_next_read() -> None:
    assert "API · now · next in 5m" in text_of(NORMAL)
    assert "6m old · API blocked until 12:50" in text_of(RATE_LIMITED)
    assert "6m old · waiting for a login" in text_of(EXPIRED)
    assert "next" not in text_of(NORMAL, options=replace(LIVE, live=False))


def test_stale_figures_are_dimmed_and_the_problem_is_not() -> None:
    lines = dashboard((RATE_LIMITED,), NOW, 60, None, LIVE)
    bar_line = next(line for line in lines if "78 %" in line.plain)
    problem = next(line for line in lines if "asks to wait" in line.plain)
    assert any(span.style == "dim" and span.start == 0 for span in bar_line.spans)
    assert not any(
        span.style == "dim" and len(problem) == span.end - span.start for span in problem.spans
    )


def test_without_colour_a_sign_tells_the_severity() -> None:
    text = text_of(EVERY_STATE, options=replace(LIVE, color=False))
    assert re.search(r"100 % FULL", text)
    assert re.search(r">99 % !!", text)
    assert re.search(r"<1 % +│", text)
    assert "!" not in text_of(EVERY_STATE)


def test_what_is_unknown_is_never_zero() -> None:
    lines = drawn(EVERY_STATE, 60)
    not_started = next(i for i, line in enumerate(lines) if "5-hour" in line)
    assert "—" in lines[not_started]
    assert "not started" in lines[not_started + 1]
    opus = next(i for i, line in enumerate(lines) if "Opus" in line)
    assert "—" in lines[opus]
    assert "no figure" in lines[opus + 1]
    sonnet = next(i for i, line in enumerate(lines) if "Sonnet" in line)
    assert "—" in lines[sonnet]
    assert "reset · waiting for figures" in lines[sonnet + 1]
    assert " 0 %" not in "\n".join(lines)


def test_money_is_told_with_why_it_is_off() -> None:
    text = text_of(EVERY_STATE, 100)
    assert "€300.04 of €300.00 · off: out of credits" in text
    assert "$12.00 of $250.00 · expires 11 Dec" in text


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"is_enabled": False}, None),
        ({"is_enabled": False, "used_credits": 0}, None),
        ({"is_enabled": True, "used_credits": 500, "currency": "USD"}, "$5.00 used, no limit"),
        ({"used_credits": 25217, "monthly_limit": 46600}, "252.17 of 466.00"),
        ({"is_enabled": False, "disabled_reason": "org_level_disabled"}, "off: org level disabled"),
    ],
)
def test_extra_usage_is_a_row_when_there_is_something_to_say(
    extra: object, expected: str | None
) -> None:
    text = text_of(with_body({"extra_usage": extra}))
    assert (expected is not None) == ("Extra" in text)
    assert (expected or "") in text


def test_an_account_without_limits_says_so() -> None:
    assert NO_LIMITS in text_of(with_body({}))
    assert READING in text_of(AccountStatus(Account("claude-code")))


def test_demo_says_so_at_every_width() -> None:
    demo = replace(NORMAL, account=Account("demo"))
    assert demo.usage is not None
    demo = replace(demo, usage=replace(demo.usage, source="demo"))
    for width in range(20, 121):
        assert "demo" in text_of(demo, width).lower()


def test_a_notice_and_a_clock_that_is_off_are_said() -> None:
    told = replace(NORMAL, notice="Something to know.", clock_skew=timedelta(days=1))
    text = text_of(told)
    assert "Something to know." in text
    assert "This clock is 1d 0h ahead of the API's" in text


@pytest.mark.parametrize(
    "name",
    ["[/]", "[red]x[/red]", "[link=https://evil.example]x[/link]", ":smile:", "user[smith]"],
)
def test_markup_in_a_name_is_only_text(name: str) -> None:
    hostile = replace(NORMAL, profile=Profile(name, name, name, name))
    assert name in text_of(hostile)


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(20, 120))
def test_a_name_of_any_width_breaks_no_border(name: str, width: int) -> None:
    from claude_usage_monitor.sources.text import clean

    safe = clean(name) or None
    hostile = replace(NORMAL, profile=Profile(safe, safe, safe, safe))
    lines = dashboard((hostile,), NOW, width, 24, LIVE)
    if width >= 24:
        assert {min(100, width)} == {line.cell_len for line in lines}


@given(st.integers(1, 200), st.integers(1, 60), st.sampled_from([LIVE, PLAIN]))
def test_help_fits_every_pane(width: int, height: int, options: RenderOptions) -> None:
    lines = help_lines(width, height, options)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
