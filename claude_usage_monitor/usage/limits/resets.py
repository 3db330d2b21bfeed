"""Follow the windows of an account: which readings belong to one window, and how it ended.

No single sign tells a reset. The reset time may move while the use stays, a granted reset may leave
the reset time alone, and the API sometimes reports zero once. So a fall counts when a second
reading confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from claude_usage_monitor.light_typing import Any, Literal, NamedTuple
from claude_usage_monitor.usage.limits.pace import FULL
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, Source, UpdatePolicy
from claude_usage_monitor.usage.limits.windows import length_of

End = Literal["open", "reset", "early", "lowered"]
Span = tuple[datetime, datetime]

SAME_RESET = timedelta(minutes=10)  # reset times lie on 10-minute marks and wobble by a second
ROUNDING = 2.0  # points by which sources differ
WATCHED_GAP = timedelta(minutes=30)  # two readings at most this far apart watch the time between

_WOBBLE = timedelta(seconds=1)
_EARLY = timedelta(minutes=30)  # a reset that comes less early than this is a normal one
_CONFIRMED_AFTER = timedelta(minutes=2)  # a wrong reading repeats within seconds
_CLOCK_STEP = timedelta(hours=1)  # a reading older than the last by more: the last one was wrong
_ECHO_RISE = 5.0  # points; a smaller rise is ordinary use
_MAX_UTILIZATION = 1000.0
_SAME_FACTOR = 1.15  # two windows that a change of plan rescales, each rounded to whole points
_MIN_FACTOR = 1.3
_MIN_JUMP = 10.0  # points that each window must rise by: the first use of a week raises all alike
_JUMP_TIME = timedelta(minutes=15)  # use may well raise two windows by five points in more time


class Reading(NamedTuple):
    """What one source reported of one window."""

    read_at: datetime
    utilization: float | None
    resets_at: datetime | None
    source: Source = "api"

    @property
    def confirms(self) -> bool:
        """Whether the source's lower figures count: those of the status line may be old."""
        return SOURCES[self.source].policy is not UpdatePolicy.IF_INCREASED


class Increment(NamedTuple):
    """Points that were used between two readings."""

    began_at: datetime
    ended_at: datetime
    points: float


class WindowInstance(NamedTuple):
    """One window from its start to its end, as far as it was seen.

    ``utilization`` is the highest since the last correction, ``peak`` the highest of all.
    ``full_at`` is when it first reached 100 %, at the latest if ``full_at_is_latest``;
    ``full_since`` is set while it is full, and ``blocked`` sums the finished times at 100 %.
    ``id`` is the stored row's, the only identity of a window; None in a replay.
    """

    key: str
    started_at: datetime
    resets_at: datetime
    first_seen: datetime
    last_seen: datetime
    utilization: float
    peak: float
    full_at: datetime | None = None
    full_at_is_latest: bool = False
    full_since: datetime | None = None
    full_until: datetime | None = None
    blocked: timedelta = timedelta()
    watched: timedelta = timedelta()
    lowered: bool = False
    ended_at: datetime | None = None
    end: End = "open"
    plan: str | None = None
    id: int | None = None

    def at(self, now: datetime) -> WindowInstance:
        """Return the window as of ``now``: it ends at its reset, also without a reading then."""
        if self.end == "open" and self.resets_at <= now:
            return self.closed(self.resets_at, "lowered" if self.lowered else "reset")
        return self

    def closed(self, ended_at: datetime, end: End) -> WindowInstance:
        """Return the window with its end."""
        return self.not_full(ended_at)._replace(ended_at=ended_at, end=end)

    def not_full(self, moment: datetime) -> WindowInstance:
        """Return the window after a time at 100 % that lasted until ``moment``."""
        if self.full_since is None:
            return self
        blocked = self.blocked + max(timedelta(), moment - self.full_since)
        blocked = min(blocked, max(timedelta(), moment - self.started_at))
        return self._replace(full_since=None, full_until=moment, blocked=blocked)

    def blocked_by(self, now: datetime) -> timedelta:
        """Return how long the window has been at 100 % until ``now``."""
        return self.not_full(now).blocked


class Change(StrEnum):
    """What a reading changed."""

    DISCARDED = "discarded"
    PENDING = "pending"
    SAME = "same"
    NEW = "new"
    RESET = "reset"
    EARLY = "early"
    MOVED = "moved"
    LOWERED = "lowered"
    PLAN = "plan"


