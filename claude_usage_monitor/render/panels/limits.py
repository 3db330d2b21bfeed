"""The rows of a panel, at each density a pane has room for. Every line is exactly as wide as asked.

Three lines a row (bar, reset and pace, forecast), two (label over bar), or one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render.bar import bar
from claude_usage_monitor.render.theme import (
    FAINT,
    SEVERITY_SIGNS,
    SEVERITY_STYLES,
    STRONG,
    RenderOptions,
    styled,
)
from claude_usage_monitor.usage.limits.windows import severity_of

if TYPE_CHECKING:
    from claude_usage_monitor.render.meters import Meter

_LONGEST_LABEL = 14
_LEAST_BAR = 8
_LEAST_LABEL = 8
_BRIEF_ROOM = 7  # cells that a label leaves for a countdown or an amount
_TINY_ROOM = 6


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths that all rows of a panel share, so that figures stand one under another."""

    width: int
    label: int
    percent: int
    options: RenderOptions
    sign: int = 0  # cells after the percent, where a sign tells the severity
    short: bool = False  # labels in their short form, the marker beside the label
    unit: str = " %"
    cuts_labels: bool = False

    @classmethod
    def of(
        cls,
        rows: Sequence[Meter],
        width: int,
        options: RenderOptions,
        *,
        short: bool = False,
        unit: str = " %",
    ) -> Columns:
        """Return the columns for these rows in ``width`` cells."""
        labels = [row.short_label if short else row.label for row in rows]
        digits = max([3, *(len(row.percent) for row in rows)])  # a new digit moves nothing
        signs = [0, *(len(_sign(row)) for row in rows)]
        sign = 0 if options.color or not max(signs) else max(signs) + (unit != "%")
        percent = digits + len(unit) + sign
        room = width - percent - (2 if short else 4) - (_BRIEF_ROOM if unit != "%" else _TINY_ROOM)
        longest = max(map(cell_len, labels), default=0)
        label = max(1, min(longest, _LONGEST_LABEL, max(_LEAST_LABEL, width // 4), room))
        return cls(width, label, percent, options, sign, short, unit, longest > label)

    @property
    def indent(self) -> int:
        """The column at which bars and details begin."""
        return self.label + (2 if self.short else 4)


def detailed(row: Meter, columns: Columns, *, forecast: bool) -> list[Text]:
    """Draw a row as its bar, its reset and pace beneath, and on a third line its forecast."""
    room = columns.width - columns.indent
    lines = [one_line_bar(row, columns)]
    detail = first_fitting(row.detail, room)
    if detail:
        lines.append(_indented(detail, columns))
    foreseen = first_fitting(row.forecast, room) if forecast else ""
    if foreseen:
        lines.append(_indented(foreseen, columns, style="default"))
    return lines


def one_line_bar(row: Meter, columns: Columns, *, brief: int = 0) -> Text:
    """Draw a row as label, bar and percent on one line, and ``brief`` cells of its countdown."""
    width = columns.width - columns.indent - columns.percent - 2 - (brief + 2 if brief else 0)
    line = _label(row, columns)
    if row.unlimited:
        line.append(" " * max(0, width))
    else:
        line.append_text(bar(row.utilization, row.tick, max(0, width), columns.options, row.target))
    line.append("  ")
    line.append_text(_percent(row, columns))
    if brief:
        line.append("  " + first_fitting(row.brief, brief).rjust(brief), style=FAINT)
    return _exactly(line, columns.width)


def over_bar(row: Meter, columns: Columns) -> list[Text]:
    """Draw a row as label, countdown and percent, and its bar beneath."""
    beneath = Text("  ")
    beneath.append_text(
        bar(row.utilization, row.tick, columns.width - 2, columns.options, row.target)
    )
    return [one_line(row, columns), beneath]


def one_line(row: Meter, columns: Columns) -> Text:
    """Draw a row as label, countdown and percent."""
    room = columns.width - columns.indent - columns.percent - 1
    line = _label(row, columns)
    brief = first_fitting(row.brief, room)
    line.append(brief + " " * (room - cell_len(brief) + 1))
    line.append_text(_percent(row, columns))
    return _exactly(line, columns.width)


def tiny(row: Meter, columns: Columns) -> Text:
    """Draw a row as ``▸Fable 94% 3d2h``: what is left when nothing else has room."""
    line = styled(columns.options.glyphs.binding if row.binding else " ", STRONG)
    line.append(_padded(columns.options.fit(row.short_label, columns.label), columns.label) + " ")
    line.append_text(_percent(row, columns))
    room = columns.width - columns.label - 3 - columns.percent
    line.append(" " + first_fitting(row.brief[::-1], room))
    return _exactly(line, columns.width)


def first_fitting(variants: Sequence[str], room: int) -> str:
    """Return the first variant that fits in so many cells, else nothing."""
    return next((words for words in variants if cell_len(words) <= room), "")


def has_room_for_bar(columns: Columns, brief: int) -> bool:
    """Return whether a one-line row keeps a bar worth drawing beside ``brief`` cells of text."""
    return columns.width - columns.indent - columns.percent - brief - 4 >= _LEAST_BAR


def _label(row: Meter, columns: Columns) -> Text:
    options = columns.options
    marker = options.glyphs.binding if row.binding else " "
    line = styled(marker if columns.short else f"{marker} ", STRONG)
    name = options.fit(row.short_label if columns.short else row.label, columns.label)
    gap = " " if columns.short else "  "
    line.append(_padded(name, columns.label) + gap, style=STRONG if row.binding else "")
    return line


def _percent(row: Meter, columns: Columns) -> Text:
    options = columns.options
    sign_room = columns.sign
    if row.utilization is None:
        shown = options.text(row.percent).rjust(columns.percent - sign_room)
        return styled(shown + " " * sign_room, FAINT)
    severity = severity_of(row.utilization)
    shown = (row.percent + columns.unit).rjust(columns.percent - sign_room)
    line = styled(shown, SEVERITY_STYLES[severity])
    if sign_room:
        gap = " " if columns.unit != "%" else ""
        line.append((gap + _sign(row)).ljust(sign_room), style=STRONG)
    return line


def _sign(row: Meter) -> str:
    return "" if row.utilization is None else SEVERITY_SIGNS[severity_of(row.utilization)]


def _indented(words: str, columns: Columns, style: str = FAINT) -> Text:
    return _exactly(Text(" " * columns.indent).append(words, style=style), columns.width)


def _padded(words: str, width: int) -> str:
    return words + " " * (width - cell_len(words))


def _exactly(line: Text, width: int) -> Text:
    line.truncate(width, overflow="crop", pad=True)
    return line
