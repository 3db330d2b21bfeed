"""What was used, as a JSON document and as CSV."""

from __future__ import annotations

import csv
import io
import json

from claude_usage_monitor.formats.json_values import Json, instant, rounded
from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.report import UseReport
from claude_usage_monitor.usage.attribution.window_use import UseRow

VERSION = 1
_TOKENS = tuple(name for name in Tokens._fields if name != "searches")
ELSEWHERE = "elsewhere"


def document(report: UseReport) -> str:
    """Return the JSON document."""
    window = report.window
    content: Json = {
        "version": VERSION,
        "account": report.account,
        "window": window
        and {
            "key": window.key,
            "started_at": instant(window.started_at),
            "resets_at": instant(window.resets_at),
            "utilization": window.utilization,
        },
        "by": report.by,
        "rows": [_row(row) for row in report.rows],
        "elsewhere": rounded(report.elsewhere),
        "plus_minus": rounded(report.plus_minus, 1),
        "totals": _tokens(report.totals),
        "basis": report.basis,
        "subagents": rounded(report.subagents),
        "rebuilds": {"count": report.rebuilds, "points": rounded(report.rebuilt)},
        "last_rise": _last_rise(report),
        "scanned": {
            "files": report.files,
            "bytes": report.bytes,
            "skipped_lines": report.skipped_lines,
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def table(report: UseReport) -> str:
    """Return the rows as CSV with a heading; use elsewhere is a row without tokens."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["name", "points", "share", *_TOKENS, "usd_equivalent"])
    for row in report.rows:
        tokens = row.tokens._asdict()
        counts = [tokens[name] for name in _TOKENS]
        writer.writerow(
            [
                _not_a_formula(row.name),
                _cell(row.points),
                _cell(row.share),
                *counts,
                _cell(row.usd, 4),
            ]
        )
    if report.elsewhere is not None:
        writer.writerow([ELSEWHERE, _cell(report.elsewhere), *[""] * (len(_TOKENS) + 2)])
    return written.getvalue()


def _row(row: UseRow) -> Json:
    return {
        "name": row.name,
        "points": rounded(row.points),
        "share": rounded(row.share),
        "tokens": _tokens(row.tokens),
        "usd_equivalent": rounded(row.usd, 4),
    }


def _tokens(tokens: Tokens) -> Json:
    counts = tokens._asdict()
    return {name: counts[name] for name in _TOKENS}


def _last_rise(report: UseReport) -> Json | None:
    rise = report.last_rise
    if rise is None:
        return None
    return {
        "began_at": instant(rise.began_at),
        "ended_at": instant(rise.ended_at),
        "points": rounded(rise.points),
        "project": rise.project,
        "session": rise.session,
    }


def _cell(number: float | None, digits: int = 2) -> str:
    return "" if number is None else f"{round(number, digits):g}"


def _not_a_formula(name: str) -> str:
    """Return a name that a spreadsheet does not evaluate."""
    return f"'{name}" if name[:1] in "=+-@" else name
