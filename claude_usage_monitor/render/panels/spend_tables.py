"""The tables of an organization's spend: by workspace, model, user and API key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.text import Text

from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.render.layout import indent_lines
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.render.table import Row, Table, TableColumns
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.money.money import compact, money

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.usage.money.spend import (
        ClaudeCodeSpend,
        KeyTokens,
        NamedAmount,
        Spend,
        UserSpend,
        You,
    )

UNKNOWN = "unknown"
UNPRICED = "unpriced"
WORKSPACES, MODELS, API_KEYS = "Workspaces", "Models", "API keys"
CLAUDE_CODE = "Claude Code, est."
CLAUDE_CODE_MODELS = "Claude Code models"
_NO_OWN_ROW = {
    "no_email": "No row is marked as yours: no e-mail address is known; set `email`.",
    "no_row": "No row is yours: the report has none for your e-mail address.",
}
ESTIMATE = "Estimate of API-billed use only, an hour late."
NO_CLAUDE_CODE = "No API-billed Claude Code use; subscription seats are not in this API."

_MIN_PAIR_WIDTH = 88  # cells for two tables side by side

_MIN_ROWS = {5: 3, 4: 2, 3: 2, 2: 4, 1: 2}  # of each table, by level; at 6 there is no limit
_WITHOUT_API_KEYS = 3  # from this level down
_WITHOUT_HEADINGS = 2  # from this level down, as one table


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw the tables with as many rows as fit.

    Level 6: all rows; 5 and 4: the first of each table; 3: without API keys; 2 and 1: the most
    important rows in one table without a heading. Spare rows make the tables longer.
    """
    spend = context.status.spend
    if spend is None or level == 0:
        return []
    indent = 2 if context.detailed else 0
    blocks = _blocks(spend, context, level)
    everything = [table for block in blocks for table in block]
    columns = TableColumns.of(everything, context.width - indent, context.options)
    if level in _MIN_ROWS and context.framed:
        counts = _row_counts([_height(block) for block in blocks], level, context.spare_rows)
        blocks = [
            tuple(table.cut(count) for table in block)
            for block, count in zip(blocks, counts, strict=True)
        ]
    lines: list[Text] = []
    for block in blocks:
        if lines and context.blanks:
            lines.append(Text())
        lines += columns.lines(block)
    return context.dimmed_if_stale(indent_lines(lines, indent))


def _blocks(spend: Spend, context: PanelContext, level: int) -> list[tuple[Table, ...]]:
    """Return the tables; those side by side are in one block."""
    all_tables = tables(spend, context.options)
    if level <= _WITHOUT_HEADINGS or not context.framed:
        table = _without_headings(all_tables, "You" if context.detailed else "You, est.")
        return [(table,)] if table.rows else []
    if level <= _WITHOUT_API_KEYS:
        all_tables = tuple(table for table in all_tables if table.heading != API_KEYS)
    headings = [table.heading for table in all_tables[:2]]
    if context.width >= _MIN_PAIR_WIDTH and headings == [WORKSPACES, MODELS]:
        return [all_tables[:2], *((table,) for table in all_tables[2:])]
    return [(table,) for table in all_tables]


def _height(block: Sequence[Table]) -> int:
    return max(len(table.rows) for table in block)


def _row_counts(heights: Sequence[int], level: int, spare_rows: int) -> list[int]:
    """Return the rows of each block: the level's minimum, and spare rows to each in turn."""
    counts = [min(_MIN_ROWS[level], height) for height in heights]
    while spare_rows > 0 and counts != list(heights):
        for at, height in enumerate(heights):
            if counts[at] < height and spare_rows > 0:
                counts[at] += 1
                spare_rows -= 1
    return counts


def _without_headings(all_tables: Sequence[Table], you: str) -> Table:
    """Return the most important rows as one table: your own spend, then the workspaces."""
    rows: list[Row] = []
    for table in all_tables:
        if table.heading == CLAUDE_CODE and table.rows and table.rows[0].strong:
            rows.insert(0, table.rows[0]._replace(name=you))
        elif table.heading == WORKSPACES:
            rows += table.rows
    return Table("", tuple(rows))


