"""Rich's console on standard output, and one frame of the dashboard as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import ASCII, UNICODE, RenderOptions, theme_for
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.status import AccountStatus

_GLYPHS = "".join((*UNICODE.corners, "─│━╌┃▸·—…"))
_SIZE_VARIABLES = ("COLUMNS", "LINES")


def open_console(
    settings: Settings, environ: Mapping[str, str], now: datetime, *, live: bool
) -> tuple[Console, RenderOptions]:
    """Return the console to draw on, and drawing options that fit its capabilities."""
    console = Console(
        file=output.stdout(),
        no_color=None if settings.color == "auto" else settings.color == "never",
        force_terminal=True if settings.color == "always" else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ=_for_rich(environ),
    )
    return console, RenderOptions(
        glyphs=UNICODE if output.can_encode(_GLYPHS) and not settings.ascii else ASCII,
        color=console.color_system is not None and not console.no_color,
        clock=clock_style(environ, now, settings),
        live=live,
        theme=theme_for(settings.theme),
        left=settings.show == "left",
        forecast=settings.forecast,
        work=settings.work,
    )


def frame_text(
    console: Console,
    statuses: Sequence[AccountStatus],
    now: datetime,
    size: tuple[int, int | None],
    render_options: RenderOptions,
) -> str:
    """Return a frame as the console writes it; no line is wrapped or padded.

    ``size`` is its columns and rows; with ``None`` rows, the frame is whole.
    """
    with console.capture() as captured:
        for line in dashboard(statuses, now, *size, render_options):
            line.rstrip()
            console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
    return captured.get()


def _for_rich(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for Rich, without empty ones (unset) and the size (we measure it)."""
    return {name: value for name, value in environ.items() if value and name not in _SIZE_VARIABLES}
