"""The laws of a pane of any size, for the sampled and for the exhaustive test."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from claude_usage_monitor.render.dashboard import MAX_WIDTH, dashboard
from claude_usage_monitor.render.theme import ASCII, RenderOptions, theme_for
from tests.support.payloads import NOW
from tests.support.render import LIVE, PLAIN
from tests.support.statuses import EVERY_STATE, EXPIRED, NORMAL, RATE_LIMITED, THROTTLING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from claude_usage_monitor.usage.status import AccountStatus

WIDTHS, HEIGHTS = range(20, 201), range(1, 61)
LOOKS = {
    "color": replace(LIVE, theme=theme_for("dark")),
    "no color": replace(LIVE, color=False),
    "ascii": replace(LIVE, glyphs=ASCII),
    "plain": PLAIN,
}
STATUSES = {
    "normal": NORMAL,
    "every state": EVERY_STATE,
    "throttling": NORMAL._replace(throttling=THROTTLING),
    "rate limited": RATE_LIMITED,
    "expired": EXPIRED,
}
_PROBLEMS = {"rate limited": "wait", "expired": "expired"}
_FRAME = " │╭╮╰╯─|+-"


def check_pane(name: str, width: int, height: int, options: RenderOptions) -> None:
    """Check the laws for one account in one pane."""
    status = STATUSES[name]
    lines = dashboard((status,), NOW, width, height, options)
    assert all(line.cell_len <= min(width, MAX_WIDTH) for line in lines), "a line is too wide"
    assert 1 <= len(lines) <= height, "the frame is higher than the pane"
    text = "\n".join(line.plain for line in lines)
    binding = any(_binding_percent(status) in line.plain for line in lines)
    problem = _PROBLEMS.get(name, "") in text
    if height >= 3:
        assert binding, "the percent of the binding limit is missing"
        assert problem, "the problem is missing"
    assert binding or problem, "neither the binding limit nor the problem is shown"
    if len(lines) < height:
        whole = dashboard((status,), NOW, width, None, options)
        # A hint of some lines is shown as a whole or not at all.
        free = 0 if status.problem is None and status.throttling is None else _MAX_HINT_LINES
        missing = _content(whole) - _content(lines)
        assert missing <= 0 or height - len(lines) < min(missing, free), (
            f"{missing} lines are left out, although {height - len(lines)} rows are free"
        )


_MAX_HINT_LINES = 9


def _binding_percent(status: AccountStatus) -> str:
    assert status.usage is not None
    windows = status.usage.at(NOW).windows
    return str(round(next(w.utilization or 0 for w in windows if w.binding)))


def _content(lines: Sequence[Text]) -> int:
    """Return the number of lines that are more than borders and blanks."""
    return sum(bool(re.search(r"[^\s│╭╮╰╯─|+-]", line.plain)) for line in lines[1:-1])
