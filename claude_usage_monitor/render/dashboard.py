"""The whole dashboard: statuses and the time in, lines of text out, for a pane of any size.

A pane that has less room loses decoration before figures: blank rows go first, then the person,
the forecast, the bar's own row, hints, the frame; what stays is ``5h 78% 2h11m`` and the problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from rich.text import Text

from claude_usage_monitor.render import header
from claude_usage_monitor.render.meters import Meter, meters
from claude_usage_monitor.render.spend import SpendPanel
from claude_usage_monitor.render.theme import FAINT, Look, styled
from claude_usage_monitor.render.windows import (
    Columns,
    detailed,
    first_fitting,
    has_room_for_bar,
    one_line,
    one_line_bar,
    over_bar,
    tiny,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from claude_usage_monitor.usage.status import AccountStatus

MAX_WIDTH = 100
_DETAILED_FROM = 46  # panel widths: bar, percent and a sentence beneath fit
_BARS_FROM = 30
_FRAME_FROM = 24
_BRIEF = 7  # cells for a countdown beside a bar

EMPTY = "This account reports no limits."
READING = "Reading…"


@dataclass(frozen=True, slots=True)
class _Density:
    """How much of everything is drawn."""

    rows: int  # 3: with forecast, 2: with detail or bar, 1: one line, 0: tiny, without a frame
    blanks: bool = False
    person: bool = False
    problem: int = 2  # 2: with its hint, 1: message, 0: two words


_DENSITIES = (
    _Density(3, blanks=True, person=True),
    _Density(3, person=True),
    _Density(3),
    _Density(2),
    _Density(1),
    _Density(1, problem=1),
    _Density(0, problem=1),
    _Density(0, problem=0),
)


def dashboard(
    statuses: Sequence[AccountStatus],
    now: datetime,
    width: int,
    height: int | None,
    look: Look,
) -> list[Text]:
    """Return the lines to show: none wider than ``width``, no more than ``height`` of them.

    ``height`` ``None`` means as many as it takes.
    """
    width = max(1, min(width, MAX_WIDTH))
    share = None if height is None else max(1, height // max(1, len(statuses)))
    lines = list(chain.from_iterable(_panel(s, now, width, share, look) for s in statuses))
    return lines[:height]


def _panel(
    status: AccountStatus, now: datetime, width: int, height: int | None, look: Look
) -> list[Text]:
    if status.account.kind == "console":
        return SpendPanel(status, now, width, look).drawn_within(height)
    rows = meters(status.usage, status.true_time(now), look) if status.usage else ()
    return _Panel(status, rows, now, width, look).drawn_within(height)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One account's part of the frame: what it depends on, drawn at the density that fits."""

    status: AccountStatus
    rows: tuple[Meter, ...]
    now: datetime
    width: int
    look: Look

    def drawn_within(self, height: int | None) -> list[Text]:
        """Draw as much as fits; at the least the problem and the most urgent rows."""
        densities = [d for d in _DENSITIES if self.width >= _FRAME_FROM or d.rows == 0]
        for density in densities:
            lines = self.drawn(density)
            if height is None or len(lines) <= height:
                return lines
        room = max(1, (height or 1) - (1 if self.status.problem else 0))
        fewer = replace(self, rows=_most_urgent(self.rows, room))
        return fewer.drawn(densities[-1])[:height]

    def drawn(self, density: _Density) -> list[Text]:
        if density.rows == 0:
            return self._bare(density)
        body = self._dimmed(self._body(density))
        for block in (self._trouble(density), self._notes() if density.problem == 2 else []):
            if block and density.blanks and body and body[-1].plain.strip():
                body.append(Text())
            body += block
        if density.blanks:
            body = [Text(), *body, *([Text()] if body[-1].plain.strip() else [])]
        top, bottom = self._dimmed([self._top(), self._bottom()])
        return header.framed(body, (top, bottom), self.width, self.look)

    def _dimmed(self, lines: Iterable[Text]) -> list[Text]:
        """Dim figures that are held over; what is wrong with them stays bright."""
        found = list(lines)
        if self.status.stale(self.now):
            for line in found:
                line.stylize(FAINT)
        return found

    @property
    def _inner(self) -> int:
        return self.width - 4

    def _top(self) -> Text:
        name = header.title(self.status, self.width, self.look)
        mail = header.email(self.status, self.look) if self.width >= _DETAILED_FROM else ""
        return header.edge(name, mail, self.width, self.look, top=True)

    def _bottom(self) -> Text:
        variants = header.freshness(self.status, self.now, self.look)
        fitting = first_fitting(variants, self.width - 6) or variants[-1]
        help_key = "? help" if self.look.live and self.width >= _DETAILED_FROM else ""
        return header.edge(fitting, help_key, self.width, self.look, top=False)

    def _trouble(self, density: _Density) -> list[Text]:
        room = self.width if density.rows == 0 else self._inner
        return header.problem_lines(self.status, self.now, room, self.look, detail=density.problem)

    def _notes(self) -> list[Text]:
        notes = header.notices(self.status)
        return [line for n in notes for line in header.wrapped(n, self._inner, self.look, FAINT)]

    def _body(self, density: _Density) -> Iterator[Text]:
        person = header.person(self.status, self.look)
        if density.person and person and self.width >= _DETAILED_FROM:
            yield Text("  ").append(self.look.fit(person, self._inner - 2), style=FAINT)
            if density.blanks:
                yield Text()
        if not self.rows:
            yield from self._instead_of_rows(self._inner)
        for index, row in enumerate(self.rows):
            if index and density.blanks and self.width >= _DETAILED_FROM:
                yield Text()
            yield from self._row(row, density)

    def _instead_of_rows(self, room: int) -> list[Text]:
        if self.status.usage is not None:
            return [Text(self.look.fit(EMPTY, room))]
        if self.status.problem is None:
            return [styled(self.look.fit(READING, room), FAINT)]
        return []

    def _row(self, row: Meter, density: _Density) -> list[Text]:
        if self.width < _BARS_FROM:
            return [one_line(row, Columns.of(self.rows, self._inner, self.look, short=True))]
        columns = Columns.of(self.rows, self._inner, self.look)
        if columns.cuts_labels and self.width < _DETAILED_FROM:
            columns = Columns.of(self.rows, self._inner, self.look, short=True)
        if self.width < _DETAILED_FROM:
            return over_bar(row, columns) if density.rows >= 2 else [one_line(row, columns)]
        if density.rows >= 2:
            return detailed(row, columns, forecast=density.rows == 3)
        if has_room_for_bar(columns, _BRIEF):
            return [one_line_bar(row, columns, brief=_BRIEF)]
        return [one_line(row, columns)]

    def _bare(self, density: _Density) -> list[Text]:
        """Draw without a frame: figures, the problem, and the age where that is not all."""
        columns = Columns.of(self.rows, self.width, self.look, short=True, unit="%")
        rows = [tiny(row, columns) for row in self.rows] or self._instead_of_rows(self.width)
        lines = self._dimmed(rows)
        lines += self._trouble(density)
        if density.problem:
            age = header.freshness(self.status, self.now, self.look)[-1]
            lines.append(styled(self.look.fit(age, self.width), FAINT))
        return lines


def _most_urgent(rows: Sequence[Meter], count: int) -> tuple[Meter, ...]:
    """Return the rows to keep when not all have room: the binding one first, then the fullest."""
    ranked = sorted(rows, key=lambda row: (not row.binding, -(row.utilization or 0.0)))
    kept = {id(row) for row in ranked[:count]}
    return tuple(row for row in rows if id(row) in kept)
