"""One line for a prompt: ``5h 78% 2h11m · 7d 35% · ▸Fable 94% 3d2h``, fitted to its width.

The colors are those of `targets`, because importing Rich takes longer than a prompt may take.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from datetime import datetime

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.targets import TARGETS, Style
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import age, countdown
from claude_usage_monitor.usage.limits.windows import (
    Severity,
    UsageWindow,
    percent_text,
    severity_of,
)
from claude_usage_monitor.usage.status import AccountStatus, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.spend import Spend

NO_FIGURES = "no figures yet"
NO_LIMITS = "no limits"


class _Part(NamedTuple):
    text: str
    style: Style


def render(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,
    error: UsageMonitorError | None = None,
) -> str:
    """Return a line for each account that the target can show, or one for the error.

    The error is what prevented reading any account.
    """
    if error is not None:
        text = problem_text.short(Problem.from_error(error), now)
        return _joined([_Part(text, "problem")], options)
    if not TARGETS[options.target].accounts_on_lines:
        statuses = statuses[:1]
    return "\n".join(statusline(status, now, options) for status in statuses)


def statusline(status: AccountStatus, now: datetime, options: FormatOptions) -> str:
    """Return an account's line. A narrow line drops countdowns first, then windows."""
    api_now = status.api_time(now)
    windows = status.usage.at(api_now).windows if status.usage else ()
    trailer = _trailer(status, now)
    if status.spend is not None:
        trailer.insert(0, _spend(status.spend, options))
    parts = trailer
    for shown, countdown_keys in _candidates(windows):
        parts = [_window(w, api_now, options, countdown_keys) for w in shown] + trailer
        if len(_separator(options).join(part.text for part in parts)) <= options.width:
            break
    return _joined(parts, options)


def _candidates(
    windows: Sequence[UsageWindow],
) -> Iterator[tuple[Sequence[UsageWindow], set[str]]]:
    """Yield windows to show, and the keys of those with a countdown; the richest first."""
    if not windows:
        return
    binding = {window.key for window in windows if window.binding}
    urgent = {w.key for w in windows if w.severity in {Severity.HIGH, Severity.EXHAUSTED}}
    for countdown_keys in (urgent | binding | {"five_hour"}, binding, set[str]()):
        yield windows, countdown_keys
    ranked = sorted(windows, key=lambda w: (not w.binding, -(w.utilization or 0.0)))
    for count in range(len(windows) - 1, 0, -1):
        most_urgent = {window.key for window in ranked[:count]}
        yield [window for window in windows if window.key in most_urgent], set()


def _window(
    window: UsageWindow,
    now: datetime,
    options: FormatOptions,
    countdown_keys: Container[str],
) -> _Part:
    mark = (">" if options.ascii else "▸") if window.binding else ""
    percent, style = unknown(options), "dim"
    idle = window.state(now) == "idle" and not window.utilization
    if window.utilization is not None and not idle:
        percent = percentage(window.utilization, options)
        style = severity_of(window.utilization).value
    text = f"{mark}{window.short_label} {percent}"
    left = window.time_until_reset(now)
    if window.key in countdown_keys and left is not None and left.total_seconds() > 0:
        text += f" {countdown(left, compact=True)}"
    return _Part(text, style)


def _spend(spend: Spend, options: FormatOptions) -> _Part:
    """Return the month's spend, with the budget if there is one: ``$45.23 of $100.00``."""
    # Takes 1 ms, and only organizations need it.
    from claude_usage_monitor.usage.money.money import money

    if spend.month_to_date is None:
        return _Part(f"{unknown(options)} this month", "dim")
    text = money(spend.month_to_date, spend.currency, ascii_only=options.ascii)
    percent = spend.budget_percent
    if spend.budget is None or percent is None:
        return _Part(f"{text} this month", "normal")
    budget = money(spend.budget, spend.currency, ascii_only=options.ascii)
    return _Part(f"{text} of {budget}", severity_of(percent).value)


def _trailer(status: AccountStatus, now: datetime) -> list[_Part]:
    """Return the age of old figures, the problem, or that there are no figures or limits.

    Simulated figures are marked, too.
    """
    windows = status.usage.windows if status.usage else ()
    parts = []
    if status.as_of is None:
        parts.append(_Part(NO_FIGURES, "dim"))
    else:
        if status.usage is not None and not windows:
            parts.append(_Part(NO_LIMITS, "dim"))
        as_of = max((window.as_of for window in windows), default=status.as_of)
        old = age(status.api_time(now) - as_of)
        if status.stale(now) and old != "now":
            parts.append(_Part(f"{old} old", "dim"))
        reading = status.usage or status.spend
        if reading is not None and reading.source == "demo":
            parts.append(_Part("demo", "dim"))
    if status.problem is not None:
        parts.append(_Part(problem_text.short(status.problem, now), "problem"))
    return parts


def _separator(options: FormatOptions) -> str:
    return " - " if options.ascii else " · "


def percentage(utilization: float, options: FormatOptions) -> str:
    """Return what is used, ``78%``, or what is left if the user wants that, ``22% left``."""
    if options.left:
        return f"{percent_text(max(0.0, 100.0 - utilization))}% left"
    return f"{percent_text(utilization)}%"


def unknown(options: FormatOptions) -> str:
    """Return what is written for an unknown figure."""
    return "-" if options.ascii else "—"


def _joined(parts: Sequence[_Part], options: FormatOptions) -> str:
    target = TARGETS[options.target]
    pieces = []
    for part in parts:
        text = part.text
        if options.ascii:
            text = text.encode("ascii", "replace").decode()
        text = target.escape(text)
        pieces.append(target.colored(text, part.style) if options.color else text)
    return _separator(options).join(pieces)
