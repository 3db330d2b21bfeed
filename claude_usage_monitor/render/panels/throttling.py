"""Claude Pace Maker's section: what it does to tool uses now, and why; its target on a bar.

A heading with the state and its age, and lines of parts that flow beneath it: each takes as many
as have room. Where there is little room, every part has shorter words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from claude_usage_monitor.render.layout import wrapped
from claude_usage_monitor.render.limit_rows import LimitRow
from claude_usage_monitor.render.panel import PanelContext
from claude_usage_monitor.render.panels.throttling_words import Part, Words
from claude_usage_monitor.render.theme import ASCII, FAINT, RenderOptions, styled

if TYPE_CHECKING:
    from claude_usage_monitor.usage.throttling import Throttling

_NAME = "Pace Maker"
_ROOMY = 44  # cells beneath the heading from which there is room for whole words
_NARROW = 28  # cells of the panel below which every cell counts
_MOST_GAPS = 2  # the others are named by doctor and in the JSON document


def with_target(
    rows: Sequence[LimitRow], throttling: Throttling | None, now: datetime
) -> tuple[LimitRow, ...]:
    """Return the rows, that of the window Pace Maker paces by with its target on it."""
    if throttling is None or throttling.enabled is False:
        return tuple(rows)
    key, target = throttling.window(now), throttling.target(now)
    return tuple(
        replace(row, target=target) if row.key is not None and row.key == key else row
        for row in rows
    )


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw the panel. Level 2: all of it; 1: its heading."""
    throttling = context.status.throttling
    if throttling is None or level == 0 or not context.framed:
        return []
    return section(
        throttling,
        context.now,
        context.options,
        width=context.width,
        indent=context.columns.indent if context.detailed else 0,
        full=level == 2,
    )


def section(  # noqa: PLR0913 - what it says, and where it stands
    throttling: Throttling,
    now: datetime,
    options: RenderOptions,
    *,
    width: int,
    indent: int,
    full: bool,
) -> list[Text]:
    """Return the section's lines, each exactly ``width`` cells: all of it, or only its heading.

    ``indent`` is the column at which the details of the panel's rows begin.
    """
    margin = 2 if width >= _NARROW else 1
    words = Words(throttling, now, options, roomy=width - indent >= _ROOMY)
    page = _Page(width, margin, max(indent, margin), options)
    state = words.state() if full else [*words.state(), *words.deviation(named=True)]
    lines = [page.heading(state, words.decided())]
    if full:
        for group in words.groups():
            lines += page.flow(group)
        for gap in words.gaps()[:_MOST_GAPS]:
            lines += page.indented(wrapped(gap, width - page.indent, options, FAINT))
    for line in lines:
        line.truncate(width, overflow="crop", pad=True)
        if throttling.stale(now):
            line.stylize(FAINT)
    return lines


@dataclass(frozen=True, slots=True)
class _Page:
    """Where the section's lines begin and end."""

    width: int
    margin: int
    indent: int
    options: RenderOptions

    def heading(self, state: Sequence[Part], decided: Part) -> Text:
        """Draw the name, as much of the state as has room, and its age at the right."""
        line = Text(" " * self.margin + _NAME)
        least = len(decided.variants[-1]) + 1 if decided.variants else 0
        room = self.width - least - line.cell_len - self.margin
        gap = " " * self.margin
        for words, part in self._on_one_line(state, room):
            line.append(gap, style=FAINT).append(words, style=part.style)
            gap = self._dot()
        left = self.width - line.cell_len
        told = next((words for words in decided.variants if len(words) < left), "")
        line.append(told.rjust(left), style=decided.style)
        return line

    def _on_one_line(self, parts: Sequence[Part], room: int) -> list[tuple[str, Part]]:
        """Return all parts in the richest words that have room, else the first by itself."""
        variants = max(len(part.variants) for part in parts)
        for level in range(variants):
            words = [self.options.text(p.variants[min(level, len(p.variants) - 1)]) for p in parts]
            if len(self._dot().join(words)) <= room:
                return list(zip(words, parts, strict=True))
        first = parts[0]
        return [
            (self._first_fitting(first, room) or self.options.fit(first.variants[-1], room), first)
        ]

    def flow(self, parts: Sequence[Part]) -> list[Text]:
        """Lay parts out on as many lines as they need."""
        lines: list[Text] = []
        room, dot = self.width - self.indent, self._dot()
        for part in parts:
            beside = room - lines[-1].cell_len - len(dot) if lines else 0
            words = self._first_fitting(part, beside)
            if words:
                lines[-1].append(dot, style=FAINT)
            else:
                lines.append(Text())
                words = self._first_fitting(part, room)
            words = words or self.options.fit(part.variants[-1], room)
            lines[-1].append(words, style=part.style)
        return self.indented(lines)

    def _first_fitting(self, part: Part, room: int) -> str:
        variants = part.variants if self.width >= _NARROW else part.variants[-1:]
        return next((w for w in map(self.options.text, variants) if len(w) <= room), "")

    def indented(self, lines: Sequence[Text]) -> list[Text]:
        """Return the lines at the indent."""
        return [styled(" " * self.indent, "") + line for line in lines]

    def _dot(self) -> str:
        if self.width < _NARROW or self.options.glyphs is ASCII:
            return ", "  # short, and no dash beside a minus sign
        return f" {self.options.glyphs.dot} "
