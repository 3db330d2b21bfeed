"""Colors and glyphs, and which of them the terminal can show."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from claude_usage_monitor.light_typing import Literal, NamedTuple
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.pace import WorkWeek
from claude_usage_monitor.usage.limits.windows import Severity, severity_of

FAINT = "dim"  # for decoration and old figures only: dim text is hard to read
STRONG = "bold"
SEVERITY_SIGNS = {  # after the percent: hues merge for the color-blind
    Severity.NORMAL: "",
    Severity.ELEVATED: "!",
    Severity.HIGH: "!!",
    Severity.EXHAUSTED: "FULL",
}
NOTHING_LEFT = "OUT"  # instead of FULL beside "0 %", where percentages are what is left

Background = Literal["dark", "light"]
ThemeName = Literal["auto", "dark", "light", "colorblind", "high-contrast"]
_Styles = tuple[str, str, str, str]  # by severity, from normal to exhausted


class Theme(NamedTuple):
    """The styles of all elements with a meaningful color.

    ``text`` is the style of all text without one of its own, ``decoration`` of borders and tracks.
    A figure has another style than its bar where the background is unknown: no color is readable
    as text on every background.
    """

    text: str
    decoration: str
    figures: _Styles
    bars: _Styles
    good: str
    warning: str
    strong_warning: str
    problem: str
    target: str  # Claude Pace Maker's
    amount: str  # bars that compare amounts: money has no severity

    def figure_style(self, utilization: float) -> str:
        """Return the style of a percentage."""
        return self.figures[_SEVERITIES.index(severity_of(utilization))]

    def bar_style(self, utilization: float) -> str:
        """Return the style of a percentage's bar."""
        return self.bars[_SEVERITIES.index(severity_of(utilization))]


_SEVERITIES = tuple(Severity)


def _theme(text: str, styles: _Styles, accent: str, *, decoration: str = FAINT) -> Theme:
    """Return a theme for a known background, on which every style is readable as text."""
    normal, elevated, high, exhausted = styles
    return Theme(
        text=text,
        decoration=decoration,
        figures=styles,
        bars=styles,
        good=normal,
        warning=elevated,
        strong_warning=high,
        problem=exhausted,
        target=f"bold {accent}",
        amount=accent,
    )


def _without_background(bars: _Styles, accent: str, *, decoration: str = FAINT) -> Theme:
    """Return a theme for an unknown background: text has the terminal's own color."""
    return Theme(
        text="",
        decoration=decoration,
        figures=("", "", STRONG, STRONG),
        bars=bars,
        good="",
        warning="",
        strong_warning=STRONG,
        problem=STRONG,
        target=f"bold {accent}",
        amount=accent,
    )


# Colors 16 to 255 look the same in every terminal; the user's palette changes the first 16. Text
# has a contrast of at least 4.5 on black, white and Solarized's backgrounds, bars at least 3.
_DARK = _theme(
    "color(252)",
    ("color(114)", "color(221)", "color(208)", "bold color(203)"),
    "color(80)",
)
_LIGHT = _theme(
    "color(236)",
    ("color(22)", "color(94)", "color(124)", "bold color(160)"),
    "color(24)",
)
_ANY = _without_background(
    ("color(28)", "color(136)", "color(166)", "bold color(196)"), "color(30)"
)
_THEMES: dict[ThemeName, dict[Background | None, Theme]] = {
    "auto": {"dark": _DARK, "light": _LIGHT, None: _ANY},
    "dark": {None: _DARK},
    "light": {None: _LIGHT},
    "colorblind": {  # blue, yellow, orange and vermilion: they differ in lightness, too
        "dark": _theme(
            "color(252)",
            ("color(75)", "color(228)", "color(214)", "bold color(202)"),
            "color(183)",
        ),
        "light": _theme(
            "color(236)",
            ("color(25)", "color(94)", "color(124)", "bold color(16)"),
            "color(90)",
        ),
        None: _without_background(
            ("color(32)", "color(136)", "color(166)", "bold color(196)"), "color(133)"
        ),
    },
    "high-contrast": {
        "dark": _theme(
            "bold color(231)",
            ("bold color(231)", "bold color(227)", "bold color(222)", "bold color(217)"),
            "color(123)",
            decoration="color(231)",
        ),
        "light": _theme(
            "bold color(16)",
            ("bold color(16)", "bold color(17)", "bold color(52)", "bold color(88)"),
            "color(17)",
            decoration="color(16)",
        ),
        None: _without_background((STRONG,) * 4, STRONG, decoration=""),
    },
}