class Step(NamedTuple):
    """What one reading changed in one window: the window now, the one that ended, the use.

    ``watched`` and ``blocked`` are the spans that this reading adds to the time that was watched
    and to the time at 100 %.
    """

    key: str
    change: Change
    window: WindowInstance | None = None
    closed: WindowInstance | None = None
    increment: Increment | None = None
    watched: Span | None = None
    blocked: Span | None = None


class Track(NamedTuple):
    """What the rules remember of one key.

    ``pending`` is a reading that waits for a second one. ``echo`` is the figure of the window that
    ended last, which the API may report once more.
    """

    read_at: datetime
    window: WindowInstance | None = None
    pending: Reading | None = None
    echo: float | None = None


class WindowTracker:
    """Every window of one account. ``tracks`` is its state, by window key."""

    def __init__(self, tracks: Mapping[str, Track] | None = None) -> None:
        self.tracks = dict(tracks or {})

    @property
    def windows(self) -> dict[str, WindowInstance]:
        """The current window of each key that has one."""
        return {key: track.window for key, track in self.tracks.items() if track.window}

    def add(self, readings: Mapping[str, Reading], plan: str | None = None) -> list[Step]:
        """Follow the readings of one read, by window key; return what they changed."""
        rescaled = self._rescaled(readings)
        steps = []
        for key, reading in readings.items():
            track = self.tracks.get(key)
            window = track.window if track else None
            new_plan = bool(window and plan and window.plan and plan != window.plan)
            is_plan_change = new_plan or key in rescaled
            self.tracks[key], step = _follow(key, track, reading, is_plan_change=is_plan_change)
            current = self.tracks[key].window
            if current is not None and plan is not None and step.change is not Change.PENDING:
                self.tracks[key] = self.tracks[key]._replace(window=current._replace(plan=plan))
                step = step._replace(window=self.tracks[key].window)
            steps.append(step)
        return steps

    def _rescaled(self, readings: Mapping[str, Reading]) -> set[str]:
        """Return the keys that one factor changed at once: a new plan has another allowance."""
        factors = {}
        for key, reading in readings.items():
            track = self.tracks.get(key)
            window = track.window if track else None
            if window is None or not reading.utilization or not reading.confirms:
                continue
            if not _same_reset(window, reading) or window.utilization < 1:
                continue
            rise = reading.utilization - window.utilization
            factor = reading.utilization / window.utilization
            is_jump = rise >= _MIN_JUMP and reading.read_at - window.last_seen <= _JUMP_TIME
            if is_jump or rise < -ROUNDING:
                factors[key] = factor
        if len(factors) < 2:
            return set()
        low, high = min(factors.values()), max(factors.values())
        apart_from_one = low >= _MIN_FACTOR or high <= 1 / _MIN_FACTOR
        return set(factors) if apart_from_one and high <= low * _SAME_FACTOR else set()


def _follow(
    key: str, track: Track | None, reading: Reading, *, is_plan_change: bool
) -> tuple[Track, Step]:
    """Return the next state of a key, and what the reading changed."""
    at = reading.read_at
    if not _is_valid(reading) or _is_old(track, reading):
        window = track.window if track else None
        return track or Track(at), Step(key, Change.DISCARDED, window)
    if track is None or track.window is None:
        return _after_idle(key, track, reading)
    window, utilization = track.window, reading.utilization or 0.0
    if at < track.read_at:
        window = _set_back(window, at)
        track = track._replace(pending=None, window=window)
    is_lower = utilization < window.utilization - ROUNDING
    if not _same_reset(window, reading):
        if at >= window.resets_at or _is_nearly_at_reset(window, reading):
            return _after_reset(track, window, reading)
        if not reading.confirms:
            return track, Step(key, Change.DISCARDED, window)
    if is_lower:
        return _fall(track, window, reading, is_plan_change=is_plan_change)
    if not is_plan_change and _is_unconfirmed_echo(track, window, reading):
        return _put_off(track, window, reading)
    return _same_window(track, window, reading, is_plan_change=is_plan_change)


def _is_old(track: Track | None, reading: Reading) -> bool:
    """Return whether a reading is no newer than the last one, made with about the right clock."""
    return track is not None and track.read_at - _CLOCK_STEP <= reading.read_at <= track.read_at


def _is_nearly_at_reset(window: WindowInstance, reading: Reading) -> bool:
    """Return whether a reading is of the next window, although this one has minutes left."""
    if reading.resets_at is not None and reading.resets_at <= window.resets_at:
        return False
    is_lower = (reading.utilization or 0.0) < window.utilization
    return is_lower and reading.read_at >= window.resets_at - _EARLY


