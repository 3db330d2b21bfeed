"""A bar of exactly so many cells, with a tick where an even pace would stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_usage_monitor.render.theme import FAINT, SEVERITY_STYLES, STRONG, Look, styled
from claude_usage_monitor.usage.windows import severity_of

if TYPE_CHECKING:
    from rich.text import Text


def bar(utilization: float | None, tick: float | None, width: int, look: Look) -> Text:
    """Draw a percentage. ``tick`` is in percent too; ``None`` draws none.

    Any use fills a cell and anything left leaves one: a bar that is full is full. Of an unknown
    utilization neither is claimed: its track is dotted.
    """
    glyphs = look.glyphs
    if utilization is None:
        return styled(glyphs.unknown * width, FAINT)
    filled = min(width, int(utilization / 100 * width + 0.5))
    if 0 < utilization < 100 and width > 1:
        filled = min(max(filled, 1), width - 1)
    drawn = styled(glyphs.filled * filled, SEVERITY_STYLES[severity_of(utilization)])
    drawn.append(glyphs.track * (width - filled), style=FAINT)
    if tick is None or not width:
        return drawn
    at = min(width - 1, int(tick / 100 * width))
    return drawn[:at] + styled(glyphs.tick, STRONG) + drawn[at + 1 :]
