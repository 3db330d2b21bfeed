"""The pictures in screenshots/: ``python -m tests.support.pictures`` draws them again.

They are SVG files of real frames, which load nothing from elsewhere.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment, Segments
from rich.terminal_theme import TerminalTheme

from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.panels.history import history_lines
from claude_usage_monitor.render.theme import RenderOptions, theme_for
from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.usage.limits.history_view import Range
from claude_usage_monitor.usage.limits.pace import Forecast
from tests.support.payloads import NOW
from tests.support.render import LIVE, PLAIN
from tests.support.spends import OVER_BUDGET
from tests.support.statuses import (
    ALERT,
    EXPIRED,
    FORECAST,
    NEAR_THE_LIMIT,
    NO_FIVE_HOUR,
    NORMAL,
    PACED,
    RATE_LIMITED,
    SEVERAL,
    USED,
)

if TYPE_CHECKING:
    from rich.text import Text

    from claude_usage_monitor.usage.limits.resets import WindowInstance
    from claude_usage_monitor.usage.status import AccountStatus

FOLDER = Path(__file__).parent.parent.parent / "screenshots"

_MARGIN = 14
_CELL_WIDTH, _LINE_HEIGHT = 12.642, 24.4  # of DejaVu Sans Mono at 21 px, so that borders touch

_DARK, _LIGHT = (24, 26, 31), (253, 253, 250)
_ANSI = [
    (60, 64, 74),
    (224, 96, 96),
    (122, 190, 118),
    (222, 192, 98),
    (100, 150, 220),
    (190, 130, 210),
    (90, 190, 200),
    (214, 217, 224),
]

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" VIEW>
<style>
.{unique_id}-matrix {{
  font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: 21px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
{lines}
</defs>
<rect fill="BACKGROUND" x="-MARGIN" y="-MARGIN" width="100%" height="100%" rx="8" />
<g>
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


_WORKDAY = datetime(2026, 11, 18, 12, 57, tzinfo=UTC)  # a Wednesday, as in the demo's past
DARK = replace(LIVE, theme=theme_for("dark"))


@dataclass(frozen=True)
class Picture:
    """A row in the table of pictures: the accounts, and the size of the pane.

    With ``history``, the picture shows that range of the simulated account instead.
    """

    statuses: tuple[AccountStatus, ...]
    columns: int
    options: RenderOptions = DARK
    rows: int = 40
    background: tuple[int, int, int] = _DARK
    history: Range | None = None


PICTURES = {
    "normal": Picture((NORMAL,), 60),
    "narrow": Picture((NORMAL,), 28, rows=12),
    "narrow-tall": Picture((NORMAL,), 28, rows=24),
    "light-theme": Picture((NORMAL,), 60, replace(LIVE, theme=theme_for("light")), 40, _LIGHT),
    "colorblind-theme": Picture(
        (NEAR_THE_LIMIT,), 60, replace(LIVE, theme=theme_for("colorblind", "dark"))
    ),
    "medium": Picture((NORMAL,), 40),
    "near-the-limit": Picture((NEAR_THE_LIMIT,), 60),
    "forecast": Picture((FORECAST,), 60),
    "problem": Picture((RATE_LIMITED,), 60),
    "expired": Picture((EXPIRED,), 40),
    "pace-maker": Picture((PACED,), 60),
    "organization": Picture((OVER_BUDGET,), 60),
    "no-5-hour-limit": Picture((NO_FIVE_HOUR,), 60),
    "no-color": Picture((NEAR_THE_LIMIT,), 60, PLAIN),
    "several-accounts": Picture(SEVERAL, 60, rows=24),
    "use": Picture((USED,), 60),
    "alert": Picture((ALERT,), 60),
    "history": Picture((), 80, rows=20, history=Range.WEEK),
    "history-narrow": Picture((), 28, rows=12, history=Range.DAY),
    "history-heat-map": Picture((), 44, rows=14, history=Range.HEAT),
}


def draw(name: str) -> str:
    """Return a picture as SVG."""
    picture = PICTURES[name]
    lines = _lines(picture)
    console = Console(
        file=io.StringIO(),
        record=True,
        width=picture.columns,
        color_system="truecolor",
        force_terminal=True,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    for line in lines:
        segments = console.render(line, console.options.update(no_wrap=True, overflow="ignore"))
        shown = segments if picture.options.color else Segment.remove_color(segments)
        console.print(Segments(shown), crop=False, end="")
    svg = console.export_svg(
        title="",
        theme=TerminalTheme(
            picture.background,
            (214, 217, 224) if picture.background == _DARK else (36, 39, 46),
            _ANSI,
        ),
        code_format=_SVG,
        font_aspect_ratio=_CELL_WIDTH / 20,  # Rich's own font size
        unique_id=f"picture-{name}",
    )
    width = round(picture.columns * _CELL_WIDTH) + 2 * _MARGIN
    height = round(len(lines) * _LINE_HEIGHT) + 2 * _MARGIN
    view = f'width="{width}" height="{height}" viewBox="-{_MARGIN} -{_MARGIN} {width} {height}"'
    background = "#{:02x}{:02x}{:02x}".format(*picture.background)
    svg = svg.replace("BACKGROUND", background)
    return svg.replace("VIEW", view).replace("-MARGIN", f"-{_MARGIN}")


def _lines(picture: Picture) -> list[Text]:
    size = (picture.columns, picture.rows)
    if picture.history is None:
        return dashboard(picture.statuses, NOW, *size, picture.options)
    view = demo_history(picture.history, _WORKDAY, _WORKDAY, _WORKDAY)
    if view.current is not None:
        view = view._replace(forecast=_forecast(view.current))
    return history_lines(view, _WORKDAY, *size, picture.options)


def _forecast(window: WindowInstance) -> Forecast:
    """Return an invented forecast: it uses half as much again until the reset, more or less."""
    used = window.utilization
    expected, low, high = used * 1.5, used * 1.2, used * 1.8
    return Forecast(
        None, None, None, 0.1, expected, low, high, "", _WORKDAY, used, window.resets_at
    )


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main()
