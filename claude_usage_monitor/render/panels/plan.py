"""The panel about the plan: that it has no 5-hour limit, and the saved resets."""

from __future__ import annotations

from rich.text import Text

from claude_usage_monitor.render.layout import fitting_text
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.usage.durations import calendar_day
from claude_usage_monitor.usage.limits.saved_resets import SavedResets, cleared_limits

NO_FIVE_HOUR_LIMIT = "no 5-hour limit"


def draw(context: PanelContext, level: int) -> list[Text]:
    """Draw a line for each; none in a pane that is too low."""
    usage = context.status.usage
    if usage is None or level == 0:
        return []
    candidates: list[tuple[str, ...]] = []
    if usage.lacks_five_hour_limit:
        candidates.append((NO_FIVE_HOUR_LIMIT,))
    if usage.saved_resets is not None:
        candidates.append(_saved_resets(usage.saved_resets, context))
    indent = "  " if context.detailed else ""
    texts = [fitting_text(each, context.width - len(indent)) for each in candidates]
    lines = [context.options.text(indent + text) for text in texts if text]
    return context.dimmed_if_stale(map(Text, lines))


def _saved_resets(saved: SavedResets, context: PanelContext) -> tuple[str, ...]:
    """Return the number of saved resets, their expiry and what they clear; nothing without any."""
    now = context.status.api_time(context.now)
    count, use_by = saved.count(now), saved.use_by(now)
    if not count:
        return ()
    resets = "1 saved reset" if count == 1 else f"{count} saved resets"
    expiry = ""
    if use_by is not None:
        local_day = use_by.astimezone(context.options.clock.zone).date()
        expiry = f" · use by {calendar_day(local_day)}"
    limits = cleared_limits(saved.clears(now))
    effect = f" · {'clears' if count == 1 else 'clear'} {limits}" if limits else ""
    return (resets + expiry + effect, resets + expiry, resets)
