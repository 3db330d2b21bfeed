from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import Unreachable
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.plain_text import answers, changes, render, values
from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import NOW, usage_body
from tests.support.spends import ORGANIZATION, ORGANIZATIONS, OVER_BUDGET
from tests.support.statuses import (
    EVERY_STATE,
    LOGINS,
    NORMAL,
    THROTTLING,
    TWO,
    with_body,
    with_problem,
)

HOUR = timedelta(hours=1)
OPTIONS = FormatOptions(clock=ClockStyle(UTC))
STATUSES = {**LOGINS, **ORGANIZATIONS}
OFFLINE = with_problem(Unreachable(), retry_in=timedelta(seconds=30))


def lines_of(status: AccountStatus, options: FormatOptions = OPTIONS) -> list[str]:
    return render((status,), NOW, options).split("\n")


def news(before: AccountStatus, after: AccountStatus) -> list[str]:
    return changes((values(before, NOW, OPTIONS),), (after,), NOW, OPTIONS)


def test_each_limit_is_a_sentence() -> None:
    today = "resets at 14:30, in 2 hours 11 minutes, runs out at 13:07"
    week = "resets on Tuesday at 14:40, in 3 days 2 hours"
    assert [
        "claude-code, Max 5x, ada@example.com, Analytical Engines",
        f"5-hour limit: 78 percent used, {today}, the first to stop you",
        f"7-day limit: 35 percent used, {week}, lasts until the reset with about 63 percent used",
        f"Fable limit: 94 percent used, {week}, runs out at 18:18",
        "Extra usage: 34 percent used, $47.52 of $140.00 used",
        "Figures: API, read now",
        "Next reading: in 5 minutes",
    ] == lines_of(NORMAL)


def test_percentages_are_what_is_left_if_the_user_wants_that() -> None:
    lines = lines_of(NORMAL, OPTIONS._replace(left=True))
    assert lines[1].startswith("5-hour limit: 22 percent left, ")
    assert lines[2].endswith("lasts until the reset with about 37 percent left")
    assert lines[4].startswith("Extra usage: 66 percent left, ")


@pytest.mark.parametrize(
    "expected",
    [
        "5-hour limit: not started",
        "Opus limit: unknown, resets at 12:19, in 1 day 0 hours",
        "Sonnet limit: reset, waiting for figures",
        "Cowork limit: less than 1 percent used, resets on 30 November at 12:19",
        "Tangelo limit: more than 99 percent used, resets at 12:20, in 45 seconds",
        "7-day limit: 100 percent used, resets on Monday at 12:19, in 2 days 0 hours, limit",
        "Extra usage: 100 percent used, €300.04 of €300.00 used, off: out of credits",
        "Iguana necktie: 5 percent used, $12.00 of $250.00 used, expires on 11 December at 12:19",
    ],
)
def test_every_state_has_words(expected: str) -> None:
    text = "\n".join(lines_of(EVERY_STATE)).replace("on Sunday at", "at")
    assert expected in text


@pytest.mark.parametrize("name", STATUSES)
def test_there_are_no_signs_in_the_text(name: str) -> None:
    """A screen reader reads them out, or skips them."""
    text = render((STATUSES[name],), NOW, OPTIONS)
    assert not re.search("[%▸━─│╭·—<>]", text)
    assert all(text.split("\n"))
    assert render((STATUSES[name],), NOW, OPTIONS._replace(ascii=True)).isascii()


def test_money_in_ascii_has_its_currency_s_code() -> None:
    lines = lines_of(EVERY_STATE, OPTIONS._replace(ascii=True))
    assert any("EUR 300.04 of EUR 300.00 used" in line for line in lines)


def test_a_live_log_tries_again_by_itself() -> None:
    assert "; try again in " in "".join(lines_of(OFFLINE))
    assert "; trying again in " in "".join(lines_of(OFFLINE, OPTIONS._replace(live=True)))


def test_an_organization_has_its_month_and_its_workspaces() -> None:
    text = "\n".join(lines_of(OVER_BUDGET))
    assert "November so far: $4,062.55 of $4,600.00 used" in text
    assert re.search(r"Expected by 30 Nov: \$[\d,.]+, between \$[\d,.]+ and \$[\d,.]+", text)
    assert "The budget is reached on " in text
    assert re.search(r"Workspace Default: \$", text)
    assert re.search(r"Model claude-\S+: \$", text)
    assert re.search(r"Today: \$.*\nOn average: \$[\d.,]+ a day", text)
    assert re.search(r"Claude Code: \$[\d.,]+, an estimate of API-billed use\nYour Claude", text)
    assert re.search(r"Claude Code user Grace Hopper: \$", text)
    assert "API key ci-pipeline: 36.2M tokens\nAPI key unknown: unknown\n" in text


def test_several_accounts_are_paragraphs() -> None:
    paragraphs = render(TWO, NOW, OPTIONS).split("\n\n")
    assert [
        "Work, Max 5x, ada@example.com, Analytical Engines",
        "Private, Pro, ada@home.example, Analytical Engines",
    ] == [paragraph.split("\n")[0] for paragraph in paragraphs]


def test_what_used_a_limit_is_a_line_below_it_and_no_news() -> None:
    rows = tuple(
        ProjectUse(f"/home/ada/{name}", points, points)
        for name, points in zip("abcdef", (40, 19.6, 8, 4, 2, 0.4), strict=True)
    )
    use = WindowUse("five_hour", NOW, 78.0, NOW, rows[:4], 6.4, 1.0, "", 0.0, 0, 0.0)
    alone = use._replace(
        rows=rows, utilization=74.0, elsewhere=None, basis="assuming all use was on this machine"
    )
    first, second = (NORMAL._replace(use=(each,)) for each in (use, alone))
    assert lines_of(first)[2] == (
        "5-hour limit, used by: a 40 points, b 20 points, c 8 points, d 4 points,"
        " elsewhere 6 points"
    )
    assert lines_of(second)[2].endswith(
        "d 4 points, 2 others 2 points, assuming all use was on this machine"
    )
    assert [] == news(first, second)


