"""The lines of a limit's row: its heading with the percent, and what follows it if rows are free.

Every line is as wide as its columns say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render.frame import MIN_WIDTH, body_width
from claude_usage_monitor.render.layout import fitting_text, indent_lines, pad, set_width
from claude_usage_monitor.render.limits.bar import bar
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.theme import STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.limits.pace import FULL
from claude_usage_monitor.usage.limits.windows import percent_text

MIN_DETAILED_WIDTH = 42  # cells for label, bar and percent on one line, and a sentence below
_MIN_NARROW_WIDTH = 24  # cells for a blank before "%" and a whole sign after it
_MAX_LABEL = 14
_MIN_LABEL = 8
_MIN_BAR = 8
_MIN_BRIEF = 6  # cells beside the label for a countdown or an amount
_WIDE_BRIEF = 7  # cells for a countdown beside a bar
_SIGN = len(" FULL")
_TIGHT_FULL = "!!"  # beside 100 %, where there are no cells for FULL
_WORD_AND_SIGN = len(" used !!")
_BAD_ENDINGS = ("runs_out", "reached")


class Part(IntEnum):
    """The lines below a row's heading; those with the highest numbers yield first."""

    RUN_OUT = 1
    BAR = 2  # where the heading has none
    RESET = 3
    PACE = 4
    MONEY = 5
    REMARK = 6  # on an amount, if it does not fit beside it


