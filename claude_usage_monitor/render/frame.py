"""Borders: around an account, or around several that share a frame."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Span, Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render.layout import set_width
from claude_usage_monitor.render.theme import STRONG, RenderOptions, styled_text

MIN_WIDTH = 24  # narrower panes need every cell for figures
MIN_WIDE = 45  # below, the marks of limits stand where others have a blank beside the border
SIDES = 4  # cells of a line for the two sides and the blanks beside them
MARGIN = 6  # cells of a border line for its corners, dashes and blanks
MARGIN_OF_TWO = MARGIN + 4  # if the line has two texts


class Caption(NamedTuple):
    """A text in a border line."""

    text: str
    style: str = ""


def add_border(
    body: Sequence[Text], top: Text, bottom: Text, width: int, options: RenderOptions
) -> list[Text]:
    """Put a border around lines."""
    return [top, *add_sides(body, width, options), bottom]


def add_sides(body: Sequence[Text], width: int, options: RenderOptions) -> list[Text]:
    """Put the border's two sides beside lines of `body_width` cells."""
    side, decoration = options.glyphs.vertical, options.theme.decoration
    left = side if width < MIN_WIDE else f"{side} "
    lines = []
    for content in body:
        set_width(content, body_width(width))
        start, size = len(left), len(content)
        spans = [Span(s + start, e + start, style) for s, e, style in content.spans]
        sides = [Span(0, start, decoration), Span(size + start, size + start + 2, decoration)]
        lines.append(Text(f"{left}{content.plain} {side}", spans=[*sides, *spans]))
    return lines


def body_width(width: int) -> int:
    """Return the cells of a line between the two sides."""
    return width - SIDES + (width < MIN_WIDE)


def beside_marks(lines: Sequence[Text], width: int) -> list[Text]:
    """Indent lines without marks, where the column of the marks has no blank beside it."""
    return [Text(" ") + line for line in lines] if MIN_WIDTH <= width < MIN_WIDE else list(lines)


def top_border(left: str, right: str, width: int, options: RenderOptions) -> Text:
    """Draw the top border with a title and, if it fits, a text at its right."""
    return _edge(options.glyphs.corners[:2], Caption(left, STRONG), right, width, options)


def bottom_border(left: str, right: str, width: int, options: RenderOptions) -> Text:
    """Draw the bottom border with a text and, if it fits, another at its right."""
    style = STRONG if options.answers else ""
    return _edge(options.glyphs.corners[2:], Caption(left, style), right, width, options)


def _edge(
    corners: Sequence[str], left: Caption, right: str, width: int, options: RenderOptions
) -> Text:
    left = left._replace(text=options.fit(left.text, width - MARGIN))
    if cell_len(left.text) + cell_len(right) + MARGIN_OF_TWO > width:
        right = ""
    return _ruled(corners, left, Caption(right), width, options)


def heading(
    left: Caption, right: Caption, width: int, options: RenderOptions, *, first: bool
) -> Text:
    """Draw the border above an account that shares a frame with others."""
    ends = options.glyphs.corners[:2] if first else options.glyphs.tees
    return _ruled(ends, left, right, width, options)


def _ruled(
    ends: Sequence[str], left: Caption, right: Caption, width: int, options: RenderOptions
) -> Text:
    """Draw a horizontal border from one end to the other, with captions in it."""
    dash, decoration = options.glyphs.horizontal, options.theme.decoration
    first, last = (f" {caption.text} " if caption.text else "" for caption in (left, right))
    after = dash if last else ""
    line = styled_text(ends[0] + dash, decoration)
    line.append(first, style=left.style)
    fill = width - 3 - cell_len(first) - cell_len(last) - len(after)
    line.append(dash * fill, style=decoration)
    line.append(last, style=right.style)
    line.append(after + ends[1], style=decoration)
    return line
