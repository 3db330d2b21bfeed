"""What used a window, in points: its panel, and the view that the key ``w`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render import frame
from claude_usage_monitor.render.layout import fitting_text, indent_lines, wrap
from claude_usage_monitor.render.limits.lines import MIN_DETAILED_WIDTH
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.attribution.report import point_figures, short_names
from claude_usage_monitor.usage.attribution.shown import WindowUse, error_text
from claude_usage_monitor.usage.durations import clock_time, countdown
from claude_usage_monitor.usage.limits.windows import label_for, percent_text
from claude_usage_monitor.usage.status import AccountStatus

ELSEWHERE = "elsewhere"
_MAX_NAME, _MAX_BAR = 28, 30  # cells
_PANEL_ROWS = (0, 3, 5)  # projects at each level
_MAX_VIEW_WIDTH = 100
_NOTHING = (
    "What used your limits is not known yet. It is read from Claude Code's transcripts on this"
    " computer, unless `transcripts = false` is in config.toml."
)
_KEYS = ("← → window · w or Esc goes back", "← → window · w back", "w back")
_ASCII_KEYS = ("arrows: window, w or Esc goes back", "arrows: window, w back", "w back")
_KEYS_OF_ONE = ("w or Esc goes back", "w goes back", "w back")
_MIN_FRAMED_HEIGHT = 4  # lines
_MIN_PROJECTS = 3  # shown before the error and the reset


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw the binding window's use. Level 2: five projects and a remark, 1: three projects."""
    if not level or not context.framed:
        return []
    progress = context.status.use_progress
    lines = []
    use = shown_first(context.status.use, context)
    if use is not None:
        lines = use_lines(use, context.width, _PANEL_ROWS[level], context.options)
        if level == 1:
            lines = lines[: _PANEL_ROWS[level] + 2]
    if progress is not None:
        text = f"reading transcripts {percent_text(100 * progress)} %"
        indent = 2 if context.detailed else 0
        lines += indent_lines(wrap(text, context.width - indent, context.options, FAINT), indent)
    return context.dimmed_if_stale(lines)


def shown_first(uses: Sequence[WindowUse], context: PanelContext) -> WindowUse | None:
    """Return the use of the binding window, else of the first one that has any."""
    binding = {row.key for row in context.rows if row.binding}
    return next((use for use in uses if use.key in binding), uses[0] if uses else None)


def use_lines(use: WindowUse, width: int, max_rows: int, options: RenderOptions) -> list[Text]:
    """Return a heading, at most ``max_rows`` projects, what was elsewhere, and remarks."""
    margin = 2 if width >= MIN_DETAILED_WIDTH else 0  # as the limits above
    inner = width - 2 * margin
    rows = use.largest_rows(max_rows)
    names = short_names(row.project for row in rows)
    labels = [names[row.project] for row in rows]
    points = [row.points for row in rows]
    if use.elsewhere is not None:
        labels, points = [*labels, ELSEWHERE], [*points, use.elsewhere]
    figures = point_figures(points, use.utilization)
    figure = max(map(len, figures), default=1)
    longest = max(map(cell_len, labels), default=0)
    name = max(1, min(longest, _MAX_NAME, inner - figure - 2))
    bar = min(_MAX_BAR, inner - name - figure - 2)
    highest = max(points, default=0.0) or 1.0
    lines = [styled_text(options.fit(_heading(use, inner), inner), STRONG)]
    for number, label in enumerate(labels):
        is_elsewhere = number == len(rows)
        line = Text(options.fit(label, name))
        line.append(" " * (name - line.cell_len + 1))
        line.append(figures[number].rjust(figure))
        filled = round(points[number] / highest * bar) if bar > 0 else 0
        glyph = options.glyphs.unknown if is_elsewhere else options.glyphs.filled
        style = options.theme.decoration if is_elsewhere else options.theme.amount
        lines.append(line.append(" ").append(glyph * filled, style=style))
    remark = remarks(use, inner)
    if remark:
        lines += wrap(remark, inner, options, FAINT)
    return indent_lines(lines, margin)


def remarks(use: WindowUse, width: int) -> str:
    """Return the parts of subagents and rebuilt caches, as much as fits on a line."""
    local = use.utilization - (use.elsewhere or 0.0)
    share = percent_text(100 * use.subagents / local) if local > 0 else "0"
    agents = f"subagents {share} %" if use.subagents > 0 else ""
    if not use.rebuilds:
        return agents
    noun = "rebuild" if use.rebuilds == 1 else "rebuilds"
    points = f"{use.rebuilds} {noun}, {percent_text(use.rebuilt)} points"
    candidates = [points, f"{use.rebuilds} {noun}"]
    joined = [f"{agents} · {each}" if agents else each for each in candidates]
    return fitting_text(joined, width) or agents


def _heading(use: WindowUse, width: int) -> str:
    label, percent = label_for(use.key), f"{percent_text(use.utilization)} %"
    known = use.elsewhere is not None
    return (
        fitting_text(
            (
                f"What used {percent} of {label}"
                + (f", ± {round(use.plus_minus)}" if known else ", if all was used here"),
                f"What used {percent} of {label}",
                f"{label} {percent}" + ("" if known else ", if all here"),
            ),
            width,
        )
        or f"{label} {percent}"
    )


def use_view(
    statuses: Sequence[AccountStatus],
    number: int,
    now: datetime,
    size: tuple[int, int],
    options: RenderOptions,
) -> list[Text]:
    """Return the lines for one window; ``number`` counts the windows of all shown accounts."""
    width, height = min(size[0], _MAX_VIEW_WIDTH), size[1]
    framed = width >= frame.MIN_WIDTH and height >= _MIN_FRAMED_HEIGHT
    inner = width - frame.SIDES if framed else width
    rows = max(1, height - 2 if framed else height)
    windows = [(status, use) for status in statuses for use in status.use]
    progress = next((s.use_progress for s in statuses if s.use_progress is not None), None)
    title = "Use"
    if windows:
        status, use = windows[number % len(windows)]
        reset = clock_time(use.resets_at, status.api_time(now), options.clock)
        left = countdown(use.resets_at - status.api_time(now))
        details = [
            f"resets {reset}, in {left}",
            f"{error_text(use.plus_minus)}, {use.basis}"
            if use.elsewhere is not None
            else use.basis,
        ]
        indent = 2 if inner >= MIN_DETAILED_WIDTH else 0
        below = [line for text in details for line in wrap(text, inner - indent, options, FAINT)]
        projects = max(rows - len(below) - 3, min(_MIN_PROJECTS, rows - 2), 1)
        body = use_lines(use, inner, projects, options) + indent_lines(below, indent)
        title = f"Use · {number % len(windows) + 1} of {len(windows)}"
    else:
        body = wrap(_NOTHING, inner, options, "")
    if progress is not None:
        body += wrap(f"reading transcripts {progress:.0%}", inner, options, FAINT)
    body = body[:rows]
    if not framed:
        return body
    top = frame.top_border(options.text(title), "", width, options)
    keys = _ASCII_KEYS if options.glyphs is ASCII else _KEYS
    keys = keys if len(windows) > 1 else _KEYS_OF_ONE
    bottom = frame.bottom_border(fitting_text(keys, width - frame.MARGIN), "", width, options)
    return frame.add_border(frame.beside_marks(body, width), top, bottom, width, options)
