from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.render.panels.spend import chart
from claude_usage_monitor.render.theme import ASCII, UNICODE, RenderOptions

UNICODE_OPTIONS = RenderOptions()
ASCII_OPTIONS = RenderOptions(ASCII, color=False)


def plain_chart(amounts: list[Decimal | None], days: int, width: int, rows: int = 1) -> list[str]:
    return [line.plain for line in chart(amounts, days, width, rows, UNICODE_OPTIONS)]


def test_the_highest_day_fills_the_height_and_the_others_are_in_proportion() -> None:
    amounts: list[Decimal | None] = [Decimal(n) for n in range(9)]
    assert [" ▁▂▃▄▅▆▇█··"] == plain_chart(amounts, 11, 12)
    assert ["    ▂▄▆█", "▂▄▆█████"] == plain_chart(amounts[1:], 8, 8, 2)


def test_any_spend_is_visible_and_none_is_empty() -> None:
    assert [" ▁█"] == plain_chart([Decimal(0), Decimal("0.01"), Decimal(1000)], 3, 3)
    assert ["  "] == plain_chart([Decimal(0), Decimal(0)], 2, 2)
    assert [" █"] == plain_chart([Decimal(-5), Decimal(1)], 2, 2)


def test_an_unknown_day_is_a_question_mark() -> None:
    assert ["█?"] == plain_chart([Decimal(1), None], 2, 2)
    assert ["??"] == plain_chart([None, None], 2, 2)


def test_a_chart_narrower_than_the_month_has_its_last_days() -> None:
    amounts: list[Decimal | None] = [Decimal(8), *[Decimal(1)] * 4, Decimal(2)]
    assert ["▄▄█"] == plain_chart(amounts, 30, 3)


@given(
    st.lists(st.none() | st.decimals(-9, 10**9, places=4), min_size=1, max_size=31),
    st.integers(0, 9),
    st.integers(1, 120),
    st.integers(1, 3),
    st.sampled_from([UNICODE_OPTIONS, ASCII_OPTIONS]),
)
def test_a_chart_has_exactly_the_given_width_and_height(
    amounts: list[Decimal | None], ahead: int, width: int, rows: int, options: RenderOptions
) -> None:
    days = len(amounts) + ahead
    lines = chart(amounts, days, width, rows, options)
    assert rows == len(lines)
    (cells,) = {line.cell_len for line in lines}
    assert min(days, width) <= cells <= width
    assert options.glyphs is UNICODE or all(line.plain.isascii() for line in lines)


@pytest.mark.parametrize(("width", "cells"), [(30, 30), (59, 30), (60, 60), (90, 90), (200, 90)])
def test_wide_charts_have_gaps_between_days(width: int, cells: int) -> None:
    (line,) = chart([Decimal(1)] * 30, 30, width, 1, UNICODE_OPTIONS)
    assert cells == line.cell_len
