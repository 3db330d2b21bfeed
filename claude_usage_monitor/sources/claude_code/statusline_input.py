"""What Claude Code pipes to its status line command: figures that cost no request.

Percent 0–100 with floating-point noise, resets as epoch seconds; either window, or all of it, may
be absent. An idle session repeats old figures: nothing in them tells their age.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.limits.windows import (
    Usage,
    UsageWindow,
    label_for,
    sorted_for_display,
)

_PREFIXES = ("five_hour", "seven_day")
_KEY = re.compile(r"[a-z][a-z0-9_:]*[a-z0-9]")
_A_WEEK = timedelta(days=7)
_SLACK = timedelta(hours=1)
_MOST_WINDOWS = 20
_NOISE_DIGITS = 6  # 14.000000000000002 is 14


class StatuslineInput(NamedTuple):
    """The figures of one input, and when its session began; ``None`` where it does not say."""

    usage: Usage | None = None
    session_began: datetime | None = None


def parse_statusline_input(content: bytes, now: datetime) -> StatuslineInput:
    """Return what an input says. Whatever comes in, nothing is raised."""
    try:
        document = values.json_object(values.parse_json(content)) or {}
    except ValueError:
        return StatuslineInput()
    limits = values.json_object(document.get("rate_limits")) or {}
    found = [_window(key, value, now) for key, value in list(limits.items())[:_MOST_WINDOWS]]
    windows = sorted_for_display(window for window in found if window is not None)
    usage = Usage(windows, "statusline", now) if windows else None
    return StatuslineInput(usage, _session_began(document, now))


def _window(key: str, value: object, now: datetime) -> UsageWindow | None:
    found = values.json_object(value)
    name = values.text(key, 60)
    if found is None or name is None or not name.startswith(_PREFIXES):
        return None
    percent = values.percent(found.get("used_percentage"))
    resets_at = values.instant(found.get("resets_at"))
    if percent is None or not _KEY.fullmatch(name):
        return None
    utilization = round(percent, _NOISE_DIGITS)
    window = UsageWindow(name, label_for(name), utilization, resets_at, "statusline", now)
    if resets_at is not None and not now < resets_at <= now + (window.length or _A_WEEK) + _SLACK:
        return None  # over, or further off than the window is long
    return window


def _session_began(document: values.JsonObject, now: datetime) -> datetime | None:
    cost = values.json_object(document.get("cost")) or {}
    milliseconds = values.number(cost.get("total_duration_ms"))
    if milliseconds is None or milliseconds > timedelta(days=365) / timedelta(milliseconds=1):
        return None
    return now - timedelta(milliseconds=milliseconds)
