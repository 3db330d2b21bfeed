"""``--once``: one frame on standard output, whole, however long it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.cli.terminal import width_of_output
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from rich.console import Console


def print_once(
    statuses: Sequence[AccountStatus],
    now: datetime,
    console: Console,
    render_options: RenderOptions,
    environ: Mapping[str, str],
) -> None:
    """Print the frame of all accounts: also of those that only have a problem."""
    print_frame(console, statuses, now, width_of_output(environ), render_options)


def print_frame(
    console: Console,
    statuses: Sequence[AccountStatus],
    now: datetime,
    width: int,
    render_options: RenderOptions,
) -> None:
    """Print a frame's lines, each as it is: none is wrapped or padded."""
    for line in dashboard(statuses, now, width, None, render_options):
        line.rstrip()
        console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
