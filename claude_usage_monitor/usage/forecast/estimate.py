"""The estimator of forecasts.

The usual use of each hour of the week, scaled by how busy the last days were and by the present
rate, gives the expected use until each later instant; a gamma distribution around it gives the
probability that the window is full by then. For short windows, past days at the same time of day
count, too. All statements come from the one curve, so that they cannot contradict each other.
docs/forecast.md explains the method and shows how often it is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.forecast.past_use import (
    DAY,
    HOUR,
    UseHistory,
    UseProfile,
)
from claude_usage_monitor.usage.limits.pace import MIN_ELAPSED, Forecast, max_age
from claude_usage_monitor.usage.limits.windows import UsageWindow

EARLIEST, MEDIAN, LATEST = 0.075, 0.5, 0.925
"""The points of the curve that an 80 % interval uses: with 0.1 and 0.9 it held less often."""

LONGER_KEY = "seven_day"
"""The limit of all models: once it is full, nothing more is used of the others."""
STOPPING_KEYS = ("five_hour", LONGER_KEY)
"""The limits that stop every use once they are full."""

_FULL = 100.0
_PRESENT_HALF_LIFE = 1800.0  # seconds: what counts as the present rate
_PRESENT_SPAN = 3 * HOUR
_PRESENT_LASTS = HOUR  # the time constant with which the present rate returns to the usual one
_MIN_SHARE = 0.02  # of the usual use: the least that is expected
_NOTHING = 1e-6  # points: a smaller expected use is none, and dividing by it could overflow
_NO_HISTORY_CAUTION = 0.3  # share off the probability without any history; a day halves it
_CURVE_WEIGHT = 15.0  # past days that the curve counts as
_Z80 = 1.2816  # standard deviations on both sides that include 80 %

_SHIFTS = (-3600.0, -1800.0, 0.0, 1800.0, 3600.0)  # seconds: days do not begin on the minute
_SHIFT_RANGE = 5400.0  # seconds: a shift that would count nothing
_DAY_HALF_LIFE = 28  # days
_OTHER_CLASS = 0.12  # what a weekday counts for a weekend day, and the reverse
_SAME_WEEKDAY = 1.5
_RECENT = 1800.0  # seconds: how busy a moment is
_QUIET_POINTS = 0.5  # added to the recent use, because nothing has no logarithm


class _Kind(NamedTuple):
    """What differs between short and long windows; tuned on invented users."""

    step: float  # seconds between the points of the curve
    level_points: float  # points of use that pull the level towards 1
    typical_rate: float  # points that a typical user uses in an hour, nights included
    scatter: float  # variance per expected point: use comes in turns and bursts
    spread: float  # variance per squared expected point: days differ
    no_history_spread: float  # added to it without any history; a day halves it
    short: bool


_SHORT = _Kind(600.0, 10.0, 2.3, 14.0, 0.40, 0.5, short=True)
_LONG = _Kind(HOUR, 12.0, 0.3, 3.0, 0.05, 0.35, short=False)


class RunningWindow(NamedTuple):
    """A window that is not full, with instants in seconds.

    ``blocked_until`` is when another limit resets that is full now, so that nothing can be used.
    """

    utilization: float
    started_at: float
    resets_at: float
    length: float
    blocked_until: float = 0.0

    @property
    def kind(self) -> _Kind:
        """The constants for windows of this length."""
        return _SHORT if self.length <= DAY else _LONG


class Curve(NamedTuple):
    """The probability that a window is full after each step from ``start``; it never falls."""

    start: float
    end: float
    step: float
    full_by: tuple[float, ...]

    @property
    def probability(self) -> float:
        """The probability that the window is full at its reset."""
        return self.full_by[-1]

    def at(self, instant: float) -> float:
        """Return the probability that the window is full by an instant after the start."""
        steps = (min(instant, self.end) - self.start) / self.step
        return self.full_by[min(int(steps), len(self.full_by) - 1)]

    def quantile(self, share: float) -> float | None:
        """Return the instant at which the probability reaches a share; ``None`` if it does not."""
        before = 0.0
        for index, value in enumerate(self.full_by):
            if value >= share:
                begun = self.start + index * self.step
                rise = (share - before) / (value - before)
                return begun + (min(begun + self.step, self.end) - begun) * rise
            before = value
        return None


class Estimate(NamedTuple):
    """The curve of a window, and its expected utilization at the reset with an 80 % range."""

    utilization: float
    curve: Curve
    expected_at_reset: float
    expected_low: float
    expected_high: float


class Forecaster:
    """Forecasts the windows of one account from the histories of their limits, by key.

    ``zone`` is the user's time zone, ``None`` for the system's.
    """

    def __init__(
        self, histories: dict[str, UseHistory] | None = None, zone: tzinfo | None = None
    ) -> None:
        self.histories = {} if histories is None else histories
        self._zone = zone
        self._profiles: dict[str, UseProfile] = {}

    def forecasts(
        self, windows: Iterable[UsageWindow], starts: Mapping[str, datetime], now: datetime
    ) -> dict[str, Forecast]:
        """Return the forecast of each window that has one.

        ``starts`` are the windows' starts where they are not a length before the reset.
        """
        made = self.estimates(windows, starts, now)
        return {
            window.key: _forecast(estimate, self._basis(window.key, now), window.as_of)
            for window, estimate in made
        }

    def estimates(
        self, windows: Iterable[UsageWindow], starts: Mapping[str, datetime], now: datetime
    ) -> list[tuple[UsageWindow, Estimate]]:
        """Return the estimate of each window that has one."""
        windows = [window.at(now) for window in windows]
        full = {
            window.key: window.resets_at.timestamp()
            for window in windows
            if window.key in STOPPING_KEYS and (window.utilization or 0) >= _FULL
            if window.resets_at is not None
        }
        blocked_until = max(full.values(), default=0.0)
        longer: Curve | None = None
        made = []
        # The weekly limit first: it can stop the others.
        for window in sorted(windows, key=lambda window: window.key != LONGER_KEY):
            running = _running(window, starts.get(window.key), blocked_until, now)
            if running is None or window.key not in self.histories:
                continue
            history = self.histories[window.key]
            estimate = estimate_window(
                running, history, self._profile(window.key, running, now), now.timestamp(), longer
            )
            if window.key == LONGER_KEY:
                longer = estimate.curve
            made.append((window, estimate))
        return made

    def _profile(self, key: str, window: RunningWindow, now: datetime) -> UseProfile:
        """Return the profile of a limit, built again every hour."""
        profile = self._profiles.get(key)
        seconds = now.timestamp()
        if profile is None or profile.hour != int(seconds // HOUR):
            kind = window.kind
            profile = UseProfile(
                self.histories[key], seconds, self._zone, kind.level_points, kind.typical_rate
            )
            self._profiles[key] = profile
        return profile

    def _basis(self, key: str, now: datetime) -> str:
        began = self.histories[key].began
        hours = 0.0 if began is None else (now.timestamp() - began) / HOUR
        if hours < 1:
            return "average, no history"
        if hours < 24:
            return "hours of the week, little history"
        days = int(hours / 24)
        amount = f"{days} days" if days < 14 else f"{min(days, 56) // 7} weeks"
        return f"hours of the week, {'1 day' if days == 1 else amount} of history"


def _running(
    window: UsageWindow, started_at: datetime | None, blocked_until: float, now: datetime
) -> RunningWindow | None:
    """Return what an estimate needs of a window; ``None`` if nothing can be said of it."""
    if window.utilization is None or window.utilization >= _FULL:
        return None
    if window.resets_at is None or window.length is None:
        return None
    if window.resets_at - now > window.length:
        return None  # a wrong reset time; one in a thousand years would need millions of steps
    begun = started_at or window.resets_at - window.length
    old = now - window.as_of > max_age(window.length)
    if old or now - begun < MIN_ELAPSED:
        return None
    return RunningWindow(
        window.utilization,
        begun.timestamp(),
        window.resets_at.timestamp(),
        window.length.total_seconds(),
        blocked_until,
    )


def _forecast(estimate: Estimate, basis: str, made_at: datetime) -> Forecast:
    curve = estimate.curve
    return Forecast(
        run_out_at=_instant(curve.quantile(MEDIAN)),
        run_out_earliest=_instant(curve.quantile(EARLIEST)),
        run_out_latest=_instant(curve.quantile(LATEST)),
        probability=curve.probability,
        expected_at_reset=estimate.expected_at_reset,
        expected_low=estimate.expected_low,
        expected_high=estimate.expected_high,
        basis=basis,
        made_at=made_at,
        utilization=estimate.utilization,
        resets_at=datetime.fromtimestamp(round(curve.end, 3), UTC),
    )


def _instant(seconds: float | None) -> datetime | None:
    """Return an instant on the whole second, so that storing does not change it."""
    return None if seconds is None else datetime.fromtimestamp(round(seconds), UTC)


# --- one window --------------------------------------------------------------------------------


def estimate_window(
    window: RunningWindow,
    history: UseHistory,
    profile: UseProfile,
    now: float,
    longer: Curve | None = None,
) -> Estimate:
    """Return the estimate for a window; ``longer`` is the curve of a limit that can stop it."""
    kind = window.kind
    newness = 1 / (1 + profile.history_hours / 24)
    spread = kind.spread + kind.no_history_spread * newness
    caution = 1 - _NO_HISTORY_CAUTION * newness
    need = _FULL - window.utilization
    expected = _expected_use(window, history, profile, now)
    full_by = []
    highest = 0.0
    for mean in expected:
        highest = max(highest, caution * _probability(need, mean, kind.scatter, spread))
        full_by.append(highest)
    if kind.short and window.blocked_until <= now:
        days = past_days(history, profile.zone, now, window.resets_at - now, need)
        full_by = _with_past_days(full_by, days, kind.step)
    if longer is not None:
        full_by = _unless_stopped(full_by, longer, now, kind.step)
    curve = Curve(now, window.resets_at, kind.step, tuple(full_by))
    low, high = _use_range(expected[-1], kind.scatter, spread)
    used = window.utilization
    return Estimate(used, curve, used + expected[-1], used + low, used + high)


def _expected_use(
    window: RunningWindow, history: UseHistory, profile: UseProfile, now: float
) -> list[float]:
    """Return the expected points from now to the end of each step, the last one at the reset."""
    kind = window.kind
    left = window.resets_at - now
    ends = [min(index * kind.step, left) for index in range(1, math.ceil(left / kind.step) + 1)]
    level = profile.level(history, now)
    extra = 0.0
    if kind.short and window.blocked_until <= now:
        extra = present_rate(window, history, now) - level * profile.rate_at(now)
    expected = []
    usual = profile.use_after(now, ends, window.blocked_until - now)
    for after, points in zip(ends, usual, strict=True):
        passing = extra * (_PRESENT_LASTS / HOUR) * (1 - math.exp(-after / _PRESENT_LASTS))
        expected.append(max(level * points + passing, _MIN_SHARE * level * points))
    return expected


def present_rate(window: RunningWindow, history: UseHistory, now: float) -> float:
    """Return the points per hour that this window used lately."""
    since = max(window.started_at, now - _PRESENT_SPAN)
    decay = math.log(2) / _PRESENT_HALF_LIFE
    total = 1 - math.exp(-decay * (now - since))
    used = 0.0
    for start, end, points in history.uses_since(since):
        weight = math.exp(-decay * (now - end)) - math.exp(-decay * (now - start))
        used += points * weight / (end - start)
    return used * HOUR / total if total > 0 else 0.0


def _probability(need: float, mean: float, scatter: float, spread: float) -> float:
    """Return the probability that a gamma-distributed use reaches ``need``.

    The Wilson–Hilferty transformation makes it a normal distribution.
    """
    if mean < _NOTHING:
        return 0.0
    shape = mean / (scatter + spread * mean)  # mean² / variance
    deviation = math.cbrt(need / mean) - 1 + 1 / (9 * shape)
    return 0.5 * math.erfc(3 * math.sqrt(shape) * deviation / math.sqrt(2))


def _use_range(mean: float, scatter: float, spread: float) -> tuple[float, float]:
    """Return the 80 % range of a gamma-distributed use."""
    if mean < _NOTHING:
        return 0.0, 0.0
    shape = mean / (scatter + spread * mean)
    middle, deviation = 1 - 1 / (9 * shape), _Z80 / (3 * math.sqrt(shape))
    return mean * max(0.0, middle - deviation) ** 3, mean * max(0.0, middle + deviation) ** 3


def _with_past_days(
    full_by: list[float], days: Iterable[tuple[float, float | None]], step: float
) -> list[float]:
    """Return the curve mixed with when the window would have run out on past days."""
    total = _CURVE_WEIGHT
    by_step = [0.0] * len(full_by)
    for weight, after in days:
        total += weight
        if after is not None:
            by_step[min(int(after / step), len(by_step) - 1)] += weight
    mixed = []
    passed = 0.0
    for probability, weight in zip(full_by, by_step, strict=True):
        passed += weight
        mixed.append((_CURVE_WEIGHT * probability + passed) / total)
    return mixed


def _unless_stopped(full_by: list[float], longer: Curve, now: float, step: float) -> list[float]:
    """Return the curve of a window that another limit may stop before it is full."""
    stopped = []
    total = before = 0.0
    for index, value in enumerate(full_by, 1):
        total += (value - before) * (1 - longer.at(now + index * step))
        before = value
        stopped.append(total)
    return stopped


# --- past days ---------------------------------------------------------------------------------


def past_days(
    history: UseHistory, zone: tzinfo | None, now: float, span: float, need: float
) -> Iterator[tuple[float, float | None]]:
    """Yield a weight and after how many seconds ``need`` points were used, for each past day.

    It is ``None`` if they were not used within ``span`` seconds. A day weighs more the more recent
    it is, and the more it is like today: its weekday, and how busy the last half hour was.
    """
    began = history.detail_began
    if began is None:
        return
    local = datetime.fromtimestamp(now, zone)
    busy = _busyness(history, now)
    for days in range(1, int((now - began) / DAY) + 1):
        day = local - timedelta(days=days)
        same_class = (day.weekday() >= 5) == (local.weekday() >= 5)
        weight = math.exp2(-days / _DAY_HALF_LIFE) * (1.0 if same_class else _OTHER_CLASS)
        if day.weekday() == local.weekday():
            weight *= _SAME_WEEKDAY
        same_time = day.timestamp()
        for shift in _SHIFTS:
            start = same_time + shift
            if start - _RECENT < began or start + span > now:
                continue
            likeness = math.exp(-0.5 * (busy - _busyness(history, start)) ** 2)
            yield (
                weight * (1 - abs(shift) / _SHIFT_RANGE) * likeness,
                _run_out_after(history, start, span, need),
            )


def _busyness(history: UseHistory, instant: float) -> float:
    recent = history.total_at(instant) - history.total_at(instant - _RECENT)
    return math.log(_QUIET_POINTS + recent)


def _run_out_after(history: UseHistory, start: float, span: float, need: float) -> float | None:
    """Return the seconds until ``need`` points were used, ``None`` if not within ``span``.

    A limit that was full before is taken to have been used on at the mean rate until then.
    """
    before = history.total_at(start)
    reached = history.instant_of_total(before + need)
    blocked = history.first_blocked(start, start + span)
    if blocked is not None and (reached is None or reached > blocked):
        used = history.total_at(blocked) - before
        if used <= 0:
            return None
        reached = start + (blocked - start) * need / used
    if reached is None or reached - start > span:
        return None
    return max(0.0, reached - start)