# --- what a log gets -----------------------------------------------------------------------------


def test_a_new_whole_percent_is_news_and_less_is_not() -> None:
    body = usage_body()
    slightly, clearly = (with_body({**body, **usage_body(five_hour=p)}) for p in (78.4, 79.0))
    assert [] == news(NORMAL, slightly)
    (line,) = news(NORMAL, clearly)
    assert line.startswith("5-hour limit: 79 percent used, ")


def test_time_alone_is_no_news() -> None:
    later = NOW + timedelta(minutes=20)
    assert [] == changes((values(NORMAL, NOW, OPTIONS),), (NORMAL,), later, OPTIONS)


def test_a_reset_and_another_name_are_news() -> None:
    later = NOW + timedelta(hours=3)
    (line,) = changes((values(NORMAL, NOW, OPTIONS),), (NORMAL,), later, OPTIONS)
    assert "5-hour limit: reset, waiting for figures" == line
    renamed = NORMAL._replace(account=NORMAL.account._replace(name="Work"))
    assert ["Work, Max 5x, ada@example.com, Analytical Engines"] == news(NORMAL, renamed)


def test_a_problem_and_its_end_are_news() -> None:
    (begun,) = news(NORMAL, OFFLINE)
    assert begun.startswith("Problem: The API cannot be reached. Check the network or proxy; ")
    assert [] == news(OFFLINE, OFFLINE)
    assert ["The problem is solved."] == news(OFFLINE, NORMAL)


def test_news_of_several_accounts_have_the_account_s_name() -> None:
    failing = TWO[1]._replace(problem=OFFLINE.problem)
    before = [values(status, NOW, OPTIONS) for status in TWO]
    (line,) = changes(before, (TWO[0], failing), NOW, OPTIONS)
    assert line.startswith("Private: Problem: ")


@settings(max_examples=30)
@given(st.sampled_from(sorted(STATUSES)), st.sampled_from(sorted(STATUSES)))
def test_no_status_is_news_to_itself_and_news_are_lines_of_a_text(first: str, second: str) -> None:
    before, after = STATUSES[first], STATUSES[second]
    assert [] == news(after, after)
    for line in news(before, after):
        assert line in (*lines_of(after), "The problem is solved.")


def test_an_answer_says_how_fresh_the_figures_are() -> None:
    assert ["Figures: API, read now. Next reading: in 5 minutes"] == answers(
        (NORMAL,), NOW, OPTIONS
    )
    assert ["No figures yet"] == answers((LOGINS["reading"],), NOW, OPTIONS)
    assert 2 == len(answers((NORMAL, ORGANIZATION), NOW, OPTIONS))


def test_what_the_plan_allows_beyond_its_limits_is_said() -> None:
    assert NORMAL.usage is not None
    weekly = tuple(window for window in NORMAL.usage.windows if window.key != "five_hour")
    grant = ResetGrant(1, NOW + timedelta(days=5), ("five_hour", "seven_day"))
    usage = NORMAL.usage._replace(windows=weekly, saved_resets=SavedResets((grant,), NOW))
    lines = lines_of(NORMAL._replace(usage=usage))
    assert "This plan has no 5-hour limit." in lines
    assert "Saved resets: 1, use by 26 Nov, clears 5-hour and week" in lines
    expired = usage._replace(saved_resets=SavedResets((grant._replace(left=0),), NOW))
    assert "Saved" not in render((NORMAL._replace(usage=expired),), NOW, OPTIONS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"should_throttle": True, "delay_seconds": 45.0}, "throttling, 45 seconds a tool use"),
        ({"should_throttle": True, "delay_seconds": None}, "throttling"),
        ({"should_throttle": False}, "not throttling"),
        ({"decided_at": None}, "at rest"),
        ({"enabled": False}, "switched off"),
    ],
)
def test_whether_pace_maker_throttles_is_a_line(change: dict[str, Any], expected: str) -> None:
    lines = lines_of(NORMAL._replace(throttling=replace(THROTTLING, **change)))
    assert f"Claude Pace Maker: {expected}" in lines


def test_trouble_of_the_service_is_a_line_while_it_lasts() -> None:
    incident = Incident("i1", "Elevated errors", "major", "investigating", NOW - HOUR, None)
    parts = (Component("Claude Code", "partial_outage"),)
    service = ServiceStatus("major", "Outage", parts, (incident,), NOW)
    line = "Service: Claude Code: partial outage, Elevated errors, 1h 0m"
    assert line in lines_of(NORMAL._replace(service=service))
    assert [line] == news(NORMAL, NORMAL._replace(service=service))
    over = service._replace(components=(Component("Claude Code", "operational"),))
    assert "Service" not in render((NORMAL._replace(service=over),), NOW, OPTIONS)
    troubled = NORMAL._replace(service=service)
    assert ["The service is operational again."] == news(troubled, NORMAL._replace(service=over))
    assert [] == news(troubled, NORMAL)
    assert 1 == render([each._replace(service=service) for each in TWO], NOW, OPTIONS).count(line)


def test_a_wrong_clock_is_a_line() -> None:
    wrong = NORMAL._replace(clock_skew=timedelta(hours=3))
    line = "This clock is 3 hours 0 minutes ahead of the API's: times here follow the API."
    assert line in lines_of(wrong)
    assert line in news(NORMAL, wrong)
