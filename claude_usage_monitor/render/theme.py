"""Colours and glyphs, and what the terminal at hand can show of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.windows import Severity

SEVERITY_STYLES = {
    Severity.NORMAL: "green",
    Severity.ELEVATED: "yellow",
    Severity.HIGH: "dark_orange",
    Severity.EXHAUSTED: "bold red",
}
SEVERITY_SIGNS = {  # after the percent, where there is no colour
    Severity.NORMAL: "",
    Severity.ELEVATED: "!",
    Severity.HIGH: "!!",
    Severity.EXHAUSTED: "FULL",
}
TARGET = "bold cyan"
FAINT = "dim"
STRONG = "bold"
PROBLEM = "bold red"
SPENT = "cyan"  # bars that only compare: money has no severity


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that are not words."""

    corners: tuple[str, str, str, str]  # top left, top right, bottom left, bottom right
    horizontal: str
    vertical: str
    filled: str
    track: str
    unknown: str  # the track of a bar whose figure is not known
    tick: str
    target: str  # Claude Pace Maker's mark on a bar, and where both stand in one cell:
    tick_on_target: str
    binding: str
    dot: str
    dash: str
    ellipsis: str


UNICODE = Glyphs(("╭", "╮", "╰", "╯"), "─", "│", "━", "─", "╌", "┃", "▾", "╋", "▸", "·", "—", "…")
ASCII = Glyphs(("+", "+", "+", "+"), "-", "|", "=", "-", ".", "|", "v", "+", ">", "-", "-", "~")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How to draw: with which glyphs, in colour or not, with which clock, for a live screen."""

    glyphs: Glyphs = UNICODE
    color: bool = True
    clock: ClockStyle = field(default_factory=ClockStyle)
    live: bool = False

    def text(self, words: str) -> str:
        """Return words with nothing in them that the glyphs' character set lacks."""
        if self.glyphs is not ASCII:
            return words
        known = words.replace("·", self.glyphs.dot).replace("—", self.glyphs.dash)
        return known.encode("ascii", "replace").decode("ascii")

    def fit(self, words: str, width: int) -> str:
        """Return words cut, with an ellipsis, to at most ``width`` cells."""
        words = self.text(words)
        if cell_len(words) <= width:
            return words
        return set_cell_size(words, width - 1) + self.glyphs.ellipsis if width > 0 else ""


def styled(words: str, style: str) -> Text:
    """Return text whose style is its own: what is appended to it does not inherit it."""
    return Text().append(words, style=style)
