"""Pace: utilization compared with the share of the window's time that has passed.

An even pace uses 50 % after half of the window and reaches 100 % exactly at the reset.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

Pace = Literal["over", "on", "under"]

ON_PACE_POINTS = 1.0  # the API reports whole percents: one point is its resolution
FULL = 100.0


def elapsed_percent(resets_at: datetime, length: timedelta, now: datetime) -> float:
    """Return how much of the window's time has passed, 0.0–100.0."""
    elapsed = length - (resets_at - now)
    return min(100.0, max(0.0, elapsed / length * 100.0))


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
