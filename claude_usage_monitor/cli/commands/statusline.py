"""Print Claude Code's status line: reads JSON, prints one line.

The figures in the input are stored, so that the dashboard needs fewer requests.
If the input has none, the newest stored figures are shown. No request is sent
and no keyring is read. With a COMMAND, that status line is run on the same
input, and ours is appended to its output.

In ~/.claude/settings.json:

  {"statusLine":
    {"type": "command", "command": "claude-usage-monitor statusline"}}
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.pipes import output_of, read_input
from claude_usage_monitor.cli.terminal import line_options
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import Render, format_named, load_format
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.subscription.statusline import status_after_input
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage.clock import utc_now

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
    render = load_format("statusline") if options.format is None else format_named(options.format)
    content = read_input()
    other_line = output_of(options.other_line, content) if options.other_line else ""
    is_ascii = not output.can_encode("·")
    try:
        settings = load_settings(config_path(os.environ))
        is_ascii = is_ascii or settings.ascii
        line = _line(render, content, os.environ, settings)
    except UsageMonitorError as error:
        line = f"claude-usage-monitor: {error.message}"
    except Exception as error:  # noqa: BLE001 - a bug must not break the prompt
        line = f"claude-usage-monitor: {type(error).__name__}"
    with contextlib.suppress(output.OutputFailed):
        output.data(f"{_appended(other_line, line, is_ascii=is_ascii)}\n")
    return ExitCode.OK


def _line(render: Render, content: bytes, environ: Mapping[str, str], settings: Settings) -> str:
    now = utc_now()
    status = status_after_input(content, environ, now)._replace(interval=settings.interval)
    if status.usage is not None and not settings.forecast:
        usage = status.usage.with_forecasts({}, status.api_time(now))
        status = status._replace(usage=usage)
    options = line_options(environ, now, settings)
    if settings.color == "auto" and environ.get("TERM") == "dumb":
        options = options._replace(color=False)
    return render((status,), now, options)


def _appended(other_line: str, line: str, *, is_ascii: bool) -> str:
    """Append our line to the other status line; below it if that has several lines."""
    if not other_line:
        return line
    dot = "-" if is_ascii else "·"
    return f"{other_line}\n{line}" if "\n" in other_line else f"{other_line} {dot} {line}"
