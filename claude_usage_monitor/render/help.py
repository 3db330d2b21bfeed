"""The help: keys, and the meaning of every mark and color."""

from __future__ import annotations

from rich.text import Text

from claude_usage_monitor.render import frame
from claude_usage_monitor.render.layout import wrap
from claude_usage_monitor.render.panels.accounts import ACTIVE
from claude_usage_monitor.render.theme import (
    FAINT,
    SEVERITY_SIGNS,
    STRONG,
    RenderOptions,
    styled_text,
)
from claude_usage_monitor.usage.limits.windows import Severity

_MAX_WIDTH = 60
_KEY_WIDTH = 6
_SEVERITIES = (
    (Severity.NORMAL, "0 to 50 % used"),
    (Severity.ELEVATED, "51 to 80 %"),
    (Severity.HIGH, "81 to 99 %"),
    (Severity.EXHAUSTED, "100 %: used up"),
)


def help_lines(width: int, height: int, options: RenderOptions) -> list[Text]:
    """Return the help: no line wider than ``width``, no more than ``height`` lines."""
    width = min(width, _MAX_WIDTH)
    framed = width >= frame.MIN_WIDTH
    inner = width - frame.SIDES if framed else width
    body: list[Text] = []
    for key, meaning, style in _entries(options):
        for number, line in enumerate(wrap(meaning, max(1, inner - _KEY_WIDTH), options, "")):
            body.append(styled_text((key if number == 0 else "").ljust(_KEY_WIDTH), style) + line)
    if not framed:
        body = _cut(body, height)
        for line in body:
            line.truncate(width)
        return body
    top = frame.top_border("Help", "", width, options)
    bottom = frame.bottom_border("q quits, any key goes back", "", width, options)
    return frame.add_border(_cut(body, max(0, height - 2)), top, bottom, width, options)[:height]


def _cut(lines: list[Text], height: int) -> list[Text]:
    """Cut to the height; the last line says that there is more."""
    if len(lines) <= height:
        return lines
    return [*lines[: max(0, height - 1)], styled_text("more", FAINT)][:height]


def _entries(options: RenderOptions) -> list[tuple[str, str, str]]:
    """Return keys or marks, their meaning and their style."""
    glyphs, theme = options.glyphs, options.theme
    severities = [
        (
            glyphs.filled * 2 if options.color else SEVERITY_SIGNS[severity],
            text,
            theme.severity[severity],
        )
        for severity, text in _SEVERITIES
    ]
    return [
        ("q", "quit (also Ctrl+C)", STRONG),
        ("r", "read now, as soon as the request budget allows", STRONG),
        ("Tab", "next account, if there are several", STRONG),
        ("?", "this help", STRONG),
        (glyphs.binding, "the limit that will stop you first", STRONG),
        (ACTIVE, "the active account, where several have a line each", STRONG),
        (glyphs.tick, "an even pace would be here now; beyond it is ahead", STRONG),
        (
            glyphs.target,
            f"Claude Pace Maker's target; {glyphs.tick_on_target} where both meet",
            theme.target,
        ),
        ("*", "computed here, by Claude Pace Maker's rules", FAINT),
        *severities,
        (glyphs.unknown * 2, "unknown, or not started", FAINT),
        ("dim", "old figures: the footer shows their age", FAINT),
    ]
