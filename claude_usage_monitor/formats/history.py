"""An account's history: as a table, a JSON document, JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from claude_usage_monitor.formats.json_schema import Json, fields
from claude_usage_monitor.formats.text_layout import aligned, cell_len
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.durations import ClockStyle, countdown, date_and_time
from claude_usage_monitor.usage.limits.history import History, PastWindow, sessions_text
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import label_for, percent_text

VERSION = 1
_HEADINGS = ("Window", "Start", "End", "Peak", "Full at", "At limit", "")
_OPTIONAL = ("Full at", "Start", "", "At limit")  # columns that a narrow table leaves out, in turn
_READING_HEADINGS = ("Read", "Window", "Used", "Resets", "Source")
_OPTIONAL_OF_READINGS = ("Source", "Resets")
_ENDS = {"reset": "", "early": "early reset", "lowered": "figure lowered", "open": "running"}

_WINDOW_FIELDS = (
    "key", "started_at", "resets_at", "ended_at", "end", "peak", "full_at", "blocked_seconds",
    "watched_share",
)  # fmt: skip
_READING_FIELDS = ("key", "read_at", "utilization", "resets_at", "source")

KeyedReading = tuple[str, Reading]


class Export(NamedTuple):
    """An account's rows for other programs.

    ``kind`` is the type of each JSON line, ``content`` the body of the document, with the rows.
    """

    account: str
    kind: str
    columns: Sequence[str]
    rows: Sequence[Json]
    content: Json

    def document(self) -> str:
        """Return a JSON document."""
        values = {"version": VERSION, "account": self.account, **self.content}
        return json.dumps(values, indent=2, ensure_ascii=False)

    def json_lines(self) -> str:
        """Return the rows as JSON lines; `history --import` reads those of readings."""
        lines = ({"type": self.kind, "account": self.account, **row} for row in self.rows)
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def csv_table(self) -> str:
        """Return the rows as CSV with a line of names; unknown values are empty."""
        stream = io.StringIO()
        writer = csv.DictWriter(stream, ["account", *self.columns], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"account": self.account, **row} for row in self.rows)
        return stream.getvalue()


def windows_export(account: str, history: History) -> Export:
    """Return the windows, and in a document what they add up to."""
    rows = [fields(window, *_WINDOW_FIELDS) for window in history.windows]
    sessions = history.sessions_left
    content: Json = {
        **fields(history, "watched_share"),
        "windows": rows,
        "limits_hit": [
            fields(hits, "key", "count", "blocked_seconds") for hits in history.limits_hit
        ],
        "sessions_left": sessions and sessions._asdict(),
    }
    return Export(account, "window", _WINDOW_FIELDS, rows, content)


def readings_export(account: str, readings: Iterable[KeyedReading]) -> Export:
    """Return readings."""
    rows: list[Json] = [
        {
            "key": key,
            "read_at": _precise(reading.read_at),
            "utilization": reading.utilization,
            "resets_at": reading.resets_at and _precise(reading.resets_at),
            "source": reading.source,
        }
        for key, reading in readings
    ]
    return Export(account, "reading", _READING_FIELDS, rows, {"readings": rows})


def table(history: History, days: float, now: datetime, clock: ClockStyle, width: int = 80) -> str:
    """Return the history as text: what it adds up to, then a line for each window."""
    if not history.windows:
        return "No windows are stored for this time.\n"
    rows = [_HEADINGS, *(_cells(window, now, clock) for window in history.windows)]
    texts = [line for text in summary(history, days) for line in textwrap.wrap(text, width)]
    return "\n".join([*texts, "", *_fitting(rows, width, _OPTIONAL)]) + "\n"


def readings_table(
    readings: Sequence[KeyedReading], now: datetime, clock: ClockStyle, width: int = 80
) -> str:
    """Return readings as text, one a line."""
    if not readings:
        return "No readings are stored for this time. They are stored for eight days.\n"
    rows = [
        (
            date_and_time(reading.read_at, now, clock),
            label_for(key),
            "—" if reading.utilization is None else f"{percent_text(reading.utilization)} %",
            date_and_time(reading.resets_at, now, clock) if reading.resets_at else "—",
            reading.source,
        )
        for key, reading in readings
    ]
    return "\n".join(_fitting([_READING_HEADINGS, *rows], width, _OPTIONAL_OF_READINGS)) + "\n"


def summary(history: History, days: float) -> list[str]:
    """Return how often the limits were hit, and how much of the time was watched."""
    found = [
        f"{label_for(hits.key)}: {_hits(hits.count, hits.blocked)}"
        f" in {days:g} day{'' if days == 1 else 's'}"
        for hits in history.limits_hit
    ]
    if history.watched_share is not None:
        found.append(f"watched {percent_text(history.watched_share * 100)} % of the time")
    if history.sessions_left is not None:
        found.append(sessions_text(history.sessions_left))
    return found


def _hits(count: int, blocked: timedelta) -> str:
    if not count:
        return "limit not hit"
    times = "once" if count == 1 else f"{count} times"
    return f"limit hit {times}, {countdown(blocked)} at the limit,"


def _cells(window: PastWindow, now: datetime, clock: ClockStyle) -> tuple[str, ...]:
    ended_at = window.ended_at or window.resets_at
    return (
        label_for(window.key),
        date_and_time(window.started_at, now, clock),
        date_and_time(ended_at, now, clock),
        f"{percent_text(window.peak)} %",
        date_and_time(window.full_at, now, clock) if window.full_at else "",
        countdown(window.blocked) if window.blocked else "",
        _ENDS[window.end],
    )


def _fitting(rows: Sequence[Sequence[str]], width: int, optional: Sequence[str]) -> list[str]:
    """Return the rows as lines, without the optional columns for which they would be too wide.

    The first row has the headings; ``optional`` are those of columns, the first to go first.
    """
    for count in range(len(optional) + 1):
        columns = [at for at, name in enumerate(rows[0]) if name not in optional[:count]]
        lines = aligned([[row[at] for at in columns] for row in rows])
        if max(map(cell_len, lines)) <= width:
            break
    return lines


def _precise(moment: datetime) -> str:
    """Return an instant to the millisecond, so that an import recognizes the reading."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
