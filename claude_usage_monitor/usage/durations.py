"""Durations and instants as text: countdowns, ages, clock times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

from claude_usage_monitor.light_typing import NamedTuple

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MAX_WAIT = timedelta(hours=24)
"""The longest wait that is obeyed; a longer ``Retry-After`` counts as this."""

_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_WEEKDAYS = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_LONG_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_DURATION = 366 * 86_400  # seconds
_DATE_FROM_DAYS = 6  # from then on, a weekday could be mistaken for this week's


class ClockStyle(NamedTuple):
    """How clock times are written: the time zone, and 12 or 24 hours.

    ``zone`` is ``None`` for the system's local zone. ``label`` is appended to every clock time, to
    name a zone that the user did not set.
    """

    zone: tzinfo | None = None
    twelve_hour: bool = False
    label: str = ""


def countdown(span: timedelta, *, compact: bool = False) -> str:
    """Return ``45s``, ``12m``, ``2h 11m`` or ``3d 2h``; a negative span is ``0s``.

    The units shown are rounded down, after rounding to the nearest second.
    """
    seconds = max(0, round(span.total_seconds()))
    gap = "" if compact else " "
    if seconds < 60:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{gap}{hours % 24}h"
    if hours:
        return f"{hours}h{gap}{minutes % 60}m"
    return f"{minutes}m"


def age(span: timedelta) -> str:
    """Return ``now`` (under 30 s), ``30s`` (under a minute), then like a countdown."""
    seconds = int(span.total_seconds())
    if seconds < 30:
        return "now"
    return "30s" if seconds < 60 else countdown(span)


def ago(span: timedelta) -> str:
    """Return an age with ``ago``, or ``now``."""
    text = age(span)
    return text if text == "now" else f"{text} ago"


def due_in(span: timedelta) -> str:
    """Return ``now`` (under 30 s), ``in 30s`` (under a minute), then ``in`` the nearest minute."""
    seconds = int(span.total_seconds())
    if seconds < 30:
        return "now"
    return "in 30s" if seconds < 60 else f"in {countdown(span + MINUTE / 2)}"


def span_in_words(span: timedelta) -> str:
    """Return the span in its largest unit: ``1 minute``, ``12 minutes``, ``3 days``."""
    return " ".join(countdown_phrase(span).split()[:2])


def parse_duration(text: str) -> timedelta:
    """Return the span of a text such as ``90s``, ``30m``, ``6h``, ``2d`` or ``1h30m``.

    Raises ValueError for anything else, and beyond a year.
    """
    seconds, digits = 0, ""
    for character in text:
        if character.isascii() and character.isdigit():
            digits += character
        elif digits and character in _UNIT_SECONDS:
            seconds, digits = seconds + int(digits[:9]) * _UNIT_SECONDS[character], ""
        else:
            break
    else:
        if seconds and not digits and seconds <= _MAX_DURATION:
            return timedelta(seconds=seconds)
    raise ValueError(f"{text!r} is not a duration such as 30m, 6h or 1h30m")


def countdown_phrase(span: timedelta) -> str:
    """Return what `countdown` does in words: ``2 hours 11 minutes``."""
    parts = [(part[:-1], _UNITS[part[-1]]) for part in countdown(span).split()]
    return " ".join(f"{count} {unit}{'' if count == '1' else 's'}" for count, unit in parts)


def clock_time(moment: datetime, now: datetime, style: ClockStyle) -> str:
    """Return the local clock time of an instant, to the nearest minute.

    ``14:30`` within a day of ``now``, ``Tue 09:00`` from one day away, ``29 Nov 09:00`` from six
    days away. The zone is named if its UTC offset will be different by then.
    """
    local, time = _local_clock(moment, now, style)
    if abs(moment - now) >= _DATE_FROM_DAYS * DAY:
        return f"{local.day} {_MONTHS[local.month - 1]} {time}"
    if abs(moment - now) >= DAY:
        return f"{_WEEKDAYS[local.weekday()]} {time}"
    return time


def date_and_time(moment: datetime, now: datetime, style: ClockStyle) -> str:
    """Return `clock_time`, but never a weekday, which may be one of the past or of the future."""
    local, time = _local_clock(moment, now, style)
    return time if abs(moment - now) < DAY else f"{calendar_day(local)} {time}"


def clock_phrase(moment: datetime, now: datetime, style: ClockStyle) -> str:
    """Return what `clock_time` does in words: ``at 14:30``, ``on Tuesday at 09:00``."""
    local, time = _local_clock(moment, now, style)
    if abs(moment - now) >= _DATE_FROM_DAYS * DAY:
        return f"on {local.day} {_LONG_MONTHS[local.month - 1]} at {time}"
    if abs(moment - now) >= DAY:
        return f"on {_LONG_WEEKDAYS[local.weekday()]} at {time}"
    return f"at {time}"


def _local_clock(moment: datetime, now: datetime, style: ClockStyle) -> tuple[datetime, str]:
    """Return an instant in the local zone, to the nearest minute, and its time of day."""
    rounded = moment.astimezone(UTC) + timedelta(seconds=30)
    local = rounded.replace(second=0, microsecond=0).astimezone(style.zone)
    if style.twelve_hour:
        half = "am" if local.hour < 12 else "pm"
        text = f"{local.hour % 12 or 12}:{local.minute:02d}{half}"
    else:
        text = f"{local.hour:02d}:{local.minute:02d}"
    if style.label:
        return local, f"{text} {style.label}"
    if local.utcoffset() != now.astimezone(style.zone).utcoffset():
        return local, f"{text} {local.tzname() or local.strftime('%z')}"
    return local, text


def iso_instant(moment: datetime) -> str:
    """Return the instant in UTC, to the nearest second, as ``2026-11-21T09:00:00Z``."""
    rounded = moment.astimezone(UTC) + timedelta(milliseconds=500)
    return rounded.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def calendar_day(day: date) -> str:
    """Return a date of this year as ``30 Nov``."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def month_names(day: date) -> tuple[str, str]:
    """Return the long and the short name of the date's month: ``November`` and ``Nov``."""
    return _LONG_MONTHS[day.month - 1], _MONTHS[day.month - 1]
