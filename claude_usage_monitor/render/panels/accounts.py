"""Several accounts in a pane too low for a panel each: blocks that share a frame, or one line each.

The order stays; what does not fit is left out, the least constrained first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render import header
from claude_usage_monitor.render.header import DETAILED_FROM, FRAME_FROM
from claude_usage_monitor.render.meters import Meter, meters, spend_meters
from claude_usage_monitor.render.panels.limits import (
    Columns,
    first_fitting,
    has_room_for_bar,
    one_line,
    one_line_bar,
    tiny,
)
from claude_usage_monitor.render.panels.throttling import with_target
from claude_usage_monitor.render.theme import FAINT, STRONG, RenderOptions, styled
from claude_usage_monitor.usage.status import AccountStatus

ACTIVE = "@"  # before a name that has no room for the word
BARS_FROM = 30
_BRIEF = 7  # cells for a countdown beside a bar
_CELL_BRIEF = 7  # cells for a compact countdown and the blank before it
_LONGEST_LABEL = 6
_NAME = 10  # cells for names before any window is left out for them
_HEADED = 5  # cells of a name above its block that a problem leaves
_MARK_FROM = 24  # inner widths that have cells for ``ACTIVE``
_WORDS = 10  # cells of a problem's words that even a narrow pane leaves
_GAP = 2  # cells between a line's parts


class Member(NamedTuple):
    """One of several accounts: its status, its rows, and whether to mark it as the active one."""

    status: AccountStatus
    rows: tuple[Meter, ...]
    active: bool = False


def rows_of(status: AccountStatus, now: datetime, options: RenderOptions) -> tuple[Meter, ...]:
    """Return an account's rows of figures."""
    if status.spend is not None:
        return spend_meters(status.spend, status.api_time(now), options)
    if status.usage is None:
        return ()
    rows = meters(status.usage, status.api_time(now), options)
    return with_target(rows, status.throttling, now)


def columns_for(rows: Sequence[Meter], width: int, options: RenderOptions) -> Columns:
    """Return the columns that these rows share in a panel so wide."""
    if width < FRAME_FROM:
        return Columns.of(rows, width, options, short=True, unit="%")
    columns = Columns.of(rows, width - 4, options, short=width < BARS_FROM)
    if columns.cuts_labels and width < DETAILED_FROM and not columns.short:
        return Columns.of(rows, width - 4, options, short=True)
    return columns


def brief_row(row: Meter, columns: Columns, width: int) -> Text:
    """Draw a row on one line, as a panel so wide has room for it."""
    if width < FRAME_FROM:
        return tiny(row, columns)
    if width >= DETAILED_FROM and has_room_for_bar(columns, _BRIEF):
        return one_line_bar(row, columns, brief=_BRIEF)
    return one_line(row, columns)


def most_urgent(rows: Sequence[Meter], count: int) -> tuple[Meter, ...]:
    """Return the rows to keep when not all have room: the binding one first, then the fullest."""
    if len(rows) <= count:
        return tuple(rows)
    ranked = sorted(rows, key=lambda row: (not row.binding, -(row.utilization or 0.0)))
    kept = {id(row) for row in ranked[:count]}
    return tuple(row for row in rows if id(row) in kept)


def most_pressing(
    statuses: Sequence[AccountStatus], now: datetime, count: int
) -> tuple[AccountStatus, ...]:
    """Return the accounts to keep when not all have a line, in their order.

    The active one first, then those with a problem, then those that have used most.
    """

    def rank(at: int) -> tuple[bool, bool, float]:
        status = statuses[at]
        windows = status.usage.at(status.api_time(now)).windows if status.usage else ()
        fullest = max((window.utilization or 0.0 for window in windows), default=0.0)
        return not status.account.active, status.problem is None, -fullest

    kept = sorted(sorted(range(len(statuses)), key=rank)[:count])
    return tuple(statuses[at] for at in kept)