def theme_for(name: ThemeName, background: Background | None = None) -> Theme:
    """Return a theme for the terminal's background, ``None`` if that is unknown."""
    variants = _THEMES[name]
    return variants.get(background, variants[None])


def depends_on_background(name: ThemeName) -> bool:
    """Return whether a theme differs between dark and light backgrounds."""
    return len(_THEMES[name]) > 1


class Glyphs(NamedTuple):
    """The characters that are not text."""

    corners: tuple[str, str, str, str]  # top left, top right, bottom left, bottom right
    tees: tuple[str, str]  # left, right
    horizontal: str
    vertical: str
    filled: str
    track: str
    unknown: str  # the track of a bar with unknown utilization
    ahead: str  # the bar's extension to what is expected at the reset; empty: no extension
    tick: str
    target: str  # Claude Pace Maker's mark on a bar
    tick_on_target: str
    binding: str
    alert: str  # in the place of the binding mark, where an alert holds
    binding_alert: str
    dot: str
    dash: str
    ellipsis: str


UNICODE = Glyphs(
    ("╭", "╮", "╰", "╯"),
    ("├", "┤"),
    "─",
    "│",
    "━",
    "─",
    "╌",
    "╍",
    "┃",
    "▾",
    "╋",
    "▸",
    "◇",
    "◆",
    "·",
    "—",
    "…",
)
ASCII = Glyphs(
    ("+", "+", "+", "+"),
    ("+", "+"),
    "-",
    "|",
    "=",
    "-",
    ".",
    "",
    "|",
    "v",
    "+",
    ">",
    "*",
    "#",
    "-",
    "-",
    "~",
)


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How to draw: glyphs, color, theme, clock style, and whether the screen is live.

    ``left`` is whether percentages are what is left instead of what is used; ``forecast`` whether
    to say how windows will end; ``work`` is the time that the even pace counts, ``None`` for all.
    ``answers`` is whether the user has just asked for new figures, so that the footer answers.
    ``position`` is that of the only account on the screen among all accounts, and their number.
    """

    glyphs: Glyphs = UNICODE
    color: bool = True
    clock: ClockStyle = field(default_factory=ClockStyle)
    live: bool = False
    theme: Theme = _ANY
    left: bool = False
    forecast: bool = True
    work: WorkWeek | None = None
    answers: bool = False
    position: tuple[int, int] | None = None

    @property
    def word(self) -> str:
        """The word after a percentage."""
        return "left" if self.left else "used"

    def shown(self, percent: float) -> float:
        """Return the percentage to show for what is used: what is left, if the user wants that."""
        return max(0.0, 100.0 - percent) if self.left else percent

    def sign(self, utilization: float | None) -> str:
        """Return the sign of a utilization's severity."""
        if utilization is None:
            return ""
        severity = severity_of(utilization)
        if self.left and severity is Severity.EXHAUSTED:
            return NOTHING_LEFT
        return SEVERITY_SIGNS[severity]

    def text(self, text: str) -> str:
        """Return the text without characters that the glyphs' character set lacks."""
        if self.glyphs is not ASCII:
            return text
        text = text.replace("·", self.glyphs.dot).replace("—", self.glyphs.dash)
        text = text.replace("–", "-").replace("…", "...").replace("±", "+-")
        text = (
            text.replace("←", "left").replace("→", "right").replace("↑", "up").replace("↓", "down")
        )
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