class LimitColumns(NamedTuple):
    """The column widths that rows share, so that their figures line up.

    ``short`` labels are the compact ones; ``close`` ones follow the marker without a blank.
    ``tiny`` rows have no frame and nothing but the necessary blanks. ``brief`` is whether a row
    has its countdown on its heading. ``unit`` is the number of cells after the number.
    ``wordings`` are the lengths of texts, by kind: a kind has the same wording in every row.
    """

    width: int
    label: int
    digits: int
    unit: int
    options: RenderOptions
    wordings: dict[str, int]
    short: bool = False
    close: bool = False
    tiny: bool = False
    brief: bool = False

    @classmethod
    def of(
        cls,
        rows: Sequence[LimitRow],
        width: int,
        options: RenderOptions,
        *,
        brief: bool = True,
        tiny: bool = False,
    ) -> LimitColumns:
        """Return the columns for these rows in ``width`` cells."""
        digits = max([3, *(len(_number(row, options)) for row in rows)])  # as wide as 100
        close = tiny or width < MIN_DETAILED_WIDTH
        columns = cls(width, 1, digits, 0, options, {}, close=close, tiny=tiny, brief=brief)
        columns = columns._replace(unit=columns.unit_width())
        for short in (tiny, True):
            labels = [row.short_label if short else row.label for row in rows]
            longest = max(map(cell_len, labels), default=0)
            available = width - columns.percent - (2 if close else 4) - (_MIN_BRIEF + 1) * brief
            label = max(1, min(longest, _MAX_LABEL, max(_MIN_LABEL, width // 4), available))
            columns = columns._replace(label=label, short=short)
            if longest <= label or not close:
                break
        return columns._replace(wordings=columns.common_wordings(rows))

    @property
    def percent(self) -> int:
        """The cells of a percentage with its unit, word and sign."""
        return self.digits + (1 if self.tight else 2) + self.unit

    @property
    def tight(self) -> bool:
        """Whether there are no cells for blanks around ``%``."""
        return self.tiny or self.width < _MIN_NARROW_WIDTH

    @property
    def indent(self) -> int:
        """The column at which the lines below a heading begin."""
        if self.tiny:
            return 0
        return 1 if self.close else self.label + 4

    @property
    def wide(self) -> bool:
        """Whether a heading has a bar."""
        return self.width >= MIN_DETAILED_WIDTH and self.bar_width >= _MIN_BAR

    @property
    def bar_width(self) -> int:
        """The cells of a bar in a heading."""
        brief = _WIDE_BRIEF + 2 if self.brief else 0
        return self.width - self.label - 4 - self.percent - 2 - brief

    @property
    def brief_width(self) -> int:
        """The cells of a countdown or an amount in a heading."""
        if self.tiny:
            return self.width - self.label - self.percent - 3
        if self.wide:
            return _WIDE_BRIEF
        return self.width - self.label - (2 if self.close else 4) - self.percent - 1

    def unit_width(self) -> int:
        """Return the cells for the word and the sign: all signs, so that none shifts a column."""
        if self.tight:
            return len(_TIGHT_FULL)
        return _WORD_AND_SIGN if not self.close else _SIGN

    def common_wordings(self, rows: Sequence[LimitRow]) -> dict[str, int]:
        """Return for each kind of text the longest wording that fits in every row that has it.

        A line with pace words has the same pace words in every row.
        """
        below = self.width - self.indent
        texts = [(row.ending, run_out_texts(row, self), below) for row in rows]
        for row in rows:
            if row.running:
                texts += [("reset", row.reset, below), ("brief", row.brief, self.brief_width)]
        wordings: dict[str, int] = {}
        for kind, candidates, width in texts:
            if len(candidates) > 1:
                fitting = (n for n, text in enumerate(candidates) if cell_len(text) <= width)
                wordings[kind] = max(wordings.get(kind, 0), next(fitting, len(candidates) - 1))
        if self.wide and sorted(wordings.get(kind, 2) for kind in ("runs_out", "lasts")) == [0, 1]:
            wordings.update(runs_out=1, lasts=1)
        return wordings

    def text(self, kind: str, candidates: Sequence[str], width: int) -> str:
        """Return the text of a kind: in the common wording, or a shorter one that fits."""
        first = max(0, min(self.wordings.get(kind, 0), len(candidates) - 1))
        return fitting_text(candidates[first:], width)


class ScreenColumns:
    """The columns that all rows on the screen share.

    ``framed`` is whether the lines have a border, ``brief`` whether a heading has a countdown or
    an amount.
    """

    def __init__(self, rows: Sequence[LimitRow], width: int, options: RenderOptions) -> None:
        self._rows = tuple(rows)
        self._width = width
        self._options = options
        self._known: dict[tuple[bool, bool], LimitColumns] = {}

    def of(self, *, framed: bool, brief: bool) -> LimitColumns:
        """Return the columns."""
        key = (framed, brief)
        if key not in self._known:
            width = body_width(self._width) if framed else self._width
            tiny = self._width < MIN_WIDTH
            self._known[key] = LimitColumns.of(
                self._rows, width, self._options, brief=brief, tiny=tiny
            )
        return self._known[key]


def run_out_texts(row: LimitRow, columns: LimitColumns) -> tuple[str, ...]:
    """Return how a limit ends; in wide panes with its pace."""
    if not columns.wide or not row.run_out or not row.pace:
        return row.run_out
    dot = f" {columns.options.glyphs.dot} "
    return (*(f"{row.run_out[0]}{dot}{pace}" for pace in row.pace), *row.run_out)


def parts(row: LimitRow, columns: LimitColumns) -> dict[Part, list[Text]]:
    """Return the lines that a row can have below its heading."""
    width = columns.width - columns.indent
    lines: dict[Part, list[Text]] = {}
    if row.run_out:
        ending = columns.text(row.ending, run_out_texts(row, columns), width)
        lines[Part.RUN_OUT] = [styled_text(ending, STRONG if row.ending in _BAD_ENDINGS else "")]
    if not columns.wide and not row.unlimited:
        lines[Part.BAR] = [_bar(row, columns, width)]
    if row.reset:
        lines[Part.RESET] = [Text(columns.text("reset" if row.running else "", row.reset, width))]
    if row.pace and not row.run_out:
        lines[Part.PACE] = [Text(fitting_text(row.pace, width))]
    if row.money:
        amount, *remarks = _amounts(row, columns, width)
        lines[Part.MONEY] = [Text(amount)]
        lines[Part.REMARK] = [Text(remark) for remark in remarks]
    return {
        part: [set_width(line, columns.width) for line in indent_lines(below, columns.indent)]
        for part, below in lines.items()
        if any(below)
    }


def _amounts(row: LimitRow, columns: LimitColumns, width: int) -> list[str]:
    """Return what is said of an amount, on one line if it fits."""
    joined = f" {columns.options.glyphs.dot} ".join(texts[0] for texts in row.money)
    if cell_len(joined) <= width:
        return [joined]
    return [
        fitting_text(texts, width) or columns.options.fit(texts[-1], width) for texts in row.money
    ]


def heading(row: LimitRow, columns: LimitColumns, *, brief: bool = True) -> Text:
    """Draw label, percent, a bar if it fits, and the countdown or amount if ``brief``."""
    if columns.tiny:
        return tiny(row, columns, brief=brief)
    line = _label(row, columns)
    text = columns.text("brief" if row.running else "", row.brief, columns.brief_width)
    if columns.wide:
        cells = columns.bar_width
        line.append_text(Text(" " * cells) if row.unlimited else _bar(row, columns, cells))
        line.append("  ").append_text(_percent(row, columns))
        if columns.brief and brief:
            line.append("  " + text.rjust(columns.brief_width))
    else:
        if not brief:
            text = columns.options.word if columns.tight and row.utilization is not None else ""
            text = text.rjust(columns.brief_width)
        line.append(pad(text, columns.brief_width + 1)).append_text(_percent(row, columns))
    return set_width(line, columns.width)


def tiny(row: LimitRow, columns: LimitColumns, *, brief: bool = True) -> Text:
    """Draw ``▸Fable 94% 3d2h``, for panes with no cells to spare."""
    line = styled_text(_marker(row, columns.options), STRONG)
    line.append(pad(columns.options.fit(row.short_label, columns.label), columns.label) + " ")
    line.append_text(_percent(row, columns))
    texts: Iterable[str] = reversed(row.brief)
    if not brief:
        texts = [columns.options.word] if row.utilization is not None else []
    line.append(" " + fitting_text(texts, columns.brief_width))
    return set_width(line, columns.width)


def _bar(row: LimitRow, columns: LimitColumns, width: int) -> Text:
    return bar(row.utilization, row.tick, max(0, width), columns.options, row.target, row.expected)


def _marker(row: LimitRow, options: RenderOptions) -> str:
    """Return the mark before a label: whether the limit is binding, and whether an alert holds."""
    if row.alert:
        return options.glyphs.binding_alert if row.binding else options.glyphs.alert
    return options.glyphs.binding if row.binding else " "


def _label(row: LimitRow, columns: LimitColumns) -> Text:
    options = columns.options
    marker = _marker(row, options)
    line = styled_text(marker if columns.close else f"{marker} ", STRONG)
    label = options.fit(row.short_label if columns.short else row.label, columns.label)
    gap = " " if columns.close else "  "
    line.append(pad(label, columns.label) + gap, style=STRONG if row.binding else "")
    return line


def _percent(row: LimitRow, columns: LimitColumns) -> Text:
    """Draw the number, ``%``, and the word and the sign as far as there are cells for them."""
    options, blank = columns.options, "" if columns.tight else " "
    number = _number(row, options).rjust(columns.digits)
    if row.utilization is None:
        return Text(pad(number, columns.percent))
    style, sign = options.theme.figure_style(row.utilization), options.sign(row.utilization)
    if columns.tight and len(sign) > columns.unit:
        sign = _TIGHT_FULL
    line = styled_text(f"{number}{blank}%", style)
    if row.utilization >= FULL or (columns.close and sign):
        word = ""  # the sign is in its place
    else:
        word = "" if columns.tight else f" {options.word}"
    line.append(word).append(blank + sign if sign else "", style=f"{style} {STRONG}")
    return set_width(line, columns.percent)


def _number(row: LimitRow, options: RenderOptions) -> str:
    """Return the whole percentage, as ``78``, ``<1`` or ``>99``; ``—`` when unknown."""
    if row.utilization is None:
        return "" if row.unlimited else options.text("—")
    return percent_text(options.shown(row.utilization))
