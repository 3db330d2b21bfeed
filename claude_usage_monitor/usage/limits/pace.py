"""Pace: how far a window's use is ahead of, or behind, the time that has passed in it.

An even pace uses a window up exactly at its reset: after half of its time, half of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

Pace = Literal["over", "on", "under"]

ON_PACE_POINTS = 1.0  # the API reports whole percents, so a point is its own resolution
FULL = 100.0


def elapsed_percent(resets_at: datetime, length: timedelta, now: datetime) -> float:
    """Return how much of the window's time has passed, 0.0–100.0."""
    elapsed = length - (resets_at - now)
    return min(100.0, max(0.0, elapsed / length * 100.0))


def verdict(delta: float) -> Pace:
    """Name a pace delta (utilization minus elapsed percent, in points)."""
    if abs(delta) <= ON_PACE_POINTS:
        return "on"
    return "over" if delta > 0 else "under"


def full_at(
    utilization: float, resets_at: datetime, length: timedelta, now: datetime
) -> datetime | None:
    """Return when the window reaches 100 % at its average rate so far.

    ``None`` when that is not before the reset, and for a window that is full or has not begun.
    """
    start = resets_at - length
    elapsed = now - start
    if not 0.0 < utilization < FULL or elapsed.total_seconds() <= 0:
        return None
    ratio = FULL / utilization
    if elapsed * ratio >= length:
        return None
    return start + elapsed * ratio
