from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.render.limits.bar import bar
from claude_usage_monitor.render.theme import ASCII, UNICODE, RenderOptions

OPTIONS = st.sampled_from([RenderOptions(), RenderOptions(glyphs=ASCII, color=False)])
PERCENTS = st.none() | st.floats(0, 1000)


def plain_bar(utilization: float | None, tick: float | None, width: int = 20) -> str:
    return bar(utilization, tick, width, RenderOptions(glyphs=ASCII)).plain


@given(PERCENTS, PERCENTS, PERCENTS, PERCENTS, st.integers(0, 120), OPTIONS)
def test_a_bar_has_exactly_the_given_width(
    utilization: float | None,
    tick: float | None,
    target: float | None,
    expected: float | None,
    width: int,
    options: RenderOptions,
) -> None:
    assert width == bar(utilization, tick, width, options, target, expected).cell_len


def test_what_is_expected_at_the_reset_extends_the_bar() -> None:
    assert bar(40, None, 10, RenderOptions(), expected=62).plain == "━━━━╍╍────"
    assert bar(40, None, 10, RenderOptions(), expected=130).plain == "━━━━╍╍╍╍╍╍"
    assert bar(40, None, 10, RenderOptions(), expected=40).plain == "━━━━──────"
    assert bar(40, 50, 10, RenderOptions(), expected=62).plain == "━━━━╍┃────"


@pytest.mark.parametrize(
    "options",
    [RenderOptions(color=False), RenderOptions(glyphs=ASCII), RenderOptions(left=True)],
    ids=["no color", "ASCII", "what is left"],
)
def test_a_bar_has_no_extension_where_it_would_be_mistaken(options: RenderOptions) -> None:
    assert bar(40, None, 10, options, expected=90) == bar(40, None, 10, options)


@pytest.mark.parametrize(
    ("tick", "target", "expected"),
    [
        (None, 40, "========v=====------"),
        (20, 40, "====|===v=====------"),
        (95, 40, "========v=====-----|"),
        (42, 40, "========+=====------"),
        (None, 250, "==============-----v"),
        (None, 0, "v=============------"),
    ],
)
def test_the_target_is_a_second_mark(tick: float | None, target: float, expected: str) -> None:
    assert expected == bar(70, tick, 20, RenderOptions(glyphs=ASCII), target).plain


@given(st.floats(0, 1000), st.integers(2, 120), OPTIONS)
def test_a_bar_is_full_at_100_percent_and_empty_at_0_only(
    utilization: float, width: int, options: RenderOptions
) -> None:
    plain = bar(utilization, None, width, options).plain
    assert (utilization > 0) == (options.glyphs.filled in plain)
    assert (utilization < 100) == (options.glyphs.track in plain)


@pytest.mark.parametrize(
    ("utilization", "tick", "expected"),
    [
        (0, None, "--------------------"),
        (50, None, "==========----------"),
        (78, 56.3, "===========|====----"),
        (35, 56.3, "=======----|--------"),
        (100, 100, "===================|"),
        (250, 0, "|==================="),
        (0.1, None, "=-------------------"),
        (99.9, None, "===================-"),
        (None, 50, "...................."),
    ],
)
def test_the_tick_is_where_an_even_pace_would_be(
    utilization: float | None, tick: float | None, expected: str
) -> None:
    assert expected == plain_bar(utilization, tick)


@pytest.mark.parametrize(
    ("utilization", "severity"),
    [(50, 0), (51, 1), (81, 2), (99.9, 2), (100, 3)],
)
@pytest.mark.parametrize("left", [False, True])
def test_the_color_is_that_of_the_severity(utilization: float, severity: int, left: bool) -> None:
    options = RenderOptions(glyphs=UNICODE, left=left)
    drawn_bar = bar(utilization, None, 10, options)
    if options.shown(utilization):
        assert options.theme.bars[severity] == str(drawn_bar.spans[0].style)


def test_a_bar_of_what_is_left_shows_the_rest_of_a_bar_of_what_is_used() -> None:
    options = RenderOptions(glyphs=ASCII, left=True)
    assert "====-|--------------" == bar(78, 75, 20, options).plain
    assert "|-------------------" == bar(100, 100, 20, options).plain
    assert "====================" == bar(0, None, 20, options).plain
