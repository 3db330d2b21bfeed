"""The forecast of a window: whether it lasts until its reset, else when it runs out."""

from datetime import datetime, timedelta
from typing import NamedTuple

MIN_ELAPSED = timedelta(minutes=5)  # a window that has just started says nothing
MAX_AGE = timedelta(hours=1)
MAX_AGE_SHARE = 0.05  # of the window's length; the less of both counts
MAX_RISE = 2.0  # points: the figure has risen by more, so that the forecast is out of date
_SAME_RESET = timedelta(minutes=10)  # sources report the same reset with small differences


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