def _set_back(window: WindowInstance, at: datetime) -> WindowInstance:
    """Return a window that a clock far ahead has seen in the future, as seen until ``at``."""
    return window._replace(
        first_seen=min(window.first_seen, at),
        last_seen=at,
        full_since=window.full_since and min(window.full_since, at),
    )


def _is_valid(reading: Reading) -> bool:
    utilization, resets_at = reading.utilization, reading.resets_at
    if utilization is None or not 0.0 <= utilization <= _MAX_UTILIZATION:
        return False
    return resets_at is None or resets_at > reading.read_at


def _same_reset(window: WindowInstance, reading: Reading) -> bool:
    if reading.resets_at is None:
        return False
    return abs(reading.resets_at - window.resets_at) <= SAME_RESET


def _after_idle(key: str, track: Track | None, reading: Reading) -> tuple[Track, Step]:
    """Follow a reading when no window was running."""
    at = reading.read_at
    previous_at = track.read_at if track else None
    watched = _watched(previous_at, at)
    window = _new_window(key, reading, previous_at)
    if window is None:
        return Track(at, echo=track.echo if track else None), Step(
            key, Change.SAME, watched=watched
        )
    track = Track(at, window, echo=track.echo if track else None)
    increment = _first_use(window, previous_at)
    blocked = _blocked(window, at)
    return track, Step(key, Change.NEW, window, None, increment, watched, blocked)


def _after_reset(
    track: Track, window: WindowInstance, reading: Reading, end: End | None = None
) -> tuple[Track, Step]:
    """Follow a reading of the next window, or of none; ``end`` is how the last one ended."""
    at = reading.read_at
    early = track.pending if end == "early" else None
    following = _new_window(window.key, reading, window.last_seen, early.read_at if early else None)
    ended_at = early.read_at if early else window.resets_at
    if following is not None and following.started_at < ended_at - _EARLY:
        # The start of the next window shows that this one was reset early, between two readings.
        ended_at, end = max(following.started_at, window.last_seen), "early"
    closed = window.closed(ended_at, end or ("lowered" if window.lowered else "reset"))
    blocked = (max(window.last_seen, window.full_since), ended_at) if window.full_since else None
    watched = _watched(window.last_seen, at)
    if watched is not None:
        inside = max(timedelta(), min(at, ended_at) - window.last_seen)
        closed = closed._replace(watched=closed.watched + inside)
    change = Change.EARLY if early else Change.RESET
    increment = _first_use(following, window.last_seen) if following else None
    next_track = Track(at, following, echo=window.utilization)
    return next_track, Step(window.key, change, following, closed, increment, watched, blocked)


def _new_window(
    key: str, reading: Reading, previous_at: datetime | None, started_at: datetime | None = None
) -> WindowInstance | None:
    """Return the window that a reading is the first of; None if no window is running."""
    at, utilization = reading.read_at, reading.utilization or 0.0
    if reading.resets_at is None:
        return None
    resets_at = _without_wobble(reading.resets_at)
    length = length_of(key)
    first_seen = started_at or at
    start = started_at or (first_seen if length is None else min(resets_at - length, at))
    watched = timedelta()
    if previous_at is not None and at - previous_at <= WATCHED_GAP:
        watched = max(timedelta(), at - max(previous_at, start))
    window = WindowInstance(
        key, start, resets_at, first_seen, at, utilization, utilization, watched=watched
    )
    before = start if previous_at is None else max(previous_at, start)
    return _filled(window, before, at) if utilization >= FULL else window


def _without_wobble(resets_at: datetime) -> datetime:
    """Return a reset time on the minute that it wobbles around by up to a second."""
    minute = resets_at.replace(second=0, microsecond=0)
    if resets_at - minute > timedelta(seconds=30):
        minute += timedelta(minutes=1)
    return minute if abs(resets_at - minute) <= _WOBBLE else resets_at


def _first_use(window: WindowInstance, previous_at: datetime | None) -> Increment | None:
    """Return the use of a window until its first reading."""
    began_at = window.started_at if previous_at is None else max(previous_at, window.started_at)
    if window.utilization <= 0:
        return None
    return Increment(min(began_at, window.last_seen), window.last_seen, window.utilization)


