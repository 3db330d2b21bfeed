from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from claude_usage_monitor.errors import NoCredentials, Unreachable
from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.dashboard import MIN_TWO_COLUMNS, dashboard
from claude_usage_monitor.render.help import HelpTopics, help_lines
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW, usage_body
from tests.support.render import LIVE, ONCE, PLAIN, frame_lines, frames_of
from tests.support.statuses import NORMAL, THREE, TWELVE, TWO, saved, with_body, with_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from syrupy.assertion import SnapshotAssertion

OPTIONS = st.sampled_from([LIVE, PLAIN, ONCE])
SETS = {"two": TWO, "three": THREE, "twelve": TWELVE}
OFFLINE = with_problem(Unreachable(), retry_in=timedelta(seconds=30))
CALM = with_body(usage_body(five_hour=20.0, fable=10))
TROUBLE = "Claude Code: partial outage · Elevated errors · 23m"
SERVICE = ServiceStatus(
    "major",
    "",
    (Component("Claude Code", "partial_outage"),),
    (Incident("i", "Elevated errors", "major", "", NOW - timedelta(minutes=23), None),),
    NOW,
)


def numbered(statuses: Sequence[AccountStatus]) -> tuple[AccountStatus, ...]:
    """Return the statuses as those of accounts with numbers as names; the first is active."""
    return tuple(
        status._replace(account=Account(f"Q{at:02}", active=at == 0), profile=None)
        for at, status in enumerate(statuses)
    )


MANY = st.lists(st.sampled_from(TWELVE), min_size=1, max_size=50).map(numbered)
SEVERAL = st.lists(st.sampled_from(TWELVE), min_size=2, max_size=50).map(numbered)
ONE_COLUMN = MIN_TWO_COLUMNS - 1
WIDTHS = st.integers(1, ONE_COLUMN)
HEIGHTS = st.none() | st.integers(1, 80)


def plain(
    statuses: Sequence[AccountStatus], width: int, height: int | None, options: RenderOptions = LIVE
) -> list[str]:
    return [line.rstrip() for line in frame_lines(statuses, width, height, options)]


def names_in(lines: Sequence[str]) -> list[str]:
    return re.findall(r"\bQ\d\d\b", "\n".join(lines))


@pytest.mark.parametrize("options", [LIVE, PLAIN], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [20, 28, 40, 60, 120])
@pytest.mark.parametrize("name", SETS)
def test_frames(frames: SnapshotAssertion, name: str, width: int, options: RenderOptions) -> None:
    sizes = [(width, height) for height in (None, 50, 24, 16, 8, 4, 1)]
    assert frames == frames_of(SETS[name], sizes, options)


# --- laws for panes of every size ----------------------------------------------------------------


@given(MANY, WIDTHS, HEIGHTS, OPTIONS)
def test_every_frame_fits_its_pane(
    statuses: Sequence[AccountStatus], width: int, height: int | None, options: RenderOptions
) -> None:
    lines = dashboard(statuses, NOW, width, height, options)
    assert all(line.cell_len <= min(width, 100) for line in lines)
    assert 1 <= len(lines) <= (height or len(lines))
    if options is PLAIN:
        assert "".join(line.plain for line in lines).isascii()


@given(MANY, st.integers(24, ONE_COLUMN), HEIGHTS)
def test_borders_are_straight(
    statuses: Sequence[AccountStatus], width: int, height: int | None
) -> None:
    lines = dashboard(statuses, NOW, width, height, LIVE)
    if lines[0].plain.startswith("╭"):
        assert {min(width, 100)} == {line.cell_len for line in lines}
        assert all(re.fullmatch("╭.*╮|├.*┤|╰.*╯|│.* │", line.plain) for line in lines)
        assert lines[-1].plain.startswith("╰")


