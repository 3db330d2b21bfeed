"""The lines of a limit's row, from three lines to one. Every line is as wide as its columns say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render.bar import bar
from claude_usage_monitor.render.layout import fitting_text, indent_lines, pad, set_width
from claude_usage_monitor.render.limit_rows import LimitRow
from claude_usage_monitor.render.theme import (
    FAINT,
    SEVERITY_SIGNS,
    STRONG,
    RenderOptions,
    styled_text,
)
from claude_usage_monitor.usage.limits.windows import severity_of

_MAX_LABEL = 14
_MIN_LABEL = 8
_MIN_BAR = 8
_MIN_BRIEF = 7  # cells beside the label for a countdown or an amount
_MIN_TINY_BRIEF = 6
_WIDE_BRIEF = 7  # cells for a countdown beside a bar


class LimitColumns(NamedTuple):
    """The column widths that rows share, so that their figures line up.

    ``tiny`` rows have no frame: compact labels, no blank before ``%``. ``short`` labels are the
    compact ones, with the marker close to them.
    """

    width: int
    label: int
    percent: int
    options: RenderOptions
    sign: int = 0  # cells after the percent for the severity's sign
    short: bool = False
    tiny: bool = False
    cuts_labels: bool = False

    @classmethod
    def of(
        cls,
        rows: Sequence[LimitRow],
        width: int,
        options: RenderOptions,
        *,
        short: bool = False,
        tiny: bool = False,
    ) -> LimitColumns:
        """Return the columns for these rows in ``width`` cells."""
        short = short or tiny
        labels = [row.short_label if short else row.label for row in rows]
        digits = max([3, *(len(row.percent) for row in rows)])  # as wide as 100: nothing jumps
        sign = max((len(_sign(row)) for row in rows), default=0)
        sign = 0 if options.color else sign + (1 if sign and not tiny else 0)
        percent = digits + (1 if tiny else 2) + sign
        brief = _MIN_TINY_BRIEF if tiny else _MIN_BRIEF
        available = width - percent - (2 if short else 4) - brief
        longest = max(map(cell_len, labels), default=0)
        label = max(1, min(longest, _MAX_LABEL, max(_MIN_LABEL, width // 4), available))
        return cls(width, label, percent, options, sign, short, tiny, longest > label)

    @property
    def indent(self) -> int:
        """The column at which bars and details begin."""
        return self.label + (2 if self.short else 4)

    @property
    def unit(self) -> str:
        """The text after the percentage."""
        return "%" if self.tiny else " %"

    @property
    def fits_bar_and_brief(self) -> bool:
        """Whether a one-line row has enough cells for a bar beside its countdown."""
        return self.width - self.indent - self.percent - _WIDE_BRIEF - 4 >= _MIN_BAR


def detailed(row: LimitRow, columns: LimitColumns, *, forecast: bool) -> list[Text]:
    """Draw the bar, the reset and pace below it, and the forecast on a third line."""
    width = columns.width - columns.indent
    texts = [(fitting_text(row.detail, width), FAINT)]
    if forecast:
        texts.append((fitting_text(row.forecast, width), ""))
    below = [styled_text(text, style) for text, style in texts if text]
    lines = [one_line_bar(row, columns), *indent_lines(below, columns.indent)]
    return [set_width(line, columns.width) for line in lines]


def over_bar(row: LimitRow, columns: LimitColumns) -> list[Text]:
    """Draw label, countdown and percent, and the bar below."""
    start = 1 if columns.short else 2  # below the label
    return [one_line(row, columns), Text(" " * start) + _bar(row, columns, columns.width - start)]


def one_line_bar(row: LimitRow, columns: LimitColumns, *, brief: bool = False) -> Text:
    """Draw label, bar and percent on one line, and the countdown if ``brief``."""
    width = columns.width - columns.indent - columns.percent - 2
    width -= _WIDE_BRIEF + 2 if brief else 0
    line = _label(row, columns)
    line.append_text(Text(" " * width) if row.unlimited else _bar(row, columns, width))
    line.append("  ").append_text(_percent(row, columns))
    if brief:
        line.append("  " + fitting_text(row.brief, _WIDE_BRIEF).rjust(_WIDE_BRIEF), style=FAINT)
    return set_width(line, columns.width)


def one_line(row: LimitRow, columns: LimitColumns) -> Text:
    """Draw label, countdown and percent."""
    available = columns.width - columns.indent - columns.percent - 1
    line = _label(row, columns)
    line.append(pad(fitting_text(row.brief, available), available + 1))
    line.append_text(_percent(row, columns))
    return set_width(line, columns.width)


def tiny(row: LimitRow, columns: LimitColumns) -> Text:
    """Draw ``▸Fable 94% 3d2h``, for panes with no cells to spare."""
    line = styled_text(columns.options.glyphs.binding if row.binding else " ", STRONG)
    line.append(pad(columns.options.fit(row.short_label, columns.label), columns.label) + " ")
    line.append_text(_percent(row, columns))
    available = columns.width - columns.label - 3 - columns.percent
    line.append(" " + fitting_text(reversed(row.brief), available))
    return set_width(line, columns.width)


def _bar(row: LimitRow, columns: LimitColumns, width: int) -> Text:
    return bar(row.utilization, row.tick, max(0, width), columns.options, row.target)


def _label(row: LimitRow, columns: LimitColumns) -> Text:
    options = columns.options
    marker = options.glyphs.binding if row.binding else " "
    line = styled_text(marker if columns.short else f"{marker} ", STRONG)
    label = options.fit(row.short_label if columns.short else row.label, columns.label)
    gap = " " if columns.short else "  "
    line.append(pad(label, columns.label) + gap, style=STRONG if row.binding else "")
    return line


def _percent(row: LimitRow, columns: LimitColumns) -> Text:
    width = columns.percent - columns.sign
    if row.utilization is None:
        text = columns.options.text(row.percent).rjust(width)
        return styled_text(text + " " * columns.sign, FAINT)
    style = columns.options.theme.severity_style(row.utilization)
    line = styled_text((row.percent + columns.unit).rjust(width), style)
    if columns.sign:
        gap = "" if columns.tiny else " "
        line.append((gap + _sign(row)).ljust(columns.sign), style=STRONG)
    return line


def _sign(row: LimitRow) -> str:
    return "" if row.utilization is None else SEVERITY_SIGNS[severity_of(row.utilization)]
