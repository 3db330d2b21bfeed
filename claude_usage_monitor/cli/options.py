"""The command line: argparse up to here, frozen options from here on."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from claude_usage_monitor import __version__
from claude_usage_monitor.cli.exit_codes import ExitCode

PROGRAM = "claude-usage-monitor"
_LEAST_INTERVAL = 5
_LONGEST_INTERVAL = 7 * 86_400
_HELP_WIDTH = 80
_SECRET = re.compile(r"sk-ant-[^\s'\",…]{8,}(?!…)", re.IGNORECASE)  # not the hints' own "…"

_USAGE = """\
%(prog)s [options]                the dashboard, live, until q or Ctrl+C
       %(prog)s --once | --json          one frame | one document, then exit
       %(prog)s accounts COMMAND         add, list, use, rename, remove
       %(prog)s statusline [-- COMMAND]  Claude Code's status line
       %(prog)s doctor [--json]          what works, what does not, what to do"""

_DESCRIPTION = """\
A live dashboard of Claude Code's usage limits: how much of each is used, when it
resets, and whether the pace holds. Leave it with q or Ctrl+C."""

_EPILOG = """\
Keys: q quit, r read now (within the request budget), Tab next account, ? help.
Exit codes: 0 figures shown, 1 failed, 2 wrong usage, 3 a login is needed,
4 the service gave no figures, 130 interrupted."""


class Options(NamedTuple):
    """What was asked for on the command line; ``None`` where config.toml decides."""

    interval: float | None
    mode: str | None
    accounts: tuple[str, ...]
    all_accounts: bool
    once: bool
    json: bool
    demo: bool
    ascii: bool | None
    no_color: bool


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are our own two lines."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in our own two lines instead of argparse's usage."""
        tell(f"error: {message}\nhint: `{self.prog} --help` lists what can be asked.\n")
        raise SystemExit(ExitCode.USAGE)


def tell(words: str) -> None:
    """Write to stderr, where it is open and takes it: what is told there decides no exit code.

    A token or key that was given where none belongs is not repeated.
    """
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(_SECRET.sub("sk-ant-<redacted>", words))
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # or the interpreter's end would fail too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def parse_options(arguments: Sequence[str]) -> Options:
    """Return the options. Raises SystemExit for --help, --version and wrong usage."""
    found = _parser().parse_args(arguments)
    return Options(
        interval=found.interval,
        mode=found.mode,
        accounts=tuple(found.account),
        all_accounts=found.all_accounts,
        once=found.once,
        json=found.json,
        demo=found.demo,
        ascii=True if found.ascii else None,
        no_color=found.no_color,
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM,
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--interval",
        type=_interval,
        metavar="SECONDS",
        help="how often to look for fresh figures; default 300, least 5. The API is asked only "
        "as its request budget allows: the footer says when next",
    )
    parser.add_argument(
        "--mode",
        choices=("auto", "code", "console"),
        help="which accounts to show: subscription (code), organisation (console), or every kind "
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
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--once",
        action="store_true",
        help="print one frame and exit; meant when standard output is no terminal",
    )
    output.add_argument("--json", action="store_true", help="print one JSON document and exit")
    parser.add_argument(
        "--demo",
        action="store_true",
        help="a built-in simulated account: no login, no network, nothing stored",
    )
    parser.add_argument("--ascii", action="store_true", help="plain ASCII glyphs")
    parser.add_argument("--no-color", action="store_true", help="no colour")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _formatter(prog: str) -> argparse.RawDescriptionHelpFormatter:
    """Format help to the terminal's width; argparse would load the archive formats to find it."""
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
    if not _LEAST_INTERVAL <= seconds <= _LONGEST_INTERVAL:
        raise argparse.ArgumentTypeError(
            f"{raw!r} is not a number of seconds from {_LEAST_INTERVAL} to {_LONGEST_INTERVAL}"
        )
    return seconds
