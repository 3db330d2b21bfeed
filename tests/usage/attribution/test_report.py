from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.report import (
    UseReport,
    hidden_names,
    short_names,
    whole_points,
)
from claude_usage_monitor.usage.attribution.window_use import UseRow
from claude_usage_monitor.usage.limits.windows import whole_percent


@given(st.lists(st.floats(0, 60), min_size=1, max_size=12))
def test_whole_points_add_up_to_the_percent(points: list[float]) -> None:
    shown = whole_points(points, sum(points))
    assert whole_percent(sum(points)) == sum(shown)
    assert all(abs(one - other) <= 1.5 for one, other in zip(points, shown, strict=True))


def test_rows_below_a_point_stay_zero_where_possible() -> None:
    assert [30, 10, 0, 0] == whole_points([29.4, 10.2, 0.3, 0.1], 40)


def test_short_names_are_distinct() -> None:
    paths = ["/home/ada/atlas", "/home/ada/atlas/docs", "/home/eve/docs", "C:\\src\\orbit", "/"]
    expected = ["atlas", "atlas/docs", "eve/docs", "orbit", "/"]
    assert expected == list(short_names(paths).values())


def test_hidden_names_are_numbers() -> None:
    rows = [UseRow("/secret", 1.0, 100.0, Tokens(), None)]
    report = UseReport("a", "project", None, rows, Tokens())
    hidden = hidden_names(report, {"/secret": 3}, {})
    assert ["project 3"] == [row.name for row in hidden.rows]
    models = report._replace(by="model")
    assert rows == list(hidden_names(models, {}, {}).rows)
