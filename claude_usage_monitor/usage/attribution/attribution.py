"""Divide a window's measured utilization among the messages that used it, and use elsewhere.

Weights of messages have no absolute meaning. What they are worth is learned per account: the units
(of weight) per point of past windows. Units that are missing for the measured points were used
elsewhere: on another device, on the web, or by a transcript that is gone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from claude_usage_monitor.light_typing import NamedTuple

_MIN_SAMPLE = 8.0  # points; in a window with fewer, a rounded percent says too little
_MIN_SAMPLES = 5
_QUANTILE = 0.65  # use elsewhere only lowers units per point: the median would be too low
_HALF_LIFE = 14 * 86_400  # seconds; a window that long ago counts half
_MAX_AGE = 4 * _HALF_LIFE
_JUMP = 1.25  # newer windows that differ by this factor and agree: the allowance has changed
_AGREEMENT = 1.15
_MIN_ELSEWHERE = 1.0  # point, and
_MIN_ELSEWHERE_SHARE = 0.05  # of the utilization: less is within the error
_INCREASES_SHARE = 0.3  # the part of a split that follows the time of the increases
_SCOPED_INCREASES_SHARE = 0.5
_ROUNDING = 0.5  # points by which a reading may be too high
_COUNTING_LAG = 30  # seconds after the minute of a message that readings may miss it


class Rise(NamedTuple):
    """A reading that was higher than all before it. ``at`` is in seconds since the epoch."""

    at: int
    utilization: float


class Window(NamedTuple):
    """One run of a window: from its start to its reset, in seconds since the epoch.

    ``utilization`` is the highest so far, in percent. ``rises`` are its known steps, which may not
    begin at the start: older readings are deleted.
    """

    key: str
    started_at: int
    resets_at: int
    utilization: float
    rises: tuple[Rise, ...] = ()


class Weighted(NamedTuple):
    """Units that were used in the minute from ``at``. Sequences of these are sorted by time."""

    at: int
    units: float


class Split(NamedTuple):
    """The points of each `Weighted`, and those used elsewhere. Together they are the utilization.

    ``elsewhere`` is ``None`` if it is not known: then all points are assumed to be local.
    """

    points: list[float]
    elsewhere: float | None


class Sample(NamedTuple):
    """A window that has ended: when it reset, its utilization, and the units used in it."""

    at: int
    utilization: float
    units: float


def rises_of(readings: Iterable[tuple[int, float]]) -> tuple[Rise, ...]:
    """Return the running maximum of a window's readings: lower ones come from old caches."""
    rises: list[Rise] = []
    for at, utilization in readings:
        if utilization > (rises[-1].utilization if rises else 0.0):
            rises.append(Rise(at, utilization))
    return tuple(rises)


def units_per_point(samples: Iterable[Sample], at: int) -> float | None:
    """Return what a point was worth at a time; ``None`` if too few windows tell.

    Windows count by their utilization and by how near they are. After a lasting jump, only those on
    the side of ``at`` count.
    """
    values = _units_of_points(samples, at)
    return _quantile(values, _QUANTILE) if values else None


def scatter(samples: Iterable[Sample], at: int) -> float:
    """Return how much the past windows differ from `units_per_point`, as a share of it.

    Half of them differ by more. 0 if too few windows tell.
    """
    values = _units_of_points(samples, at)
    if not values:
        return 0.0
    per_point = _quantile(values, _QUANTILE)
    return _quantile([(abs(value / per_point - 1), weight) for value, weight in values], 0.5)


def split(window: Window, used: Sequence[Weighted], per_point: float | None) -> Split:
    """Divide a window by weight, and to a part by the time of its increases."""
    total, utilization = sum(each.units for each in used), window.utilization
    if total <= 0:
        return Split([0.0] * len(used), utilization)
    if per_point is None:
        return Split([each.units / total * utilization for each in used], None)
    local = min(utilization, total / per_point)
    if utilization - local < max(_MIN_ELSEWHERE, _MIN_ELSEWHERE_SHARE * utilization):
        local = utilization
    points = [each.units / total * local for each in used]
    by_time = split_by_increases(window, used, per_point)
    if by_time is not None:
        points = [
            (1 - _INCREASES_SHARE) * one + _INCREASES_SHARE * other
            for one, other in zip(points, by_time.points, strict=True)
        ]
    return Split(points, max(0.0, utilization - sum(points)))


