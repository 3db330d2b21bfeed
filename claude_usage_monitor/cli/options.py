"""The argument parser that all commands share, and the options of the dashboard."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PROGRAM = "claude-usage-monitor"
_MIN_INTERVAL = 5  # seconds
_MAX_INTERVAL = 7 * 86_400  # seconds
_HELP_WIDTH = 80  # columns, where standard output is not a terminal


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and reports wrong usage as an error and a hint."""

    def __init__(self, **settings: object) -> None:
        settings = {"formatter_class": _formatter, "allow_abbrev": False, **settings}
        super().__init__(**settings)  # type: ignore[arg-type] # passed on

    def error(self, message: str) -> NoReturn:
        """Report wrong usage and exit."""
        output.error(message, f"`{self.prog} --help` lists the options.")
        raise SystemExit(ExitCode.USAGE)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:  # noqa: ARG002
        """Write the text of ``--help`` and ``--version``."""
        output.data(message)


def add_dashboard_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the dashboard, which is what the program does without a command."""
    parser.add_argument(
        "--interval",
        type=_interval,
        metavar="SECONDS",
        help="how often to check for new figures; default 300, at least 5. Requests to the API "
        "also obey its request budget: the footer shows when the next one is due",
    )
    parser.add_argument(
        "--mode",
        choices=("auto", "code", "console"),
        help="which accounts to show: subscription (code), organization (console), or every kind "
        "that has a credential (auto, default)",
    )
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="NAME",
        help="show this account; repeatable. Default: the active one",
    )
    parser.add_argument(
        "--all-accounts", action="store_true", help="show every account, one above the other"
    )
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument(
        "--once",
        action="store_true",
        help="print one frame and exit; the default when standard output is not a terminal",
    )
    outputs.add_argument("--json", action="store_true", help="print one JSON document and exit")
    parser.add_argument(
        "--demo",
        action="store_true",
        help="show a simulated account: no login, no network, nothing stored",
    )
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    parser.add_argument("--no-color", action="store_true", help="draw without color")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return a formatter for the terminal's width; argparse's own search for it costs 5 ms."""
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except (AttributeError, OSError, ValueError):
        width = 0
    return argparse.RawDescriptionHelpFormatter(prog, width=(width or _HELP_WIDTH) - 2)


def _interval(raw: str) -> float:
    try:
        seconds = float(raw)
    except ValueError:
        seconds = math.nan
    if not _MIN_INTERVAL <= seconds <= _MAX_INTERVAL:
        raise argparse.ArgumentTypeError(
            f"{raw!r} is not a number of seconds from {_MIN_INTERVAL} to {_MAX_INTERVAL}"
        )
    return seconds
