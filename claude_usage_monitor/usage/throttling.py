"""What Claude Pace Maker does to this login's tool uses: delays them, by how much, and why.

What it stored is a field. What it would reckon now is a method: computed here by its own rules,
from the figures it has, so never its word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from claude_usage_monitor.usage import throttling_targets
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.limits.windows import label_for

Tempo = Literal["on", "off", "auto"]
Mode = Literal["normal", "fallback"]

DEFAULT_POLL_INTERVAL = timedelta(seconds=300)
DEFAULT_TEMPO_REST = timedelta(minutes=10)
COMPUTED = ("window", "target", "deviation", "tempo_engaged")  # names of what it did not store

_RESET_GRACE = timedelta(minutes=5)  # of a reset that has passed: its own rule
_DECISION_INTERVALS = 2  # polls; a decision that is older is no longer applied
_BLOCKAGE_SPAN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limiters:
    """Which limits it paces by; ``None`` when that is not known."""

    five_hour: bool | None = None
    seven_day: bool | None = None


@dataclass(frozen=True, slots=True)
class Blockage:
    """How often it stopped something, by its own category."""

    category: str
    count: int


@dataclass(frozen=True, slots=True)
class PacedWindow:
    """A window as Pace Maker knows it: percent, and when it resets.

    ``synthetic`` figures are its own estimates from token costs, made while the API refuses it.
    """

    key: str
    utilization: float | None
    resets_at: datetime | None
    limited: bool | None = None
    synthetic: bool = False
    preload: timedelta = throttling_targets.DEFAULT_PRELOAD

    @property
    def label(self) -> str:
        """The window's label, as everywhere."""
        return label_for(self.key)

    def stale(self, now: datetime | None = None) -> bool:
        """Return whether its reset is so long past that Pace Maker ignores the window."""
        return self.resets_at is not None and (now or utc_now()) - self.resets_at > _RESET_GRACE

    def target(self, now: datetime | None = None) -> float | None:
        """Return how much may be used by now, in percent; ``None`` if not started or stale."""
        moment = now or utc_now()
        if self.resets_at is None or self.stale(moment):
            return None
        if self.key == "five_hour":
            return throttling_targets.five_hour_target(self.resets_at, moment)
        return throttling_targets.seven_day_target(self.resets_at, moment, self.preload)

    def deviation(self, now: datetime | None = None) -> float | None:
        """Return utilization minus target, in points; ``None`` when either is unknown."""
        target = self.target(now)
        return None if target is None or self.utilization is None else self.utilization - target


@dataclass(frozen=True, slots=True)
class Throttling:
    """Claude Pace Maker's state, as read from its files. ``None`` is unknown.

    ``delay_seconds`` is its last decision's, of ``decided_at``; ``as_of`` is when the figures it
    decides by were read. ``gaps`` name, in words, what could not be read. Instants are of this
    computer's clock, but a window's reset, which is the API's.
    """

    enabled: bool | None = None
    should_throttle: bool | None = None
    delay_seconds: float | None = None
    decided_at: datetime | None = None
    tempo: Tempo | None = None
    mode: Mode | None = None
    limiters: Limiters = Limiters()
    backoff_until: datetime | None = None
    windows: tuple[PacedWindow, ...] = ()
    blocked: tuple[tuple[str, datetime], ...] = ()
    as_of: datetime | None = None
    last_interaction: datetime | None = None
    tempo_rest: timedelta = DEFAULT_TEMPO_REST
    poll_interval: timedelta = DEFAULT_POLL_INTERVAL
    gaps: tuple[str, ...] = ()

    def throttling(self, now: datetime | None = None) -> bool | None:
        """Return whether tool uses are delayed now; ``None`` without a decision that holds."""
        if self.enabled is False:
            return False
        return None if self.decision_stale(now) else self.should_throttle

    def decision_stale(self, now: datetime | None = None) -> bool:
        """Return whether its last decision is older than two of its polls, or there is none."""
        if self.decided_at is None:
            return True
        age = (now or utc_now()) - self.decided_at
        return age > _DECISION_INTERVALS * self.poll_interval

    def stale(self, now: datetime | None = None) -> bool:
        """Return whether nothing here can be relied on as its present doing."""
        moment = now or utc_now()
        windows_stale = bool(self.windows) and all(w.stale(moment) for w in self.windows)
        return windows_stale or self.decision_stale(moment)

    def constrained(self, now: datetime | None = None) -> PacedWindow | None:
        """Return the window it paces by: the one furthest over its target; of equals the first."""
        moment = now or utc_now()
        ranked = [
            (deviation, window)
            for window in self.windows
            if window.limited is not False and (deviation := window.deviation(moment)) is not None
        ]
        return max(ranked, key=lambda pair: pair[0], default=(0.0, None))[1]

    def window(self, now: datetime | None = None) -> str | None:
        """Return the key of the window it paces by, if there is one."""
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
        """Return whether tempo acts now: on ``auto``, when the user has been away for a while."""
        if self.tempo != "auto":
            return None if self.tempo is None else self.tempo == "on"
        if self.last_interaction is None:
            return True
        return (now or utc_now()) - self.last_interaction >= self.tempo_rest

    def backing_off(self, now: datetime | None = None) -> bool:
        """Return whether the API's 429 still keeps it from asking."""
        return self.backoff_until is not None and self.backoff_until > (now or utc_now())

    def blockages(self, now: datetime | None = None) -> tuple[Blockage, ...]:
        """Return what it stopped in the last hour, the most frequent category first."""
        since = (now or utc_now()) - _BLOCKAGE_SPAN
        counts: dict[str, int] = {}
        for category, at in self.blocked:
            if at > since:
                counts[category] = counts.get(category, 0) + 1
        found = (Blockage(category, count) for category, count in counts.items())
        return tuple(sorted(found, key=lambda blockage: (-blockage.count, blockage.category)))

    def instants(self) -> Iterator[datetime]:
        """Yield what ages and countdowns are counted from."""
        yield from (at for at in (self.decided_at, self.as_of, self.backoff_until) if at)
