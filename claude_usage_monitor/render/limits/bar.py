"""A bar, with a tick where an even pace would be now, and Claude Pace Maker's target."""

from __future__ import annotations

from rich.text import Text

from claude_usage_monitor.render.theme import STRONG, RenderOptions, styled_text


def bar(  # noqa: PLR0913, PLR0917 - the marks of one bar
    utilization: float | None,
    tick: float | None,
    width: int,
    options: RenderOptions,
    target: float | None = None,
    expected: float | None = None,
) -> Text:
    """Draw a percentage as exactly ``width`` cells; ``tick`` and ``target`` are in percent too.

    If the options say so, the bar is what is left, not what is used. A percentage above 0 fills
    at least one cell, below 100 it leaves one empty. If it is unknown, the track is dotted. A faint
    extension shows what is ``expected`` at the reset, where there is color.
    """
    glyphs = options.glyphs
    if utilization is None:
        return styled_text(glyphs.unknown * width, options.theme.decoration)
    percent = options.shown(utilization)
    filled = max(0, min(width, int(percent / 100 * width + 0.5)))
    if 0 < percent < 100 and width > 1:
        filled = min(max(filled, 1), width - 1)
    cells = styled_text(glyphs.filled * filled, options.theme.bar_style(utilization))
    ahead = 0
    if expected is not None and options.color and not options.left and glyphs.ahead:
        ahead = max(0, min(width, int(expected / 100 * width + 0.5)) - filled)
    cells.append(glyphs.ahead * ahead, style=options.theme.decoration)
    cells.append(glyphs.track * (width - filled - ahead), style=options.theme.decoration)
    if not width:
        return cells
    tick_at, target_at = _cell(tick, width, options), _cell(target, width, options)
    if target_at is not None:
        glyph = glyphs.tick_on_target if target_at == tick_at else glyphs.target
        cells = _marked(cells, target_at, glyph, options.theme.target)
    if tick_at is not None and tick_at != target_at:
        cells = _marked(cells, tick_at, glyphs.tick, STRONG)
    return cells


def _cell(percent: float | None, width: int, options: RenderOptions) -> int | None:
    return None if percent is None else min(width - 1, int(options.shown(percent) / 100 * width))


def _marked(cells: Text, at: int, glyph: str, style: str) -> Text:
    return cells[:at] + styled_text(glyph, style) + cells[at + 1 :]
