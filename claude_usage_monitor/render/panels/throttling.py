"""Claude Pace Maker's section: what it does to tool uses now, and why; its target on a bar.

The heading has its activity and the age of its decision. Below, the parts of the text follow one
another on as many lines as they need; in a narrow panel each part is shorter.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from claude_usage_monitor.render.layout import wrap
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.panels.panel import PanelContext, dim
from claude_usage_monitor.render.panels.throttling_text import Part, ThrottlingText
from claude_usage_monitor.render.theme import ASCII, RenderOptions, styled_text

if TYPE_CHECKING:  # 4 ms that only users of Claude Pace Maker need to pay
    from claude_usage_monitor.usage.throttling import Throttling

_NAME = "Pace Maker"
_MIN_ROOMY_WIDTH = 44  # cells below the heading that allow whole words
_MIN_WIDE_PANEL = 28  # a narrower panel saves cells in margins and separators
_MAX_GAPS = 2  # `doctor` and the JSON document list all of them


def with_target(
    rows: Sequence[LimitRow], throttling: "Throttling | None", now: datetime
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
