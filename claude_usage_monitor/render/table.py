"""Tables: a name, a figure, and a bar or a note in each row, with common columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render.layout import fitting_text, set_width, wrap
from claude_usage_monitor.render.theme import STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.limits.windows import percent_text

_MAX_NAME = 28
_MIN_NAME = 17  # cells for a heading, or a model's name
_MIN_NOTE = 8  # cells to the right of the figures, else none are used
_MAX_BAR = 30
_PAIR_GAP = 4  # cells between two tables side by side


class Row(NamedTuple):
    """A table's row: a name, a figure, and a bar of its share or a note.

    ``share`` is in percent of the month. ``notes`` are candidates from the richest to the poorest.
    ``short_name`` is used where the name would be cut.
    """

    name: str
    figure: str
    share: float | None = None
    notes: tuple[str, ...] = ()
    strong: bool = False
    short_name: str = ""


class Table(NamedTuple):
    """A heading and rows. ``figure`` and a note are on the heading's line.

    ``remark`` follows a complete table, unless the richest note is shown.
    """

    heading: str
    rows: tuple[Row, ...]
    figure: str = ""
    notes: tuple[str, ...] = ()
    short_heading: str = ""
    remark: str = ""

    def cut(self, count: int) -> Table:
        """Return the table with its first rows, and a note on how many there are."""
        if not self.rows:
            return self
        if count >= len(self.rows):
            return self._replace(remark="")
        shown = f"{count} of {len(self.rows)}"
        notes = (*(f"{shown} · {note}" for note in self.notes), shown)
        return self._replace(rows=self.rows[:count], notes=notes, remark="")


class TableColumns(NamedTuple):
    """The column widths that tables share, so that their figures line up."""

    width: int
    name: int
    figure: int
    options: RenderOptions

    @classmethod
    def of(cls, tables: Sequence[Table], width: int, options: RenderOptions) -> TableColumns:
        """Return the columns for these tables in ``width`` cells."""
        rows = [row for table in tables for row in table.rows]
        figures = [row.figure for row in rows] + [table.figure for table in tables]
        names = [row.name for row in rows] + [table.heading for table in tables]
        figure = max(map(cell_len, figures), default=0)
        longest = max(map(cell_len, names), default=0)
        max_name = min(_MAX_NAME, max(_MIN_NAME, width // 3))
        name = max(1, min(longest, max_name, width - figure - 2))
        return cls(width, name, figure, options)

    @property
    def _note_width(self) -> int:
        """The number of cells to the right of the figures; if 0, figures are at the edge."""
        available = self.width - self.name - self.figure - 4
        return available if available >= _MIN_NOTE else 0

    def lines(self, block: Sequence[Table]) -> list[Text]:
        """Draw a table, or two side by side."""
        if len(block) == 1:
            return self._table(block[0])
        half = (self.width - _PAIR_GAP) // 2
        columns = TableColumns.of(block, half, self.options)
        pair = zip_longest(*(columns.lines((table,)) for table in block))
        empty = Text(" " * half)
        return [(left or empty) + Text(" " * _PAIR_GAP) + (right or Text()) for left, right in pair]

    def _table(self, table: Table) -> list[Text]:
        highest = max((row.share or 0.0 for row in table.rows), default=0.0)
        lines = [self._line(row, highest) for row in table.rows]
        if table.heading:
            name = table.heading if self._note_width else table.short_heading or table.heading
            heading = Row(name, table.figure, notes=table.notes, strong=True)
            lines.insert(0, self._line(heading, highest))
        if table.notes and cell_len(table.notes[0]) <= self._note_width:
            return lines
        return lines + wrap(table.remark, self.width, self.options, "")

    def _line(self, row: Row, highest: float) -> Text:
        style, note_width = STRONG if row.strong else "", self._note_width
        width = self.name if note_width else self.width - cell_len(row.figure) - 1
        name = row.name if cell_len(row.name) <= width else row.short_name or row.name
        line = styled_text(self.options.fit(name, width), style)
        figure = row.figure.rjust(self.figure) if note_width else row.figure
        start = self.name + 2 if note_width else self.width - cell_len(figure)
        line.append(" " * (start - line.cell_len))
        line.append(figure, style=style)
        if note_width:
            line.append("  ").append_text(self._note(row, note_width, highest))
        return set_width(line, self.width)

    def _note(self, row: Row, width: int, highest: float) -> Text:
        if row.share is None:
            return styled_text(self.options.text(fitting_text(row.notes, width)), "")
        note = styled_text(f"{percent_text(row.share)} %".rjust(5), "")
        cells = min(max(width - 7, 0), _MAX_BAR)
        filled = round(row.share / highest * cells) if highest > 0 else 0
        return note.append("  ").append(
            self.options.glyphs.filled * filled, style=self.options.theme.amount
        )
