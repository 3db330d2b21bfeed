"""The limits of an account: a row for each window, extra usage and credit pool."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from claude_usage_monitor.render import limit_lines
from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.frame import MIN_WIDTH, SIDES
from claude_usage_monitor.render.layout import fitting_text
from claude_usage_monitor.render.limit_lines import LimitColumns
from claude_usage_monitor.render.limit_rows import LimitRow
from claude_usage_monitor.render.panels.panel import MIN_DETAILED_WIDTH, PanelContext
from claude_usage_monitor.render.theme import FAINT, RenderOptions, styled_text

NO_LIMITS = ("This account reports no limits.", "No limits reported.")
_MIN_BAR_WIDTH = 26  # cells; a narrower line has no separate row for a bar


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw every row. Level 2: bar, reset and forecast; 1: without forecast; 0: one line each."""
    status, width, options = context.status, context.width, context.options
    if status.account.kind == "console":
        return []
    lines: list[Text] = []
    for row in context.rows:
        if lines and context.blanks and context.detailed:
            lines.append(Text())
        lines += _row(row, context, level)
    if not context.rows and status.usage is not None:
        lines = [Text(options.fit(fitting_text(NO_LIMITS, width) or NO_LIMITS[-1], width))]
    elif not context.rows and status.problem is None:
        lines = [styled_text(options.fit(READING, width), FAINT)]
    return context.dimmed_if_stale(lines)


def _row(row: LimitRow, context: PanelContext, level: int) -> list[Text]:
    columns = context.columns
    if not context.framed or level == 0 or context.width < _MIN_BAR_WIDTH:
        return [one_line(row, columns)]
    if context.detailed:
        return limit_lines.detailed(row, columns, forecast=level == 2)
    return limit_lines.over_bar(row, columns)


def one_line(row: LimitRow, columns: LimitColumns) -> Text:
    """Draw a row on one line, with a bar if the columns are wide enough."""
    if columns.tiny:
        return limit_lines.tiny(row, columns)
    if columns.width >= MIN_DETAILED_WIDTH and columns.fits_bar_and_brief:
        return limit_lines.one_line_bar(row, columns, brief=True)
    return limit_lines.one_line(row, columns)


def columns_for(rows: Sequence[LimitRow], width: int, options: RenderOptions) -> LimitColumns:
    """Return the columns that these rows share in a frame of this width."""
    if width < MIN_WIDTH:
        return LimitColumns.of(rows, width, options, tiny=True)
    inner = width - SIDES
    columns = LimitColumns.of(rows, inner, options, short=inner < _MIN_BAR_WIDTH)
    if columns.cuts_labels and inner < MIN_DETAILED_WIDTH:
        return LimitColumns.of(rows, inner, options, short=True)
    return columns


def most_urgent(rows: Sequence[LimitRow], count: int) -> tuple[LimitRow, ...]:
    """Return ``count`` rows in their order: the binding one, then those used most."""
    if len(rows) <= count:
        return tuple(rows)
    ranked = sorted(rows, key=lambda row: (not row.binding, -(row.utilization or 0.0)))
    selected = {id(row) for row in ranked[:count]}
    return tuple(row for row in rows if id(row) in selected)
