"""A simulated account: moving figures, a window that resets, a limit that is almost used up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse
from claude_usage_monitor.usage.limits.pace import Forecast
from claude_usage_monitor.usage.limits.windows import ExtraUsage, Usage, UsageWindow, mark_binding
from claude_usage_monitor.usage.status import Profile

PROFILE = Profile(
    display_name="Ada",
    email="ada@example.com",
    organization="Analytical Engines",
    plan="Max 5x",
    rate_limit_tier="default_claude_max_5x",
)

_FIRST_RESET = timedelta(minutes=3)  # soon enough for the user to see it
_PAUSE = timedelta(seconds=20)  # between two session windows, before the next message
_FIVE_HOURS = timedelta(hours=5)
_LIMIT = 140.0  # dollars
# Of each limit: the chance of running out, its instants as shares of the time left (earliest,
# median, latest), and the points used in a whole window.
_OUTLOOKS: dict[str, tuple[float, tuple[float | None, float | None, float | None], float]] = {
    "five_hour": (0.02, (None, None, None), 75.0),
    "seven_day": (0.3, (0.6, None, None), 90.0),
    "seven_day:fable": (0.97, (0.01, 0.03, 0.1), 120.0),
}

_HOME = "/home/ada/work/"
# Each project's share of a window in percent, the largest first; the rest was used elsewhere.
_SHARES = {
    "five_hour": {"atlas": 53.0, "orbit": 23.0, "notes": 6.0},
    "seven_day": {"atlas": 38.0, "orbit": 27.0, "website": 14.0, "notes": 5.0, "dotfiles": 2.0},
    "seven_day:fable": {"atlas": 73.0, "website": 17.0},
}
_SUBAGENTS, _REBUILT = 0.33, 0.12  # parts of a window
_REBUILDS = 3
_ERROR = 2.0  # points
_BASIS = "from 14 past windows"


def demo_usage(now: datetime, started: datetime) -> Usage:
    """Return the demo account's figures at ``now``, for a demo that began at ``started``."""
    minutes = (now - started).total_seconds() / 60
    week_end = started + timedelta(days=3, hours=2, minutes=20)
    used = (4752 + round(minutes * 12)) / 100

    def window(
        key: str, label: str, percent: float, resets_at: datetime | None, model: str | None = None
    ) -> UsageWindow:
        return UsageWindow(key, label, percent, resets_at, "demo", now, model)

    week = round(min(35 + minutes * 0.4, 99.0), 1)
    fable = round(min(94 + minutes * 0.5, 100.0), 1)
    windows = (
        window("five_hour", "5-hour", *_five_hour(now, started)),
        window("seven_day", "7-day", week, week_end),
        window("seven_day:fable", "Fable", fable, week_end, "Fable"),
    )
    with_forecasts = tuple(window._replace(forecast=_forecast(window, now)) for window in windows)
    return Usage(
        windows=mark_binding(with_forecasts, now, now),
        source="demo",
        as_of=now,
        extra_usage=ExtraUsage(
            enabled=True,
            used=min(used, _LIMIT),
            limit=_LIMIT,
            currency="USD",
            utilization=min(used, _LIMIT) / _LIMIT * 100,
        ),
    )


def demo_use(usage: Usage) -> Iterator[WindowUse]:
    """Yield what used each running window."""
    numbers = {name: number for number, name in enumerate(_SHARES["seven_day"], 1)}
    for window in usage.windows:
        if window.resets_at is None or not window.utilization:
            continue
        shares = _SHARES[window.key]
        rows = tuple(
            ProjectUse(
                _HOME + name,
                window.utilization * share / 100,
                100 * share / sum(shares.values()),
                numbers[name],
            )
            for name, share in shares.items()
        )
        yield WindowUse(
            window.key,
            window.resets_at,
            window.utilization,
            usage.as_of,
            rows,
            window.utilization - sum(row.points for row in rows),
            _ERROR,
            _BASIS,
            _SUBAGENTS * window.utilization,
            _REBUILDS,
            _REBUILT * window.utilization,
        )


def _forecast(window: UsageWindow, now: datetime) -> Forecast | None:
    """Return an invented forecast: one limit lasts, one may run out, one will."""
    used, resets_at = window.utilization, window.resets_at
    if not used or used >= 100 or resets_at is None:
        return None
    probability, shares, rise = _OUTLOOKS[window.key]
    left = resets_at - now
    earliest, median, latest = (None if share is None else now + left * share for share in shares)
    expected = used + rise * (left / (window.length or left))
    return Forecast(
        median,
        earliest,
        latest,
        probability,
        expected,
        expected - rise / 10,
        expected + rise / 10,
        "invented",
        now,
        used,
        resets_at,
    )


def _five_hour(now: datetime, started: datetime) -> tuple[float, datetime | None]:
    """Return the utilization and the reset of the session window.

    At first the window is almost over; later windows follow it, each after a pause.
    """
    first_reset = started + _FIRST_RESET
    if now < first_reset:
        return round(78 + (now - started) / _FIRST_RESET * 4, 1), first_reset
    since_reset = (now - first_reset) % (_PAUSE + _FIVE_HOURS)
    if since_reset < _PAUSE:
        return 0.0, None
    running = since_reset - _PAUSE
    return round(min(1 + running / timedelta(minutes=4), 99.0), 1), now - running + _FIVE_HOURS
