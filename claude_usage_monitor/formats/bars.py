"""What bars read that want more than a line: JSON objects, and the menu of xbar.

They show the first account. Problems are in the text, because bars hide a module if its command
fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.statusline import NO_FIGURES, percentage, render, unknown
from claude_usage_monitor.formats.targets import HEX_COLORS, Style, escape_markup
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ago, clock_time, countdown
from claude_usage_monitor.usage.limits.windows import UsageWindow, severity_of
from claude_usage_monitor.usage.status import AccountStatus

_STATES = {  # of i3status-rust
    "normal": "Good",
    "elevated": "Info",
    "high": "Warning",
    "exhausted": "Critical",
    "dim": "Idle",
    "problem": "Warning",
}
_SHORT_WIDTH = 12  # columns: enough for one window, such as "▸5h 78%"
_I3BLOCKS = str.maketrans('"\\', "'/")  # JSON would escape them


def waybar(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the object of a custom module with ``"return-type": "json"``."""
    status = statuses[0] if statuses else None
    style = _style(status, now, error)
    severity = "unknown" if style == "dim" else style
    classes = [severity]
    if status is not None and status.stale(now):
        classes.append("stale")
    if severity != "problem" and status is not None and status.problem is not None:
        classes.append("problem")
    module: dict[str, object] = {
        "text": render(statuses, now, options, error),
        "alt": severity,
        "tooltip": escape_markup("\n".join(_details(status, now, options, error))),
        "class": classes,
    }
    percent = _percent(status, now)
    if percent is not None:
        module["percentage"] = min(round(percent), 100)
    return json.dumps(module)


def i3blocks(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the object of a block with ``format=json``.

    It has no escapes: i3blocks 1.4 shows them as they are, and ends a text at an escaped quote.
    """
    statuses = statuses[:1]
    style = _style(statuses[0] if statuses else None, now, error)
    short = options._replace(width=_SHORT_WIDTH)
    block = {
        "full_text": render(statuses, now, options, error).translate(_I3BLOCKS),
        "short_text": render(statuses, now, short, error).translate(_I3BLOCKS),
        "markup": "none",
    }
    if options.color:
        block["color"] = HEX_COLORS[style]
    return json.dumps(block, ensure_ascii=False)


def i3status_rust(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the object of a custom block with ``json = true``. The state colors the text."""
    options = options._replace(color=False)
    return json.dumps(
        {
            "icon": "",
            "state": _STATES[_style(statuses[0] if statuses else None, now, error)],
            "text": render(statuses, now, options, error),
            "short_text": render(statuses, now, options._replace(width=_SHORT_WIDTH), error),
        }
    )


def xbar(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return the line for the menu bar and, after ``---``, the lines of the menu."""
    status = statuses[0] if statuses else None
    style = _style(status, now, error)
    title = render(statuses[:1], now, options, error).replace("|", "¦")
    if options.color and style != "normal":
        title += f" | color={HEX_COLORS[style]}"
    lines = (line.replace("|", "¦") for line in _details(status, now, options, error))
    return "\n".join((title, "---", *lines, "Refresh | refresh=true"))


def _style(status: AccountStatus | None, now: datetime, error: UsageMonitorError | None) -> Style:
    """Return the severity of the binding window or of the budget, ``dim`` if it is unknown."""
    if error is not None or (status and status.problem and not status.has_figures):
        return "problem"
    percent = _percent(status, now)
    return "dim" if percent is None else severity_of(percent).value


def _percent(status: AccountStatus | None, now: datetime) -> float | None:
    """Return the utilization of the window that stops the user first, or of the budget."""
    if status is None:
        return None
    if status.spend is not None:
        return status.spend.budget_percent
    usage = status.at(now).usage
    windows = usage.windows if usage else ()
    known = [window.utilization for window in windows if window.utilization is not None]
    binding = next((window.utilization for window in windows if window.binding), None)
    return binding if binding is not None else max(known, default=None)


def _details(
    status: AccountStatus | None,
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None,
) -> Iterator[str]:
    """Yield a line for the account, each window, the age of the figures and the problem."""
    if error is not None or status is None:
        yield error.message if error else NO_FIGURES
        return
    plan = f", {status.profile.plan}" if status.profile and status.profile.plan else ""
    yield f"Account {status.account.name}{plan}"
    api_now = status.api_time(now)
    for window in status.usage.at(api_now).windows if status.usage else ():
        yield _window(window, api_now, options)
    age = status.age(now)
    yield NO_FIGURES if age is None else f"Read {ago(age)}"
    if status.problem is not None:
        yield problem_text.message(status.problem, now, options.clock)
        yield problem_text.hint(status, now, options.clock, live=False)


def _window(window: UsageWindow, now: datetime, options: FormatOptions) -> str:
    percent = unknown(options)
    if window.utilization is not None:
        percent = percentage(window.utilization, options)
    left = window.time_until_reset(now)
    if window.resets_at is None or left is None or left.total_seconds() <= 0:
        return f"{percent} {window.label}"
    at = clock_time(window.resets_at, now, options.clock)
    return f"{percent} {window.label}, resets {at} ({countdown(left)})"