@given(SEVERAL, st.integers(24, ONE_COLUMN), HEIGHTS, st.integers(0, 60))
def test_accounts_stay_in_order_and_hidden_ones_are_counted(
    statuses: Sequence[AccountStatus], width: int, height: int | None, shift: int
) -> None:
    """With any figures. The active account is never hidden."""
    lines = plain(statuses, width, height)
    names = names_in(lines)
    assert names == sorted(names)
    assert "Q00" in names
    shift %= len(statuses)
    shifted = [*statuses[shift:], *statuses[:shift]]
    assert names[:1] == names_in(plain(numbered(shifted), width, height))[:1]
    hidden = len(statuses) - len(names)
    assert (hidden > 0) == (f"+{hidden}" in "\n".join(lines))
    if height is None or height >= len(statuses):
        assert not hidden


@given(
    st.lists(st.just(NORMAL), min_size=2, max_size=50).map(numbered),
    st.integers(20, ONE_COLUMN),
    HEIGHTS,
)
def test_the_binding_window_is_shown_for_every_account_shown(
    statuses: Sequence[AccountStatus], width: int, height: int | None
) -> None:
    lines = plain(statuses, width, height)
    assert len(names_in(lines)) == sum(" 78" in line for line in lines)


@given(MANY, st.integers(40, ONE_COLUMN), HEIGHTS)
def test_the_problem_is_shown_for_every_account_shown(
    statuses: Sequence[AccountStatus], width: int, height: int | None
) -> None:
    text = "\n".join(plain(statuses, width, height))
    texts = dict(zip(names_in([text]), re.split(r"\bQ\d\d\b", text)[1:], strict=True))
    for status in statuses:
        if status.problem is not None and status.account.name in texts:
            assert re.search(r"offline|cannot|ogged in|wait|expired", texts[status.account.name])


@given(
    st.lists(st.text(min_size=1, max_size=64).map(clean).filter(bool), min_size=2, max_size=5),
    WIDTHS,
    st.integers(1, 24),
)
def test_a_name_is_cut_not_wrapped(names: list[str], width: int, height: int) -> None:
    statuses = [saved(name, "Max 5x", active=at == 0) for at, name in enumerate(names)]
    lines = dashboard(statuses, NOW, width, height, LIVE)
    usual = dashboard(numbered(statuses), NOW, width, height, LIVE)
    assert all(line.cell_len <= min(width, 100) for line in lines)
    assert len(usual) == len(lines)


@settings(max_examples=40)
@given(SEVERAL, WIDTHS)
def test_a_high_enough_pane_shows_everything(statuses: Sequence[AccountStatus], width: int) -> None:
    whole = plain(statuses, width, None)
    assert whole == plain(statuses, width, len(whole))
    assert len(whole) > len(plain(statuses, width, len(whole) - 1))


# --- fewer and fewer rows ------------------------------------------------------------------------


def test_in_a_high_pane_every_account_has_everything() -> None:
    lines = plain(TWO, 60, 50)
    assert lines == plain(TWO, 60, None)
    assert "runs out in 47m" in "\n".join(lines)
    assert 2 == sum("Ada" in line for line in lines)


def test_all_accounts_yield_the_same_the_first_a_step_less() -> None:
    text = "\n".join(plain(numbered([NORMAL] * 2), 60, 16))
    assert text.index("resets in 2h 11m") < text.index("Q01")
    assert 1 == text.count("resets in 2h 11m")
    assert 2 == text.count("94 %")


@pytest.mark.parametrize(("height", "frames_drawn"), [(12, 2), (11, 1)])
def test_each_account_has_a_frame_while_all_fit(height: int, frames_drawn: int) -> None:
    lines = plain(numbered([NORMAL] * 2), 60, height)
    assert frames_drawn == sum(line.startswith("╭") for line in lines)
    assert 2 == sum("94 %" in line for line in lines)


@pytest.mark.parametrize("height", [5, 4, 2])
def test_the_binding_window_precedes_one_with_more_utilization(height: int) -> None:
    body = usage_body(five_hour=60.0, fable=40)
    lines = plain(numbered([with_body(body)] * 2), 40, height)
    assert 2 == sum("60" in line for line in lines)
    assert not any("40" in line for line in lines)


