"""Readings in JSON lines, as ``history --readings --jsonl`` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, Source
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import length_of

_MAX_KEY = 100  # characters
_READING = "reading"
_CLOCK_TOLERANCE = timedelta(minutes=5)  # of the clock of another computer, or of this one
_RESET_TOLERANCE = timedelta(hours=1)  # by which a reset may lie beyond the window's length


class ReadingsFile(NamedTuple):
    """The readings in a file, each with its window key, and how many lines were unusable.

    Lines of another ``type`` are neither. ``future_readings`` of the readings are from the future.
    ``accounts`` are the names that the readings have.
    """

    readings: list[tuple[str, Reading]]
    unusable_lines: int
    future_readings: int
    accounts: frozenset[str]


def parse_lines(lines: Iterable[bytes], now: datetime) -> ReadingsFile:
    """Read the lines of a file. Unknown fields are ignored."""
    readings: list[tuple[str, Reading]] = []
    unusable = future = 0
    accounts = set()
    for line in lines:
        if not line.strip():
            continue
        fields = values.parse_json_object(line)
        if fields is not None and fields.get("type") not in (None, _READING):
            continue
        reading = None if fields is None else _reading(fields)
        if fields is None or reading is None:
            unusable += 1
        else:
            readings.append(reading)
            future += reading[1].read_at > now + _CLOCK_TOLERANCE
            accounts.add(values.text(fields.get("account")))
    return ReadingsFile(readings, unusable, future, frozenset(filter(None, accounts)))


def _reading(fields: values.JsonObject) -> tuple[str, Reading] | None:
    key = values.text(fields.get("key"), _MAX_KEY)
    read_at = values.instant(fields.get("read_at"))
    if key is None or read_at is None or "utilization" not in fields:
        return None
    utilization = values.percent(fields["utilization"])
    if utilization is None and fields["utilization"] is not None:
        return None
    resets_at, length = values.instant(fields.get("resets_at")), length_of(key)
    if resets_at is None and fields.get("resets_at") is not None:
        return None
    if resets_at and length and resets_at > read_at + length + _RESET_TOLERANCE:
        return None
    source = fields.get("source")
    known: Source = next((name for name in SOURCES if name == source), "api")
    return key, Reading(read_at, utilization, resets_at, known)