def tables(spend: Spend, options: RenderOptions) -> tuple[Table, ...]:
    """Return a table for each report that was read, in the order they are shown."""
    result = []
    if spend.by_workspace:
        result.append(
            Table(WORKSPACES, _amounts(spend.by_workspace, spend, options, spend.month_to_date))
        )
    if spend.by_model:
        result.append(Table(MODELS, _amounts(spend.by_model, spend, options, spend.month_to_date)))
    if spend.claude_code is not None:
        result.append(_claude_code(spend.claude_code, spend, options))
        if spend.claude_code.by_model:
            total = spend.claude_code.month_to_date
            rows = _amounts(spend.claude_code.by_model, spend, options, total)
            result.append(Table(CLAUDE_CODE_MODELS, rows, short_heading="Models, est."))
    if spend.by_api_key:
        tokens = _count(_sum([_sum(row[1:]) for row in spend.by_api_key]))
        rows = _api_keys(spend.by_api_key, options)
        result.append(Table(API_KEYS, rows, "tokens" if tokens == "?" else f"{tokens} tokens"))
    return tuple(result)


def shown_money(amount: Decimal | None, currency: str | None, options: RenderOptions) -> str:
    """Return the amount with its currency, or that it is unknown."""
    if amount is None:
        return UNPRICED
    return money(amount, currency, ascii_only=options.glyphs is ASCII)


def _amounts(
    rows: Iterable[NamedAmount], spend: Spend, options: RenderOptions, total: Decimal | None
) -> tuple[Row, ...]:
    """Return a row for each amount, with its share of a total."""
    return tuple(
        Row(
            options.text(row.name or UNKNOWN),
            shown_money(row.amount, spend.currency, options),
            float(row.amount / total * 100) if row.amount is not None and total else None,
            short_name=options.text((row.name or UNKNOWN).removeprefix("claude-")),
        )
        for row in rows
    )


def _claude_code(report: ClaudeCodeSpend, spend: Spend, options: RenderOptions) -> Table:
    names = Counter(row.name for row in report.by_user)
    rows = [_user(row, spend, options, unique=names[row.name] == 1) for row in report.by_user]
    if report.you is not None:
        at = next(n for n, row in enumerate(report.by_user) if row.email == report.you.email)
        rows.insert(0, _own_row(rows.pop(at), report.you, spend, options))
    figure = shown_money(report.month_to_date, spend.currency, options) if rows else ""
    notes: tuple[str, ...] = ()
    if report.missing_days:
        figure = options.glyphs.ellipsis
        notes = (f"{report.missing_days} days not read yet", "not all read")
    elif rows:
        notes = ("estimate, API-billed only, an hour late", "estimate")
        if report.unpriced:
            unpriced = f"{report.unpriced} unpriced"
            notes = (*(f"{unpriced}, {note}" for note in notes), unpriced)
    remark = ESTIMATE if rows or report.missing_days else NO_CLAUDE_CODE
    if rows and report.you is None:
        remark = f"{remark} {_NO_OWN_ROW[report.you_unknown_because or 'no_row']}"
    return Table(CLAUDE_CODE, tuple(rows), figure, notes, "Users, est.", remark)


def _own_row(row: Row, you: You, spend: Spend, options: RenderOptions) -> Row:
    """Return the user's own row, with its projection and the address that it was found by."""
    notes = [options.text(you.email)]
    if you.projected is not None:
        by_end = f"{shown_money(you.projected, spend.currency, options)} by the end of the month"
        notes = [options.text(f"{by_end} · {you.email}"), options.text(by_end), *notes]
    return row._replace(name="You", strong=True, notes=(*notes, *row.notes))


def _user(row: UserSpend, spend: Spend, options: RenderOptions, *, unique: bool) -> Row:
    parts = [
        f"{_count(_sum(row[3:7]))} tokens",
        f"{_count(row.sessions)} sessions",
        f"+{_count(row.lines_added)} -{_count(row.lines_removed)} lines",
        f"{_count(row.commits)} commits",
        f"{_count(row.pull_requests)} PRs",
    ]
    name = row.name or UNKNOWN
    if not unique and row.email is not None and row.email != row.name:
        name = row.email  # two people of one name
    return Row(
        options.text(name),
        shown_money(row.amount, spend.currency, options),
        notes=tuple(options.text(" · ".join(parts[:n])) for n in range(len(parts), 0, -1)),
    )


def _api_keys(rows: Iterable[KeyTokens], options: RenderOptions) -> tuple[Row, ...]:
    result = []
    for row in rows:
        short = f"{_count(row.input_tokens)} in · {_count(row.output_tokens)} out"
        notes = (f"{short} · {_count(_sum(row[3:]))} cached", short)
        name, tokens = options.text(row.name or UNKNOWN), _count(_sum(row[1:]))
        result.append(Row(name, tokens, notes=tuple(map(options.text, notes))))
    return tuple(result)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _count(count: int | None) -> str:
    return "?" if count is None else compact(count)