def test_a_shared_frame_has_the_most_urgent_windows() -> None:
    lines = plain(numbered([NORMAL] * 3), 60, 10)
    assert 1 == sum(line.startswith("╭") for line in lines)
    assert 3 == sum("94 %" in line for line in lines)
    assert 3 == sum("78 %" in line for line in lines)
    assert not any("35 %" in line for line in lines)


def test_spare_rows_go_to_the_first_account() -> None:
    lines = plain(numbered([NORMAL] * 3), 60, 8)
    assert [True, False, False] == [
        any("94 %" in line for line in block.splitlines())
        for block in re.split("[├╰]", "\n".join(lines))[:3]
    ]


def test_a_problem_takes_no_rows_from_other_accounts() -> None:
    calm = plain(numbered([NORMAL, NORMAL, NORMAL]), 60, 16)
    failing = plain(numbered([NORMAL, OFFLINE, NORMAL]), 60, 16)
    differing = [
        at for at, pair in enumerate(zip(calm, failing, strict=True)) if len(set(pair)) > 1
    ]
    assert "offline · 6m old" in failing[differing[0]]
    assert differing[1:] in ([], [len(calm) - 1])  # the next read is sooner


def test_a_line_each_in_one_frame() -> None:
    lines = plain(TWELVE, 60, 16)
    assert 14 == len(lines)
    assert "12 accounts" in lines[0]
    assert re.search(r"@ Work +▸5h +78%! +2h11m +Fable +94%!! 3d2h", lines[1])
    assert re.search(r"Private +▸5h +78%! +2h11m +offline · 6m old", lines[2])
    assert READING in lines[5]
    assert "not logged in" in lines[7]


def test_the_frame_yields_before_an_account() -> None:
    heights = range(14, 9, -1)
    accounts = [
        sum(line.startswith(("@ ", "  ", "│ ")) for line in plain(TWELVE, 60, height))
        for height in heights
    ]
    assert [12, 12, 12, 10, 9] == accounts


def test_the_active_account_problems_and_high_use_are_hidden_last() -> None:
    statuses = numbered([CALM, CALM, NORMAL, CALM, OFFLINE, CALM, with_problem(NoCredentials())])
    lines = plain(statuses, 60, 4)
    assert ["Q00", "Q04", "Q06"] == names_in(lines)
    assert lines[-1].startswith("+4 more · Tab")
    assert ["Q00", "Q02", "Q04", "Q06"] == names_in(plain(statuses, 60, 5))
    assert "Tab" not in "\n".join(plain(statuses, 60, 4, ONCE))


def test_the_active_account_is_shown_wherever_it_is_in_the_order() -> None:
    statuses = [saved("Loud", "Pro"), saved("Mine", "Pro", CALM, active=True)]
    assert plain(statuses, 60, 1)[0].startswith("@ Mine")
    assert "+1 more · Tab" in plain(statuses, 60, 1)[0]


# --- the service's trouble ------------------------------------------------------------------------


def in_trouble(statuses: Sequence[AccountStatus]) -> list[AccountStatus]:
    return [status._replace(service=SERVICE) for status in statuses]


@given(MANY, st.integers(1, 200), HEIGHTS, OPTIONS)
def test_the_services_trouble_is_shown_at_most_once(
    statuses: Sequence[AccountStatus], width: int, height: int | None, options: RenderOptions
) -> None:
    lines = plain(in_trouble(statuses), width, height, options)
    assert "\n".join(lines).count("Claude Code:") <= 1
    assert len(lines) <= (height or len(lines))


@pytest.mark.parametrize("height", [None, 50, 24, 14, 12, 8, 6])
@pytest.mark.parametrize("width", [28, 40, 60, 120, 200])
def test_the_services_trouble_is_shown_for_several_accounts(width: int, height: int | None) -> None:
    text = "\n".join(plain(in_trouble(THREE), width, height))
    assert 1 == text.count("Claude Code:")
    assert width < 60 or TROUBLE in text


def test_the_services_trouble_leaves_a_row_for_each_account() -> None:
    lines = plain(in_trouble(THREE), 60, 7)
    assert lines == plain(THREE, 60, 7)


