"""The whole dashboard: statuses and the time in, lines of text out, for a pane of any size.

A pane that has less room loses decoration before figures: blank rows go first, then the person,
the forecast, the bar's own row, hints, the frame; what stays is ``5h 78% 2h11m`` and the problem.
Several accounts step down together; where panels do not fit, `stack` takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from math import inf

from rich.text import Text

from claude_usage_monitor.render import header
from claude_usage_monitor.render.header import DETAILED_FROM, FRAME_FROM, READING
from claude_usage_monitor.render.meters import Meter
from claude_usage_monitor.render.panels.accounts import (
    BARS_FROM,
    Member,
    Stack,
    brief_row,
    columns_for,
    most_pressing,
    most_urgent,
    rows_of,
)
from claude_usage_monitor.render.panels.limits import (
    Columns,
    detailed,
    first_fitting,
    over_bar,
    tiny,
)
from claude_usage_monitor.render.panels.spend import SpendPanel
from claude_usage_monitor.render.panels.throttling import section
from claude_usage_monitor.render.theme import FAINT, STRONG, RenderOptions, styled
from claude_usage_monitor.usage.status import AccountStatus

MAX_WIDTH = 100

EMPTY = "This account reports no limits."


@dataclass(frozen=True, slots=True)
class _Density:
    """How much of everything is drawn."""

    rows: int  # 3: with forecast, 2: with detail or bar, 1: one line, 0: tiny, without a frame
    blanks: bool = False
    person: bool = False
    problem: int = 2  # 2: with its hint, 1: message, 0: two words
    section: int = 0  # Claude Pace Maker's. 2: all of it, 1: its gist on a line


_DENSITIES = (
    _Density(3, blanks=True, person=True, section=2),
    _Density(3, blanks=True, person=True, section=1),
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
    options: RenderOptions,
) -> list[Text]:
    """Return the lines to show: none wider than ``width``, no more than ``height`` of them.

    ``height`` ``None`` means as many as it takes.
    """
    width = max(1, min(width, MAX_WIDTH))
    if len(statuses) > 1:
        return _several(statuses, now, width, height, options)[:height]
    return [line for s in statuses for line in _panel(s, now, width, height, options)][:height]


def _panel(
    status: AccountStatus, now: datetime, width: int, height: int | None, options: RenderOptions
) -> list[Text]:
    if status.account.kind == "console":
        return SpendPanel(status, now, width, options).drawn_within(height)
    rows = rows_of(status, now, options)
    columns = columns_for(rows, width, options)
    return _Panel(status, rows, now, width, options, columns).drawn_within(height)


def _several(
    statuses: Sequence[AccountStatus],
    now: datetime,
    width: int,
    height: int | None,
    options: RenderOptions,
) -> list[Text]:
    """Draw accounts in their order: panels, else blocks in one frame, else a line each."""
    logins = [status.account.active for status in statuses if status.account.kind == "code"]
    marking = len(logins) > 1 and not all(logins)  # an organisation beneath one is no choice
    shown = statuses
    if height is not None and len(statuses) > height:
        shown = most_pressing(statuses, now, max(1, height - 1))
    members = tuple(
        Member(s, rows_of(s, now, options), marking and s.account.active) for s in shown
    )
    stack = Stack(members, now, width, options)
    if height is not None and len(shown) < len(statuses):
        return stack.lines(height, hidden=len(statuses) - len(shown))
    columns = columns_for([row for member in members for row in member.rows], width, options)
    panels = [_panel_of(m, now, width, options, columns, last=m is members[-1]) for m in members]
    if height is None:
        return _panels(panels, inf) or []
    return _panels(panels, height) or stack.blocks(columns, height) or stack.lines(height)


def _panel_of(  # noqa: PLR0913 - what a panel depends on
    member: Member,
    now: datetime,
    width: int,
    options: RenderOptions,
    columns: Columns,
    *,
    last: bool,
) -> _Panel | SpendPanel:
    if member.status.account.kind == "console":
        return SpendPanel(member.status, now, width, options, last)
    panel = _Panel(member.status, member.rows, now, width, options, columns)
    return replace(panel, several=True, active=member.active, last=last)


def _panels(panels: Sequence[_Panel | SpendPanel], height: float) -> list[Text] | None:
    """Draw panels at the richest density at which all fit, the first a step richer if it can.

    No panel is drawn that is known not to be shown: ``None`` as soon as the height is exceeded.
    """
    richer: list[Text] = []  # the first panel, at the density before
    for density in _densities(panels[0].width, several=True):
        drawn: list[list[Text]] = []
        spare = height - sum(panel.least(density) for panel in panels)
        for panel in panels if spare >= 0 else ():
            drawn.append(panel.drawn(density))
            spare -= len(drawn[-1]) - panel.least(density)
            if spare < 0:
                break
        if spare >= 0:
            if richer and len(richer) - len(drawn[0]) <= spare:
                spare -= len(richer) - len(drawn[0])
                drawn[0] = richer
            for at, panel in enumerate(panels if spare < inf else ()):
                if isinstance(panel, SpendPanel):  # its tables take what rows there are
                    whole = panel.drawn_within(len(drawn[at]) + int(spare))
                    spare -= len(whole) - len(drawn[at])
                    drawn[at] = whole
            return list(chain.from_iterable(drawn))
        richer = drawn[0] if drawn else []
    return None


def _densities(width: int, *, several: bool) -> tuple[_Density, ...]:
    """Return the densities a panel of this width has, the richest first."""
    if width < FRAME_FROM:
        return tuple(density for density in _DENSITIES if density.rows == 0)
    if several:
        return tuple(density for density in _DENSITIES if density.rows)
    return _DENSITIES


@dataclass(frozen=True, slots=True)
class _Panel:
    """One account's part of the frame: what it depends on, drawn at the density that fits."""

    status: AccountStatus
    rows: tuple[Meter, ...]
    now: datetime
    width: int
    options: RenderOptions
    columns: Columns  # those of every panel on the screen
    several: bool = False
    active: bool = False  # and others are not
    last: bool = True  # the one that tells of the help

    def least(self, density: _Density) -> int:
        """Return a number of lines that this panel has at the least: a bound, not its height."""
        frame = 2 if density.rows else int(self.several)
        return frame + max(1, len(self.rows))

    def drawn_within(self, height: int | None) -> list[Text]:
        """Draw as much as fits; at the least the problem and the most urgent rows."""
        for density in _densities(self.width, several=self.several):
            if height is not None and self.least(density) > height:
                continue
            lines = self.drawn(density)
            if height is None or len(lines) <= height:
                return lines
        room = max(1, (height or 1) - (1 if self.status.problem else 0))
        fewer = replace(self, rows=most_urgent(self.rows, room))
        return fewer.drawn(_DENSITIES[-1])[:height]

    def drawn(self, density: _Density) -> list[Text]:
        if density.rows == 0:
            return self._bare(density)
        body = self._dimmed(self._body(density))
        notes = self._notes() if density.problem == 2 else []
        for block in (self._section(density), self._trouble(density), notes):
            if block and density.blanks and body and body[-1].plain.strip():
                body.append(Text())
            body += block
        if density.blanks:
            body = [Text(), *body, *([Text()] if body[-1].plain.strip() else [])]
        top, bottom = self._dimmed([self._top(), self._bottom()])
        return header.framed(body, (top, bottom), self.width, self.options)

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
        name = self._title(self.width)
        mail = header.email(self.status, self.options) if self.width >= DETAILED_FROM else ""
        return header.edge(name, mail, self.width, self.options, top=True)

    def _title(self, width: int) -> str:
        marks = {"several": self.several, "active": self.active}
        return header.title(self.status, width, self.options, **marks)

    def _bottom(self) -> Text:
        variants = header.freshness(self.status, self.now, self.options)
        fitting = first_fitting(variants, self.width - 6) or variants[-1]
        helping = self.options.live and self.width >= DETAILED_FROM and self.last
        help_key = "? help" if helping else ""
        return header.edge(fitting, help_key, self.width, self.options, top=False)

    def _trouble(self, density: _Density) -> list[Text]:
        room = self.width if density.rows == 0 else self._inner
        return header.problem_lines(
            self.status, self.now, room, self.options, detail=density.problem
        )

    def _section(self, density: _Density) -> list[Text]:
        if self.status.throttling is None or not density.section:
            return []
        return section(
            self.status.throttling,
            self.now,
            self.options,
            width=self._inner,
            indent=self.columns.indent if self.width >= DETAILED_FROM else 0,
            full=density.section == 2,
        )

    def _notes(self) -> list[Text]:
        notes = header.notices(self.status)
        return [line for n in notes for line in header.wrapped(n, self._inner, self.options, FAINT)]

    def _body(self, density: _Density) -> Iterator[Text]:
        person = header.person(self.status, self.options)
        if density.person and person and self.width >= DETAILED_FROM:
            yield Text("  ").append(self.options.fit(person, self._inner - 2), style=FAINT)
            if density.blanks:
                yield Text()
        if not self.rows:
            yield from self._instead_of_rows(self._inner)
        for index, row in enumerate(self.rows):
            if index and density.blanks and self.width >= DETAILED_FROM:
                yield Text()
            yield from self._row(row, density)

    def _instead_of_rows(self, room: int) -> list[Text]:
        if self.status.usage is not None:
            return [Text(self.options.fit(EMPTY, room))]
        if self.status.problem is None:
            return [styled(self.options.fit(READING, room), FAINT)]
        return []

    def _row(self, row: Meter, density: _Density) -> list[Text]:
        columns = self.columns
        if density.rows == 1 or self.width < BARS_FROM:
            return [brief_row(row, columns, self.width)]
        if self.width < DETAILED_FROM:
            return over_bar(row, columns)
        return detailed(row, columns, forecast=density.rows == 3)

    def _bare(self, density: _Density) -> list[Text]:
        """Draw without a frame: figures, the problem, and the age where that is not all."""
        columns = self.columns
        if not self.several:
            columns = Columns.of(self.rows, self.width, self.options, short=True, unit="%")
        rows = [tiny(row, columns) for row in self.rows] or self._instead_of_rows(self.width)
        named = [styled(self._title(self.width + 6), STRONG)] if self.several else []
        lines = self._dimmed([*named, *rows])
        lines += self._trouble(density)
        if density.problem:
            age = header.freshness(self.status, self.now, self.options)[-1]
            lines.append(styled(self.options.fit(age, self.width), FAINT))
        return lines