@dataclass(frozen=True, slots=True)
class Stack:
    """Accounts that share one pane."""

    members: tuple[Member, ...]
    now: datetime
    width: int
    options: RenderOptions

    @property
    def _framing(self) -> bool:
        return self.width >= FRAME_FROM

    def blocks(self, columns: Columns, height: int) -> list[Text] | None:
        """Draw an account as a heading and its most urgent rows; ``None`` if not one each fits."""
        shares = self._shares(height - len(self.members) - self._framing)
        if shares is None:
            return None
        lines = []
        for at, (member, share) in enumerate(zip(self.members, shares, strict=True)):
            lines.append(self._heading(member, first=at == 0))
            kept = most_urgent(member.rows, share)
            rows = [brief_row(row, columns, self.width) for row in kept]
            if self._framing:
                rows = header.sided(rows, self.width, self.options)
            if member.status.stale(self.now):
                for row in rows:
                    row.stylize(FAINT)
            lines += rows
        return [*lines, self._footer(ages=False)] if self._framing else lines

    def _shares(self, rows: int) -> list[int] | None:
        """Share out rows evenly, what is left over from the first on."""
        wanted = [len(member.rows) for member in self.members]
        for each in range(max(wanted), 0, -1):
            spare = rows - sum(min(each, count) for count in wanted)
            if spare >= 0:
                break
        else:
            return [0] * len(wanted) if rows >= 0 and not any(wanted) else None
        shares = []
        for count in wanted:
            more = spare > 0 and count > each
            spare -= more
            shares.append(min(count, each + more))
        return shares

    def _heading(self, member: Member, *, first: bool) -> Text:
        status, options = member.status, self.options
        variants, style = header.aside(status, self.now, options, figures=bool(member.rows))
        called = min(cell_len(header.name(status, options)), _HEADED)
        most = self.width - called - (10 if self._framing else _GAP)
        short = options.fit(variants[-1], most)
        beside = first_fitting(variants, min(most, self.width // 2)) or short
        taken = cell_len(beside) + (4 if self._framing else -4)
        title = header.title(
            status, self.width - taken, options, several=True, active=member.active
        )
        strong = f"{STRONG} {FAINT}" if status.stale(self.now) else STRONG
        if self._framing:
            left, right = (title, strong), (beside, style)
            return header.heading(left, right, self.width, options, first=first)
        gap = " " * (self.width - cell_len(title) - cell_len(beside))
        return styled(title, strong).append(gap).append(beside, style=style)

    def lines(self, height: int, hidden: int = 0) -> list[Text]:
        """Draw an account a line, in one frame if that costs no account its line."""
        count = len(self.members)
        framing = self._framing and not hidden and count + 2 <= height
        inner = self.width - 4 if framing else self.width
        tail = self._last_line(hidden, self.width if count < height else self.width // 3)
        if count == height and hidden and tail:
            inner -= tail.cell_len + _GAP
        asides = [self._beside(member) for member in self.members]
        table = _Table.of(self.members, asides, inner, self.options)
        body = [table.line(*known) for known in zip(self.members, asides, strict=True)]
        if framing:
            top = header.edge(f"{count} accounts", "", self.width, self.options, top=True)
            return header.framed(body, (top, self._footer(ages=True)), self.width, self.options)
        if count < height and tail:
            body.append(tail)
        elif inner < self.width:
            body[0].append(" " * _GAP).append_text(tail)
        return body

    def _beside(self, member: Member) -> _Beside:
        """Return what an account's line says beside its figures: of fresh ones, nothing."""
        status, now = member.status, self.now
        stale = status.stale(now)
        if member.rows and not stale and status.problem is None:
            return _Beside(("",), "", stale=False)
        words, style = header.aside(status, now, self.options, figures=bool(member.rows))
        return _Beside(words, style, stale)

    def _footer(self, *, ages: bool) -> Text:
        statuses = [member.status for member in self.members]
        variants = header.common_freshness(statuses, self.now, self.options, ages=ages)
        words = first_fitting(variants, self.width - 6)
        help_key = "? help" if self.options.live and self.width >= DETAILED_FROM else ""
        return header.edge(words, help_key, self.width, self.options, top=False)

    def _last_line(self, hidden: int, room: int) -> Text:
        statuses = [member.status for member in self.members]
        variants = header.common_freshness(statuses, self.now, self.options, ages=True)
        if hidden:
            dot = self.options.text(" · ")
            more = f"+{hidden} more" + (f"{dot}Tab" if self.options.live else "")
            variants = (*(f"{more}{dot}{v}" for v in variants if v), more, f"+{hidden}")
        return styled(first_fitting(variants, room), FAINT)


class _Beside(NamedTuple):
    """What a line says beside its figures, richest first, and whether those are held over."""

    variants: tuple[str, ...]
    style: str
    stale: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of accounts that have a line each: a name, then cells of one window each."""

    width: int
    name: int
    forms: tuple[Columns, ...]  # a window with its countdown, without, and its percent alone
    slots: int
    marking: bool
    options: RenderOptions

    @classmethod
    def of(
        cls,
        members: Sequence[Member],
        asides: Sequence[_Beside],
        width: int,
        options: RenderOptions,
    ) -> _Table:
        """Return the columns in ``width`` cells: as many windows as leave names their least."""
        rows = [row for member in members for row in member.rows]
        columns = Columns.of(rows, 100, options, short=True, unit="%")
        label, percent = min(columns.label, _LONGEST_LABEL), columns.percent
        bare = label + percent + 2
        forms = tuple(
            replace(columns, label=label, width=cells)
            for cells in (bare + _CELL_BRIEF, bare, percent)
        )
        marking = width >= _MARK_FROM and any(member.active for member in members)
        longest = max(cell_len(header.name(member.status, options)) for member in members)
        room = width - (2 if marking else 0) - _GAP
        leasts = [min(longest, cells) for cells in (_NAME, 6, 3)]
        last = len(forms) - 1
        first = next((at for at in range(last) if room - leasts[at] >= forms[at].width), last)
        cell = forms[first].width + _GAP
        fitting = (room - leasts[first] + _GAP) // cell
        slots = min(fitting, max(len(member.rows) for member in members)) if first < last else 1
        words = max(cell_len(beside.variants[-1]) for beside in asides)
        words += forms[min(first + 1, last)].width + _GAP if words else 0
        name = max(
            min(leasts[first], room - percent),
            min(longest, 6, room - _WORDS),
            min(longest, room - max(slots * cell - _GAP, words)),
            1,
        )
        return cls(width, name, forms[first:], slots, marking, options)

    def line(self, member: Member, beside: _Beside) -> Text:
        """Draw an account: name, its most urgent windows, and what is wrong with it."""
        options = self.options
        called = options.fit(header.name(member.status, options), self.name)
        mark = (f"{ACTIVE} " if member.active else "  ") if self.marking else ""
        gap = " " * (self.name - cell_len(called) + _GAP)
        line = Text(mark).append(called, style=STRONG if member.active else "").append(gap)
        room = self.width - line.cell_len
        form, count, words = self._parts(beside.variants, room, len(member.rows))
        for row in most_urgent(member.rows, count):
            line.append_text(self._cell(row, form)).append(" " * _GAP)
        if beside.stale:
            line.stylize(FAINT)
        line.append(words, style=beside.style)
        line.truncate(self.width, overflow="crop", pad=True)
        return line

    def _parts(self, variants: Sequence[str], room: int, rows: int) -> tuple[int, int, str]:
        """Return the form of the cells, how many of them, and the words that leave them room."""
        for form, columns in enumerate(self.forms if rows else ()):
            for words in variants:
                spare = room - cell_len(words) + (0 if words else _GAP)
                count = min(spare // (columns.width + _GAP), self.slots, rows)
                if count > 0:
                    return form, count, words
        return 0, 0, self.options.fit(variants[-1], room)

    def _cell(self, row: Meter, form: int) -> Text:
        columns = self.forms[form]
        if columns.width > columns.percent:
            return tiny(row, columns)
        whole = tiny(row, replace(columns, width=columns.label + columns.percent + 2))
        return whole[-columns.percent :]
