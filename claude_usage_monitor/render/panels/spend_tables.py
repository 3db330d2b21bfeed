"""The tables of an organisation's panel: whose spend it is, in as many rows as there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render.header import wrapped
from claude_usage_monitor.render.theme import ASCII, FAINT, SPENT, STRONG, RenderOptions, styled
from claude_usage_monitor.usage.limits.windows import percent_text
from claude_usage_monitor.usage.money.money import compact, money

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.usage.money.spend import KeyTokens, NamedAmount, Spend, UserSpend

UNKNOWN = "unknown"
UNPRICED = "unpriced"
WORKSPACES, MODELS, API_KEYS = "Workspaces", "Models", "API keys"
CLAUDE_CODE = "Claude Code, est."
ESTIMATE = "Estimate of API-billed use only, an hour late."
NO_CLAUDE_CODE = "No API-billed Claude Code use; subscription seats are not in this API."

_LONGEST_NAME = 28
_LEAST_NAME = 17  # a heading's, and a model's
_LEAST_BESIDE = 8
_LONGEST_BAR = 30
_GAP = 4  # cells between two tables side by side


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row: a name, its figure, and what else there is to say of it, richest first.

    ``short_name`` is used where the name would be cut.
    """

    name: str
    figure: str
    share: float | None = None  # of the table's total, in percent
    detail: tuple[str, ...] = ()
    strong: bool = False
    short_name: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A heading and its rows. ``figure`` and a note stand beside the heading.

    ``remark`` stands beneath a table that is whole, unless the richest note tells as much.
    """

    heading: str
    rows: tuple[Row, ...]
    figure: str = ""
    notes: tuple[str, ...] = ()
    short_heading: str = ""
    remark: str = ""

    def cut(self, count: int) -> Table:
        """Return the table with its first rows, and how many of how many in its note."""
        if not self.rows:
            return self
        if count >= len(self.rows):
            return replace(self, remark="")
        told = f"{count} of {len(self.rows)}"
        notes = (*(f"{told} · {note}" for note in self.notes), told)
        return replace(self, rows=self.rows[:count], notes=notes, remark="")


def tables(spend: Spend, options: RenderOptions) -> tuple[Table, ...]:
    """Return the tables of all reports that were read, in the order they are shown."""
    found = []
    if spend.by_workspace:
        found.append(Table(WORKSPACES, _priced(spend.by_workspace, spend, options)))
    if spend.by_model:
        found.append(Table(MODELS, _priced(spend.by_model, spend, options)))
    if spend.claude_code is not None:
        found.append(_claude_code(spend, options))
    if spend.by_api_key:
        found.append(Table(API_KEYS, _keys(spend.by_api_key, options), "tokens"))
    return tuple(found)


def shown_money(amount: Decimal | None, currency: str | None, options: RenderOptions) -> str:
    """Return an amount, or that it is not known."""
    if amount is None:
        return UNPRICED
    return money(amount, currency, ascii_only=options.glyphs is ASCII)


def _priced(rows: Iterable[NamedAmount], spend: Spend, options: RenderOptions) -> tuple[Row, ...]:
    whole = spend.month_to_date
    return tuple(
        Row(
            options.text(row.name or UNKNOWN),
            shown_money(row.amount, spend.currency, options),
            float(row.amount / whole * 100) if row.amount is not None and whole else None,
            short_name=options.text((row.name or UNKNOWN).removeprefix("claude-")),
        )
        for row in rows
    )


def _claude_code(spend: Spend, options: RenderOptions) -> Table:
    report = spend.claude_code
    assert report is not None  # noqa: S101 - its caller looked
    rows = [_user(row, spend, options) for row in report.by_user]
    if report.you is not None:
        mine = next(n for n, row in enumerate(report.by_user) if row.email == report.you.email)
        rows.insert(0, replace(rows.pop(mine), name="You", strong=True))
    figure = shown_money(report.month_to_date, spend.currency, options) if rows else ""
    figure = options.glyphs.ellipsis if report.missing_days else figure
    notes = ["estimate, API-billed only, an hour late", "an hour late"]
    if report.missing_days:
        notes = [f"{report.missing_days} days not read yet", "not all read"]
    elif report.unpriced and rows:
        some = f"{report.unpriced} unpriced"
        notes = [*(f"{some}, {note}" for note in notes), some]
    elif not rows:
        notes = []
    remark = ESTIMATE if rows or report.missing_days else NO_CLAUDE_CODE
    return Table(CLAUDE_CODE, tuple(rows), figure, tuple(notes), "Users, est.", remark)


def _user(row: UserSpend, spend: Spend, options: RenderOptions) -> Row:
    tokens = _sum(row[3:7])
    parts = [
        f"{_count(tokens)} tokens",
        f"{_count(row.sessions)} sessions",
        f"+{_count(row.lines_added)} -{_count(row.lines_removed)} lines",
        f"{_count(row.commits)} commits",
        f"{_count(row.pull_requests)} PRs",
    ]
    return Row(
        options.text(row.name or UNKNOWN),
        shown_money(row.amount, spend.currency, options),
        detail=tuple(options.text(" · ".join(parts[:most])) for most in range(len(parts), 0, -1)),
    )


def _keys(rows: Iterable[KeyTokens], options: RenderOptions) -> tuple[Row, ...]:
    found = []
    for row in rows:
        cached = _sum(row[3:])
        parts = [f"{_count(row.input_tokens)} in", f"{_count(row.output_tokens)} out"]
        whole = options.text(" · ".join([*parts, f"{_count(cached)} cached"]))
        detail = (whole, options.text(" · ".join(parts)))
        found.append(Row(options.text(row.name or UNKNOWN), _count(_sum(row[1:])), detail=detail))
    return tuple(found)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _count(count: int | None) -> str:
    return "?" if count is None else compact(count)


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The widths that all tables of a panel share, so that figures stand one under another."""

    width: int
    name: int
    figure: int
    options: RenderOptions

    @classmethod
    def of(cls, found: Sequence[Table], width: int, options: RenderOptions) -> TableColumns:
        """Return the columns for these tables in ``width`` cells."""
        rows = [row for table in found for row in table.rows]
        figures = [row.figure for row in rows] + [table.figure for table in found]
        names = [row.name for row in rows] + [table.heading for table in found]
        figure = max(map(cell_len, figures), default=0)
        longest = max(map(cell_len, names), default=0)
        most = min(_LONGEST_NAME, max(_LEAST_NAME, width // 3))
        name = max(1, min(longest, most, width - figure - 2))
        return cls(width, name, figure, options)

    @property
    def _beside_room(self) -> int:
        """How many cells are left beside the figures; too few for anything, and they stand last."""
        room = self.width - self.name - self.figure - 4
        return room if room >= _LEAST_BESIDE else 0

    def lines(self, found: Sequence[Table], *, heading: bool) -> list[Text]:
        """Draw a table, or two side by side, each line exactly as wide as the columns."""
        if len(found) == 1:
            return self._table(found[0], heading=heading)
        half = (self.width - _GAP) // 2
        columns = TableColumns.of(found, half, self.options)
        left, right = (columns.lines((table,), heading=heading) for table in found)
        lines = []
        for number in range(max(len(left), len(right))):
            line = left[number] if number < len(left) else Text(" " * half)
            line.append(" " * _GAP)
            lines.append(line + right[number] if number < len(right) else line)
        return lines

    def _table(self, table: Table, *, heading: bool) -> list[Text]:
        highest = max((row.share or 0.0 for row in table.rows), default=0.0)
        lines = [self._line(row, highest) for row in table.rows]
        if heading:
            short = table.short_heading or table.heading
            row = Row(table.heading, table.figure, None, table.notes, strong=True)
            if not self._beside_room:
                row = replace(row, name=short)
            lines.insert(0, self._line(row, highest))
        told = bool(table.notes) and cell_len(table.notes[0]) <= self._beside_room
        return lines if told else lines + wrapped(table.remark, self.width, self.options, FAINT)

    def _line(self, row: Row, highest: float) -> Text:
        style, room = STRONG if row.strong else "", self._beside_room
        width = self.name if room else self.width - cell_len(row.figure) - 1
        name = row.name if cell_len(row.name) <= width else row.short_name or row.name
        line = styled(self.options.fit(name, width), style)
        figure = row.figure.rjust(self.figure) if room else row.figure
        at = self.name + 2 if room else self.width - cell_len(figure)
        line.append(" " * (at - line.cell_len))
        line.append(figure, style=style)
        if room:
            line.append("  ")
            line.append_text(self._beside(row, room, highest))
        line.truncate(self.width, overflow="crop", pad=True)
        return line

    def _beside(self, row: Row, room: int, highest: float) -> Text:
        if row.share is None:
            words = next((words for words in row.detail if cell_len(words) <= room), "")
            return styled(self.options.text(words), FAINT)
        beside = styled(f"{percent_text(row.share)} %".rjust(5), FAINT)
        cells = min(max(room - 7, 0), _LONGEST_BAR)
        filled = round(row.share / highest * cells) if highest > 0 else 0
        return beside.append("  ").append(self.options.glyphs.filled * filled, style=SPENT)
