"""Choosing what fits, and giving lines an exact width."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len, chop_cells
from rich.text import Text

from claude_usage_monitor.light_typing import TypeVar
from claude_usage_monitor.render.theme import RenderOptions, styled_text

_T = TypeVar("_T")


def first_fitting(candidates: Iterable[_T], limit: float, size: Callable[[_T], float]) -> _T | None:
    """Return the first candidate, the richest first, with a size within the limit."""
    return next((candidate for candidate in candidates if size(candidate) <= limit), None)


def first_low_enough(
    candidates: Sequence[_T], limit: float, height: Callable[[_T], float]
) -> _T | None:
    """Return the first candidate with a height within the limit: heights never rise."""
    low = bisect_left(candidates, True, key=lambda candidate: height(candidate) <= limit)  # noqa: FBT003 - the value to look up
    return candidates[low] if low < len(candidates) else None


def fitting_text(candidates: Iterable[str], width: int) -> str:
    """Return the first text that fits in ``width`` cells, or an empty one."""
    return first_fitting(candidates, width, cell_len) or ""


def wrap(text: str, width: int, options: RenderOptions, style: str) -> list[Text]:
    """Break a text into lines of at most ``width`` cells, and a word that is wider, too."""
    lines: list[str] = []
    for word in options.text(text).split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += " " + word
        else:
            lines += chop_cells(word, width)
    return [styled_text(line, style) for line in lines]


def pad(text: str, width: int) -> str:
    """Return the text, filled with blanks to ``width`` cells."""
    return text + " " * (width - cell_len(text))


def set_width(line: Text, width: int) -> Text:
    """Crop or pad the line to ``width`` cells, in place, and return it."""
    line.truncate(width, overflow="crop", pad=True)
    return line


def indent_lines(lines: Sequence[Text], indent: int) -> list[Text]:
    """Return the lines with ``indent`` blanks before them."""
    return [Text(" " * indent) + line for line in lines] if indent else list(lines)
