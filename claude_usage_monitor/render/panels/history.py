"""The history view: use by the hour in a narrow pane, a chart of a range in a wider one."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from claude_usage_monitor.render import frame, history_chart
from claude_usage_monitor.render.layout import fitting_text, wrap
from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions
from claude_usage_monitor.usage.limits.history import sessions_text
from claude_usage_monitor.usage.limits.history_view import (
    SPARK_HOURS,
    HistoryView,
    Range,
    busiest_text,
    columns_of_levels,
    columns_of_windows,
    heat_map,
)
from claude_usage_monitor.usage.limits.windows import label_for, percent_text

_MIN_CHART_WIDTH, _MIN_CHART_HEIGHT = 50, 10
_MIN_HEAT_WIDTH = 28
_MAX_WIDTH = 100
_KEYS = ("← → range · h or Esc goes back", "← → range · h back", "h back")
_KEYS_OF_SEVERAL = ("← → range · ↑ ↓ window · h or Esc goes back", "← → ↑ ↓ · h back", "h back")
_ASCII_KEYS = ("arrows: range, h or Esc goes back", "arrows: range, h back", "h back")
_ASCII_KEYS_OF_SEVERAL = (
    "arrows: range and window, h or Esc goes back",
    "arrows, h back",
    "h back",
)


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
    shown_range = _shown_range(view, width, height)
    title, shown = "History", shown_range.value
    if _has_chart(width, height) or shown_range is Range.HEAT:
        title += f" {options.glyphs.dot} {label_for(view.key)}"
    elif shown_range is Range.DAY:
        shown = f"{body_width} hours"  # a column each
    keys = fitting_text(_keys(view, width, height, options), width - frame.MARGIN)
    top = frame.top_border(title, shown, width, options)
    bottom = frame.bottom_border(keys, "", width, options)
    lines = frame.add_border(body, top, bottom, width, options)
    for line in lines:
        line.style = options.theme.text
    return lines


def no_history_lines(width: int, height: int, options: RenderOptions) -> list[Text]:
    """Return the lines for an account without stored windows, such as an organization."""
    return wrap("This account has no stored windows. Press h to go back.", width, options, "")[
        :height
    ]


def _keys(view: HistoryView, width: int, height: int, options: RenderOptions) -> tuple[str, ...]:
    """Return wordings of what the keys do; the shorter ones are for narrower panes."""
    is_ascii = options.glyphs is ASCII
    one_window = _has_chart(width, height) or view.range not in (Range.DAY, Range.WEEK)
    if one_window and len(view.use) > 1:
        return _ASCII_KEYS_OF_SEVERAL if is_ascii else _KEYS_OF_SEVERAL
    return _ASCII_KEYS if is_ascii else _KEYS


def _has_chart(width: int, height: int) -> bool:
    return width >= _MIN_CHART_WIDTH and height >= _MIN_CHART_HEIGHT


def _shown_range(view: HistoryView, width: int, height: int) -> Range:
    if view.range is not Range.HEAT:
        return view.range
    has_space = width >= _MIN_HEAT_WIDTH and height >= _MIN_CHART_HEIGHT
    return Range.HEAT if has_space else Range.DAY


def _body(
    view: HistoryView, now: datetime, width: int, height: int, options: RenderOptions
) -> list[Text]:
    if view.range is Range.HEAT and width >= _MIN_HEAT_WIDTH and height >= 8:
        return _heat(view, width, height, options)
    if not _has_chart(width + frame.SIDES, height + 2):
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
        texts = [f"Highest {label} window that began each day"]
    elif view.range is Range.YEAR:
        texts = ["Highest of each week; hit: times the limit was hit"]
    else:
        marks = history_chart.Marks(options)
        texts = [f"Used, {label}  {marks.pace} even pace  {marks.reset} reset"]
        if view.forecast is not None:
            texts[0] += f"  {marks.ahead} 80 % range"
    if view.sessions_left is not None:
        texts.append(sessions_text(view.sessions_left).capitalize())
    return [Text(options.text(text), style="") for text in texts]


def _heat(view: HistoryView, width: int, height: int, options: RenderOptions) -> list[Text]:
    heat = heat_map(view.hours, options.clock.zone)
    lines = history_chart.heat_rows(heat, width, options)
    wide, narrow = busiest_text(heat), busiest_text(heat, short=True)
    if wide is not None and narrow is not None and height > len(lines):
        lines.append(Text(wide if len(wide) <= width else narrow))
    return lines


def _narrow(view: HistoryView, now: datetime, width: int, options: RenderOptions) -> list[Text]:
    """Draw one line a limit: the points used by the hour, or the peaks of its windows."""
    if view.range in (Range.MONTH, Range.YEAR):
        peaks = [peak.utilization for peak in columns_of_windows(view, width)]
        (line,) = history_chart.bars(peaks, 1, options)
        highest = max((peak for peak in peaks if peak is not None), default=0.0)
        caption = f"highest, {view.range.value}"
        lines = [_narrow_heading(view.key, f"max {percent_text(highest)} %", width, options), line]
    else:
        lines = []
        each = _hours_a_column(width) if view.range is Range.WEEK else 1
        columns = min(width, SPARK_HOURS // each)
        caption = "points used an hour" if each == 1 else f"points used in {each} hours"
        for key, hours in view.use.items():
            spark, highest = history_chart.sparkline(hours, now, columns, options, each)
            figure = f"max {percent_text(highest)}"
            lines += [_narrow_heading(key, figure, width, options), spark]
    lines.append(Text(options.fit(caption, width), style=FAINT))
    if view.sessions_left is not None:
        text = options.text(sessions_text(view.sessions_left))
        short = text.removesuffix(" this week")
        bare = short.removeprefix("about ")
        wordings = (text, short, bare, bare.replace("full ", ""))
        lines.append(Text(options.fit(fitting_text(wordings, width) or wordings[-1], width)))
    return lines


def _narrow_heading(key: str, figure: str, width: int, options: RenderOptions) -> Text:
    label = label_for(key)
    gap = width - len(label) - len(figure)
    heading = Text(options.fit(label, width), style=STRONG)
    if gap > 0:
        heading.append(" " * gap + figure, style="not bold")
    return heading


def _hours_a_column(width: int) -> int:
    """Return how many hours a column has, so that a week fits."""
    return next((each for each in (2, 3, 4, 6, 8, 12) if SPARK_HOURS // each <= width), 24)
