"""What Claude Pace Maker's section says, in parts: some words that stay together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.render.theme import ASCII, FAINT, STRONG, RenderOptions
from claude_usage_monitor.usage.durations import age, clock_time, countdown
from claude_usage_monitor.usage.limits.windows import percent_text

if TYPE_CHECKING:
    from claude_usage_monitor.usage.throttling import PacedWindow, Throttling

_THROTTLING = "dark_orange"
_ON_PACE = "green"
_WARNING = "yellow"
_FAR_OVER = 5.0  # points over target
_OLD_FIGURES = 360.0  # seconds; older ones tell their age
_SHORT_LABELS = {"five_hour": "5h", "seven_day": "7d"}


class Part(NamedTuple):
    """Words that stay together, the richest variant first, and their style."""

    variants: tuple[str, ...]
    style: str = FAINT


@dataclass(frozen=True, slots=True)
class Words:
    """The section in parts. ``roomy`` is whether there is room for whole words."""

    throttling: Throttling
    now: datetime
    options: RenderOptions
    roomy: bool

    def groups(self) -> Iterator[list[Part]]:
        """Yield the parts that stand on lines of their own, beneath the heading."""
        yield self.backoff()
        if self.throttling.enabled is not False:
            yield [*self.reckoning(), *self.deviation(), *self.computed(), *self.old_figures()]
            yield [part for window in self.throttling.windows for part in self.ignored(window)]
        yield self.blockages()
        if self.throttling.enabled is not False:
            yield [*self.tempo(), *self.limiters()]

    def state(self) -> list[Part]:
        """Return whether it delays tool uses, and by how much."""
        throttling, now = self.throttling, self.now
        delay = "" if throttling.delay_seconds is None else f"{throttling.delay_seconds:g}s"
        if throttling.enabled is False:
            return [Part(("switched off", "off"))]
        if throttling.throttling(now):
            told = (
                (f"throttling, {delay} a tool use", f"throttling {delay}", f"{delay} delay")
                if delay
                else ("throttling",)
            )
            return [Part(told, f"{STRONG} {_THROTTLING}")]
        if throttling.throttling(now) is False:
            return [Part(("on pace, no delay", "on pace"), _ON_PACE)]
        if throttling.decided_at is None:
            return [Part(("not known",) if throttling.gaps else ("no decision yet", "undecided"))]
        if throttling.should_throttle and delay:
            return [Part((f"at rest, last delay {delay}", f"at rest, {delay}", "at rest"))]
        return [Part(("at rest",))]

    def decided(self) -> Part:
        """Return how old its last decision is."""
        if self.throttling.decided_at is None or self.throttling.enabled is False:
            return Part(())
        old = age(self.now - self.throttling.decided_at)
        if old == "now":
            return Part((old,))
        return Part((f"{old} ago", old, old.replace(" ", "")))

    def reckoning(self) -> list[Part]:
        """Return the window it paces by, and its target."""
        window = self.throttling.constrained(self.now)
        target = window.target(self.now) if window is not None else None
        if window is None or target is None or window.utilization is None:
            return [Part(("no window to pace by", "no window"))] if self._windows_known else []
        aim = percent_text(target)
        aims = (f"target {aim} %",) if self.roomy else (f"target {aim} %*", f"target {aim}%*")
        short = _SHORT_LABELS[window.key]
        if not window.synthetic:
            return [Part((f"{window.label} {aims[0]}", f"{short} {aims[-1]}"))]
        used = f"~{percent_text(window.utilization)} % synthetic"
        return [Part((f"{window.label} {used}", f"{short} {used}"), _WARNING), Part(aims)]

    @property
    def _windows_known(self) -> bool:
        return bool(self.throttling.windows)

    def deviation(self, *, named: bool = False) -> list[Part]:
        """Return how far that window is from its target, with its sign."""
        window = self.throttling.constrained(self.now)
        deviation = window.deviation(self.now) if window is not None else None
        if window is None or deviation is None or self.throttling.enabled is False:
            return []
        points = round(abs(deviation))
        minus = "-" if self.options.glyphs is ASCII else "−"
        side, sign = ("over", "+") if deviation > 0 else ("under", minus)
        style = _ON_PACE
        if deviation > 0 and points:
            style = _THROTTLING if deviation > _FAR_OVER else _WARNING
        number = f"{sign}{points} pt{'' if points == 1 else 's'}" if points else "on target"
        if named:
            short = _SHORT_LABELS[window.key]
            return [Part((f"{window.label} {number}", f"{short} {number}"), style)]
        return [Part((f"{number} {side}", number) if points else (number,), style)]

    def computed(self) -> list[Part]:
        """Return the label of the figures that it did not store."""
        shown = self.roomy and self.throttling.constrained(self.now) is not None
        return [Part(("computed",))] if shown else []

    def old_figures(self) -> list[Part]:
        """Return the age of the figures it paces by, where they are not fresh."""
        as_of = self.throttling.as_of
        if as_of is None or (self.now - as_of).total_seconds() <= _OLD_FIGURES:
            return []
        old = age(self.now - as_of)
        return [Part((f"figures {old} old", f"figures {old}"))]

    def ignored(self, window: PacedWindow) -> list[Part]:
        """Return that a window's reset is so long past that it counts no more."""
        if window.resets_at is None or not window.stale(self.now):
            return []
        ago = _ago(self.now - window.resets_at)
        short = _SHORT_LABELS[window.key]
        return [Part((f"{window.label} stale, reset {ago}", f"{short} stale {ago}"))]

    def tempo(self) -> list[Part]:
        """Return its tempo: as set, and for ``auto`` what that comes to now."""
        tempo = self.throttling.tempo
        if tempo is None:
            return []
        if tempo != "auto":
            return [Part((f"tempo {tempo}",))]
        now = "engaged" if self.throttling.tempo_engaged(self.now) else "waiting"
        return [Part((f"tempo auto, {now}",) if self.roomy else (f"tempo {now}",))]

    def limiters(self) -> list[Part]:
        """Return which limits it paces by."""
        limiters = self.throttling.limiters
        if limiters.five_hour is None or limiters.seven_day is None:
            return []
        told = {
            (True, True): ("both limiters on", "limiters on", "5h+7d on"),
            (True, False): ("5-hour limiter only", "5-hour only", "5h only"),
            (False, True): ("7-day limiter only", "7-day only", "7d only"),
            (False, False): ("both limiters off", "limiters off", "5h+7d off"),
        }[limiters.five_hour, limiters.seven_day]
        return [Part(told if self.roomy else told[1:])]

    def blockages(self) -> list[Part]:
        """Return what it stopped in the last hour, by its categories."""
        told = [
            f"{blockage.count} {_category(blockage.category)}"
            for blockage in self.throttling.blockages(self.now)
        ]
        if not told:
            return []
        first = Part((f"blocked in the last hour: {told[0]}", f"blocked in 1h: {told[0]}"), "")
        if not self.roomy:
            first = Part(first.variants[1:], "")
        return [first, *(Part((words,), "") for words in told[1:])]

    def backoff(self) -> list[Part]:
        """Return until when the API refuses it, and that it estimates meanwhile."""
        parts = []
        until = self.throttling.backoff_until
        if until is not None and self.throttling.backing_off(self.now):
            at, left = clock_time(until, self.now, self.options.clock), countdown(until - self.now)
            long = f"API back-off until {at} ({left})"
            short = (f"429 until {at} ({left})", f"429 until {at}")
            parts.append(Part((long, *short) if self.roomy else short, _WARNING))
        if self.throttling.mode == "fallback":
            parts.append(Part(("fallback",), _WARNING))
        return parts

    def gaps(self) -> list[str]:
        """Return what could not be read."""
        return [f"incomplete: {gap}" for gap in self.throttling.gaps]


def _category(name: str) -> str:
    """Return a category without the prefix that most of them have."""
    short = name.removeprefix("intent_validation_").removeprefix("pacing_")
    return "intent" if short == "intent_validation" else short.replace("_", " ")


def _ago(span: timedelta) -> str:
    words = age(span)
    return words if words == "now" else f"{words} ago"
