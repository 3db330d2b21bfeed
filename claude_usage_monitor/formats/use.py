"""What was used, as text for a terminal of any width, as a JSON document and as CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from datetime import datetime

from claude_usage_monitor.formats.json_schema import Json, fields, plain
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.text_layout import cell_len, pad
from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.report import (
    LastRise,
    UseReport,
    point_figures,
    short_names,
)
from claude_usage_monitor.usage.attribution.shown import error_text
from claude_usage_monitor.usage.attribution.window_use import UseRow
from claude_usage_monitor.usage.durations import clock_time, countdown, date_and_time
from claude_usage_monitor.usage.limits.windows import percent_text
from claude_usage_monitor.usage.money.money import compact

ELSEWHERE = "elsewhere"
NOTHING = "No use of Claude Code was found on this computer in this time."
_MIN_WIDE = 60  # columns for tokens and prices beside the bar
_MIN_NAME, _MAX_BAR = 9, 30  # columns
_TIMES = ("hour", "day", "week")
_SPARKS, _ASCII_SPARKS = "▁▂▃▄▅▆▇█", "_.-=*#%@"
_GAP = 2
_UUID_LENGTH = 36
_VERSION = 1
_TOKENS = tuple(name for name in Tokens._fields if name != "searches")


def text(report: UseReport, now: datetime, options: FormatOptions) -> str:
    """Return the report as lines of at most the width."""
    lines = _heading(report, now, options)
    if report.rows or report.elsewhere:
        lines += _table(report, options)
        lines += _remarks(report, now, options)
    else:
        lines += textwrap.wrap(NOTHING, options.width)
    return "".join(f"{_plain(line, options).rstrip()}\n" for line in lines)


def _heading(report: UseReport, now: datetime, options: FormatOptions) -> list[str]:
    window = report.window
    if window is None:
        return []
    moment = clock_time(window.resets_at, now, options.clock)
    reset = f"resets {moment}, in {countdown(window.resets_at - now)}"
    if not window.is_running:
        reset = f"until {moment}"
    percent = f"{percent_text(window.utilization)} % used"
    line = f"{window.label}  {percent}  {reset}"
    if cell_len(line) <= options.width:
        return [line, ""]
    return [f"{window.label}  {percent}", reset, ""]


def _table(report: UseReport, options: FormatOptions) -> list[str]:
    rows = list(report.rows)
    names = {row.name: row.name for row in rows}
    if report.by == "project":
        names = short_names(names)
    elif report.by == "session":
        names = {name: _short_session(name) for name in names}
    figures = _figures(report)
    values = [row.points if row.points is not None else row.share for row in rows]
    labels = [names[row.name] for row in rows]
    tokens: Sequence[Tokens | None] = [row.tokens for row in rows]
    prices = [_price(row) for row in rows]
    if report.elsewhere is not None:
        labels, values = [*labels, ELSEWHERE], [*values, report.elsewhere]
        tokens, prices = [*tokens, None], [*prices, ""]
    wide = options.width >= _MIN_WIDE
    counts = ["" if each is None else compact(sum(each[1:6])) for each in tokens]
    price = max([len("list price"), *map(len, prices)])
    right = _GAP + 8 + _GAP + price if wide else 0
    unit = "points" if report.window else "share"
    figure = max([len(unit) if wide else 1, *map(len, figures)])
    name = max(map(cell_len, labels), default=0)
    name = max(_MIN_NAME, min(name, options.width - right - figure - 8))
    bar = min(_MAX_BAR, options.width - right - name - figure - 3)
    highest = max(values, default=0.0) or 1.0
    lines = []
    if wide:
        heading = f"{' ' * name} {unit:>{figure}}  {' ' * bar}"
        lines.append(f"{heading}{'tokens':>{8 + _GAP}}{'list price':>{price + _GAP}}")
    for number, label in enumerate(labels):
        glyph = "░" if number == len(rows) else "█"
        filled = glyph * round(values[number] / highest * bar) if bar > 0 else ""
        line = f"{_fitted(label, name, options)} {figures[number]:>{figure}}  {filled}"
        if wide:
            line = f"{line}{' ' * (bar - len(filled))}{counts[number]:>{8 + _GAP}}"
            line = f"{line}{prices[number]:>{price + _GAP}}"
        lines.append(line)
    return lines


def _figures(report: UseReport) -> list[str]:
    """Return the points as whole numbers that add up to the percent; shares without points."""
    if report.window is None:
        return [f"{percent_text(row.share)} %" for row in report.rows]
    points = [row.points or 0.0 for row in report.rows]
    if report.elsewhere is not None:
        points.append(report.elsewhere)
    return point_figures(points, report.window.utilization)


def _remarks(report: UseReport, now: datetime, options: FormatOptions) -> list[str]:
    remarks: list[str] = []
    window = report.window
    if report.by in _TIMES and len(report.rows) > 1:
        remarks.append(_sparkline(report, options))
    parts = []
    if window is not None and report.subagents is not None and window.utilization:
        local = window.utilization - (report.elsewhere or 0.0)
        share = 100 * report.subagents / local if local > 0 else 0.0
        parts.append(f"subagents {percent_text(share)} %")
    if report.rebuilds:
        noun = "cache rebuild" if report.rebuilds == 1 else "cache rebuilds"
        amount = f", {percent_text(report.rebuilt)} points" if report.rebuilt >= 1 else ""
        parts.append(f"{report.rebuilds} {noun}{amount}")
    if parts:
        remarks.append(" · ".join(parts))
    if report.last_rise is not None:
        remarks.append(_rise(report.last_rise, now, options))
    if report.plus_minus is not None and report.basis is not None:
        remarks.append(f"{error_text(report.plus_minus)}, {report.basis}")
    lines = [line for remark in remarks for line in textwrap.wrap(remark, options.width)]
    return ["", *lines] if lines else []


def _rise(rise: LastRise, now: datetime, options: FormatOptions) -> str:
    began, ended = (date_and_time(at, now, options.clock) for at in (rise.began_at, rise.ended_at))
    names = [rise.project and short_names([rise.project])[rise.project]]
    if rise.session is not None:
        session = _short_session(rise.session)
        names.append(session if session.startswith("session") else f"session {session}")
    used_by = ", ".join(filter(None, names)) or ELSEWHERE
    return f"last rise {began}–{ended}: +{percent_text(rise.points)} points, {used_by}"


def _short_session(name: str) -> str:
    """Return the beginning of a session's UUID; another name, such as ``session 1``, whole."""
    return name[:8] if len(name) == _UUID_LENGTH else name


