"""Claude Pace Maker's state: how long it delays this login's tool uses, and why.

Fields are values that Pace Maker has stored. Methods compute further figures for a given time by
Pace Maker's rules; outputs mark these figures as computed. Its targets are not this package's
pace: the five-hour target begins at 10 %, the seven-day target does not rise on Saturdays and
Sundays (in UTC) and begins with a preload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from claude_usage_monitor.light_typing import Literal, NamedTuple
from claude_usage_monitor.usage.clock import given_or_current
from claude_usage_monitor.usage.limits.pace import elapsed_percent
from claude_usage_monitor.usage.limits.windows import label_for

Tempo = Literal["on", "off", "auto"]
Mode = Literal["normal", "fallback"]

FIVE_HOURS = timedelta(hours=5)
SEVEN_DAYS = timedelta(days=7)
DEFAULT_PRELOAD = timedelta(hours=12)
DEFAULT_POLL_INTERVAL = timedelta(seconds=300)
DEFAULT_TEMPO_THRESHOLD = timedelta(minutes=10)

_FIVE_HOUR_PRELOAD = 10.0  # percent: half an hour of the window
_DAY = timedelta(days=1)
_SATURDAY = 5
_RESET_GRACE = timedelta(minutes=5)  # Pace Maker ignores a window that reset longer ago
_DECISION_POLLS = 2  # Pace Maker applies a decision until two of its polls have passed
_BLOCKAGE_PERIOD = timedelta(hours=1)


class GapReason(Enum):
    """Why a part of Pace Maker's state is missing; the value says so after the part's name."""

    MISSING_FILE = "does not exist yet"
    EMPTY = "is empty"
    NOT_A_REGULAR_FILE = "is not a regular file"
    NOT_A_DATABASE = "is not a database"
    NOT_JSON = "is truncated or not JSON"
    LOCKED = "is locked by another program"
    IN_USE = "cannot be read while another program uses it"
    CHANGING = "changed during every attempt to read it"
    NEWEST_CHANGES = "cannot be read up to its newest changes (in the -wal file)"
    TOO_SLOW = "takes too long to read"
    DAMAGED = "is damaged"
    UNREADABLE = "cannot be read"
    MISSING_TABLE = "is missing from usage.db"
    MISSING_COLUMNS = "has no"
    UNUSABLE_VALUE = "has an unusable value:"
    TOO_MANY_ROWS = "has too many rows: only the newest are counted"


class Gap(NamedTuple):
    """A file or table that could not be read, or not completely; ``names`` are of its fields."""

    part: str
    reason: GapReason
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f" {', '.join(self.names)}" if self.names else ""
        return f"{self.part} {self.reason.value}{names}"


@dataclass(frozen=True, slots=True)
class Limiters:
    """Which limits Pace Maker paces by; ``None`` is unknown."""

    five_hour: bool | None = None
    seven_day: bool | None = None


@dataclass(frozen=True, slots=True)
class Blockage:
    """How often Pace Maker stopped something, by its own categories."""

    category: str
    count: int


@dataclass(frozen=True, slots=True)
class PacedWindow:
    """A window in Pace Maker's figures.

    ``synthetic`` means that Pace Maker estimates the utilization while the API refuses it. It does
    not store its estimates, so ``utilization`` is then ``None``.
    """

    key: str
    utilization: float | None
    resets_at: datetime | None
    limited: bool | None = None
    synthetic: bool = False
    preload: timedelta = DEFAULT_PRELOAD

    @property
    def label(self) -> str:
        """The window's label, the same in all outputs."""
        return label_for(self.key)

    def stale(self, now: datetime | None = None) -> bool:
        """Return whether the reset is so long ago that Pace Maker ignores the window.

        A synthetic window is never stale: Pace Maker moves its reset forward by itself.
        """
        return not self.synthetic and self._reset_is_over(given_or_current(now))

    def target(self, now: datetime | None = None) -> float | None:
        """Return how much may be used by now, in percent; ``None`` if no reset is ahead."""
        moment = given_or_current(now)
        if self.resets_at is None or self._reset_is_over(moment):
            return None
        if self.key == "five_hour":
            return five_hour_target(self.resets_at, moment)
        return seven_day_target(self.resets_at, moment, self.preload)

    def deviation(self, now: datetime | None = None) -> float | None:
        """Return utilization minus target, in points; ``None`` if either is unknown."""
        target = self.target(now)
        return None if target is None or self.utilization is None else self.utilization - target

    def _reset_is_over(self, now: datetime) -> bool:
        return self.resets_at is not None and now - self.resets_at > _RESET_GRACE


