"""Charts of the history in character cells: levels, peaks, use by the hour, hours of the week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.text import Text

from claude_usage_monitor.render.theme import ASCII, FAINT, RenderOptions
from claude_usage_monitor.usage.limits.history_view import HeatMap, HistoryView, Range
from claude_usage_monitor.usage.limits.hours import HourUse
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.resets import WindowInstance

SCALE_WIDTH = 4  # cells of "100 " at the left of a chart
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:-=+*#"
_SHADES = " ·░▒▓█"
_ASCII_SHADES = " .:-=#"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOUR = timedelta(hours=1)


class Marks:
    """The characters of a chart's lines."""

    def __init__(self, options: RenderOptions) -> None:
        is_ascii = options.glyphs is ASCII
        self.blocks = _ASCII_BLOCKS if is_ascii else _BLOCKS
        self.shades = _ASCII_SHADES if is_ascii else _SHADES
        self.now, self.reset, self.pace = ("|", ":", "'") if is_ascii else ("│", "┊", "·")
        self.ahead = "%" if is_ascii else "░"


def bars(
    levels: Sequence[float | None], height: int, options: RenderOptions, highest: float = 100.0
) -> list[Text]:
    """Draw one column for each level, ``height`` rows high; a level above 0 is always visible."""
    blocks = Marks(options).blocks
    steps = len(blocks) - 1
    lines = []
    for row in range(height - 1, -1, -1):
        line = Text()
        for level in levels:
            if level is None or level <= 0 or highest <= 0:
                line.append(" ")
                continue
            filled = max(1, round(min(level / highest, 1.0) * height * steps))
            cell = blocks[min(max(filled - row * steps, 0), steps)]
            is_level = highest == 100.0 and cell != " "  # marks get no level's color
            line.append(cell, style=options.theme.bar_style(level) if is_level else "")
        lines.append(line)
    return lines


def sparkline(
    hours: Sequence[HourUse], now: datetime, columns: int, options: RenderOptions, each: int = 1
) -> tuple[Text, float]:
    """Draw the points used in the last ``columns`` times ``each`` hours; return the highest, too.

    A column has ``each`` hours.
    """
    last = now.replace(minute=0, second=0, microsecond=0)
    values = [0.0] * columns
    for row in hours:
        column = columns - 1 - (last - row.hour) // (each * _HOUR)
        if 0 <= column < columns:
            values[column] += row.used
    highest = max(values, default=0.0)
    (line,) = bars(values, 1, options, highest or 1.0)
    line.stylize(options.theme.amount)
    return line, highest


def level_chart(
    levels: Sequence[float | None],
    view: HistoryView,
    now: datetime,
    height: int,
    options: RenderOptions,
) -> list[Text]:
    """Draw levels with the present, the reset, the range ahead and an even pace.

    Each only takes cells that are free.
    """
    marks, width = Marks(options), len(levels)
    lines = bars(levels, height, options)
    window = view.current if view.current and view.current.resets_at > now else None
    _put_column(lines, _place(view, now, width), marks.now)
    if window is not None:
        _put_column(lines, _place(view, window.resets_at, width), marks.reset)
        for column in range(width):
            at = _instant(view, column, width)
            if view.forecast is not None and now < at < window.resets_at:
                share = (at - now) / (window.resets_at - now)
                for row in _rows_ahead(view.forecast, share, height):
                    _put(lines[row], column, marks.ahead)
            pace = _pace_row(window, at, height)
            if pace is not None:
                _put(lines[pace], column, marks.pace)
    return _with_scale(lines)


def peak_chart(peaks: Sequence[float | None], height: int, options: RenderOptions) -> list[Text]:
    """Draw the highest level of each column's windows."""
    return _with_scale(bars(peaks, height, options))


