"""The frame of one account at every size; for laws that hold for logins and organizations alike."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.render.account_frame import account_frames
from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.frame import MIN_WIDTH
from claude_usage_monitor.render.help import HelpTopics, help_lines
from claude_usage_monitor.render.panels import CUTOFFS, PANELS
from claude_usage_monitor.render.panels.limits import NO_LIMITS
from claude_usage_monitor.render.theme import RenderOptions, theme_for
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.limits.pace import Forecast, WorkWeek
from claude_usage_monitor.usage.status import Account, Profile
from tests.support import panes
from tests.support.payloads import NOW
from tests.support.render import LIVE, ONCE, PLAIN, SIZES, frame_lines, frame_text, frames_of
from tests.support.spends import ORGANIZATIONS
from tests.support.statuses import (
    EVERY_STATE,
    EXPIRED,
    LOGINS,
    NORMAL,
    RATE_LIMITED,
    THROTTLING,
    with_body,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

STATUSES = {**LOGINS, **ORGANIZATIONS, "throttling": NORMAL._replace(throttling=THROTTLING)}
NAMES = st.sampled_from(sorted(STATUSES))
FRESH = ["normal", "every state", "throttling"]


@pytest.mark.parametrize("name", LOGINS)
@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
def test_frames(frames: SnapshotAssertion, name: str, options: RenderOptions) -> None:
    assert frames == frames_of((LOGINS[name],), SIZES, options)


# --- laws for panes of every size ----------------------------------------------------------------


@given(
    NAMES, st.integers(1, 210), st.none() | st.integers(1, 70), st.sampled_from([LIVE, PLAIN, ONCE])
)
def test_every_frame_fits_its_pane(
    name: str, width: int, height: int | None, options: RenderOptions
) -> None:
    lines = dashboard((STATUSES[name],), NOW, width, height, options)
    assert all(line.cell_len <= min(width, 100) for line in lines)
    assert 1 <= len(lines) <= (height or len(lines))


@settings(max_examples=100)
@given(
    st.sampled_from(sorted(panes.STATUSES)),
    st.sampled_from(panes.WIDTHS),
    st.sampled_from(panes.HEIGHTS),
    st.sampled_from(sorted(panes.LOOKS)),
    st.booleans(),
)
def test_no_pane_loses_a_row_while_rows_are_free(
    name: str, width: int, height: int, look: str, left: bool
) -> None:
    """`tests/endurance` tries every size."""
    options = panes.LOOKS[look]
    panes.check_pane(name, width, height, options)
    if left and name == "normal":
        lines = dashboard((NORMAL,), NOW, width, height, replace(options, left=True))
        assert len(lines) == len(dashboard((NORMAL,), NOW, width, height, options))
        assert any("22" in line.plain for line in lines)


@pytest.mark.parametrize("width", range(20, 46))
def test_a_narrow_pane_with_enough_rows_shows_everything(width: int) -> None:
    text = "\n".join(frame_lines((NORMAL,), width, 30))
    assert 4 == len(re.findall("^[│ ]*━.*─", text, re.MULTILINE))
    for words in ("14:30", "2h 11m", "Tue 14:40", "3d 2h", "13:07", "18:18", "lasts, about 63 %"):
        assert words in text or words.replace(", ", " until the reset, ") in text
    assert "used" in text


@given(st.sampled_from(FRESH), st.sampled_from(panes.WIDTHS))
def test_a_word_for_the_same_thing_is_the_same_in_the_whole_frame(name: str, width: int) -> None:
    text = "\n".join(frame_lines((panes.STATUSES[name],), width))
    for wordings in (
        (r"runs out in", r"runs out \d", r"(?<!runs) out \d"),
        (r"lasts until", r"lasts,"),
        (r"resets in \d", r"resets \S+ (?:\S+ )?\("),
        (r"points \w+ of an even|points behind an even", r"points (?:ahead|behind)(?! of| an)"),
    ):
        assert sum(bool(re.search(wording, text)) for wording in wordings) <= 1


@given(
    st.sampled_from(["normal", "every state", "throttling"]),
    st.integers(20, 120),
    st.integers(1, 60),
)
def test_text_of_fresh_figures_is_never_dim(name: str, width: int, height: int) -> None:
    """The answer must not be the faintest thing on the screen."""
    for theme in ("auto", "dark", "light", "colorblind", "high-contrast"):
        options = replace(LIVE, theme=theme_for(theme))
        for line in dashboard((panes.STATUSES[name],), NOW, width, height, options):
            for span in line.spans:
                if "dim" in str(span.style):
                    assert not re.search(r"\w", line.plain[span.start : span.end])


@given(NAMES, st.integers(20, 200), st.integers(6, 70))
def test_borders_are_straight(name: str, width: int, height: int) -> None:
    lines = frame_lines((STATUSES[name],), width, height)
    if lines[0].startswith("╭"):
        assert len({len(line) for line in lines}) == 1
        assert lines[0].endswith("╮")
        assert re.fullmatch("╰.*╯", lines[-1])
        assert all(re.fullmatch("│.* │", line) for line in lines[1:-1])


@pytest.mark.parametrize("width", [20, 28, 60, 100])
@pytest.mark.parametrize("name", STATUSES)
def test_a_frame_gets_no_higher_when_more_yields(name: str, width: int) -> None:
    (frame,) = account_frames((STATUSES[name],), NOW, width, LIVE, mark_active=False)
    heights = [len(frame.draw(cutoff)) for cutoff in CUTOFFS]
    assert heights == sorted(heights, reverse=True)
    assert heights == [frame.height(cutoff) for cutoff in CUTOFFS]


def test_panels_have_different_names_and_priorities_in_order() -> None:
    assert len(PANELS) == len({panel.name for panel in PANELS})
    for panel in PANELS:
        assert list(panel.priorities) == sorted(set(panel.priorities))
        assert len(panel.priorities) == panel.level(0)
        assert 0 == panel.level(CUTOFFS[-1])


@given(st.integers(20, 200), st.integers(6, 60))
def test_every_figure_is_shown_from_20_by_6(width: int, height: int) -> None:
    text = "\n".join(frame_lines((NORMAL,), width, height))
    for percent in ("78", "35", "94", "34"):
        assert re.search(rf"\b{percent} ?%", text)
    for label in ("5", "7", "Fable", "Extra"):
        assert label in text
    assert re.search("2h ?11m", text)
    assert re.search("3d ?2h", text)


@given(st.integers(20, 200), st.integers(1, 60))
def test_the_binding_window_is_always_shown(width: int, height: int) -> None:
    assert any("78" in line and "▸" in line for line in frame_lines((NORMAL,), width, height))


@given(st.integers(20, 200), st.integers(2, 60))
def test_a_problem_is_always_shown(width: int, height: int) -> None:
    lines = frame_lines((RATE_LIMITED,), width, height)
    assert "wait" in "\n".join(lines)
    assert any("▸" in line for line in lines)


@pytest.mark.parametrize("width", [20, 28, 40, 60, 100])
def test_ascii_output_is_ascii(width: int) -> None:
    hostile = EVERY_STATE._replace(profile=Profile("漢字 é", "zoë@example.com", "Ünion", "Max 5x"))
    for status in (*STATUSES.values(), hostile):
        assert frame_text(status, width, PLAIN).isascii()


def test_percentages_are_in_one_column() -> None:
    for width in (20, 28, 40, 60, 100):
        lines = frame_lines((NORMAL,), width)
        columns = {line.index("%") for line in lines if re.search("(78|35|94|34) ?%", line)}
        assert len(columns) == 1


def test_a_frame_without_a_height_shows_everything() -> None:
    """``--once`` never cuts."""
    many = {f"seven_day_{n}": {"utilization": n, "resets_at": None} for n in range(1, 60)}
    text = frame_text(with_body(many))
    assert all(f" {n} %" in text for n in range(1, 60))


@given(st.text(max_size=60), st.integers(20, 120))
def test_borders_are_straight_whatever_the_names(name: str, width: int) -> None:
    safe = clean(name) or None
    hostile = NORMAL._replace(profile=Profile(safe, safe, safe, safe))
    lines = dashboard((hostile,), NOW, width, 24, LIVE)
    if width >= 24:
        assert {min(100, width)} == {line.cell_len for line in lines}


# --- texts ---------------------------------------------------------------------------------------


def test_resets_run_outs_and_pace_are_in_words() -> None:
    text = frame_text(NORMAL)
    assert "resets in 2h 11m, 14:30 " in text
    assert "runs out in 47m, 13:07 · 22 points ahead " in text
    assert "lasts until the reset, about 63 % " in text
    wide = frame_text(NORMAL, 100)
    assert "runs out in 47m, 13:07 · 22 points ahead of an even pace " in wide
    assert "lasts until the reset, about 63 % · 21 points behind an even pace " in wide


def test_the_header_shows_plan_person_and_address() -> None:
    text = frame_text(NORMAL)
    assert all(part in text for part in ("Max 5x", "Ada · Analytical Engines", "ada@example.com"))


def test_a_personal_organization_is_not_shown() -> None:
    personal = Profile("Ada", "ada@example.com", "ada@example.com's Organization", "Pro")
    assert "Organization" not in frame_text(NORMAL._replace(profile=personal))


def test_the_footer_shows_source_age_and_next_read() -> None:
    assert "API · now · next in 5m" in frame_text(NORMAL)
    assert "6m old · next request 12:50" in frame_text(RATE_LIMITED)
    assert "6m old · waiting for a login" in frame_text(EXPIRED)
    assert "next" not in frame_text(NORMAL, options=ONCE)


def test_the_footer_answers_the_key_r_and_says_during_a_request_that_it_reads() -> None:
    answering = replace(LIVE, answers=True)
    soon = NORMAL._replace(next_read_at=NOW + timedelta(seconds=20))
    reading = NORMAL._replace(reading=True)
    for width, height in ((60, 24), (28, 12), (60, 5)):
        footer = frame_lines((NORMAL,), width, height, answering)[-1]
        assert "just read" in footer or "next in 5m" in footer
    assert "just read · next in 5m" in frame_lines((NORMAL,), 60, None, answering)[-1]
    assert "read 6m ago · next 12:50" in frame_lines((RATE_LIMITED,), 60, None, answering)[-1]
    assert "API · now · reading…" in frame_lines((reading,))[-1]
    assert "API · now · next soon" in frame_lines((soon,))[-1]
    both = (NORMAL, reading._replace(account=Account("B")))
    assert "reading…" in frame_lines(both, 60, 6, answering)[-1]


def test_what_a_limit_ends_with_is_used_or_left_as_its_percentage() -> None:
    text = frame_text(NORMAL, options=replace(LIVE, left=True))
    assert "65 % left" in text
    assert "lasts until the reset, about 37 % " in text


def test_the_only_account_of_several_says_which_it_is() -> None:
    options = replace(LIVE, position=(1, 4))
    assert "1 of 4 · Tab · ? help" in frame_lines((NORMAL,), 60, None, options)[-1]
    assert "1 of 4 · Tab" in frame_lines((NORMAL,), 28, 12, options)[0]
    assert "of 4" not in "\n".join(frame_lines((NORMAL,), 60, None, replace(options, live=False)))


def test_stale_figures_are_dimmed_and_the_problem_is_not() -> None:
    lines = dashboard((RATE_LIMITED,), NOW, 60, None, LIVE)
    bar_line = next(line for line in lines if "78 %" in line.plain)
    problem = next(line for line in lines if "asked to wait" in line.plain)
    assert any(span.style == "dim" and span.start == 0 for span in bar_line.spans)
    assert not any(
        span.style == "dim" and len(problem) == span.end - span.start for span in problem.spans
    )


@pytest.mark.parametrize("color", [True, False])
def test_a_sign_shows_the_severity(color: bool) -> None:
    text = frame_text(EVERY_STATE, options=replace(LIVE, color=color))
    assert re.search(r"100 % FULL", text)
    assert re.search(r">99 % used !!", text)
    assert re.search(r"<1 % used +│", text)


@pytest.mark.parametrize(
    ("label", "detail"),
    [
        ("5-hour", "not started"),
        ("Opus", "no figure"),
        ("Sonnet", "reset · waiting for figures"),
    ],
)
def test_an_unknown_percentage_is_never_zero(label: str, detail: str) -> None:
    lines = frame_lines((EVERY_STATE,))
    at = next(at for at, line in enumerate(lines) if label in line)
    assert "—" in lines[at]
    assert detail in lines[at + 1] + lines[at + 2]
    assert " 0 %" not in "\n".join(lines)


def test_money_that_is_off_has_its_reason() -> None:
    text = frame_text(EVERY_STATE, 100)
    assert "€300.04 of €300.00 · off: out of credits" in text
    assert "$12.00 of $250.00 · expires 11 Dec" in text
    narrow = [line.strip("│ ") for line in frame_lines((EVERY_STATE,), 28)]
    assert ["€300.04 of €300.00", "off: out of credits"] == narrow[
        narrow.index("€300.04 of €300.00") :
    ][:2]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"is_enabled": False}, None),
        ({"is_enabled": False, "used_credits": 0}, None),
        ({"is_enabled": True, "used_credits": 500, "currency": "USD"}, "$5.00 used, no limit"),
        ({"used_credits": 25217, "monthly_limit": 46600}, "252.17 of 466.00"),
        ({"is_enabled": False, "disabled_reason": "org_level_disabled"}, "off: your organization"),
    ],
)
def test_extra_usage_is_a_row_if_it_is_on_or_was_used(extra: object, expected: str | None) -> None:
    text = frame_text(with_body({"extra_usage": extra}))
    assert (expected is not None) == ("Extra" in text)
    assert (expected or "") in text


def test_an_account_without_limits_or_figures_says_so() -> None:
    for width, text in ((60, NO_LIMITS[0]), (28, NO_LIMITS[1]), (20, NO_LIMITS[1])):
        assert text in frame_text(LOGINS["no limits"], width)
    assert READING in frame_text(LOGINS["reading"])


def test_demo_says_so_at_every_width() -> None:
    demo = NORMAL._replace(account=Account("demo"))
    assert demo.usage is not None
    demo = demo._replace(usage=demo.usage._replace(source="demo"))
    for width in range(20, 121):
        assert "demo" in frame_text(demo, width).lower()


def test_a_notice_and_a_wrong_clock_are_shown() -> None:
    text = frame_text(NORMAL._replace(notice="Something to know.", clock_skew=timedelta(days=1)))
    assert "Something to know." in text
    assert "This clock is 1d 0h ahead of the API's" in text


@pytest.mark.parametrize(
    "name",
    ["[/]", "[red]x[/red]", "[link=https://evil.example]x[/link]", ":smile:", "user[smith]"],
)
def test_markup_in_a_name_is_plain_text(name: str) -> None:
    hostile = NORMAL._replace(profile=Profile(name, name, name, name))
    assert name in frame_text(hostile)


TOPICS = st.builds(
    HelpTopics, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)


@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.sampled_from([LIVE, PLAIN]),
    TOPICS,
    st.integers(0, 100),
)
def test_help_fits_every_pane_and_scrolls_line_by_line_to_its_end(
    width: int, height: int, options: RenderOptions, topics: HelpTopics, percent: int
) -> None:
    framed = width >= MIN_WIDTH and height > 2

    def page(first: int) -> tuple[list[str], int]:
        lines, shown_first = help_lines(width, height, options, topics, first)
        assert 1 <= len(lines) <= height
        assert all(line.cell_len <= width for line in lines)
        shown = [line.plain for line in lines]
        return (shown[1:-1] if framed else shown), shown_first

    last_page, last = page(10_000)
    if framed or width < MIN_WIDTH:
        whole, _ = help_lines(width, 10_000, options, topics)
        assert whole[-2 if framed else -1].plain == last_page[-1]
    first = last * percent // 100
    lines, shown_first = page(first)
    next_lines, next_first = page(first + 1)
    assert first == shown_first
    if first == last:
        assert (lines, first) == (next_lines, next_first)
    else:
        assert (lines[1:], first + 1) == (next_lines[:-1], next_first)


@pytest.mark.parametrize(("width", "height"), [(60, 12), (40, 5), (20, 3), (8, 20)])
def test_the_whole_help_can_be_scrolled_through(width: int, height: int) -> None:
    whole, _ = help_lines(width, 10_000, LIVE, HelpTopics())
    lines, first = help_lines(width, height, LIVE, HelpTopics())
    seen, last = {line.plain for line in lines}, -1
    while first != last:
        last = first
        lines, first = help_lines(width, height, LIVE, HelpTopics(), last + 1)
        seen |= {line.plain for line in lines}
    assert {line.plain for line in whole[1:-1]} <= seen


def test_the_help_explains_only_what_the_user_has() -> None:
    def text(topics: HelpTopics) -> str:
        return " ".join(line.plain for line in help_lines(60, 60, LIVE, topics)[0])

    for topics, words in (
        (HelpTopics(several=True), ("Tab", "@")),
        (HelpTopics(throttling=True), ("Claude Pace Maker", "▾")),
        (HelpTopics(organization=True), ("what the month will cost", "estimate")),
        (HelpTopics(subscription=True), ("▸",)),
        (HelpTopics(alerts=True), ("◇ ◆", "an alert")),
    ):
        assert all(word in text(topics) for word in words)
        nothing = HelpTopics(subscription=False)
        assert not any(word in text(nothing) for word in words)


def test_a_forecast_is_said_in_a_sentence_unless_the_user_wants_none() -> None:
    usage = NORMAL.usage
    assert usage is not None
    window = usage.windows[0]
    assert window.resets_at is not None
    assert window.utilization is not None
    earliest = NOW + timedelta(minutes=66)
    made = Forecast(
        None, earliest, None, 0.3, 90, 80, 120, "", NOW, window.utilization, window.resets_at
    )
    status = NORMAL._replace(usage=usage.with_forecasts({window.key: made}, NOW))
    for width in (28, 40, 60, 100):
        assert "may run out" in frame_text(status, width, ONCE)
        quiet = frame_text(status, width, replace(ONCE, forecast=False))
        assert "run out" not in quiet
        assert "lasts" not in quiet
    assert "may run out" in frame_text(status, 60, PLAIN)


def test_the_tick_and_the_pace_count_the_users_working_time() -> None:
    """Saturday noon: a week that ends on Tuesday has two of its five working days left."""
    usage = NORMAL.usage
    assert usage is not None
    week = usage.windows[1]
    status = NORMAL._replace(usage=usage._replace(windows=(week._replace(utilization=80.0),)))
    work = WorkWeek(frozenset(range(5)), timedelta(hours=9), timedelta(hours=18))
    calendar = frame_text(status, 100, ONCE)
    assert "ahead of an even pace" in calendar
    by_work = frame_text(status, 100, replace(ONCE, work=work))
    assert calendar.index("┃") < by_work.index("┃")


@pytest.mark.parametrize("options", [LIVE, PLAIN])
@pytest.mark.parametrize("width", [20, 28, 40, 60, 120])
def test_an_alert_marks_its_row_and_moves_nothing(width: int, options: RenderOptions) -> None:
    """The mark replaces the binding mark or a blank: every other cell stays as it was."""
    marked = NORMAL._replace(alerts=frozenset({"five_hour", "seven_day"}))
    glyphs = options.glyphs
    without = frame_lines((NORMAL,), width, 30, options)
    lines = frame_lines((marked,), width, 30, options)
    changed = [
        (before, after)
        for old, new in zip(without, lines, strict=True)
        for before, after in zip(old, new, strict=True)
        if before != after
    ]
    assert sorted([(glyphs.binding, glyphs.binding_alert), (" ", glyphs.alert)]) == sorted(changed)


def test_a_reset_ends_the_mark_of_an_alert() -> None:
    marked = NORMAL._replace(alerts=frozenset({"five_hour"}))
    assert "◇" in frame_text(marked) or "◆" in frame_text(marked)
    usage = marked.usage
    assert usage is not None
    resets_at = usage.windows[0].resets_at
    assert resets_at is not None
    lines = dashboard((marked,), resets_at + timedelta(seconds=1), 60, None, LIVE)
    assert not any(mark in line.plain for line in lines for mark in "◇◆")
