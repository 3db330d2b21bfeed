"""Print Claude Code's status line: reads JSON, prints one line.

The figures in the input are stored, so that the dashboard needs fewer requests.
If the input has none, the newest stored figures are shown. No request is sent
and no keyring is read. With a COMMAND, that status line is run on the same
input, and ours is appended to its output.

In ~/.claude/settings.json:

  "statusLine": {
    "type": "command",
    "command": "claude-usage-monitor statusline"
  }
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.pipes import output_of, read_input
from claude_usage_monitor.formats import Render, format_named, load_format
from claude_usage_monitor.formats.options import FormatOptions, line_width
from claude_usage_monitor.monitor.subscription.statusline import status_after_input
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle

if TYPE_CHECKING:  # `cli.main` runs this command without it, which saves 5 ms
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``statusline``."""
    parser.usage = "%(prog)s [--format NAME|TEMPLATE] [-- COMMAND...]"
    parser.add_argument(
        "--format",
        metavar="NAME|TEMPLATE",
        help="the format of the line, as of `claude-usage-monitor --format`",
    )
    parser.add_argument("other_line", nargs="*", metavar="COMMAND", help="another status line")


def run(options: argparse.Namespace) -> int:
    """Store the figures of standard input and print the line.

    Returns 0 even if that fails. Raises InvalidSetting if there is no such format.
    """
    if options.format is None:
        render, clock = load_format("statusline"), ClockStyle()
    else:
        # Takes 2 ms, and only another format shows clock times.
        from claude_usage_monitor.cli.terminal import configured_clock_style

        render, clock = format_named(options.format), configured_clock_style(os.environ, utc_now())
    content = read_input()
    other_line = output_of(options.other_line, content) if options.other_line else ""
    try:
        line = _line(render, clock, content, os.environ)
    except Exception as error:  # noqa: BLE001 - a bug must not break the prompt
        line = f"claude-usage-monitor: {type(error).__name__}"
    with contextlib.suppress(output.OutputFailed):
        output.data(f"{_appended(other_line, line)}\n")
    return ExitCode.OK


def _line(render: Render, clock: ClockStyle, content: bytes, environ: Mapping[str, str]) -> str:
    now = utc_now()
    status = status_after_input(content, environ, now)
    plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    options = FormatOptions(
        width=line_width(environ.get("COLUMNS", "")),
        color=not plain,
        ascii=not output.can_encode("▸·—"),
        clock=clock,
    )
    return render((status,), now, options)


def _appended(other_line: str, line: str) -> str:
    """Append our line to the other status line; below it if that has several lines."""
    if not other_line:
        return line
    dot = "·" if output.can_encode("·") else "-"
    return f"{other_line}\n{line}" if "\n" in other_line else f"{other_line} {dot} {line}"