@pytest.mark.parametrize(("height", "shown"), [(7, 1), (6, 0)])
def test_the_services_trouble_is_one_line_before_it_costs_a_figure(height: int, shown: int) -> None:
    lines = plain(in_trouble([CALM]), 28, height)
    assert shown == sum("Claude Code: partial ou…" in line for line in lines)
    assert 4 == sum("% used" in line for line in lines)


# --- texts and styles ----------------------------------------------------------------------------


def dimmed(line: Text) -> bool:
    figures = line.plain.index("%")
    return any("dim" in str(s.style) for s in line.spans if s.start <= figures < s.end)


@pytest.mark.parametrize("height", [50, 12, 6, 4])
def test_only_stale_figures_are_dimmed(height: int) -> None:
    lines = dashboard(numbered([NORMAL, OFFLINE]), NOW, 60, height, LIVE)
    figures = [dimmed(line) for line in lines if "78" in line.plain]
    assert [False, True] == figures


@pytest.mark.parametrize(("width", "height"), [(60, 16), (60, 9), (60, 5), (30, 9), (30, 5)])
def test_a_problem_is_not_dimmed(width: int, height: int) -> None:
    for line in dashboard(numbered([NORMAL, OFFLINE, NORMAL]), NOW, width, height, LIVE):
        at = line.plain.find("offline")
        styles = [str(s.style) for s in line.spans if s.start <= at < s.end]
        assert at < 0 or styles == ["bold"]


def test_each_account_shows_its_age() -> None:
    old = NORMAL._replace(next_read_at=NOW + timedelta(minutes=2))
    assert old.usage is not None
    old = old._replace(usage=old.usage._replace(as_of=NOW - timedelta(minutes=4)))
    text = "\n".join(plain(numbered([NORMAL, old]), 60, 50))
    assert "API · now · next in 5m" in text
    assert "API · 4m · next in 2m" in text
    shared = plain(numbered([NORMAL, old]), 60, 8)
    assert shared[0].endswith("now ─╮")
    assert any(line.endswith("4m ─┤") for line in shared)
    assert "API · up to 4m old · next in 2m" in plain(numbered([NORMAL, old]), 60, 4)[-1]


def test_the_active_account_is_marked_if_another_is_not_active() -> None:
    assert "Work · Max 5x · active" in plain(TWO, 60, 50)[0]
    assert 1 == "\n".join(plain(TWO, 60, 50)).count("active")
    all_active = [saved("A", "Pro", active=True), saved("B", "Pro", active=True)]
    assert "active" not in "\n".join(plain(all_active, 60, 50))
    assert "active" not in plain(TWO[:1], 60, 50)[0]


@pytest.mark.parametrize("name", ["A very long name " * 4, "漢字の名前の会社" * 8])
def test_a_long_name_leaves_room_for_the_active_mark(name: str) -> None:
    statuses = [saved(name[:64], "Max 5x", active=True), *TWO[1:]]
    for width in (28, 40, 60):
        top = plain(statuses, width, 50)[0]
        assert "…" in top
        assert "active" in top
        assert width == cell_len(top)


def test_an_account_without_a_profile_shows_its_stored_address() -> None:
    status = NORMAL._replace(profile=None, account=Account("Work", email="ada@example.com"))
    assert "ada@example.com" in plain([status], 60, 24)[0]


def test_accounts_being_read_say_so() -> None:
    reading = AccountStatus(Account("Q"))
    for height in (50, 9, 4):
        assert 2 == "\n".join(plain([reading, reading], 60, height)).count(READING)


def test_the_help_key_is_mentioned_once() -> None:
    for height in (None, 50, 16, 8, 5):
        assert 1 == "\n".join(plain(THREE, 60, height)).count("? help")


def test_the_help_explains_tab_and_the_active_mark() -> None:
    topics = HelpTopics(several=True)
    text = "\n".join(line.plain for line in help_lines(60, 40, LIVE, topics)[0])
    assert re.search("Tab +next account", text)
    assert re.search(r"@ +the active account", text)