def split_by_increases(
    window: Window, used: Sequence[Weighted], per_point: float | None
) -> Split | None:
    """Divide every increase among the messages since the previous one.

    An increase without messages was elsewhere; so is what ``per_point`` does not explain. Returns
    ``None`` if the first steps are not known.
    """
    if not window.rises or window.rises[-1].utilization < window.utilization:
        return None
    times = [each.at for each in used]
    points = [0.0] * len(used)
    begin, seen = 0, 0.0
    for rise in window.rises:
        end = max(begin, bisect_left(times, rise.at - _COUNTING_LAG))
        units = sum(each.units for each in used[begin:end])
        increase = rise.utilization - seen
        if per_point is not None:
            increase = min(increase, units / per_point + _ROUNDING)
        if units > 0:
            for number in range(begin, end):
                points[number] += used[number].units / units * increase
        begin, seen = end, rise.utilization
    return Split(points, max(0.0, window.utilization - sum(points)))


def split_scoped(window: Window, used: Sequence[Weighted]) -> Split:
    """Divide a window that has no other windows inside: a model's, or that of a plan without any.

    Its own increases tell what was elsewhere; by weight they are divided as a whole.
    """
    by_time = split_by_increases(window, used, None)
    whole = split(window, used, None)
    if by_time is None or by_time.elsewhere is None or not any(whole.points):
        return whole
    local = 1 - by_time.elsewhere / window.utilization
    points = [
        (1 - _SCOPED_INCREASES_SHARE) * local * one + _SCOPED_INCREASES_SHARE * other
        for one, other in zip(whole.points, by_time.points, strict=True)
    ]
    return Split(points, by_time.elsewhere)


def split_week(
    window: Window,
    used: Sequence[Weighted],
    inside: Iterable[Window],
    per_point: float | None,
) -> Split:
    """Divide a week as the 5-hour windows inside it.

    There are too few weeks to learn what their points are worth. Units outside of all known
    windows are worth ``per_point``, a 5-hour window's.
    """
    if per_point is None:
        return split(window, used, None)
    times = [each.at for each in used]
    points = [each.units / per_point for each in used]
    elsewhere = 0.0
    for each in inside:
        begin, end = bisect_left(times, first_minute(each)), bisect_left(times, each.resets_at)
        part = split(each, used[begin:end], per_point)
        points[begin:end] = part.points
        elsewhere += part.elsewhere or 0.0
    total = sum(points) + elsewhere
    if total <= 0:
        return Split(points, window.utilization)
    scale = window.utilization / total
    return Split([scale * each for each in points], scale * elsewhere)


def first_minute(window: Window) -> int:
    """Return the minute in which a window begins."""
    return window.started_at // 60 * 60


def _units_of_points(samples: Iterable[Sample], at: int) -> list[tuple[float, float]]:
    """Return the units per point of past windows, each with its weight; none if too few tell."""
    usable = sorted(
        sample
        for sample in samples
        if sample.utilization >= _MIN_SAMPLE and sample.units > 0 and abs(sample.at - at) < _MAX_AGE
    )
    usable = _since_jump(usable, at)
    if len(usable) < _MIN_SAMPLES:
        return []
    return [
        (
            each.units / each.utilization,
            each.utilization * 0.5 ** (abs(each.at - at) / _HALF_LIFE),
        )
        for each in usable
    ]


def _since_jump(samples: list[Sample], at: int) -> list[Sample]:
    """Leave out samples from before or after a lasting change, on the other side of it."""
    for number in range(_MIN_SAMPLES, len(samples) - _MIN_SAMPLES + 1):
        before = _values(samples[number - _MIN_SAMPLES : number])
        after = _values(samples[number : number + _MIN_SAMPLES])
        if max(before) > min(before) * _AGREEMENT or max(after) > min(after) * _AGREEMENT:
            continue
        if min(after) > max(before) * _JUMP or min(before) > max(after) * _JUMP:
            if at < samples[number].at:
                return samples[:number]
            return _since_jump(samples[number:], at)
    return samples


def _values(samples: Sequence[Sample]) -> list[float]:
    return [sample.units / sample.utilization for sample in samples]


def _quantile(weighted: list[tuple[float, float]], share: float) -> float:
    limit, sum_so_far = share * sum(weight for _, weight in weighted), 0.0
    for value, weight in sorted(weighted):
        sum_so_far += weight
        if sum_so_far >= limit:
            return value
    return max(weighted)[0]
