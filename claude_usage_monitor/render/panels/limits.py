"""The limits of an account: a row for each window, extra usage and credit pool."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.layout import fitting_text
from claude_usage_monitor.render.limits.lines import Part, heading, parts
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.panels.panel import PanelContext

NO_LIMITS = ("This account reports no limits.", "No limits reported.")


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw every row: the parts up to the level, and more of them if rows are to spare."""
    status, width, options = context.status, context.width, context.options
    if status.account.kind == "console":
        return []
    if context.rows:
        return context.dimmed_if_stale(rows_with_parts(context, level))
    if status.usage is not None:
        return [Text(options.fit(fitting_text(NO_LIMITS, width) or NO_LIMITS[-1], width))]
    return [Text(options.fit(READING, width))] if status.problem is None else []


def rows_with_parts(context: PanelContext, level: int) -> list[Text]:
    """Draw the account's rows with as many lines below their headings as fit."""
    for brief in (False, True):
        columns = context.columns.of(framed=context.framed, brief=brief)
        blocks = [parts(row, columns) for row in context.rows]
        shown = _shown_parts(context.rows, blocks, level, context.spare_rows)
        if not any(
            Part.RESET in block and Part.RESET not in have
            for block, have in zip(blocks, shown, strict=True)
        ):
            break
    lines: list[Text] = []
    for row, block, have in zip(context.rows, blocks, shown, strict=True):
        if lines and context.blanks:
            lines.append(Text())
        said = Part.RESET in have or Part.MONEY in have
        lines.append(heading(row, columns, brief=not said))
        for part in _DISPLAY_ORDER:
            lines += block[part] if part in have else []
    return lines


_DISPLAY_ORDER = (Part.BAR, Part.RESET, Part.RUN_OUT, Part.PACE, Part.MONEY, Part.REMARK)


def _shown_parts(
    rows: Sequence[LimitRow],
    blocks: Sequence[dict[Part, list[Text]]],
    level: int,
    spare_rows: int,
) -> list[set[Part]]:
    """Return the parts of each row: those up to the level, then others in the spare rows.

    The binding row gets its parts first, then each part goes to the most used rows first.
    """
    shown = [{part for part in block if part <= level} for block in blocks]
    order = sorted(range(len(rows)), key=lambda at: _rank(rows[at]))
    binding = [at for at in order if rows[at].binding]
    wanted = [(part, at) for at in binding for part in Part if part <= Part.RESET]
    wanted += [(part, at) for part in Part for at in order]
    for part, at in wanted:
        cost = len(blocks[at].get(part, ()))
        if part not in shown[at] and 0 < cost <= spare_rows:
            shown[at].add(part)
            spare_rows -= cost
    return shown


def most_urgent(rows: Sequence[LimitRow], count: int) -> tuple[LimitRow, ...]:
    """Return ``count`` rows in their order: the binding one, then those used most."""
    if len(rows) <= count:
        return tuple(rows)
    selected = {id(row) for row in sorted(rows, key=_rank)[:count]}
    return tuple(row for row in rows if id(row) in selected)


def _rank(row: LimitRow) -> tuple[bool, float]:
    return not row.binding, -(row.utilization or 0.0)
