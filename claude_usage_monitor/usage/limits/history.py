"""What happened to an account's windows: the past ones, limits hit, sessions left."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.limits.hours import HourUse
from claude_usage_monitor.usage.limits.resets import End, WindowInstance

FIVE_HOUR, SEVEN_DAY = "five_hour", "seven_day"

_MIN_SESSIONS = 6  # past 5-hour windows; fewer say little about the next one
_MIN_SESSION_PEAK = 30.0  # percent; below, the rounding of the weekly figure hides the rate
_SPREAD = (0.1, 0.9)  # quantiles of the past rates


class PastWindow(NamedTuple):
    """A window instance, as the outputs show it.

    ``peak`` is its highest utilization, ``blocked`` how long it stood at 100 %. ``end`` is
    ``reset``, ``early`` (granted before its time), ``lowered`` (it reached its reset, but its
    figure was corrected before) or ``open``. ``watched_share`` is the share of its time in which
    somebody read it, 0–1.
    """

    key: str
    started_at: datetime
    resets_at: datetime
    ended_at: datetime | None
    end: End
    peak: float
    full_at: datetime | None
    blocked: timedelta
    watched_share: float | None

    @property
    def blocked_seconds(self) -> int:
        """The time at 100 % in seconds."""
        return round(self.blocked.total_seconds())


@dataclass(frozen=True, slots=True)
class LimitHits:
    """How many windows of a key reached their limit, and how long they stood there."""

    key: str
    count: int
    blocked: timedelta

    @property
    def blocked_seconds(self) -> int:
        """The time at 100 % in seconds."""
        return round(self.blocked.total_seconds())


class SessionsLeft(NamedTuple):
    """How many full 5-hour windows still fit into the week, by the account's own past rates."""

    low: float
    high: float


class History(NamedTuple):
    """The windows of an account since an instant, newest first.

    ``watched_share`` is the share of the time in which somebody read the figures, 0–1; None if
    nothing was ever read.
    """

    windows: tuple[PastWindow, ...]
    limits_hit: tuple[LimitHits, ...]
    watched_share: float | None = None
    sessions_left: SessionsLeft | None = None


def history_of(
    instances: Sequence[WindowInstance],
    hours: Mapping[str, Sequence[HourUse]],
    since: datetime,
    now: datetime,
    sessions: SessionsLeft | None = None,
) -> History:
    """Return the history since an instant from the stored windows, newest first, and hours."""
    windows = tuple(_past_window(instance.at(now), now) for instance in instances)
    return History(windows, limits_hit(windows), watched_share(hours, since, now), sessions)


def _past_window(window: WindowInstance, now: datetime) -> PastWindow:
    ended_at = window.ended_at or now
    span = ended_at - window.started_at
    return PastWindow(
        window.key,
        window.started_at,
        window.resets_at,
        window.ended_at,
        window.end,
        window.peak,
        window.full_at,
        window.blocked_by(now),
        min(1.0, window.watched / span) if span > timedelta() else None,
    )


def limits_hit(windows: Iterable[PastWindow]) -> tuple[LimitHits, ...]:
    """Return the limits hit of every key that has a window, in the order of the keys."""
    hits: dict[str, LimitHits] = {}
    for window in windows:
        so_far = hits.get(window.key, LimitHits(window.key, 0, timedelta()))
        count = so_far.count + (window.full_at is not None)
        hits[window.key] = LimitHits(window.key, count, so_far.blocked + window.blocked)
    return tuple(hits[key] for key in sorted(hits))


def watched_share(
    hours: Mapping[str, Sequence[HourUse]], since: datetime, now: datetime
) -> float | None:
    """Return the share of the time since an instant, or the first reading, that was watched."""
    watched: dict[datetime, float] = {}
    for rows in hours.values():
        for row in rows:
            if row.reads:
                watched[row.hour] = max(watched.get(row.hour, 0.0), row.watched_seconds)
    if not watched:
        return None
    seconds = (now - max(since, min(watched))).total_seconds()
    return min(1.0, sum(watched.values()) / seconds) if seconds > 0 else None


def sessions_left(
    instances: Iterable[WindowInstance],
    weekly_hours: Sequence[HourUse],
    week: WindowInstance | None,
    now: datetime,
) -> SessionsLeft | None:
    """Return how many full 5-hour windows fit into the rest of the week.

    Each past 5-hour window shows how many weekly points a full one costs. None with few past
    windows, or without a running week.
    """
    if week is None or week.resets_at <= now:
        return None
    sessions = [
        instance
        for instance in instances
        if instance.key == FIVE_HOUR and instance.peak >= _MIN_SESSION_PEAK
    ]
    starts = [row.hour for row in weekly_hours]
    used = [0.0, *accumulate(row.used for row in weekly_hours)]
    costs = sorted(cost for each in sessions if (cost := _weekly_cost(each, starts, used)))
    if len(costs) < _MIN_SESSIONS:
        return None
    cheap, dear = (costs[round(share * (len(costs) - 1))] for share in _SPREAD)
    left = max(0.0, 100.0 - week.utilization)
    return SessionsLeft(round(left / dear, 1), round(left / cheap, 1))


def _weekly_cost(
    session: WindowInstance, starts: Sequence[datetime], used: Sequence[float]
) -> float:
    """Return the weekly points that a session would have used up to 100 %.

    ``starts`` are the hours of the week's use, and ``used`` is how much was used before each.
    """
    first = bisect_left(starts, session.started_at)
    end = bisect_left(starts, session.ended_at or session.last_seen)
    return (used[end] - used[first]) / session.peak * 100.0


def sessions_text(sessions: SessionsLeft) -> str:
    """Return the sessions left in words, in whole sessions."""
    low, high = math.floor(sessions.low), math.ceil(sessions.high)
    count = str(high) if low == high else f"{low}–{high}"
    return f"about {count} full session{'' if count == '1' else 's'} left this week"
