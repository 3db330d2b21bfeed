"""A bar of exactly so many cells, with a tick where an even pace would stand, and a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.render.theme import (
    FAINT,
    SEVERITY_STYLES,
    STRONG,
    TARGET,
    RenderOptions,
    styled,
)
from claude_usage_monitor.usage.limits.windows import severity_of

if TYPE_CHECKING:
    from rich.text import Text


def bar(
    utilization: float | None,
    tick: float | None,
    width: int,
    options: RenderOptions,
    target: float | None = None,
) -> Text:
    """Draw a percentage. ``tick`` and ``target`` are in percent too; ``None`` draws none.

    Any use fills a cell and anything left leaves one: a bar that is full is full. Of an unknown
    utilization neither is claimed: its track is dotted.
    """
    glyphs = options.glyphs
    if utilization is None:
        return styled(glyphs.unknown * width, FAINT)
    filled = min(width, int(utilization / 100 * width + 0.5))
    if 0 < utilization < 100 and width > 1:
        filled = min(max(filled, 1), width - 1)
    drawn = styled(glyphs.filled * filled, SEVERITY_STYLES[severity_of(utilization)])
    drawn.append(glyphs.track * (width - filled), style=FAINT)
    if not width:
        return drawn
    tick_at, target_at = _cell(tick, width), _cell(target, width)
    if target_at is not None:
        glyph = glyphs.tick_on_target if target_at == tick_at else glyphs.target
        drawn = _marked(drawn, target_at, glyph, TARGET)
    if tick_at is not None and tick_at != target_at:
        drawn = _marked(drawn, tick_at, glyphs.tick, STRONG)
    return drawn


def _cell(percent: float | None, width: int) -> int | None:
    return None if percent is None else min(width - 1, int(percent / 100 * width))


def _marked(drawn: Text, at: int, glyph: str, style: str) -> Text:
    return drawn[:at] + styled(glyph, style) + drawn[at + 1 :]
