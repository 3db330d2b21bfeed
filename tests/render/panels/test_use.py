from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.render.panels.use import use_view
from claude_usage_monitor.usage.privacy import hidden
from tests.support.payloads import NOW
from tests.support.render import LIVE, PLAIN, frame_lines, frames_of
from tests.support.statuses import NORMAL, USE_ROWS, USED

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from claude_usage_monitor.render.theme import RenderOptions


def view(number: int, size: tuple[int, int], options: RenderOptions = LIVE) -> list[str]:
    return [line.plain for line in use_view((USED,), number, NOW, size, options)]


def test_the_panel_at_every_size(snapshot: SnapshotAssertion) -> None:
    sizes = ((100, 40), (60, 40), (60, 26), (40, 40), (28, 40), (28, 24), (20, 20))
    assert snapshot == frames_of((USED,), sizes, LIVE)


def test_the_view_at_every_size(snapshot: SnapshotAssertion) -> None:
    drawn = []
    for number, size in enumerate(((100, 30), (60, 24), (40, 12), (28, 24), (28, 8), (20, 6))):
        drawn += [f"# {size[0]} x {size[1]}", *view(number, size), ""]
    drawn += ["# plain", *view(0, (40, 20), PLAIN)]
    assert snapshot == "\n".join(line.rstrip() for line in drawn) + "\n"


@pytest.mark.parametrize("width", [12, 20, 28, 40, 60, 100, 120])
@pytest.mark.parametrize("height", [1, 4, 8, 24])
def test_the_view_fits(width: int, height: int) -> None:
    lines = view(0, (width, height))
    assert height >= len(lines)
    assert width >= max(map(len, lines))


@pytest.mark.parametrize("width", [28, 60, 100])
def test_the_rows_add_up_to_the_percent(width: int) -> None:
    lines = view(0, (width, 24))
    rows = [re.search(r"  ?(<1|\d+) ", line[2:]) for line in lines if "━" in line or "╌" in line]
    shown = [int(row[1]) for row in rows[: len(USE_ROWS) + 1] if row and row[1] != "<1"]
    assert 78 == sum(shown)


def test_the_limits_come_first() -> None:
    """The panel uses rows that are free: no limit loses a line to it."""
    for height in range(4, 40):
        without = frame_lines((NORMAL,), 60, height)
        lines = frame_lines((USED,), 60, height)
        assert [line for line in without if "resets" in line] == [
            line for line in lines if "resets" in line
        ]


def test_without_transcripts_there_is_no_panel() -> None:
    assert "What used" not in "\n".join(frame_lines((NORMAL,)))
    lines = [line.plain for line in use_view((NORMAL,), 0, NOW, (60, 20), LIVE)]
    assert lines[-1].startswith("╰─ w or Esc goes back ─")  # there is no other window
    assert "not known yet" in "\n".join(lines)


def test_progress_is_quiet() -> None:
    text = "\n".join(frame_lines((NORMAL._replace(use_progress=0.404),)))
    assert "reading transcripts 40 %" in text


def test_hidden_names() -> None:
    (status,) = hidden((USED,))
    text = "\n".join(frame_lines((status,)))
    assert "project 1" in text
    for name in ("atlas", "ada", "Ada", "Analytical"):
        assert name not in text


def test_left_is_about_limits_only() -> None:
    assert view(0, (60, 24)) == view(0, (60, 24), replace(LIVE, left=True))
