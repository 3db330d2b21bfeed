"""An organisation's panel at every size, and what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.render.account_frame import account_frames
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.panels import CUTOFFS
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.status import AccountStatus, Problem
from tests.render.test_dashboard import SIZES
from tests.support.payloads import NOW
from tests.support.spends import (
    LIMITED,
    NO_BUDGET,
    NO_COSTS,
    ORGANIZATION,
    OVER_BUDGET,
    READING,
    REFUSED,
    TOO_EARLY,
    USED_UP,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

LIVE = RenderOptions(clock=ClockStyle(UTC), live=True)
PLAIN = replace(LIVE, glyphs=ASCII, color=False)
NO_KEY = replace(
    READING, problem=Problem.from_error(NoCredentials("There is no Admin API key.", "Set it."))
)
STATUSES = {
    "organisation": ORGANIZATION,
    "no budget": NO_BUDGET,
    "over budget": OVER_BUDGET,
    "used up": USED_UP,
    "too early": TOO_EARLY,
    "no costs": NO_COSTS,
    "refused": REFUSED,
    "limited": LIMITED,
    "no key": NO_KEY,
    "reading organisation": READING,
}


def drawn(
    status: AccountStatus, width: int, height: int | None = None, options: RenderOptions = LIVE
) -> list[str]:
    return [line.plain for line in dashboard((status,), NOW, width, height, options)]


def text_of(status: AccountStatus, width: int = 60, options: RenderOptions = LIVE) -> str:
    return "\n".join(drawn(status, width, None, options))


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
def test_frames(frames: SnapshotAssertion, name: str, options: RenderOptions) -> None:
    shown = []
    for width, height in [(120, 60), (60, 50), *SIZES]:
        shown += [f"# {width} x {height}", *drawn(STATUSES[name], width, height, options), ""]
    assert frames == "\n".join(line.rstrip() for line in shown) + "\n"


# --- laws of every pane --------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sampled_from(sorted(STATUSES)),
    st.integers(1, 210),
    st.none() | st.integers(1, 70),
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
@given(st.sampled_from(sorted(STATUSES)), st.integers(24, 200), st.integers(6, 70))
def test_no_border_breaks(name: str, width: int, height: int) -> None:
    lines = drawn(STATUSES[name], width, height)
    if lines[0].startswith("╭"):
        assert len({len(line) for line in lines}) == 1
        assert lines[0].endswith("╮")
        assert re.fullmatch("╰.*╯", lines[-1])
        assert all(re.fullmatch("│ .* │", line) for line in lines[1:-1])


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(1, 70))
def test_the_month_to_date_is_never_lost(width: int, height: int) -> None:
    for status in (ORGANIZATION, NO_BUDGET, USED_UP, LIMITED):
        assert "$4,062.55" in "\n".join(drawn(status, width, height))


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(2, 70))
def test_a_problem_is_never_lost(width: int, height: int) -> None:
    assert "wait" in "\n".join(drawn(LIMITED, width, height))


@settings(deadline=None)
@given(st.integers(24, 200), st.integers(8, 70))
def test_more_room_never_shows_fewer_rows(width: int, height: int) -> None:
    """Totals first, then what is below them: a row that fits is not given up for more height."""

    def rows(found: list[str]) -> int:
        return sum(bool(line.strip("│╭╮╰╯─ ")) for line in found)

    lower, higher = drawn(ORGANIZATION, width, height), drawn(ORGANIZATION, width, 200)
    assert rows(lower) <= rows(higher)
    assert len(lower) <= height


@pytest.mark.parametrize("width", [20, 28, 40, 60, 100])
def test_ascii_means_ascii(width: int) -> None:
    for status in STATUSES.values():
        assert "".join(drawn(status, width, None, PLAIN)).isascii()


def test_a_frame_of_any_height_is_whole() -> None:
    """``--once`` is never cut: not at twenty rows, not at any number."""
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.by_workspace is not None
    many = tuple(spend.by_workspace[0]._replace(name=f"Team {n}") for n in range(200))
    text = text_of(replace(ORGANIZATION, spend=replace(spend, by_workspace=many)))
    assert all(f" Team {n} " in text for n in range(200))
    assert " of 200" not in text


@pytest.mark.parametrize("width", [20, 28, 60, 100])
def test_a_frame_never_gets_higher_from_one_cutoff_to_the_next(width: int) -> None:
    for status in STATUSES.values():
        (frame,) = account_frames((status,), NOW, width, LIVE, mark_active=False)
        heights = [len(frame.draw(cutoff)) for cutoff in CUTOFFS]
        assert heights == sorted(heights, reverse=True)
        assert heights == [frame.height(cutoff) for cutoff in CUTOFFS]


# --- what is said ------------------------------------------------------------------------------


def test_the_totals_tell_spent_budget_end_and_when() -> None:
    text = text_of(ORGANIZATION)
    assert "Month to date  $4,062.55 of $6,000.00" in text
    assert re.search(r"By 30 Nov +\$5,718\.54 \(5,665–5,772\)", text)
    assert "stays within the budget" in text
    assert " 68 %" in text
    assert re.search(r"reaches the budget on 2\d Nov", text_of(OVER_BUDGET))
    assert "used up the budget on 13 Nov" in text_of(USED_UP)
    assert "163 %" in text_of(USED_UP)


def test_too_few_days_say_why_there_is_no_projection() -> None:
    assert "No projection yet" in text_of(TOO_EARLY)
    assert "it takes 3 complete days; there is one." in text_of(TOO_EARLY, 100)
    assert "no projection yet" in text_of(TOO_EARLY, 28).lower()


def test_your_row_is_yours_and_users_are_an_estimate_at_every_width() -> None:
    for width in (24, 28, 40, 60, 100):
        text = text_of(ORGANIZATION, width)
        assert re.search(r"\bYou\b.*\$310\.40", text)
        assert "est." in text
        assert "Ada Lovelace" not in text
    assert "an hour late" in text_of(ORGANIZATION, 100)
    assert "API-billed only" in text_of(ORGANIZATION, 100)


def test_what_has_no_price_or_name_says_so_and_is_never_zero() -> None:
    text = text_of(ORGANIZATION, 100)
    assert re.search(r"unknown +unpriced", text)
    assert re.search(r"nightly-build +unpriced", text)
    assert "1 unpriced" in text
    assert "$0.00" not in text
    assert "? cached" in text


def test_an_empty_report_says_that_seats_are_not_in_it() -> None:
    assert "subscription seats are" in text_of(TOO_EARLY)
    assert "$0.00" not in text_of(TOO_EARLY)


def test_days_that_are_not_read_yet_are_told_and_no_sum_claimed() -> None:
    text = text_of(NO_COSTS, 100)
    assert "12 days not read yet" in text
    assert "Month to date  —" in text
    assert "may not call cost_report" in text


def test_the_footer_tells_source_age_and_next_read() -> None:
    assert "Admin API · 2m ago · next in 3m" in text_of(ORGANIZATION)
    assert "2m old · API blocked until 12:50" in text_of(LIMITED)
    assert "2m old · Admin API" not in text_of(ORGANIZATION)
    assert "waiting for an Admin key" in text_of(REFUSED)


def test_stale_figures_are_dimmed_and_the_problem_is_not() -> None:
    lines = dashboard((LIMITED,), NOW, 60, None, LIVE)
    amount = next(line for line in lines if "$4,062.55" in line.plain)
    problem = next(line for line in lines if "asks to wait" in line.plain)
    assert any(span.style == "dim" and span.end - span.start >= 56 for span in amount.spans)
    assert not any(span.style == "dim" and span.end - span.start >= 56 for span in problem.spans)


def test_without_colour_a_sign_tells_how_much_of_the_budget_is_gone() -> None:
    plain = replace(LIVE, color=False)
    assert "163 % FULL" in text_of(USED_UP, options=plain)
    assert " 68 % !" in text_of(ORGANIZATION, options=plain)
    assert "!" not in text_of(ORGANIZATION)


def test_the_title_tells_whose_and_which_month() -> None:
    assert "Acme Corporation · November" in drawn(ORGANIZATION, 60)[0]
    assert "Acme Corporation · Nov " in drawn(ORGANIZATION, 28)[0]
    assert "Organization" in drawn(READING, 60)[0]


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(24, 120), st.integers(6, 60))
def test_a_name_of_any_width_breaks_no_border(name: str, width: int, height: int) -> None:
    from claude_usage_monitor.sources.text import clean

    safe = clean(name) or None
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.by_workspace is not None
    rows = (spend.by_workspace[0]._replace(name=safe), *spend.by_workspace)
    hostile = replace(
        ORGANIZATION,
        profile=Profile(organization=safe),
        spend=replace(spend, by_workspace=rows),
    )
    lines = dashboard((hostile,), NOW, width, height, LIVE)
    assert {min(100, width)} == {line.cell_len for line in lines}
