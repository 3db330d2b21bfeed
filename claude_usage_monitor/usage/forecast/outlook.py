"""Whether a window lasts until its reset or runs out before, as text.

Every output that says this calls `outlook`, so that all of them say the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import Literal, NamedTuple
from claude_usage_monitor.usage.durations import (
    DAY,
    ClockStyle,
    clock_phrase,
    clock_time,
    countdown,
)
from claude_usage_monitor.usage.limits.pace import FULL, Forecast, classify
from claude_usage_monitor.usage.limits.windows import UsageWindow, percent_text

_MIN_ELAPSED_PERCENT = 1.0  # of a window's time: before that an average rate predicts nothing
_CALM_PROBABILITY = 0.1  # a smaller chance of running out is not worth a word
_MAX_EXPECTED = 99.0  # percent: what lasts does not reach 100 %
# Forecast instants are rounded to these: they are not precise to the minute.
_PRECISION, _LONG_PRECISION = timedelta(minutes=5), timedelta(hours=1)


class Outlook(NamedTuple):
    """How a window ends: its limit is reached, it runs out before its reset, or it lasts.

    ``runs_out_at`` is when it runs out, at the earliest in a forecast, and ``latest`` when at the
    latest. ``probability`` (0–1) is that of running out, if it is not certain. ``expected`` is the
    utilization at the reset, in percent, if it lasts. ``left`` is from the median of the run-out to
    the reset. Instants of forecasts are rounded to ``precision``.
    """

    kind: Literal["reached", "runs_out", "may_run_out", "lasts"]
    runs_out_at: datetime | None = None
    expected: float | None = None
    latest: datetime | None = None
    probability: float | None = None
    left: timedelta = timedelta()
    precision: timedelta = timedelta()


def outlook(window: UsageWindow, now: datetime) -> Outlook | None:
    """Return how a window ends: by its forecast, else by its average pace; ``None`` if unknown."""
    window = window.at(now)
    utilization, elapsed = window.utilization, window.time_elapsed_percent(now)
    if utilization is not None and utilization >= FULL:
        return Outlook("reached")
    if window.forecast is not None:
        return _by_forecast(window.forecast, window.length)
    if utilization is None or elapsed is None or elapsed < _MIN_ELAPSED_PERCENT:
        return None
    full_at = window.full_at(now)
    if full_at is None:
        at_reset = max(0.0, utilization) * FULL / elapsed
        return Outlook("lasts", expected=min(at_reset, FULL))
    return Outlook("runs_out", full_at) if window.pace(now) == "over" else None


def _by_forecast(forecast: Forecast, length: timedelta | None) -> Outlook:
    """Return one of three answers, all from the one curve of the forecast."""
    earliest, median, latest = (
        forecast.run_out_earliest,
        forecast.run_out_at,
        forecast.run_out_latest,
    )
    precision = _PRECISION if length is not None and length <= DAY else _LONG_PRECISION
    if earliest is None or forecast.probability < _CALM_PROBABILITY:
        return Outlook("lasts", expected=min(forecast.expected_at_reset, _MAX_EXPECTED))
    if median is None or latest is None:
        probability = forecast.probability
        return Outlook("may_run_out", earliest, probability=probability, precision=precision)
    left = forecast.resets_at - median
    return Outlook("runs_out", earliest, latest=latest, left=left, precision=precision)


def outlook_texts(outlook: Outlook, now: datetime, clock: ClockStyle) -> tuple[str, ...]:
    """Return an outlook in words, from the longest text to the shortest."""
    if outlook.kind == "reached":
        return ("limit reached",)
    if outlook.runs_out_at is None:
        if not outlook.expected:
            return ("lasts until the reset", "lasts")
        expected = f"about {percent_text(outlook.expected)} %"
        return f"lasts until the reset, {expected}", f"lasts, {expected}", "lasts"
    if outlook.kind == "may_run_out":
        return _may_run_out(outlook, outlook.runs_out_at, now, clock)
    if outlook.latest is None:
        at = clock_time(outlook.runs_out_at, now, clock)
        left = countdown(outlook.runs_out_at - now)
        return f"runs out in {left}, {at}", f"runs out {at}", f"out {at}"
    earliest, latest = _interval(outlook, outlook.runs_out_at, outlook.latest, clock)
    first, last = clock_time(earliest, now, clock), clock_time(latest, now, clock)
    before = _span(outlook.left, outlook.precision)
    if earliest <= now:
        return (
            f"runs out by {last}, {before} before the reset",
            f"runs out by {last}",
            f"out by {last}",
        )
    return (
        f"runs out {first}–{last}, {before} before the reset",
        f"runs out {first}–{last}",
        f"out {first}–{last}",
        f"out {first}",
    )


def _may_run_out(
    outlook: Outlook, earliest: datetime, now: datetime, clock: ClockStyle
) -> tuple[str, ...]:
    percent = _chance(outlook)
    rounded = _rounded(earliest, outlook.precision, clock, up=False)
    if rounded <= now:
        return (
            f"may run out at any time ({percent} % likely)",
            f"may run out at any time ({percent} %)",
            f"may run out ({percent} %)",
            "may run out",
        )
    at = clock_time(rounded, now, clock)
    return (
        f"may run out, not before {at} ({percent} % likely)",
        f"may run out, not before {at} ({percent} %)",
        f"may run out from {at} ({percent} %)",
        f"may run out from {at}",
        f"may run out {at}",
        f"may be out {at}",
    )


def _chance(outlook: Outlook) -> int:
    """Return the chance in percent, in steps of 5: neither impossible nor certain."""
    return min(95, max(5, 5 * round((outlook.probability or 0.0) * 20)))


def _interval(
    outlook: Outlook, first: datetime, last: datetime, clock: ClockStyle
) -> tuple[datetime, datetime]:
    """Return the earliest and the latest run-out, rounded outward."""
    return (
        _rounded(first, outlook.precision, clock, up=False),
        _rounded(last, outlook.precision, clock, up=True),
    )


def _rounded(moment: datetime, precision: timedelta, clock: ClockStyle, *, up: bool) -> datetime:
    """Return an instant rounded to a full 5 minutes or hour of the clock."""
    local = moment.astimezone(clock.zone)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    over = since_midnight % precision + timedelta(microseconds=local.microsecond)
    if not over:
        return moment
    return moment + precision - over if up else moment - over


def _span(span: timedelta, precision: timedelta) -> str:
    """Return about how long a span is: ``2d``, ``3h`` or ``25m``."""
    if span >= 2 * DAY:
        return f"{round(span / DAY)}d"
    if span >= timedelta(hours=1):
        return f"{round(span / timedelta(hours=1))}h"
    return countdown(max(1, round(span / precision)) * precision)


def outlook_phrase(outlook: Outlook, now: datetime, clock: ClockStyle, *, left: bool) -> str:
    """Return an outlook in words without signs, for speech and logs.

    With ``left``, a percentage is what is left, not what is used.
    """
    if outlook.kind == "reached":
        return "limit reached"
    if outlook.runs_out_at is not None and outlook.kind == "may_run_out":
        earliest = _rounded(outlook.runs_out_at, outlook.precision, clock, up=False)
        if earliest > now:
            when = f"{clock_phrase(earliest, now, clock)} at the earliest"
        else:
            when = "at any time"
        return f"may run out {when}, with a chance of {_chance(outlook)} percent"
    if outlook.runs_out_at is not None and outlook.latest is not None:
        earliest, latest = _interval(outlook, outlook.runs_out_at, outlook.latest, clock)
        last = f"{clock_phrase(latest, now, clock)} at the latest"
        if earliest <= now:
            return f"runs out {last}"
        return f"runs out {clock_phrase(earliest, now, clock)} at the earliest and {last}"
    if outlook.runs_out_at is not None:
        return f"runs out {clock_phrase(outlook.runs_out_at, now, clock)}"
    if not outlook.expected:
        return "lasts until the reset"
    expected = percent_text(max(0.0, FULL - outlook.expected) if left else outlook.expected)
    return f"lasts until the reset with about {expected} percent {'left' if left else 'used'}"


def pace_texts(window: UsageWindow, even_pace: float | None, now: datetime) -> tuple[str, ...]:
    """Return how a window compares with an even pace, the longest text first; maybe nothing.

    ``even_pace`` is the percentage that an even pace would have used by now.
    """
    utilization = window.at(now).utilization
    if even_pace is None or utilization is None or utilization >= FULL:
        return ()
    delta = utilization - even_pace
    pace = classify(delta)
    if pace == "on":
        return ("on an even pace", "on pace")
    points = max(1, round(abs(delta)))
    side, relation = ("ahead", "ahead of") if pace == "over" else ("behind", "behind")
    count = f"{points} point{'' if points == 1 else 's'}"
    return f"{count} {relation} an even pace", f"{count} {side}"
