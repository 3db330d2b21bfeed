"""What ``?`` shows: the keys, and the legend of everything that is not a word."""

from __future__ import annotations

from rich.text import Text

from claude_usage_monitor.render import frame
from claude_usage_monitor.render.layout import wrapped
from claude_usage_monitor.render.panels.accounts import ACTIVE
from claude_usage_monitor.render.theme import (
    FAINT,
    SEVERITY_SIGNS,
    SEVERITY_STYLES,
    STRONG,
    TARGET,
    RenderOptions,
    styled,
)
from claude_usage_monitor.usage.limits.windows import Severity

_WIDTH = 60
_KEY_COLUMN = 6
_RANGES = (
    (Severity.NORMAL, "0 to 50 % used"),
    (Severity.ELEVATED, "51 to 80 %"),
    (Severity.HIGH, "81 to 99 %"),
    (Severity.EXHAUSTED, "100 %: used up"),
)


def help_lines(width: int, height: int, options: RenderOptions) -> list[Text]:
    """Return the help, none of its lines wider than ``width``, no more than ``height``."""
    width = min(width, _WIDTH)
    framed = width >= frame.MIN_WIDTH
    inner = width - frame.SIDES if framed else width
    body: list[Text] = []
    for name, meaning, style in _entries(options):
        said = wrapped(meaning, max(1, inner - _KEY_COLUMN), options, "")
        first = styled(name.ljust(_KEY_COLUMN), style)
        body += [
            Text(" " * _KEY_COLUMN) + line if i else first + line for i, line in enumerate(said)
        ]
    if not framed:
        body = _cut(body, height)
        for line in body:
            line.truncate(width)
        return body
    top = frame.top_border("Help", "", width, options)
    bottom = frame.bottom_border("q quits, any key goes back", "", width, options)
    return frame.framed(_cut(body, max(0, height - 2)), top, bottom, width, options)[:height]


def _cut(lines: list[Text], height: int) -> list[Text]:
    """Cut to the height, saying so."""
    if len(lines) <= height:
        return lines
    return [*lines[: max(0, height - 1)], styled("more", FAINT)][:height]


def _entries(options: RenderOptions) -> list[tuple[str, str, str]]:
    glyphs = options.glyphs
    ranges = [
        (glyphs.filled * 2 if options.color else SEVERITY_SIGNS[severity], words, style)
        for severity, words in _RANGES
        for style in (SEVERITY_STYLES[severity],)
    ]
    return [
        ("q", "quit (also Ctrl+C)", STRONG),
        ("r", "read now, as soon as the request budget allows", STRONG),
        ("Tab", "next account, if there are several", STRONG),
        ("?", "this help", STRONG),
        (glyphs.binding, "the limit that will stop you first", STRONG),
        (ACTIVE, "the active account, where several have a line each", STRONG),
        (glyphs.tick, "where an even pace would stand now: use beyond it is ahead of time", STRONG),
        (
            glyphs.target,
            f"Claude Pace Maker's target; {glyphs.tick_on_target} on the pace",
            TARGET,
        ),
        ("*", "computed here, by its rules", FAINT),
        *ranges,
        (glyphs.unknown * 2, "not known, or not started", FAINT),
        ("dim", "figures held over: the footer says how old they are", FAINT),
    ]
