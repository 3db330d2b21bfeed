"""An organization's spend: the month so far, its budget and projection, and a chart of its days."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.render.captions import READING
from claude_usage_monitor.render.layout import first_fitting, indent_lines, pad, set_width
from claude_usage_monitor.render.limits.bar import bar
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.render.panels.spend_tables import shown_money
from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.durations import calendar_day, month_names
from claude_usage_monitor.usage.limits.windows import percent_text

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.usage.money.spend import Spend

_CAPTION_WIDTH = 22  # cells beside the chart
_CHART_ROWS = {2: 3, 1: 1}  # by level
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:#"
_FUTURE = "·"
_UNKNOWN = "?"


class _Fact(NamedTuple):
    """A label and its value, each as candidates from the richest to the poorest."""

    labels: tuple[str, ...]
    values: tuple[Text, ...]


def draw_totals(context: PanelContext, level: int) -> list[Text]:
    """Draw month to date, budget, projection and when the budget is used up: ``level + 1`` lines.

    Values are beside their labels, or in narrow panes at the right edge.
    """
    status, options = context.status, context.options
    if status.account.kind != "console":
        return []
    spend = status.spend
    if spend is None:
        reading = styled_text(options.fit(READING, context.width), "")
        return [] if status.problem is not None else context.dimmed_if_stale([reading])
    indent, width = _indent(context)
    facts = _facts(spend, options)
    if context.detailed:
        label_width = max(cell_len(fact.labels[0]) for fact in facts)
        lines = [_beside_label(fact, label_width, width, options) for fact in facts]
    else:
        lines = [_at_right_edge(fact, width, options) for fact in facts]
    if spend.budget_percent is not None:
        now = status.api_time(context.now)
        lines.insert(
            1, _budget_bar(spend.budget_percent, spend.elapsed_percent(now), width, options)
        )
    return context.dimmed_if_stale(indent_lines(lines[: level + 1], indent))


def draw_chart(context: PanelContext, level: int) -> list[Text]:
    """Draw the month's days as bars. Level 2: three rows high; 1: one row."""
    spend, options = context.status.spend, context.options
    if spend is None or not spend.daily or not context.framed or not level:
        return []
    indent, width = _indent(context)
    days = spend.period_end.day
    has_captions = width - _CAPTION_WIDTH >= days
    amounts = [day.amount for day in spend.daily]
    chart_width = width - _CAPTION_WIDTH if has_captions else width
    lines = chart(amounts, days, chart_width, _CHART_ROWS[level], options)
    if has_captions:
        known = [amount for amount in amounts if amount is not None]
        captions = [(0, "highest", max(known))] if known and len(lines) > 1 else []
        captions += [(-1, "today", known[-1])] if known == amounts else []
        for row, name, amount in captions:
            caption = f"  {name} {shown_money(amount, spend.currency, options)}"
            lines[row].append(caption)
    return context.dimmed_if_stale(indent_lines(lines, indent))


def chart(
    amounts: Sequence[Decimal | None], days: int, width: int, height: int, options: RenderOptions
) -> list[Text]:
    """Draw one amount for each day of the month so far, in ``height`` lines.

    ``days`` is the length of the month. If it has more days than ``width``, the last ones are
    drawn. An amount above 0 is always visible; the highest one fills the height.
    """
    blocks = _ASCII_BLOCKS if options.glyphs is ASCII else _BLOCKS
    steps = len(blocks) - 1  # of a block
    day_width = _day_width(days, width)
    shown = amounts[-width:] if days > width else amounts
    highest = max((amount for amount in shown if amount is not None), default=None)
    levels = [_level(amount, highest, height * steps) for amount in shown]
    lines = []
    for row in range(height - 1, -1, -1):
        line = Text()
        for number, level in enumerate(levels, 1):
            if level is None:
                cell = _UNKNOWN if row == 0 else " "
            else:
                cell = blocks[min(max(level - row * steps, 0), steps)]
            style = STRONG if number == len(levels) else options.theme.amount
            line.append(cell if day_width == 1 else cell * (day_width - 1) + " ", style=style)
        future = " " if options.glyphs is ASCII or row else _FUTURE
        line.append(future.ljust(day_width) * (min(days, width) - len(shown)), style=FAINT)
        lines.append(line)
    return lines


def _day_width(days: int, width: int) -> int:
    """Return the number of cells of a day: with a gap after it if the width allows."""
    return 3 if width >= 3 * days else 2 if width >= 2 * days else 1


def _level(amount: Decimal | None, highest: Decimal | None, max_level: int) -> int | None:
    if amount is None or highest is None:
        return None
    if amount <= 0 or highest <= 0:
        return 0
    return max(1, round(amount / highest * max_level))


def _indent(context: PanelContext) -> tuple[int, int]:
    """Return the indent of the lines, and the width that is left."""
    indent = 2 if context.detailed else 0
    return indent, context.width - indent