@dataclass(frozen=True, slots=True)
class Throttling:
    """Claude Pace Maker's state, as read from its files. ``None`` is unknown.

    ``delay_seconds`` is the delay of its last decision, made at ``decided_at``. ``as_of`` is when
    it read the figures that it decides by. ``blockage_events`` are a category and a time each.
    ``gaps`` are the unreadable parts. Instants are by this computer's clock, except the resets,
    which are by the API's. ``computed`` names the figures that Pace Maker does not store.
    """

    computed = ("window", "target", "deviation", "tempo_engaged")
    enabled: bool | None = None
    should_throttle: bool | None = None
    delay_seconds: float | None = None
    decided_at: datetime | None = None
    tempo: Tempo | None = None
    mode: Mode | None = None
    limiters: Limiters = Limiters()
    backoff_until: datetime | None = None
    windows: tuple[PacedWindow, ...] = ()
    blockage_events: tuple[tuple[str, datetime], ...] = ()
    as_of: datetime | None = None
    last_interaction: datetime | None = None
    tempo_threshold: timedelta = DEFAULT_TEMPO_THRESHOLD
    poll_interval: timedelta = DEFAULT_POLL_INTERVAL
    gaps: tuple[Gap, ...] = ()

    def throttling(self, now: datetime | None = None) -> bool | None:
        """Return whether tool uses are delayed now; ``None`` without a decision in force."""
        if self.enabled is False:
            return False
        return None if self.decision_stale(now) else self.should_throttle

    def decision_stale(self, now: datetime | None = None) -> bool:
        """Return whether there is no decision, or it is older than two of Pace Maker's polls."""
        if self.decided_at is None:
            return True
        age = given_or_current(now) - self.decided_at
        return age > _DECISION_POLLS * self.poll_interval

    def stale(self, now: datetime | None = None) -> bool:
        """Return whether nothing here shows Pace Maker's current behavior."""
        moment = given_or_current(now)
        windows_stale = bool(self.windows) and all(w.stale(moment) for w in self.windows)
        return windows_stale or self.decision_stale(moment)

    def constrained(self, now: datetime | None = None) -> PacedWindow | None:
        """Return the window it paces by: the one most over its target, or the first of equals."""
        moment = given_or_current(now)
        ranked = [
            (deviation, window)
            for window in self.windows
            if window.limited is not False and (deviation := window.deviation(moment)) is not None
        ]
        return max(ranked, key=lambda pair: pair[0], default=(0.0, None))[1]

    def window(self, now: datetime | None = None) -> str | None:
        """Return the key of the window it paces by."""
        window = self.constrained(now)
        return None if window is None else window.key

    def target(self, now: datetime | None = None) -> float | None:
        """Return the target of the window it paces by, in percent."""
        window = self.constrained(now)
        return None if window is None else window.target(now)

    def deviation(self, now: datetime | None = None) -> float | None:
        """Return how far that window is over (+) or under (-) its target, in points."""
        window = self.constrained(now)
        return None if window is None else window.deviation(now)

    def tempo_engaged(self, now: datetime | None = None) -> bool | None:
        """Return whether tempo is active: with ``auto``, while the user has been away long enough.

        ``None`` if the setting is unknown.
        """
        if self.tempo != "auto":
            return None if self.tempo is None else self.tempo == "on"
        if self.last_interaction is None:
            return True
        return given_or_current(now) - self.last_interaction >= self.tempo_threshold

    def backing_off(self, now: datetime | None = None) -> bool:
        """Return whether Pace Maker still waits because the API answered 429."""
        return self.backoff_until is not None and self.backoff_until > given_or_current(now)

    def blockages(self, now: datetime | None = None) -> tuple[Blockage, ...]:
        """Return what it stopped in the last hour, the most frequent category first."""
        since = given_or_current(now) - _BLOCKAGE_PERIOD
        counts = Counter(category for category, at in self.blockage_events if at > since)
        return tuple(
            Blockage(category, count)
            for category, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        )

    def instants(self) -> Iterator[datetime]:
        """Yield the times from which ages and countdowns are counted."""
        yield from (at for at in (self.decided_at, self.as_of, self.backoff_until) if at)


def five_hour_target(resets_at: datetime, now: datetime) -> float:
    """Return the target in percent: proportional to the time, but 10 in the first half hour."""
    return max(_FIVE_HOUR_PRELOAD, elapsed_percent(resets_at, FIVE_HOURS, now))


def seven_day_target(resets_at: datetime, now: datetime, preload: timedelta) -> float:
    """Return the target in percent: the elapsed share of the window's weekday time.

    At least ``preload``, a span of weekday time, counts as elapsed.
    """
    start = resets_at - SEVEN_DAYS
    whole = weekday_time(start, resets_at)
    elapsed = weekday_time(start, min(now, resets_at))
    return min(100.0, max(preload, elapsed) / whole * 100.0)


def weekday_time(start: datetime, end: datetime) -> timedelta:
    """Return how much of a span of a few weeks is on Mondays to Fridays, in its own time zone."""
    total = timedelta()
    moment = start
    while moment < end:
        midnight = (moment + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(midnight, end)
        if moment.weekday() < _SATURDAY:
            total += until - moment
        moment = until
    return total
