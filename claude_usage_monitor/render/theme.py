"""Colors and glyphs, and which of them the terminal can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.windows import Severity, severity_of

FAINT = "dim"
STRONG = "bold"
SEVERITY_SIGNS = {  # after the percent, without color
    Severity.NORMAL: "",
    Severity.ELEVATED: "!",
    Severity.HIGH: "!!",
    Severity.EXHAUSTED: "FULL",
}


class Theme(NamedTuple):
    """The styles of all elements with a meaningful color."""

    severity: Mapping[Severity, str]
    good: str
    warning: str
    strong_warning: str
    problem: str
    target: str  # Claude Pace Maker's
    amount: str  # bars that compare amounts: money has no severity

    def severity_style(self, utilization: float) -> str:
        """Return the style of a utilization's severity."""
        return self.severity[severity_of(utilization)]


DARK = Theme(
    severity={
        Severity.NORMAL: "green",
        Severity.ELEVATED: "yellow",
        Severity.HIGH: "dark_orange",
        Severity.EXHAUSTED: "bold red",
    },
    good="green",
    warning="yellow",
    strong_warning="dark_orange",
    problem="bold red",
    target="bold cyan",
    amount="cyan",
)


class Glyphs(NamedTuple):
    """The characters that are not text."""

    corners: tuple[str, str, str, str]  # top left, top right, bottom left, bottom right
    tees: tuple[str, str]  # left, right
    horizontal: str
    vertical: str
    filled: str
    track: str
    unknown: str  # the track of a bar with unknown utilization
    tick: str
    target: str  # Claude Pace Maker's mark on a bar
    tick_on_target: str
    binding: str
    dot: str
    dash: str
    ellipsis: str


UNICODE = Glyphs(
    ("╭", "╮", "╰", "╯"), ("├", "┤"), "─", "│", "━", "─", "╌", "┃", "▾", "╋", "▸", "·", "—", "…"
)
ASCII = Glyphs(
    ("+", "+", "+", "+"), ("+", "+"), "-", "|", "=", "-", ".", "|", "v", "+", ">", "-", "-", "~"
)


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How to draw: glyphs, color, theme, clock style, and whether the screen is live."""

    glyphs: Glyphs = UNICODE
    color: bool = True
    clock: ClockStyle = field(default_factory=ClockStyle)
    live: bool = False
    theme: Theme = DARK

    def text(self, text: str) -> str:
        """Return the text without characters that the glyphs' character set lacks."""
        if self.glyphs is not ASCII:
            return text
        text = text.replace("·", self.glyphs.dot).replace("—", self.glyphs.dash)
        return text.encode("ascii", "replace").decode("ascii")

    def fit(self, text: str, width: int) -> str:
        """Return the text, cut with an ellipsis to at most ``width`` cells."""
        text = self.text(text)
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, width - 1) + self.glyphs.ellipsis if width > 0 else ""


def styled_text(text: str, style: str) -> Text:
    """Return a text with a style that does not apply to text appended to it."""
    return Text().append(text, style=style)