def _facts(spend: Spend, options: RenderOptions) -> list[_Fact]:
    """Return the month to date, its projection, and when the budget is used up."""
    facts = [_Fact(_period(spend, options), _month_to_date(spend, options))]
    month_end = calendar_day(spend.period_end)
    labels = (f"By {month_end}", month_end)
    if spend.projected is not None:
        facts.append(_Fact(labels, _projection(spend, options)))
    elif spend.projection_note:
        gaps = any(day.amount is None for day in spend.daily)
        notes = (spend.projection_note, "No projection" if gaps else "No projection yet")
        facts.append(_Fact(labels, _styled(list(map(options.text, notes)), "")))
    budget = _budget(spend, options)
    if budget:
        facts.append(_Fact(("",), budget))
    rate = spend.rate_per_hour
    if rate:
        daily, hourly = (shown_money(each, spend.currency, options) for each in (24 * rate, rate))
        texts = (f"{daily} a day, {hourly} an hour", f"{daily} a day")
        facts.append(_Fact(("On average", "Average", "Avg"), _styled(texts, "")))
    return facts


def _period(spend: Spend, options: RenderOptions) -> tuple[str, ...]:
    """Return the label of the month to date, with its first and last day."""
    today = spend.daily[-1].date if spend.daily else spend.as_of.date()
    _, month = month_names(today)
    days = options.text(f"{month} 1–{today.day}") if today.day > 1 else f"{month} 1"
    return (f"Month to date, {days}", "Month to date", "To date", "MTD")


def _month_to_date(spend: Spend, options: RenderOptions) -> tuple[Text, ...]:
    if spend.month_to_date is None:
        return (styled_text(options.text("—"), ""),)
    amount = styled_text(shown_money(spend.month_to_date, spend.currency, options), STRONG)
    if spend.budget is None:
        nothing = amount.copy().append(", no spend this month")
        return (amount,) if spend.month_to_date else (nothing, amount)
    budget = f" of {shown_money(spend.budget, spend.currency, options)}"
    return (amount.copy().append(budget), amount)


def _projection(spend: Spend, options: RenderOptions) -> tuple[Text, ...]:
    projected, budget = spend.projected, spend.budget
    over = projected is not None and budget is not None and projected >= budget
    amount = styled_text(
        shown_money(projected, spend.currency, options), options.theme.warning if over else ""
    )
    if spend.projected_low is None or spend.projected_high is None:
        return (amount,)
    interval = options.text(f" ({spend.projected_low:,.0f}–{spend.projected_high:,.0f})")
    with_interval = amount.copy().append(interval)
    if spend.remaining_projected is None:
        return (with_interval, amount)
    to_come = f", +{shown_money(spend.remaining_projected, spend.currency, options)} to come"
    return (with_interval.copy().append(to_come), amount.copy().append(to_come), amount)


def _budget(spend: Spend, options: RenderOptions) -> tuple[Text, ...]:
    """Return whether, and when, the month reaches the budget."""
    if spend.budget is None or spend.month_to_date is None:
        return ()
    if spend.budget_reached_on is not None:
        day = calendar_day(spend.budget_reached_on)
        if spend.month_to_date >= spend.budget:
            texts = [f"used up the budget on {day}", f"budget used up {day}", f"full {day}"]
            return _styled(texts, options.theme.problem)
        texts = [f"reaches the budget on {day}", f"budget reached {day}", f"full {day}"]
        return _styled(texts, options.theme.warning)
    if spend.projected_high is None:
        return ()
    if spend.projected_high >= spend.budget:
        return _styled(["may reach the budget"], "")
    return _styled(["stays within the budget", "within budget"], "")


def _styled(texts: Sequence[str], style: str) -> tuple[Text, ...]:
    return tuple(styled_text(text, style) for text in texts)


def _budget_bar(percent: float, elapsed: float, width: int, options: RenderOptions) -> Text:
    """Draw how much of the budget is spent; the tick is where an even pace would be now."""
    text = f"{percent_text(options.shown(percent))} % {options.word}".rjust(12)
    text += f" {options.sign(percent)}".rstrip()
    line = bar(percent, elapsed, max(0, width - len(text)), options)
    line.append(text, style=options.theme.figure_style(percent))
    line.truncate(width, overflow="crop")
    return line


def _beside_label(fact: _Fact, label_width: int, width: int, options: RenderOptions) -> Text:
    line = Text(pad(options.text(fact.labels[0]), label_width + 2))
    value = first_fitting(fact.values, width - label_width - 2, _cells) or fact.values[-1]
    return set_width(line.append_text(value), width)


def _at_right_edge(fact: _Fact, width: int, options: RenderOptions) -> Text:
    pairs = [(options.text(label), value) for value in fact.values for label in fact.labels]
    fitting = first_fitting(pairs, width - 1, lambda pair: cell_len(pair[0]) + _cells(pair[1]))
    label, value = fitting or ("", fact.values[-1])
    return set_width(Text(pad(label, width - _cells(value))).append_text(value), width)


def _cells(text: Text) -> int:
    return text.cell_len
