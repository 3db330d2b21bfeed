"""The decision of ``guard``, as one line and as a JSON document."""

from __future__ import annotations

import json
from datetime import datetime

from claude_usage_monitor.formats.json_schema import fields, plain
from claude_usage_monitor.usage.durations import ClockStyle, clock_time
from claude_usage_monitor.usage.guard import Decision, GuardedWindow
from claude_usage_monitor.usage.limits.windows import percent_text

VERSION = 1
_WORDS = {"ok": "ok", "not_enough": "not enough", "unknown": "unknown"}


def line(decision: Decision, now: datetime, clock: ClockStyle) -> str:
    """Return the decision and the windows that decided it: ``ok: 5-hour 22 % left, …``."""
    wanted = {"ok": True, "not_enough": False, "unknown": None}[decision.outcome]
    deciding = [window for window in decision.windows if window.ok is wanted]
    if wanted:  # the one with the least left
        deciding = sorted(deciding, key=lambda window: window.left or 0.0)[:1]
    words = "; ".join(_window(window, now, clock) for window in deciding)
    if not words:
        words = "this account reports no limits" if wanted else "no figures"
    return f"{_WORDS[decision.outcome]}: {words}"


def _window(window: GuardedWindow, now: datetime, clock: ClockStyle) -> str:
    if window.left is None:
        return f"{window.label} {window.unknown.value if window.unknown else 'is unknown'}"
    text = f"{window.label} {percent_text(window.left)} % left"
    if window.run_out_at is not None:
        text += f", runs out {clock_time(window.run_out_at, now, clock)}"
    if window.resets_at is not None:
        text += f", resets {clock_time(window.resets_at, now, clock)}"
    return text


def document(decision: Decision, min_left: float) -> str:
    """Return the decision as a JSON document; unknown is ``null``."""
    values = {
        "version": VERSION,
        "decision": decision.outcome,
        "min_left": min_left,
        "windows": [fields(each, "key", "left", "resets_at", "ok") for each in decision.windows],
        "retry_at": plain(decision.retry_at),
    }
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
