"""The text of Claude Pace Maker's section, in parts that are never split over two lines."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.render.theme import ASCII, STRONG, RenderOptions
from claude_usage_monitor.usage.durations import age, ago, clock_time, countdown
from claude_usage_monitor.usage.limits.windows import percent_text

if TYPE_CHECKING:  # 4 ms that only users of Claude Pace Maker need to pay
    from claude_usage_monitor.usage.throttling import PacedWindow, Throttling
else:
    PacedWindow = Throttling = object

_FAR_OVER_TARGET = 5.0  # points
_MAX_FRESH_SECONDS = 360.0  # figures that are older are shown with their age
_SHORT_LABELS = {"five_hour": "5h", "seven_day": "7d"}


class Part(NamedTuple):
    """A text in several lengths, the longest first, and its style."""

    variants: tuple[str, ...]
    style: str = ""


class ThrottlingText(NamedTuple):
    """The section's parts. ``roomy`` is whether there is enough width for whole words."""

    throttling: Throttling
    now: datetime
    options: RenderOptions
    roomy: bool

    def groups(self) -> Iterator[list[Part]]:
        """Yield the groups of parts below the heading; each begins a new line."""
        enabled = self.throttling.enabled is not False
        yield self._backoff()
        if enabled:
            yield [*self._target(), *self.deviation(), *self._computed(), *self._old_figures()]
            yield [part for window in self.throttling.windows for part in self._stale(window)]
        yield self._blockages()
        if enabled:
            yield [*self._tempo(), *self._limiters()]

    def activity(self) -> list[Part]:
        """Return whether Pace Maker delays tool uses, and by how much."""
        throttling, now = self.throttling, self.now
        delay = "" if throttling.delay_seconds is None else f"{throttling.delay_seconds:g}s"
        if throttling.enabled is False:
            return [Part(("switched off", "off"))]
        if throttling.throttling(now):
            long, short = f"throttling, {delay} a tool use", f"throttling {delay}"
            variants = (long, short, f"{delay} delay") if delay else ("throttling",)
            return [Part(variants, f"{STRONG} {self.options.theme.strong_warning}")]
        if throttling.throttling(now) is False:
            return [Part(("not throttling", "no delay"), self.options.theme.good)]
        if throttling.decided_at is None:
            unknown = ("not known",) if throttling.gaps else ("no decision yet", "undecided")
            return [Part(unknown)]
        if throttling.should_throttle and delay:
            return [Part((f"at rest, last delay {delay}", f"at rest, {delay}", "at rest"))]
        return [Part(("at rest",))]

    def decision_age(self) -> Part:
        """Return how old the last decision is."""
        if self.throttling.decided_at is None or self.throttling.enabled is False:
            return Part(())
        text = age(self.now - self.throttling.decided_at)
        if text == "now":
            return Part((text,))
        return Part((f"{text} ago", text, text.replace(" ", "")))

    def deviation(self, *, with_label: bool = False) -> list[Part]:
        """Return how far the window that Pace Maker paces by is from its target."""
        window = self.throttling.constrained(self.now)
        deviation = window.deviation(self.now) if window is not None else None
        if window is None or deviation is None or self.throttling.enabled is False:
            return []
        points = round(abs(deviation))
        minus = "-" if self.options.glyphs is ASCII else "−"
        side, sign = ("over", "+") if deviation > 0 else ("under", minus)
        theme = self.options.theme
        style = theme.good
        if deviation > 0 and points:
            style = theme.strong_warning if deviation > _FAR_OVER_TARGET else theme.warning
        number = f"{sign}{points} pt{'' if points == 1 else 's'}" if points else "on target"
        if with_label:
            short = _SHORT_LABELS[window.key]
            return [Part((f"{window.label} {number}", f"{short} {number}"), style)]
        return [Part((f"{number} {side}", number) if points else (number,), style)]

    def _backoff(self) -> list[Part]:
        """Return when the API stops refusing Pace Maker, and whether it estimates until then."""
        parts = []
        until = self.throttling.backoff_until
        if until is not None and self.throttling.backing_off(self.now):
            at, left = clock_time(until, self.now, self.options.clock), countdown(until - self.now)
            long = f"API back-off until {at} ({left})"
            short = (f"429 until {at} ({left})", f"429 until {at}")
            parts.append(Part((long, *short) if self.roomy else short, self.options.theme.warning))
        if self.throttling.mode == "fallback":
            parts.append(
                Part(("fallback: estimating usage", "estimating"), self.options.theme.warning)
            )
        return parts

    def _target(self) -> list[Part]:
        """Return the window that Pace Maker paces by, and its target."""
        if not self.throttling.windows or self.throttling.mode == "fallback":
            return []
        window = self.throttling.constrained(self.now)
        target = window.target(self.now) if window is not None else None
        if window is None or target is None:
            return [Part(("no window to pace by", "no window"))]
        text = percent_text(target)
        # Without space for the word "computed", a sign that the help explains replaces it.
        long, short = (
            (f"target {text} %",) * 2 if self.roomy else (f"target {text} %*", f"target {text}%*")
        )
        return [Part((f"{window.label} {long}", f"{_SHORT_LABELS[window.key]} {short}"))]

    def _computed(self) -> list[Part]:
        """Return the label of figures that Pace Maker did not store."""
        shown = self.roomy and self.throttling.constrained(self.now) is not None
        return [Part(("computed",))] if shown else []

    def _old_figures(self) -> list[Part]:
        """Return the age of the figures that Pace Maker paces by, unless they are fresh."""
        as_of = self.throttling.as_of
        if as_of is None or (self.now - as_of).total_seconds() <= _MAX_FRESH_SECONDS:
            return []
        text = age(self.now - as_of)
        return [Part((f"figures {text} old", f"figures {text}"))]

    def _stale(self, window: PacedWindow) -> list[Part]:
        """Return a part for a window that Pace Maker ignores because its reset is too long ago."""
        if window.resets_at is None or not window.stale(self.now):
            return []
        text = ago(self.now - window.resets_at)
        short = _SHORT_LABELS[window.key]
        return [Part((f"{window.label} stale, reset {text}", f"{short} stale {text}"))]

    def _tempo(self) -> list[Part]:
        """Return the tempo's setting, and for ``auto`` whether it is active now."""
        tempo = self.throttling.tempo
        if tempo is None:
            return []
        if tempo != "auto":
            return [Part((f"tempo {tempo}",))]
        now = "engaged" if self.throttling.tempo_engaged(self.now) else "waiting"
        return [Part((f"tempo auto, {now}",) if self.roomy else (f"tempo {now}",))]

    def _limiters(self) -> list[Part]:
        """Return which limits Pace Maker paces by."""
        limiters = self.throttling.limiters
        if limiters.five_hour is None or limiters.seven_day is None:
            return []
        variants = {
            (True, True): ("both limiters on", "limiters on", "5h+7d on"),
            (True, False): ("5-hour limiter only", "5-hour only", "5h only"),
            (False, True): ("7-day limiter only", "7-day only", "7d only"),
            (False, False): ("both limiters off", "limiters off", "5h+7d off"),
        }[limiters.five_hour, limiters.seven_day]
        return [Part(variants if self.roomy else variants[1:])]

    def _blockages(self) -> list[Part]:
        """Return what Pace Maker stopped in the last hour, by category."""
        counts = [
            f"{blockage.count} {_category(blockage.category)}"
            for blockage in self.throttling.blockages(self.now)
        ]
        if not counts:
            return []
        short = f"blocked in 1h: {counts[0]}"
        first = (f"blocked in the last hour: {counts[0]}", short) if self.roomy else (short,)
        return [Part(first, ""), *(Part((count,), "") for count in counts[1:])]


def _category(name: str) -> str:
    """Return a category without the prefixes that most of them have."""
    short = name.removeprefix("intent_validation_").removeprefix("pacing_")
    return "intent" if short == "intent_validation" else short.replace("_", " ")
