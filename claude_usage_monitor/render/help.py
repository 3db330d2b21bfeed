"""The help: keys, and the meaning of every mark and color that this user can see."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render import frame
from claude_usage_monitor.render.layout import fitting_text, wrap
from claude_usage_monitor.render.panels.accounts import ACTIVE
from claude_usage_monitor.render.theme import FAINT, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.status import AccountStatus

_MAX_WIDTH = 60
_KEY_WIDTH = 6
_SEVERITIES = (  # a percentage of each severity, and its meaning
    (0.0, "up to 50 % used"),
    (51.0, "51 to 80 % used"),
    (81.0, "81 to 99 % used"),
    (100.0, "limit reached"),
)
_GO_BACK = ("q quits, any key goes back", "any key goes back")
_SCROLL = ("j and k scroll, any other key goes back", "j k scroll, others go back", "j k scroll")


class HelpTopics(NamedTuple):
    """What the user has, so that the help explains nothing else."""

    subscription: bool = True
    organization: bool = False
    several: bool = False
    throttling: bool = False
    alerts: bool = False

    @classmethod
    def of(cls, statuses: Sequence[AccountStatus], *, several: bool) -> HelpTopics:
        """Return the topics of these accounts; ``several`` is whether there are others."""
        kinds = {status.account.kind for status in statuses}
        return cls(
            "code" in kinds,
            "console" in kinds,
            several or len(statuses) > 1,
            any(status.throttling is not None for status in statuses),
            any(status.alerts for status in statuses),
        )


def help_lines(
    width: int, height: int, options: RenderOptions, topics: HelpTopics, first: int = 0
) -> tuple[list[Text], int]:
    """Return the help from its line ``first`` on, and the first line that is really shown.

    No line is wider than ``width``, and there are no more than ``height``.
    """
    width = min(width, _MAX_WIDTH)
    framed = width >= frame.MIN_WIDTH and height > 2
    inner = width - frame.SIDES if framed else width
    body: list[Text] = []
    for key, meaning, style in _entries(options, topics):
        for number, line in enumerate(wrap(meaning, max(1, inner - _KEY_WIDTH), options, "")):
            body.append(styled_text((key if number == 0 else "").ljust(_KEY_WIDTH), style) + line)
    rows = max(1, height - 2 if framed else height)
    first = max(0, min(first, len(body) - rows))
    shown = body[first : first + rows]
    for line in shown:
        line.truncate(inner)
    if not framed:
        return shown, first
    scrolls = len(shown) < len(body)
    position = f"{first + 1} to {first + len(shown)} of {len(body)}" if scrolls else ""
    top = frame.top_border("Help", position, width, options)
    keys = fitting_text(_SCROLL if scrolls else _GO_BACK, width - frame.MARGIN)
    bottom = frame.bottom_border(keys, "", width, options)
    return frame.add_border(frame.beside_marks(shown, width), top, bottom, width, options), first


def _entries(options: RenderOptions, topics: HelpTopics) -> list[tuple[str, str, str]]:
    """Return keys or marks, their meaning and their style."""
    glyphs, theme = options.glyphs, options.theme
    entries = [
        ("q", "quit (also Ctrl+C)", STRONG),
        ("r", "read now, as soon as the request budget allows", STRONG),
        ("u", "show what is used, or what is left", STRONG),
    ]
    if topics.subscription:
        entries.append(("w", "what used a window; ← and → change it", STRONG))
    if topics.several:
        entries.append(("Tab", "next account", STRONG))
    if topics.subscription:
        entries.append(("h", "history; ← and → change its range, ↑ and ↓ its window", STRONG))
    entries.append(("?", "this help", STRONG))
    entries += _label_marks(options, topics)
    entries.append(
        (glyphs.tick, "an even pace would be here now; use beyond it is ahead of the time", STRONG)
    )
    if topics.subscription and options.forecast and options.color and glyphs.ahead:
        entries.append((glyphs.ahead * 2, "the forecast for the reset", theme.decoration))
    if topics.throttling:
        both = f"Claude Pace Maker's target; {glyphs.tick_on_target} where both meet"
        entries.append((glyphs.target, both, theme.target))
        entries.append(("*", "computed here, by Claude Pace Maker's rules", ""))
    for percent, meaning in _SEVERITIES:
        mark = options.sign(percent) or glyphs.filled * 2
        entries.append((mark, meaning, theme.bar_style(percent)))
    entries.append((glyphs.unknown * 2, "unknown, or not started", theme.decoration))
    if topics.organization:
        entries += [
            ("By", "what the month will cost by then, and a range that holds in 4 of 5 cases", ""),
            ("est.", "Anthropic's estimate, about an hour late, of what the API bills", ""),
        ]
    return [*entries, ("dim", "old figures: the footer shows their age", FAINT)]


def _label_marks(options: RenderOptions, topics: HelpTopics) -> list[tuple[str, str, str]]:
    """Return the marks before labels and names."""
    glyphs, entries = options.glyphs, []
    if topics.subscription:
        entries.append((glyphs.binding, "the limit that will stop you first", STRONG))
    if topics.alerts:
        meaning = f"an alert that is not over; {glyphs.binding_alert} also stops you first"
        entries.append((f"{glyphs.alert} {glyphs.binding_alert}", meaning, STRONG))
    if topics.several:
        entries.append((ACTIVE, "the active account, where several have a line each", STRONG))
    return entries
