"""The history view: use by the hour in a narrow pane, a chart of a range in a wider one."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from claude_usage_monitor.render import frame, history_chart
from claude_usage_monitor.render.layout import fitting_text, wrap
from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions
from claude_usage_monitor.usage.limits.history import SessionsLeft, sessions_text
from claude_usage_monitor.usage.limits.history_view import (
    HistoryView,
    Range,
    columns_of_levels,
    columns_of_windows,
    heat_map,
)
from claude_usage_monitor.usage.limits.windows import label_for, percent_text

_MIN_CHART_WIDTH, _MIN_CHART_HEIGHT = 50, 10
_MIN_HEAT_WIDTH = 28
_MAX_WIDTH = 100
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_KEYS = ("h goes back · arrows: range", "h back · arrows", "h back")


def history_lines(
    view: HistoryView, now: datetime, width: int, height: int, options: RenderOptions
) -> list[Text]:
    """Return the view's lines: none wider than ``width``, no more than ``height`` of them."""
    width = min(width, _MAX_WIDTH)
    is_tight_heat = view.range is Range.HEAT and frame.body_width(width) < _MIN_HEAT_WIDTH <= width
    if width < frame.MIN_WIDTH or height < 4 or is_tight_heat:  # no room for a border
        return _body(view, now, width, height, options)[:height]
    body_width = frame.body_width(width)
    body = _body(view, now, body_width, height - 2, options)[: height - 2]
    title = f"History {options.glyphs.dot} {label_for(view.key)}"
    shown = _shown_range(view, width, height).value
    keys = next((text for text in _KEYS if len(text) + 6 <= width), "")
    top = frame.top_border(title, shown, width, options)
    bottom = frame.bottom_border(options.text(keys), "", width, options)
    lines = frame.add_border(body, top, bottom, width, options)
    for line in lines:
        line.style = options.theme.text
    return lines


def no_history_lines(width: int, height: int, options: RenderOptions) -> list[Text]:
    """Return the lines for an account without stored windows, such as an organization."""
    return wrap("This account has no stored windows. Press h to go back.", width, options, "")[
        :height
    ]


def _shown_range(view: HistoryView, width: int, height: int) -> Range:
    if view.range is Range.HEAT and width >= _MIN_HEAT_WIDTH and height >= _MIN_CHART_HEIGHT:
        return Range.HEAT
    is_chart = width >= _MIN_CHART_WIDTH and height >= _MIN_CHART_HEIGHT
    return view.range if is_chart else Range.DAY


def _body(
    view: HistoryView, now: datetime, width: int, height: int, options: RenderOptions
) -> list[Text]:
    outer = width + frame.SIDES
    if view.range is Range.HEAT and width >= _MIN_HEAT_WIDTH and height >= 8:
        return _heat(view, width, height, options)
    if outer < _MIN_CHART_WIDTH or height + 2 < _MIN_CHART_HEIGHT:
        return _narrow(view, now, width, options)
    caption = _caption(view, options)
    rows = height - 1 - len(caption)
    count = width - history_chart.SCALE_WIDTH
    if view.range in (Range.DAY, Range.WEEK):
        levels = columns_of_levels(view, count)
        chart = history_chart.level_chart(levels, view, now, rows, options)
    else:
        peaks = columns_of_windows(view, 30 if view.range is Range.MONTH else 52)
        wide = max(1, count // len(peaks))
        hits = view.range is Range.YEAR
        spread = [peak.utilization for peak in peaks for _ in range(wide)]
        chart = history_chart.peak_chart(spread, rows - hits, options)
        if hits:
            marks = "".join(str(min(peak.hits, 9) or " ").ljust(wide) for peak in peaks)
            chart.append(Text("hit " + marks))
        count = wide * len(peaks)
    return [*chart, history_chart.time_axis(view, now, count, options), *caption]


def _caption(view: HistoryView, options: RenderOptions) -> list[Text]:
    label = label_for(view.key)
    if view.range is Range.MONTH:
        texts = [f"Highest of the {label} windows of each day"]
    elif view.range is Range.YEAR:
        texts = ["Highest of each week; hit: how often the limit was"]
    else:
        marks = history_chart.Marks(options)
        texts = [f"Used, {label}  {marks.pace} even pace  {marks.reset} reset"]
        if view.forecast is not None:
            texts[0] += f"  {marks.ahead} 80 % range"
    if view.sessions_left is not None:
        texts.append(_sessions(view.sessions_left, options).capitalize())
    return [Text(options.text(text), style="") for text in texts]


def _heat(view: HistoryView, width: int, height: int, options: RenderOptions) -> list[Text]:
    heat = heat_map(view.hours, options.clock.zone)
    lines = history_chart.heat_rows(heat, width, options)
    if heat.busiest is not None and height > len(lines):
        day, hour = heat.busiest
        points = f"{heat.highest:.0f} points an hour"
        wide = f"busiest: {_DAYS[day]} {hour:02d}:00, {points}"
        narrow = f"{_DAYS[day][:3]} {hour:02d}:00 {points}"
        lines.append(Text(wide if len(wide) <= width else narrow))
    return lines


def _sessions(sessions: SessionsLeft, options: RenderOptions) -> str:
    text = sessions_text(sessions)
    return text.replace("–", "-") if options.glyphs is ASCII else text


def _narrow(view: HistoryView, now: datetime, width: int, options: RenderOptions) -> list[Text]:
    """Draw one sparkline a limit: the points used in each of the last hours."""
    lines: list[Text] = []
    for key, hours in view.use.items():
        spark, highest = history_chart.sparkline(hours, now, width, options)
        label, figure = label_for(key), f"max {percent_text(highest)}"
        gap = width - len(label) - len(figure)
        heading = Text(options.fit(label, width), style=STRONG)
        if gap > 0:
            heading.append(" " * gap + figure, style="not bold")
        lines += [heading, spark]
    lines.append(Text(options.fit("points used an hour", width), style=FAINT))
    if view.sessions_left is not None:
        text = _sessions(view.sessions_left, options)
        short = text.removesuffix(" this week")
        wordings = (text, short, short.removeprefix("about "))
        lines.append(Text(options.fit(fitting_text(wordings, width) or wordings[-1], width)))
    return lines
