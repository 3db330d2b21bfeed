"""An organisation's panel: what the month cost, where it ends, its days, and whose it was.

Totals stand first and yield last: as a pane gets lower tables lose rows, then headings, then the
chart goes, then the projection; what stays is the month to date and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render import header
from claude_usage_monitor.render.chart import chart
from claude_usage_monitor.render.panels.spend_tables import (
    API_KEYS,
    CLAUDE_CODE,
    WORKSPACES,
    Row,
    Table,
    TableColumns,
    shown_money,
    tables,
)
from claude_usage_monitor.render.panels.spend_totals import totals
from claude_usage_monitor.render.theme import FAINT, RenderOptions, styled
from claude_usage_monitor.usage.durations import month_names
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from typing import Protocol

    from claude_usage_monitor.usage.money.spend import Spend

    class Density(Protocol):
        """How much of everything the dashboard wants drawn."""

        @property
        def rows(self) -> int:
            """From 3, everything, to 0, a line or two without a frame."""

        @property
        def blanks(self) -> bool:
            """Whether there is room for blank rows."""

        @property
        def problem(self) -> int:
            """2: a problem with its hint, 1: its message, 0: two words."""


DETAILED_FROM = 46  # panel widths: a fact beside its label, and more than one to a line
FRAME_FROM = 24
_CAPTION = 22  # cells beside the chart
_PAIRS_FROM = 88  # cells inside the frame: two tables side by side

READING = "Reading…"


class _Plan(NamedTuple):
    """How much is drawn: rows of the chart, and of each table at the least (``None``: all)."""

    blanks: bool
    chart: int
    least: int | None
    headings: bool = True
    dropped: frozenset[str] = frozenset()  # tables
    problem: int = 2
    totals: int = 4  # lines of them
    frame: bool = True


_WHOLE = _Plan(blanks=True, chart=3, least=None)
_PLANS = (
    _WHOLE,
    _Plan(blanks=True, chart=3, least=3),
    _Plan(blanks=True, chart=1, least=2),
    _Plan(blanks=True, chart=1, least=2, dropped=frozenset((API_KEYS,))),
    _Plan(blanks=True, chart=1, least=4, headings=False),
    _Plan(blanks=False, chart=1, least=2, headings=False),
    _Plan(blanks=False, chart=1, least=0),
    _Plan(blanks=False, chart=0, least=0),
    _Plan(blanks=False, chart=0, least=0, problem=1),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=3),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=2),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=1),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=1, frame=False),
    _Plan(blanks=False, chart=0, least=0, problem=0, totals=1, frame=False),
)
_NARROW = (
    _Plan(blanks=False, chart=0, least=None, headings=False, problem=1, frame=False),
    _Plan(blanks=False, chart=0, least=0, problem=1, frame=False),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=3, frame=False),
    _Plan(blanks=False, chart=0, least=0, problem=1, totals=2, frame=False),
    *_PLANS[-2:],
)


@dataclass(frozen=True, slots=True)
class SpendPanel:
    """One organisation's part of the frame: what it depends on, drawn as much as fits."""

    status: AccountStatus
    now: datetime
    width: int
    options: RenderOptions
    last: bool = True  # of several accounts, the one that tells of the help

    def drawn_within(self, height: int | None) -> list[Text]:
        """Draw as much as fits, the tables with as many rows as are left."""
        plans = _PLANS if self.width >= FRAME_FROM else _NARROW
        if height is None:
            return self._drawn(plans[0], None)
        for plan in plans:
            allotted = [self._least(plan, unit) for unit in self._units(plan)]
            lines = self._drawn(plan, allotted)
            if len(lines) <= height:
                return self._grown(plan, allotted, lines, height)
        return self._drawn(plans[-1], [])[:height]

    def drawn(self, density: Density) -> list[Text]:
        """Draw at one of the dashboard's densities."""
        if density.rows == 0 or self.width < FRAME_FROM:
            plan = _PLANS[-2]._replace(problem=density.problem)
        elif density.rows >= 3:
            plan = _WHOLE if density.blanks else _PLANS[1]._replace(blanks=False)
        else:
            plan = _PLANS[5] if density.rows == 2 else _PLANS[7]
            plan = plan._replace(problem=density.problem)
        return self._drawn(plan, [self._least(plan, unit) for unit in self._units(plan)])

    def least(self, density: Density) -> int:
        """Return how many lines a density takes."""
        return len(self.drawn(density))

    # --- how much ------------------------------------------------------------------------------

    @staticmethod
    def _least(plan: _Plan, unit: Sequence[Table]) -> int:
        rows = _rows(unit)
        return rows if plan.least is None else min(plan.least, rows)

    def _grown(
        self, plan: _Plan, allotted: list[int], lines: list[Text], height: int
    ) -> list[Text]:
        """Give the tables, one after another, the rows that are left."""
        units = self._units(plan)
        left = height - len(lines)
        while left > 0 and plan.least:
            wanting = [
                n for n, unit in enumerate(units) if allotted[n] < max(len(t.rows) for t in unit)
            ]
            if not wanting:
                break
            for number in wanting[:left]:
                allotted[number] += 1
            left -= len(wanting[:left])
        return self._drawn(plan, allotted)

    def _units(self, plan: _Plan) -> list[tuple[Table, ...]]:
        """Return the tables, those together that stand side by side."""
        spend = self.status.spend
        if spend is None or plan.least == 0:
            return []
        found = [t for t in tables(spend, self.options) if t.heading not in plan.dropped]
        if not plan.headings:
            flat = _flat(found, "You" if self.width >= DETAILED_FROM else "You, est.")
            return [(flat,)] if flat.rows else []
        if self._inner >= _PAIRS_FROM and [t.heading for t in found[:2]] == [
            "Workspaces",
            "Models",
        ]:
            return [(found[0], found[1]), *((table,) for table in found[2:])]
        return [(table,) for table in found]

    # --- drawing -------------------------------------------------------------------------------

    @property
    def _inner(self) -> int:
        return self.width - 4

    def _drawn(self, plan: _Plan, allotted: list[int] | None) -> list[Text]:
        room = self._inner if plan.frame else self.width
        body: list[Text] = []
        for block in self._blocks(plan, allotted, room):
            if block and body and plan.blanks:
                body.append(Text())
            body += self._dimmed(block)
        for block in (self._trouble(plan, room), self._notes(plan, room)):
            if block and body and plan.blanks:
                body.append(Text())
            body += block
        if not plan.frame:
            age = header.freshness(self.status, self.now, self.options)[-1]
            return (
                [*body, styled(self.options.fit(age, self.width), FAINT)] if plan.problem else body
            )
        if plan.blanks:
            body = [Text(), *body, Text()]
        top, bottom = self._dimmed([self._top(), self._bottom()])
        return header.framed(body, (top, bottom), self.width, self.options)

    def _dimmed(self, lines: Iterable[Text]) -> list[Text]:
        """Dim figures that are held over; what is wrong with them stays bright."""
        found = list(lines)
        if self.status.stale(self.now):
            for line in found:
                line.stylize(FAINT)
        return found

    def _top(self) -> Text:
        wide = self.width >= DETAILED_FROM
        return header.edge(
            self._title(), "Admin API" if wide else "", self.width, self.options, top=True
        )

    def _title(self) -> str:
        name = header.name(self.status, self.options)
        if self.status.spend is None:
            return name
        months = month_names(self.status.spend.period_start)
        variants = [self.options.text(f"{name} · {month}") for month in months]
        return next((v for v in variants if cell_len(v) <= self.width - 6), name)

    def _bottom(self) -> Text:
        variants = header.freshness(self.status, self.now, self.options)
        fitting = next((v for v in variants if cell_len(v) <= self.width - 6), variants[-1])
        helping = self.options.live and self.width >= DETAILED_FROM and self.last
        help_key = "? help" if helping else ""
        return header.edge(fitting, help_key, self.width, self.options, top=False)

    def _trouble(self, plan: _Plan, room: int) -> list[Text]:
        return header.problem_lines(self.status, self.now, room, self.options, detail=plan.problem)

    def _notes(self, plan: _Plan, room: int) -> list[Text]:
        if plan.problem < 2:
            return []
        notes = header.notices(self.status)
        return [line for note in notes for line in header.wrapped(note, room, self.options, FAINT)]

    def _blocks(self, plan: _Plan, allotted: list[int] | None, room: int) -> Iterable[list[Text]]:
        spend = self.status.spend
        if spend is None:
            reading = styled(self.options.fit(self.options.text(READING), room), FAINT)
            yield [reading] if self.status.problem is None else []
            return
        indent = 2 if room + 4 >= DETAILED_FROM else 0
        yield self._totals(spend, plan, room, indent)
        if plan.chart and spend.daily:
            yield self._chart(spend, plan.chart, room, indent)
        units = self._units(plan)
        if not units:
            return
        columns = TableColumns.of([t for unit in units for t in unit], room - indent, self.options)
        for number, unit in enumerate(units):
            whole = allotted is None or plan.least is None
            cut = unit if whole or allotted is None else [t.cut(allotted[number]) for t in unit]
            lines = columns.lines(cut, heading=plan.headings)
            yield [_indented(line, indent) for line in lines]

    def _totals(self, spend: Spend, plan: _Plan, room: int, indent: int) -> list[Text]:
        now = self.status.api_time(self.now)
        lines = totals(spend, now, room - indent, self.options, aside=indent > 0)
        return [_indented(line, indent) for line in lines[: plan.totals]]

    def _chart(self, spend: Spend, rows: int, room: int, indent: int) -> list[Text]:
        days, room = spend.period_end.day, room - indent
        beside = room - _CAPTION if room - _CAPTION >= days else room
        lines = chart([day.amount for day in spend.daily], days, beside, rows, self.options)
        known = [day.amount for day in spend.daily if day.amount is not None]
        captions = [(0, "highest", max(known))] if known and rows > 1 else []
        captions += [(-1, "today", known[-1])] if known == [d.amount for d in spend.daily] else []
        for row, name, amount in captions if beside < room else ():
            words = f"  {name} {shown_money(amount, spend.currency, self.options)}"
            lines[row].append(words, style=FAINT)
        return [_indented(line, indent) for line in lines]


def _rows(unit: Sequence[Table]) -> int:
    return max(len(table.rows) for table in unit)


def _flat(found: Sequence[Table], you: str) -> Table:
    """Return the rows that matter most as one table without a heading: you, then workspaces."""
    by_heading = {table.heading: table for table in found}
    rows: list[Row] = []
    claude_code = by_heading.get(CLAUDE_CODE)
    if claude_code is not None and claude_code.rows and claude_code.rows[0].strong:
        detail = ("estimate, an hour late", "estimate")
        rows.append(replace(claude_code.rows[0], name=you, detail=detail))
    if WORKSPACES in by_heading:
        rows += by_heading[WORKSPACES].rows
    return Table("", tuple(rows))


def _indented(line: Text, indent: int) -> Text:
    return Text(" " * indent) + line if indent else line
