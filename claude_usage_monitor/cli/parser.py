"""The parser of the command line: one for all commands, and the options of the dashboard."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Container, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PROGRAM = "claude-usage-monitor"
_MIN_INTERVAL = 5  # seconds
_MAX_INTERVAL = 7 * 86_400  # seconds
_HELP_WIDTH = 80  # columns, where standard output is not a terminal

_USAGE = """\
%(prog)s [options]
       %(prog)s COMMAND [options]"""
_DESCRIPTION = """\
A live dashboard of Claude Code's usage limits: how much of each is used, when it
resets, and whether your pace is sustainable. Leave it with q or Ctrl+C."""
_EPILOG = """\
Keys: q quit, r read now (within the request budget), Tab next account, ? help.
Exit codes: 0 figures shown, 1 failed, 2 wrong usage, 3 a login is needed,
4 the service gave no figures, 130 interrupted."""


class Parser(argparse.ArgumentParser):
    """A parser without abbreviated options, which reports wrong usage as an error and a hint."""

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


def build_parser(commands: Mapping[str, tuple[str, str]], loaded: Container[str]) -> Parser:
    """Return the parser of the whole command line.

    ``commands`` maps names to modules and help texts. Only the modules of the
    commands in ``loaded`` are imported, to add their arguments; a shell completion or a man page
    needs all of them.
    """
    parser = Parser(prog=PROGRAM, usage=_USAGE, description=_DESCRIPTION, epilog=_EPILOG)
    subparsers = parser.add_subparsers(
        prog=PROGRAM, title="commands", dest="command", metavar="COMMAND"
    )
    for name, (module_name, help_text) in commands.items():
        subparser = subparsers.add_parser(name, help=help_text)
        if name in loaded:
            module = import_module(module_name)
            subparser.description = module.__doc__
            module.arguments(subparser)
    add_dashboard_options(parser)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


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