def heat_rows(heat: HeatMap, width: int, options: RenderOptions) -> list[Text]:
    """Draw the hours of the week, darker where more is used, with a day's total if it fits."""
    shades = Marks(options).shades
    steps = len(shades) - 1
    rows = [Text("    0     6     12    18" + ("      a day" if width >= 37 else ""), style=FAINT)]
    for day, means in enumerate(heat.means):
        line = Text(f"{_WEEKDAYS[day]} ")
        for mean in means:
            share = mean / heat.highest if heat.highest > 0 else 0.0
            shade = shades[max(1, round(share * steps)) if mean > 0 else 0]
            line.append(shade, style=options.theme.amount)
        if width >= 37:
            line.append(f"{sum(means):8.0f}")
        rows.append(line)
    return rows


def time_axis(view: HistoryView, now: datetime, width: int, options: RenderOptions) -> Text:
    """Return the line below a chart: days or hours, and the present."""
    cells = [" "] * (width + SCALE_WIDTH)
    step = timedelta(hours=4) if view.range is Range.DAY else timedelta(days=1)
    if view.range in (Range.MONTH, Range.YEAR):
        step = timedelta(days=7 if view.range is Range.MONTH else 56)
    zone = options.clock.zone
    mark = view.start.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if view.range is Range.DAY:
        mark += timedelta(hours=-mark.hour % 4)
    else:
        mark = mark.replace(hour=0) + timedelta(days=1)
    labels = [] if view.end <= now else [(_place(view, now, width), "now")]
    while mark < view.end:
        labels.append((_place(view, mark, width), _label(mark, view.range)))
        mark += step
    for column, label in labels:
        start = column + SCALE_WIDTH
        around = cells[max(0, start - 1) : start + len(label) + 1]
        if column >= 0 and start + len(label) <= len(cells) and not "".join(around).strip():
            cells[start : start + len(label)] = label
    return Text("".join(cells).rstrip(), style=FAINT)


def _label(moment: datetime, shown: Range) -> str:
    if shown is Range.DAY:
        return f"{moment.hour:02d}"
    if shown is Range.WEEK:
        return _WEEKDAYS[moment.weekday()]
    return f"{moment.day:02d}.{moment.month:02d}."


def _instant(view: HistoryView, column: int, width: int) -> datetime:
    return view.start + (view.end - view.start) * ((column + 0.5) / width)


def _place(view: HistoryView, at: datetime, width: int) -> int:
    """Return the column of an instant, -1 outside the chart."""
    share = (at - view.start) / (view.end - view.start)
    return min(int(share * width), width - 1) if 0 <= share <= 1 else -1


def _pace_row(window: WindowInstance, at: datetime, height: int) -> int | None:
    """Return the row of an even pace at an instant, from the top; None outside the window."""
    share = (at - window.started_at) / (window.resets_at - window.started_at)
    return height - 1 - min(int(share * height), height - 1) if 0 <= share < 1 else None


def _rows_ahead(forecast: Forecast, share: float, height: int) -> range:
    """Return the rows of the forecast's range after a share of the time until the reset."""
    low, high = (
        min(forecast.utilization + (end - forecast.utilization) * share, 100.0)
        for end in (forecast.expected_low, forecast.expected_high)
    )
    top = height - 1 - min(int(high / 100 * height), height - 1)
    bottom = height - 1 - min(int(low / 100 * height), height - 1)
    return range(top, bottom + 1)


def _put(line: Text, column: int, mark: str) -> None:
    """Put a mark into a free cell."""
    if line.plain[column] == " ":
        line.plain = line.plain[:column] + mark + line.plain[column + 1 :]


def _put_column(lines: Sequence[Text], column: int, mark: str) -> None:
    if column >= 0:
        for line in lines:
            _put(line, column, mark)


def _with_scale(lines: Sequence[Text]) -> list[Text]:
    """Put the scale before the lines: 100 at the top, 50 in the middle, 0 at the bottom."""
    scale = {0: "100 ", len(lines) // 2: " 50 ", len(lines) - 1: "  0 "}
    return [
        Text(scale.get(row, " " * SCALE_WIDTH), style="") + line for row, line in enumerate(lines)
    ]
