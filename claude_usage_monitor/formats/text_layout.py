"""Columns that line up, and wrapped lines, for the text of commands that do not load Rich."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from unicodedata import combining, east_asian_width

_GAP = "  "


def cell_len(text: str) -> int:
    """Return the number of columns in a terminal, where East Asian wide characters take two."""
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, width: int) -> str:
    """Return the text, filled with blanks to ``width`` cells."""
    return text + " " * (width - cell_len(text))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines with columns."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(map(pad, row, widths)).rstrip() for row in rows]


def wrapped(text: str, width: int, start: str = "", indent: int | None = None) -> list[str]:
    """Break a text into lines; a path or a command, which people copy, is never broken.

    ``start`` is put before the first line, and as many blanks, or ``indent``, before the others.
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=" " * (len(start) if indent is None else indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
