"""An account's history as text for screen readers: one fact a line."""

from datetime import datetime, timedelta

from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.limits.history import sessions_text
from claude_usage_monitor.usage.limits.history_view import HistoryView, busiest_text, heat_map
from claude_usage_monitor.usage.limits.windows import label_for, percent_text

_LAST_DAY = timedelta(hours=24)


def history_lines(view: HistoryView, now: datetime, options: FormatOptions) -> list[str]:
    """Return what was used of each limit lately, the busiest hour of the week, sessions left.

    ``view`` is that of the hours of the week.
    """
    lines = []
    for key, hours in view.use.items():
        used = [row.used for row in hours if now - row.hour <= _LAST_DAY]
        figure = percent_text(sum(used)).replace("<1", "less than 1")
        points = "point" if figure.endswith(" 1") or figure == "1" else "points"
        text = f"{label_for(key)} limit: {figure} {points} used in the last 24 hours"
        highest = max(used, default=0.0)
        if highest >= 1:
            text += f", at most {percent_text(highest)} in an hour"
        lines.append(text)
    busiest = busiest_text(heat_map(view.hours, options.clock.zone))
    if busiest is not None:
        lines.append(busiest[0].upper() + busiest[1:])
    if view.sessions_left is not None:
        lines.append(sessions_text(view.sessions_left).replace("–", " to ").capitalize())
    return lines
