"""The totals of an organisation's panel: the month so far, its budget, and where it will end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render.bar import bar
from claude_usage_monitor.render.theme import (
    ASCII,
    FAINT,
    PROBLEM,
    SEVERITY_SIGNS,
    SEVERITY_STYLES,
    STRONG,
    RenderOptions,
    styled,
)
from claude_usage_monitor.usage.durations import calendar_day
from claude_usage_monitor.usage.limits.windows import percent_text, severity_of
from claude_usage_monitor.usage.money.money import money

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.usage.money.spend import Spend


class _Fact(NamedTuple):
    """A label and what it says, each in variants, the richest first."""

    labels: tuple[str, ...]
    values: tuple[Text, ...]


def totals(
    spend: Spend, now: datetime, width: int, options: RenderOptions, *, aside: bool
) -> list[Text]:
    """Draw the totals, each line ``width`` wide; ``aside`` puts figures beside their labels.

    Else they stand at the other edge. The budget's bar is the second line.
    """
    found = _facts(spend, options)
    label = max(cell_len(fact.labels[0]) for fact in found) if aside else 0
    lines = [_line(fact, label, width, options) for fact in found]
    if spend.budget_percent is not None:
        lines.insert(1, _budget_bar(spend, now, width, options))
    return lines


def _facts(spend: Spend, options: RenderOptions) -> list[_Fact]:
    """Return the month to date, its projection, and when the budget is used up."""
    found = [_Fact(("Month to date", "To date", "MTD", ""), _month_to_date(spend, options))]
    end = calendar_day(spend.period_end)
    labels = (f"By {end}", end)
    if spend.projected is not None:
        found.append(_Fact(labels, _projection(spend, options)))
    elif spend.projection_note:
        short = "no projection yet" if "yet" in spend.projection_note else "no projection"
        notes = (spend.projection_note, spend.projection_note.split(":")[0], short)
        found.append(_Fact(labels, tuple(styled(options.text(note), FAINT) for note in notes)))
    budget = _budget_words(spend)
    if budget:
        found.append(_Fact(("",), budget))
    return found


def _budget_bar(spend: Spend, now: datetime, width: int, options: RenderOptions) -> Text:
    """Draw how much of the budget is spent; the tick is where an even pace would stand now."""
    percent = spend.budget_percent
    assert percent is not None  # noqa: S101 - its caller looked
    severity = severity_of(percent)
    sign = "" if options.color else SEVERITY_SIGNS[severity]
    words = f"{percent_text(percent)} %".rjust(7) + (f" {sign}" if sign else "")
    drawn = bar(percent, spend.elapsed_percent(now), max(0, width - len(words)), options)
    drawn.append(words, style=SEVERITY_STYLES[severity])
    drawn.truncate(width, overflow="crop")
    return drawn


def _month_to_date(spend: Spend, options: RenderOptions) -> tuple[Text, ...]:
    if spend.month_to_date is None:
        return (styled(options.text("—"), FAINT),)
    amount = styled(_shown(spend.month_to_date, spend, options), STRONG)
    if spend.budget is None:
        return (amount,)
    whole = amount.copy().append(f" of {_shown(spend.budget, spend, options)}")
    return (whole, amount)


def _projection(spend: Spend, options: RenderOptions) -> tuple[Text, ...]:
    assert spend.projected is not None  # noqa: S101 - its caller looked
    over = spend.budget is not None and spend.projected >= spend.budget
    amount = styled(_shown(spend.projected, spend, options), "yellow" if over else "")
    if spend.projected_low is None or spend.projected_high is None:
        return (amount,)
    dash = "-" if options.glyphs is ASCII else "–"
    band = f" ({spend.projected_low:,.0f}{dash}{spend.projected_high:,.0f})"
    return (amount.copy().append(band, style=FAINT), amount)


def _budget_words(spend: Spend) -> tuple[Text, ...]:
    if spend.budget is None or spend.month_to_date is None:
        return ()
    if spend.budget_reached_on is None and spend.projected_high is None:
        return ()
    if spend.budget_reached_on is None or spend.projected_high is None:
        close = spend.projected_high is not None and spend.projected_high >= spend.budget
        words = ("may reach the budget",) if close else ("stays within the budget", "within budget")
        return tuple(styled(w, FAINT) for w in words)
    day = calendar_day(spend.budget_reached_on)
    past = spend.month_to_date >= spend.budget
    if past:
        variants = (f"used up the budget on {day}", f"budget used up {day}", f"full {day}")
    else:
        variants = (f"reaches the budget on {day}", f"budget reached {day}", f"full {day}")
    return tuple(styled(words, PROBLEM if past else "yellow") for words in variants)


def _shown(amount: Decimal, spend: Spend, options: RenderOptions) -> str:
    return money(amount, spend.currency, ascii_only=options.glyphs is ASCII)


def _line(fact: _Fact, label: int, room: int, options: RenderOptions) -> Text:
    """Draw a fact: beside its label, or, where that is narrow, at the other edge."""
    name = options.text(fact.labels[0])
    if label:
        line = Text(name + " " * (label - cell_len(name) + 2))
        left = room - label - 2
        line.append_text(next((v for v in fact.values if v.cell_len <= left), fact.values[-1]))
    else:
        pairs = [(n, v) for v in fact.values for n in fact.labels]
        fits = (p for p in pairs if cell_len(p[0]) + p[1].cell_len + 1 <= room)
        name, value = next(fits, ("", fact.values[-1]))
        line = Text(name + " " * max(0, room - cell_len(name) - value.cell_len))
        line.append_text(value)
    line.truncate(room, overflow="crop", pad=True)
    return line
