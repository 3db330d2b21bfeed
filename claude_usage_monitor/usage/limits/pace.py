"""The pace of a window, and the forecast of whether it lasts until its reset.

Pace compares utilization with the share of the window's time that has passed: an even pace uses
50 % after half of the window and reaches 100 % exactly at the reset.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

from claude_usage_monitor.light_typing import Literal, NamedTuple

Pace = Literal["over", "on", "under"]

ON_PACE_POINTS = 1.0  # the API reports whole percents: one point is its resolution
FULL = 100.0
_DAY = timedelta(days=1)

# When figures allow a forecast, and how long it applies.
MIN_ELAPSED = timedelta(minutes=5)  # a window that has just started says nothing
MAX_AGE = timedelta(hours=1)  # of the figures that a forecast is made from
MAX_AGE_SHARE = 0.05  # of the window's length; the less of both counts
MAX_RISE = 2.0  # points: the figure has risen by more, so that the forecast is out of date
_SAME_RESET = timedelta(minutes=10)  # sources report the same reset with small differences


def elapsed_percent(resets_at: datetime, length: timedelta, now: datetime) -> float:
    """Return how much of the window's time has passed, 0.0–100.0."""
    elapsed = length - (resets_at - now)
    return min(100.0, max(0.0, elapsed / length * 100.0))


class WorkWeek(NamedTuple):
    """When the user works: weekdays (Monday is 0), and the hours of a day since midnight.

    Hours that end before they begin last until the next day.
    """

    days: frozenset[int] = frozenset(range(7))
    begin: timedelta = timedelta()
    end: timedelta = _DAY

    def time_between(self, start: datetime, end: datetime, zone: tzinfo | None) -> timedelta:
        """Return the working time between two instants; ``zone`` is ``None`` for the system's."""
        lasts = (self.end - self.begin) % _DAY or _DAY
        day = datetime.combine(start.astimezone(zone), time()) - _DAY  # its hours may reach today
        total = timedelta()
        while (begun := _instant(day + self.begin, zone)) < end:
            if day.weekday() in self.days:
                done = _instant(day + self.begin + lasts, zone)
                total += max(timedelta(), min(done, end) - max(begun, start))
            day += _DAY
        return total


def _instant(local: datetime, zone: tzinfo | None) -> datetime:
    """Return the instant of a local time without a zone."""
    return (local.replace(tzinfo=zone) if zone else local.astimezone()).astimezone(UTC)


def worked_percent(
    resets_at: datetime, length: timedelta, now: datetime, work: WorkWeek, zone: tzinfo | None
) -> float:
    """Return how much of the window's working time has passed, 0.0–100.0.

    In a window without working time, all of its time counts.
    """
    start = resets_at - length
    whole = work.time_between(start, resets_at, zone)
    if not whole:
        return elapsed_percent(resets_at, length, now)
    return work.time_between(start, min(max(now, start), resets_at), zone) / whole * 100.0


def classify(delta: float) -> Pace:
    """Return the pace for a delta (utilization minus elapsed percent, in points)."""
    if abs(delta) <= ON_PACE_POINTS:
        return "on"
    return "over" if delta > 0 else "under"


def full_at(
    utilization: float, resets_at: datetime, length: timedelta, now: datetime
) -> datetime | None:
    """Return when the window reaches 100 % at its average rate so far.

    ``None`` if that is not before the reset, and for a window that is full or has not started.
    """
    start = resets_at - length
    elapsed = now - start
    if not 0.0 < utilization < FULL or elapsed <= timedelta():
        return None
    # Compared as percentages: for a tiny utilization the product below would overflow.
    if elapsed / length * FULL >= utilization:
        return None
    return start + elapsed * (FULL / utilization)


class Forecast(NamedTuple):
    """When a window runs out, with an 80 % interval; an instant is ``None`` beyond the reset.

    ``probability`` (0–1) is that of running out before the reset. ``expected_at_reset`` is a
    percentage and may pass 100, as demand can; ``expected_low`` and ``expected_high`` are its 80 %
    range. ``basis`` names the method and the amount of history. It was made from the
    reading of ``utilization`` at ``made_at``, for the window that resets at ``resets_at``.
    """

    run_out_at: datetime | None
    run_out_earliest: datetime | None
    run_out_latest: datetime | None
    probability: float
    expected_at_reset: float
    expected_low: float
    expected_high: float
    basis: str
    made_at: datetime
    utilization: float
    resets_at: datetime

    def fits(
        self,
        utilization: float | None,
        resets_at: datetime | None,
        length: timedelta,
        now: datetime,
    ) -> bool:
        """Return whether the forecast still applies to its window, given the newest figures."""
        return (
            utilization is not None
            and utilization < 100
            and abs(utilization - self.utilization) <= MAX_RISE
            and resets_at is not None
            and resets_at > now
            and abs(resets_at - self.resets_at) <= _SAME_RESET
            and now - self.made_at <= max_age(length)
        )


def max_age(length: timedelta) -> timedelta:
    """Return how old a reading may be for a forecast of a window of this length."""
    return min(MAX_AGE, length * MAX_AGE_SHARE)
