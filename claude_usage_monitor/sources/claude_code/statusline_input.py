"""The JSON that Claude Code sends to its status line command, with figures that cost no request.

Percentages are 0-100 with floating-point noise, resets are epoch seconds. Each window, or all of
them, can be missing. An idle session repeats old figures, and the input does not say how old.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.limits.windows import (
    SPEND_LIMIT,
    Amounts,
    Usage,
    UsageWindow,
    label_for,
    sorted_for_display,
)

_PREFIXES = ("five_hour", "seven_day")
_KEY = re.compile(r"[a-z][a-z0-9_:]*[a-z0-9]")
_MAX_KEY_LENGTH = 60
_MAX_WINDOWS = 20
_DEFAULT_LENGTH = timedelta(days=7)
_MAX_SPEND_PERIOD = timedelta(days=366)
_RESET_TOLERANCE = timedelta(hours=1)
_MAX_SESSION = timedelta(days=365)
_DIGITS = 6  # 14.000000000000002 is 14


class StatuslineInput(NamedTuple):
    """The figures in an input, and the start of its session; ``None`` where they are missing."""

    usage: Usage | None = None
    session_began: datetime | None = None


def parse_statusline_input(content: bytes, now: datetime) -> StatuslineInput:
    """Return the figures in an input. Never raises, for any content."""
    try:
        document = values.json_object(values.parse_json(content)) or {}
    except ValueError:
        return StatuslineInput()
    limits = values.json_object(document.get("rate_limits")) or {}
    windows = [_window(key, value, now) for key, value in list(limits.items())[:_MAX_WINDOWS]]
    valid = sorted_for_display(window for window in windows if window is not None)
    usage = Usage(valid, "statusline", now) if valid else None
    return StatuslineInput(usage, _session_began(document, now))


def _window(raw_key: str, value: object, now: datetime) -> UsageWindow | None:
    fields = values.json_object(value)
    key = values.text(raw_key, _MAX_KEY_LENGTH)
    if fields is None or key is None or not _KEY.fullmatch(key):
        return None
    if key != SPEND_LIMIT and not key.startswith(_PREFIXES):
        return None
    percent = values.percent(fields.get("used_percentage"))
    if percent is None:
        return None
    resets_at = values.instant(fields.get("resets_at"))
    window = UsageWindow(key, label_for(key), round(percent, _DIGITS), resets_at, "statusline", now)
    length = window.length or _DEFAULT_LENGTH
    if key == SPEND_LIMIT:
        length, window = _MAX_SPEND_PERIOD, window._replace(amounts=_amounts(fields))
    latest_reset = now + length + _RESET_TOLERANCE
    if resets_at is not None and not now < resets_at <= latest_reset:
        return None  # the window has reset, or its reset time is impossible
    return window


def _amounts(fields: values.JsonObject) -> Amounts | None:
    """Return the amounts of a spend limit, which older versions of Claude Code do not send."""
    used, limit = (values.number(fields.get(key)) for key in ("used_usd", "limit_usd"))
    if used is None and limit is None:
        return None
    return Amounts(used, limit, "USD")


def _session_began(document: values.JsonObject, now: datetime) -> datetime | None:
    cost = values.json_object(document.get("cost")) or {}
    milliseconds = values.number(cost.get("total_duration_ms"))
    if milliseconds is None or milliseconds > _MAX_SESSION / timedelta(milliseconds=1):
        return None
    return now - timedelta(milliseconds=milliseconds)
