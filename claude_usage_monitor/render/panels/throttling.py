"""Claude Pace Maker's section: what it does to tool uses now, and why; its target on a bar.

The heading has its activity and the age of its decision. Below, the parts of the text follow one
another on as many lines as they need, and no part is split over two lines; in a narrow panel each
part is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.render.layout import wrap
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.panels.panel import PanelContext, dim
from claude_usage_monitor.render.theme import ASCII, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.durations import age, ago, clock_time, countdown
from claude_usage_monitor.usage.limits.windows import percent_text

if TYPE_CHECKING:  # 4 ms that only users of Claude Pace Maker need to pay
    from claude_usage_monitor.usage.throttling import PacedWindow, Throttling

_NAME = "Pace Maker"
_MIN_ROOMY_WIDTH = 44  # cells below the heading that allow whole words
_MIN_WIDE_PANEL = 28  # a narrower panel saves cells in margins and separators
_MAX_GAPS = 2  # `doctor` and the JSON document list all of them
_FAR_OVER_TARGET = 5.0  # points
_MAX_FRESH_SECONDS = 360.0  # figures that are older are shown with their age
_SHORT_LABELS = {"five_hour": "5h", "seven_day": "7d"}


def with_target(
    rows: Sequence[LimitRow], throttling: Throttling | None, now: datetime
) -> tuple[LimitRow, ...]:
    """Return the rows, with Pace Maker's target on the window that it paces by."""
    if throttling is None or throttling.enabled is False:
        return tuple(rows)
    key, target = throttling.window(now), throttling.target(now)
    return tuple(
        row._replace(target=target) if row.key is not None and row.key == key else row
        for row in rows
    )


def draw(context: PanelContext, level: int) -> list[Text]:
    """Return the panel's lines. Level 2 is all of it, 1 its heading, 0 nothing."""
    throttling, now, options = context.status.throttling, context.now, context.options
    if throttling is None or level == 0 or not context.framed:
        return []
    margin = 2 if context.width >= _MIN_WIDE_PANEL else 1
    columns = context.columns.of(framed=True, brief=False)
    indent = max(margin, columns.indent if context.detailed else 0)
    layout = _Layout(context.width, margin, indent, options)
    text = ThrottlingText(
        throttling, now, options, roomy=context.width - indent >= _MIN_ROOMY_WIDTH
    )
    lines = [layout.heading(text.activity(), text.decision_age())]
    if level == 1:
        activity = [*text.activity(), *text.deviation(with_label=True)]
        lines = [layout.heading(activity, text.decision_age())]
    blocks = [layout.flow(group) for group in text.groups()]
    for gap in throttling.gaps[:_MAX_GAPS]:
        incomplete = wrap(f"incomplete: {gap}", context.width - indent, options, "")
        blocks.append(layout.indent_lines(incomplete))
    for block in blocks:
        if level > 1 or len(lines) + len(block) <= 1 + context.spare_rows:
            lines += block
    for line in lines:
        line.truncate(context.width, overflow="crop", pad=True)
    return dim(lines) if throttling.stale(now) else lines


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


class _Layout(NamedTuple):
    """Places parts on lines of ``width`` cells."""

    width: int
    margin: int
    indent: int
    options: RenderOptions

    def heading(self, activity: Sequence[Part], decision_age: Part) -> Text:
        """Return the name, as much of the activity as fits, and the age at the right."""
        line = Text(" " * self.margin + _NAME)
        age_width = len(decision_age.variants[-1]) + 1 if decision_age.variants else 0
        space = self.width - age_width - line.cell_len - self.margin
        separator = " " * self.margin
        for text, style in self._on_one_line(activity, space):
            line.append(separator).append(text, style=style)
            separator = self._separator
        left = self.width - line.cell_len
        text = next((variant for variant in decision_age.variants if len(variant) < left), "")
        return line.append(text.rjust(left), style=decision_age.style)

    def flow(self, parts: Sequence[Part]) -> list[Text]:
        """Return the parts on as many lines as they need."""
        lines: list[Text] = []
        space, separator = self.width - self.indent, self._separator
        for part in parts:
            left = space - lines[-1].cell_len - len(separator) if lines else 0
            text = self._longest_fitting(part, left)
            if text:
                lines[-1].append(separator)
            else:
                lines.append(Text())
                text = self._shortened(part, space)
            lines[-1].append(text, style=part.style)
        return self.indent_lines(lines)

    def indent_lines(self, lines: Sequence[Text]) -> list[Text]:
        """Return the lines with the indent before each."""
        return [styled_text(" " * self.indent, "") + line for line in lines]

    def _on_one_line(self, parts: Sequence[Part], space: int) -> list[tuple[str, str]]:
        """Return text and style of all parts in the longest variants that fit, or of the first."""
        for level in range(max(len(part.variants) for part in parts)):
            texts = [
                self.options.text(part.variants[min(level, len(part.variants) - 1)])
                for part in parts
            ]
            if len(self._separator.join(texts)) <= space:
                return [(text, part.style) for text, part in zip(texts, parts, strict=True)]
        return [(self._shortened(parts[0], space), parts[0].style)]

    def _longest_fitting(self, part: Part, space: int) -> str:
        variants = part.variants if self.width >= _MIN_WIDE_PANEL else part.variants[-1:]
        return next((text for text in map(self.options.text, variants) if len(text) <= space), "")

    def _shortened(self, part: Part, space: int) -> str:
        return self._longest_fitting(part, space) or self.options.fit(part.variants[-1], space)

    @property
    def _separator(self) -> str:
        if self.width < _MIN_WIDE_PANEL or self.options.glyphs is ASCII:
            return ", "  # short, and no hyphen beside a minus sign
        return f" {self.options.glyphs.dot} "