def _fall(
    track: Track, window: WindowInstance, reading: Reading, *, is_plan_change: bool
) -> tuple[Track, Step]:
    """Follow a lower figure before the reset: a reset, a correction, or a wrong reading."""
    key, at, utilization = window.key, reading.read_at, reading.utilization or 0.0
    first = track.pending
    if first is not None and (first.utilization or 0.0) >= window.utilization - ROUNDING:
        first = None  # it was an echo, and this reading does not confirm it
    track = track._replace(pending=first)
    if first is None or not reading.confirms or not _is_second(first, reading):
        return _put_off(track, window, reading)
    almost_unused = utilization <= max(3.0, window.utilization / 10)
    if (almost_unused and not is_plan_change) or not _same_reset(window, reading):
        return _after_reset(track, window, reading, "early")
    full_since = window.full_since
    blocked = (max(window.last_seen, full_since), first.read_at) if full_since else None
    lowered = window.not_full(first.read_at)._replace(
        utilization=utilization, last_seen=at, lowered=True
    )
    change = Change.PLAN if is_plan_change else Change.LOWERED
    watched = _watched(window.last_seen, at)
    lowered = lowered._replace(watched=_time_watched(lowered, watched))
    return Track(at, lowered), Step(key, change, lowered, watched=watched, blocked=blocked)


def _is_unconfirmed_echo(track: Track, window: WindowInstance, reading: Reading) -> bool:
    """Return whether one reading alone repeats the figure of the window before."""
    utilization = reading.utilization or 0.0
    if track.echo is None or utilization < window.utilization + _ECHO_RISE:
        return False
    if abs(utilization - track.echo) > ROUNDING:
        return False
    return not reading.confirms or not _is_second(track.pending, reading)


def _is_second(first: Reading | None, reading: Reading) -> bool:
    return first is not None and reading.read_at - first.read_at >= _CONFIRMED_AFTER


def _put_off(track: Track, window: WindowInstance, reading: Reading) -> tuple[Track, Step]:
    """Wait for a second reading; one of the status line is not worth waiting for."""
    if not reading.confirms:
        return track, Step(window.key, Change.DISCARDED, window)
    track = track._replace(read_at=reading.read_at, pending=track.pending or reading)
    return track, Step(window.key, Change.PENDING, window)


def _same_window(
    track: Track, window: WindowInstance, reading: Reading, *, is_plan_change: bool
) -> tuple[Track, Step]:
    """Follow a reading of the running window; its reset time may have moved."""
    at, utilization = reading.read_at, reading.utilization or 0.0
    change = Change.SAME
    resets_at = window.resets_at
    if reading.resets_at is not None and not _same_reset(window, reading):
        resets_at = _without_wobble(reading.resets_at)
        change = Change.MOVED if window.peak > ROUNDING else Change.SAME
    points = utilization - window.utilization
    increment = Increment(window.last_seen, at, points) if points > 0 else None
    if is_plan_change:
        change, increment = Change.PLAN, None
    watched = _watched(window.last_seen, at)
    was_full, last_seen = window.full_since, window.last_seen
    # Python keeps a tuple of each `_replace` until it collects garbage: 300 KiB in a replay.
    changes: dict[str, Any] = {
        "last_seen": at,
        "resets_at": resets_at,
        "utilization": max(utilization, window.utilization),
        "peak": max(utilization, window.peak),
        "watched": _time_watched(window, watched),
    }
    window = WindowInstance(**(window._asdict() | changes))
    if utilization >= FULL and was_full is None:
        window = _filled(window, last_seen, at)
    blocked = (last_seen, at) if was_full else _blocked(window, at)
    next_track = Track(at, window, None, track.echo)
    return next_track, Step(window.key, change, window, None, increment, watched, blocked)


def _filled(window: WindowInstance, below_at: datetime, at: datetime) -> WindowInstance:
    """Return a window that reached 100 % between two readings."""
    is_close = at - below_at <= WATCHED_GAP
    full_at = below_at + (at - below_at) / 2 if is_close else at
    return window._replace(
        full_at=window.full_at or full_at,
        full_at_is_latest=window.full_at_is_latest if window.full_at else not is_close,
        full_since=full_at,
        full_until=None,
    )


def _blocked(window: WindowInstance, at: datetime) -> Span | None:
    return None if window.full_since is None else (window.full_since, at)


def _watched(previous_at: datetime | None, at: datetime) -> Span | None:
    """Return the span between two readings if they are close enough to have watched it."""
    if previous_at is None or not timedelta() < at - previous_at <= WATCHED_GAP:
        return None
    return previous_at, at


def _time_watched(window: WindowInstance, watched: Span | None) -> timedelta:
    """Return how long a window was watched, with another span."""
    return window.watched if watched is None else window.watched + (watched[1] - watched[0])