def _sparkline(report: UseReport, options: FormatOptions) -> str:
    values = [row.points if row.points is not None else row.share for row in report.rows]
    shown = values[-options.width :]
    highest = max(shown) or 1.0
    glyphs = _ASCII_SPARKS if options.ascii else _SPARKS
    return "".join(glyphs[min(7, int(value / highest * 8))] for value in shown)


def _price(row: UseRow) -> str:
    return "unpriced" if row.usd is None else f"${row.usd:,.2f}"


def _plain(line: str, options: FormatOptions) -> str:
    if not options.ascii:
        return line
    for glyph, other in (("█", "#"), ("░", "."), ("·", "-"), ("±", "+-"), ("–", "-"), ("…", "~")):
        line = line.replace(glyph, other)
    return line.encode("ascii", "replace").decode()


def _fitted(name: str, width: int, options: FormatOptions) -> str:
    if cell_len(name) > width:
        while cell_len(name) > width - 1:
            name = name[:-1]
        name += "~" if options.ascii else "…"
    return pad(name, width)


# --- for programs --------------------------------------------------------------------------------


def document(report: UseReport) -> str:
    """Return the JSON document."""
    window = report.window
    content: Json = {
        "version": _VERSION,
        "account": report.account,
        "window": window
        and fields(window, "key", "started_at", "resets_at", "utilization", digits=None),
        "by": report.by,
        "rows": [_row(row) for row in report.rows],
        **fields(report, "elsewhere"),
        **fields(report, "plus_minus", digits=1),
        "totals": fields(report.totals, *_TOKENS),
        **fields(report, "basis", "subagents"),
        "rebuilds": {"count": report.rebuilds, "points": plain(report.rebuilt, 2)},
        "last_rise": report.last_rise
        and fields(report.last_rise, "began_at", "ended_at", "points", "project", "session"),
        "scanned": fields(report, "files", "bytes", "skipped_lines"),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def csv_table(report: UseReport) -> str:
    """Return the rows as CSV with a heading; use elsewhere is a row without tokens."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["name", "points", "share", *_TOKENS, "usd_equivalent"])
    for row in report.rows:
        name, points, share = _not_a_formula(row.name), _number(row.points), _number(row.share)
        counts = fields(row.tokens, *_TOKENS).values()
        writer.writerow([name, points, share, *counts, _number(row.usd, 4)])
    if report.elsewhere is not None:
        writer.writerow([ELSEWHERE, _number(report.elsewhere), *[""] * (len(_TOKENS) + 2)])
    return written.getvalue()


def _row(row: UseRow) -> Json:
    return {
        **fields(row, "name", "points", "share"),
        "tokens": fields(row.tokens, *_TOKENS),
        "usd_equivalent": plain(row.usd, 4),
    }


def _number(number: float | None, digits: int = 2) -> str:
    return "" if number is None else f"{round(number, digits):g}"


def _not_a_formula(name: str) -> str:
    """Return a name that a spreadsheet does not evaluate."""
    return f"'{name}" if name[:1] in "=+-@" else name
