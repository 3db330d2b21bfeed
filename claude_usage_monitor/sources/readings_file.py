"""Readings in JSON lines, as ``history --readings --jsonl`` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, Source
from claude_usage_monitor.usage.limits.resets import Reading

_MAX_KEY = 100  # characters
_READING = "reading"


class ReadingsFile(NamedTuple):
    """The readings in a file, each with its window key, and how many lines were unusable.

    Lines of another ``type`` are neither.
    """

    readings: list[tuple[str, Reading]]
    unusable_lines: int


def parse_lines(lines: Iterable[bytes]) -> ReadingsFile:
    """Read the lines of a file. ``account`` and unknown fields are ignored."""
    readings: list[tuple[str, Reading]] = []
    unusable = 0
    for line in lines:
        if not line.strip():
            continue
        fields = values.parse_json_object(line)
        if fields is not None and fields.get("type") not in (None, _READING):
            continue
        reading = None if fields is None else _reading(fields)
        if reading is None:
            unusable += 1
        else:
            readings.append(reading)
    return ReadingsFile(readings, unusable)


def _reading(fields: values.JsonObject) -> tuple[str, Reading] | None:
    key = values.text(fields.get("key"), _MAX_KEY)
    read_at = values.instant(fields.get("read_at"))
    if key is None or read_at is None or "utilization" not in fields:
        return None
    utilization = values.percent(fields["utilization"])
    if utilization is None and fields["utilization"] is not None:
        return None
    source = fields.get("source")
    known: Source = next((name for name in SOURCES if name == source), "api")
    return key, Reading(read_at, utilization, values.instant(fields.get("resets_at")), known)
