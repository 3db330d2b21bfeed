"""An organization's frame: its size, and its texts."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.status import AccountStatus, Profile
from tests.support.payloads import NOW
from tests.support.render import LIVE, PLAIN, SIZES, frame_lines, frame_text, frames_of
from tests.support.spends import (
    LIMITED,
    NO_BUDGET,
    NO_COSTS,
    ORGANIZATION,
    ORGANIZATIONS,
    OVER_BUDGET,
    READING,
    REFUSED,
    TOO_EARLY,
    USED_UP,
)
from tests.support.statuses import NORMAL

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


@pytest.mark.parametrize("name", ORGANIZATIONS)
@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
def test_frames(frames: SnapshotAssertion, name: str, options: RenderOptions) -> None:
    sizes = ((120, 60), (60, 50), *SIZES)
    assert frames == frames_of((ORGANIZATIONS[name],), sizes, options)


# --- laws for panes of every size ----------------------------------------------------------------


@given(st.integers(20, 200), st.integers(1, 70))
def test_the_month_to_date_is_always_shown(width: int, height: int) -> None:
    for status in (ORGANIZATION, NO_BUDGET, USED_UP, LIMITED):
        assert "$4,062.55" in "\n".join(frame_lines((status,), width, height))


@given(st.integers(20, 200), st.integers(2, 70))
def test_a_problem_is_always_shown(width: int, height: int) -> None:
    assert "wait" in "\n".join(frame_lines((LIMITED,), width, height))


@given(st.integers(24, 200), st.integers(8, 70))
def test_a_higher_pane_never_shows_fewer_rows(width: int, height: int) -> None:
    def rows(lines: list[str]) -> int:
        return sum(bool(line.strip("│╭╮╰╯─ ")) for line in lines)

    lower, higher = (frame_lines((ORGANIZATION,), width, h) for h in (height, 200))
    assert rows(lower) <= rows(higher)
    assert len(lower) <= height


def test_a_frame_without_a_height_shows_every_row() -> None:
    """``--once`` never cuts."""
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.by_workspace is not None
    many = tuple(spend.by_workspace[0]._replace(name=f"Team {n}") for n in range(200))
    text = frame_text(ORGANIZATION._replace(spend=replace(spend, by_workspace=many)))
    assert all(f" Team {n} " in text for n in range(200))
    assert " of 200" not in text


@given(st.text(max_size=60), st.integers(24, 120), st.integers(6, 60))
def test_borders_are_straight_whatever_the_names(name: str, width: int, height: int) -> None:
    safe = clean(name) or None
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.by_workspace is not None
    rows = (spend.by_workspace[0]._replace(name=safe), *spend.by_workspace)
    hostile = ORGANIZATION._replace(
        profile=Profile(organization=safe),
        spend=replace(spend, by_workspace=rows),
    )
    lines = dashboard((hostile,), NOW, width, height, LIVE)
    assert {min(100, width)} == {line.cell_len for line in lines}


# --- beside a login ------------------------------------------------------------------------------


def test_tables_yield_before_the_forecast_of_a_login() -> None:
    text = "\n".join(frame_lines((NORMAL, ORGANIZATION), 60, 24))
    assert "runs out in 47m" in text
    assert "stays within the budget" in text
    assert "Workspaces" not in text


def test_tables_get_the_rows_that_are_left() -> None:
    lines = frame_lines((NORMAL, ORGANIZATION), 60, 38)
    assert 38 == len(lines)
    assert "3 of 5" in "\n".join(lines)
    assert "\n".join(frame_lines((NORMAL, ORGANIZATION), 60, 58)).endswith(
        "\n".join(frame_lines((ORGANIZATION,), 60))
    )


def test_no_organization_is_called_the_active_account() -> None:
    """Logins are alternatives to one another; an organization is shown beside them."""
    other = NORMAL._replace(account=NORMAL.account._replace(name="Other", active=False))
    for height in (100, 12, 6, 4):
        for line in frame_lines((NORMAL, other, ORGANIZATION), 60, height):
            assert "Acme" not in line or ("active" not in line and "@" not in line)


# --- texts ---------------------------------------------------------------------------------------


def test_the_totals_are_spend_budget_and_projection() -> None:
    text = frame_text(ORGANIZATION)
    assert "Month to date, Nov 1–21  $4,062.55 of $6,000.00" in text
    assert re.search(r"By 30 Nov +\$5,718\.54, \+\$1,655\.99 to come", text)
    assert "$5,718.54 (5,665–5,772), +$1,655.99 to come" in frame_text(ORGANIZATION, 100)
    assert "$198.06 a day, $8.25 an hour" in text
    assert "stays within the budget" in text
    assert " 68 %" in text
    assert re.search(r"reaches the budget on 2\d Nov", frame_text(OVER_BUDGET))
    assert "used up the budget on 13 Nov" in frame_text(USED_UP)
    assert "163 %" in frame_text(USED_UP)


def test_too_few_days_say_why_there_is_no_projection() -> None:
    assert "No projection yet" in frame_text(TOO_EARLY)
    assert "it takes 3 complete days; there is one." in frame_text(TOO_EARLY, 100)
    assert "No projection yet" in frame_text(TOO_EARLY, 28)


def test_a_budget_that_is_used_up_before_the_first_projection_is_shown() -> None:
    spend = TOO_EARLY.spend
    assert spend is not None
    used_up = replace(spend, budget=Decimal(40), budget_reached_on=spend.period_start)
    text = frame_text(TOO_EARLY._replace(spend=used_up))
    assert "used up the budget on 1 Nov" in text
    assert "within" not in text


def test_your_row_and_the_estimate_are_shown_at_every_width() -> None:
    for width in (24, 28, 40, 60, 100):
        text = frame_text(ORGANIZATION, width)
        assert re.search(r"\bYou\b.*\$310\.40", text)
        assert "est." in text
        assert "Ada Lovelace" not in text
    assert "an hour late" in frame_text(ORGANIZATION, 100)
    assert "API-billed only" in frame_text(ORGANIZATION, 100)


def test_an_unknown_price_or_name_says_so_and_is_never_zero() -> None:
    text = frame_text(ORGANIZATION, 100)
    assert re.search(r"unknown +unpriced", text)
    assert re.search(r"nightly-build +unpriced", text)
    assert "1 unpriced" in text
    assert "$0.00" not in text
    assert "? cached" in text


def test_an_empty_report_says_that_it_leaves_out_subscription_seats() -> None:
    assert "subscription seats are" in frame_text(TOO_EARLY)
    assert "$0.00" not in frame_text(TOO_EARLY)


def test_with_missing_days_there_is_no_sum() -> None:
    text = frame_text(NO_COSTS, 100)
    assert "12 days not read yet" in text
    assert re.search(r"Month to date, Nov 1–21 +—", text)
    assert "may not call cost_report" in text


def test_the_footer_shows_source_age_and_next_read() -> None:
    assert "Admin API · 2m ago · next in 3m" in frame_text(ORGANIZATION)
    assert "2m old · next request 12:50" in frame_text(LIMITED)
    assert "2m old · Admin API" not in frame_text(ORGANIZATION)
    assert "waiting for an Admin key" in frame_text(REFUSED)


def test_stale_figures_are_dimmed_and_the_problem_is_not() -> None:
    lines = dashboard((LIMITED,), NOW, 60, None, LIVE)
    amount = next(line for line in lines if "$4,062.55" in line.plain)
    problem = next(line for line in lines if "asked to wait" in line.plain)
    assert any(span.style == "dim" and span.end - span.start >= 56 for span in amount.spans)
    assert not any(span.style == "dim" and span.end - span.start >= 56 for span in problem.spans)


@pytest.mark.parametrize("color", [True, False])
def test_a_sign_shows_how_much_of_the_budget_is_used(color: bool) -> None:
    options = replace(LIVE, color=color)
    assert "163 % used FULL" in frame_text(USED_UP, options=options)
    assert " 68 % used !" in frame_text(ORGANIZATION, options=options)


def test_the_title_is_the_organization_and_the_month() -> None:
    assert "Acme Corporation · November" in frame_lines((ORGANIZATION,), 60)[0]
    assert "Acme Corporation · Nov " in frame_lines((ORGANIZATION,), 28)[0]
    assert "Organization" in frame_lines((READING,), 60)[0]


# --- the month, by workspace and user -----------------------------------------------------------


def changed(**claude_code: object) -> AccountStatus:
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.claude_code is not None
    report = replace(spend.claude_code, **claude_code)  # type: ignore[arg-type]  # fields by name
    return ORGANIZATION._replace(spend=replace(spend, claude_code=report))


def test_your_own_row_has_its_projection_and_address() -> None:
    text = frame_text(ORGANIZATION, 100)
    assert "$452.18 by the end of the month · ada@example.com" in text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("no_email", "no e-mail address is known; set `email`"),
        ("no_row", "the report has none for your e-mail address"),
    ],
)
def test_without_a_row_of_yours_the_panel_says_why(reason: str, words: str) -> None:
    text = " ".join(frame_text(changed(you=None, you_unknown_because=reason), 60).split())
    assert words in text.replace("│ │ ", "")


def test_two_people_of_one_name_are_told_apart() -> None:
    spend = ORGANIZATION.spend
    assert spend is not None
    assert spend.claude_code is not None
    rows = spend.claude_code.by_user
    twins = (rows[0], rows[0]._replace(email="other@example.com"))
    text = frame_text(changed(by_user=twins, you=None), 100)
    assert "grace@example.com" in text
    assert "other@example.com" in text
    assert "Grace Hopper" not in text


def test_the_rows_of_the_picture_add_up() -> None:
    """The organization in the pictures: users, and models, are the sum above them."""
    spend = ORGANIZATION.spend
    assert spend is not None
    report = spend.claude_code
    assert report is not None
    assert report.month_to_date == sum(row.amount or 0 for row in report.by_user)
    assert report.by_model is not None
    assert report.month_to_date == sum(row.amount or 0 for row in report.by_model)
    assert spend.month_to_date == sum(row.amount or 0 for row in spend.by_workspace or ())
    assert spend.month_to_date == sum(row.amount or 0 for row in spend.by_model or ())


def test_late_figures_are_called_late_once() -> None:
    for width in (60, 100):
        assert 1 == frame_text(ORGANIZATION, width).count("an hour late")


def test_a_month_without_spend_says_so() -> None:
    spend = NO_BUDGET.spend
    assert spend is not None
    nothing = replace(spend, month_to_date=Decimal(0), projected=None)
    assert "$0.00, no spend this month" in frame_text(NO_BUDGET._replace(spend=nothing))


def test_a_saved_organization_has_its_own_name_and_that_of_its_account() -> None:
    account = ORGANIZATION.account._replace(name="Work org")
    status = ORGANIZATION._replace(account=account)
    assert "Work org · Acme Corporation · November" in frame_text(status)
    assert "Work org · Nov" in frame_text(status, 28)
