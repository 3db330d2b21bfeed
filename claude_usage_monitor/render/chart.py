"""A month's days as small vertical bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions

if TYPE_CHECKING:
    from decimal import Decimal

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:#"
_FUTURE = "·"
_UNKNOWN = "?"


def chart(
    amounts: Sequence[Decimal | None], days: int, width: int, height: int, options: RenderOptions
) -> list[Text]:
    """Draw one amount for each day of the month so far, in ``height`` lines of `chart_width`.

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


def chart_width(days: int, width: int) -> int:
    """Return how many of ``width`` cells a chart of a month with ``days`` days uses."""
    return min(days, width) * _day_width(days, width)


def _day_width(days: int, width: int) -> int:
    """Return the number of cells of a day: with a gap after it if the width allows."""
    return 3 if width >= 3 * days else 2 if width >= 2 * days else 1


def _level(amount: Decimal | None, highest: Decimal | None, max_level: int) -> int | None:
    if amount is None or highest is None:
        return None
    if amount <= 0 or highest <= 0:
        return 0
    return max(1, round(amount / highest * max_level))
