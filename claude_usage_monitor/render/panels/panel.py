"""A panel: a section of an account's frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from rich.text import Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render.limits.lines import MIN_DETAILED_WIDTH, ScreenColumns
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.theme import FAINT, RenderOptions
from claude_usage_monitor.usage.status import AccountStatus


class PanelContext(NamedTuple):
    """The data that a panel draws. Every line is at most ``width`` cells wide.

    ``rows`` are the account's limits and ``columns`` their common layout. ``framed`` is whether
    a border surrounds the account, ``blanks`` whether blank rows separate its parts, and
    ``spare_rows`` the number of rows that a growing panel may use beyond those of its level.
    """

    status: AccountStatus
    now: datetime
    width: int
    options: RenderOptions
    rows: tuple[LimitRow, ...]
    columns: ScreenColumns
    framed: bool
    blanks: bool
    spare_rows: int = 0

    @property
    def detailed(self) -> bool:
        """Whether lines are wide enough for sentences and for a value beside its label."""
        return self.width >= MIN_DETAILED_WIDTH

    def dimmed_if_stale(self, lines: Iterable[Text]) -> list[Text]:
        """Dim figures that are old."""
        return dim(lines) if self.status.stale(self.now) else list(lines)


class Panel(NamedTuple):
    """A row in the table of panels.

    Panels give up rows in the order of ``priorities``, the lowest number first: a panel steps down
    a level at each of its numbers, from ``len(priorities)`` to 0. ``draw`` returns the lines of a
    level, none if the account has nothing to show. ``grows`` is whether it can use spare rows.
    """

    name: str
    draw: Callable[[PanelContext, int], list[Text]]
    priorities: tuple[int, ...]
    grows: bool = False

    def level(self, cutoff: int) -> int:
        """Return the level of the panel when priorities up to ``cutoff`` are dropped."""
        return sum(priority > cutoff for priority in self.priorities)


def dim(lines: Iterable[Text]) -> list[Text]:
    """Dim the lines, in place, and return them."""
    result = list(lines)
    for line in result:
        line.stylize(FAINT)
    return result
