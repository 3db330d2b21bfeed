"""Frames as text, for tests of the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.payloads import NOW

LIVE = RenderOptions(clock=ClockStyle(UTC), live=True)
ONCE = replace(LIVE, live=False)
PLAIN = replace(LIVE, glyphs=ASCII, color=False)

SIZES = (
    (120, 40), (100, 30), (60, 24), (60, 12), (60, 8), (46, 24), (40, 24), (40, 10),
    (30, 20), (28, 12), (28, 8), (24, 6), (20, 10), (20, 6), (12, 4), (1, 1),
)  # fmt: skip


def frame_lines(
    statuses: Sequence[AccountStatus],
    width: int = 60,
    height: int | None = None,
    options: RenderOptions = LIVE,
) -> list[str]:
    """Return the lines of the dashboard, without color."""
    return [line.plain for line in dashboard(statuses, NOW, width, height, options)]


def frame_text(status: AccountStatus, width: int = 60, options: RenderOptions = LIVE) -> str:
    """Return the whole dashboard of an account, without color."""
    return "\n".join(frame_lines((status,), width, None, options))


def frames_of(
    statuses: Sequence[AccountStatus],
    sizes: Sequence[tuple[int, int | None]],
    options: RenderOptions,
) -> str:
    """Return the dashboard at several sizes, for a snapshot."""
    lines = []
    for width, height in sizes:
        lines += [
            f"# {width} x {height or 'any'}",
            *frame_lines(statuses, width, height, options),
            "",
        ]
    return "\n".join(line.rstrip() for line in lines) + "\n"
