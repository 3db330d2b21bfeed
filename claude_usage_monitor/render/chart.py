"""A month's days as small bars: one column of cells a day, up to three rows high."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from claude_usage_monitor.render.theme import ASCII, FAINT, SPENT, STRONG, RenderOptions

if TYPE_CHECKING:
    from decimal import Decimal

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:#"
_AHEAD = "·"
_UNKNOWN = "?"


def chart(
    amounts: Sequence[Decimal | None], days: int, width: int, rows: int, options: RenderOptions
) -> list[Text]:
    """Draw amounts, one a day, the last of them today's; ``days`` are those of the month.

    Each line is as wide as `chart_width`. Where the month has no room its last days are drawn.
    What is more than nothing is seen, and the highest bar is full.
    """
    blocks = _ASCII_BLOCKS if options.glyphs is ASCII else _BLOCKS
    steps = len(blocks) - 1
    unit = _unit(days, width)
    shown = list(amounts[-width:]) if days > width else list(amounts)
    ahead = min(days, width) - len(shown)
    highest = max((amount for amount in shown if amount is not None), default=None)
    levels = [_level(amount, highest, rows * steps) for amount in shown]
    lines = []
    for row in range(rows - 1, -1, -1):
        line = Text()
        for number, level in enumerate(levels):
            if level is None:
                cell = _UNKNOWN if row == 0 else " "
            else:
                cell = blocks[min(max(level - row * steps, 0), steps)]
            style = STRONG if number == len(levels) - 1 else SPENT
            line.append(_cell(cell, unit), style=style)
        dot = (" " if options.glyphs is ASCII else _AHEAD) if row == 0 else " "
        line.append((dot + " " * (unit - 1)) * ahead, style=FAINT)
        lines.append(line)
    return lines


def chart_width(days: int, width: int) -> int:
    """Return how many of ``width`` cells a chart of so many days takes."""
    return min(days, width) * _unit(days, width)


def _unit(days: int, width: int) -> int:
    """Return how many cells a day takes: with a gap after it, where there is room."""
    return 3 if width >= 3 * days else 2 if width >= 2 * days else 1


def _cell(cell: str, unit: int) -> str:
    return cell if unit == 1 else cell * (unit - 1) + " "


def _level(amount: Decimal | None, highest: Decimal | None, most: int) -> int | None:
    if amount is None or highest is None:
        return None
    if amount <= 0 or highest <= 0:
        return 0
    return max(1, round(amount / highest * most))
