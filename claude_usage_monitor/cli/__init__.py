"""The command line: a table of commands, and the process that runs one of them."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Container, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.cli.options import PROGRAM, Parser, add_dashboard_options


class Command(NamedTuple):
    """A command: its module defines ``arguments(parser)`` and ``run(options) -> exit code``."""

    name: str
    module: str
    help: str


_FOLDER = "claude_usage_monitor.cli.commands"
COMMANDS = (
    Command("accounts", f"{_FOLDER}.accounts", "add, list, use, rename and remove accounts"),
    Command("statusline", f"{_FOLDER}.statusline", "print Claude Code's status line"),
    Command("doctor", f"{_FOLDER}.doctor", "check what works, and say how to fix what does not"),
)
_WITHOUT_COMMAND = f"{_FOLDER}.dashboard"

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


def command() -> NoReturn:
    """Run the command line of this process, and end the process.

    The interpreter's own shutdown takes 10 ms, for which scripts and prompts would wait. The
    garbage collector would take 4 ms more: a short command has no garbage. Live mode turns it on.
    """
    gc.disable()
    os._exit(_finish_critical_tasks(main()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as error:  # of argparse, or of a signal
        return error.code if isinstance(error.code, int) else ExitCode.OK
    except KeyboardInterrupt:  # before a command ran
        return ExitCode.INTERRUPTED
    except output.ReaderGone:
        return ExitCode.BROKEN_PIPE
    except output.OutputFailed as error:
        output.error(str(error), error.hint)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        output.error(f"{file}{error.strerror or error}.", f"`{PROGRAM} doctor` checks the files.")
    return ExitCode.FAILED


def build_parser(loaded: Container[str] | None = None) -> Parser:
    """Return the parser of the whole command line.

    Only the modules of the ``loaded`` commands are imported; the others are known by name and
    help text. By default all are imported, as for shell completion or a man page.
    """
    parser = Parser(prog=PROGRAM, usage=_USAGE, description=_DESCRIPTION, epilog=_EPILOG)
    commands = parser.add_subparsers(
        prog=PROGRAM, title="commands", dest="command", metavar="COMMAND"
    )
    for row in COMMANDS:
        subparser = commands.add_parser(row.name, help=row.help)
        if loaded is None or row.name in loaded:
            module = import_module(row.module)
            subparser.description = module.__doc__
            module.arguments(subparser)
    add_dashboard_options(parser)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _run(arguments: list[str]) -> int:
    chosen = next((row for row in COMMANDS if arguments[:1] == [row.name]), None)
    parser = build_parser({chosen.name} if chosen else ())
    options = parser.parse_args(arguments)
    if chosen is None and options.command is not None:
        parser.error(f"`{options.command}` must come before all options")
    return _run_command(chosen.module if chosen else _WITHOUT_COMMAND, options)


def _run_command(module_name: str, options: argparse.Namespace) -> int:
    module = import_module(module_name)
    # Imported here because `--help` and `--version` do without them, which saves 2 ms.
    from claude_usage_monitor.cli.signals import end_signals
    from claude_usage_monitor.errors import UsageMonitorError

    end_signals.install()
    try:
        code: int = module.run(options)
    except UsageMonitorError as error:
        output.error(error.message, error.hint)
        return exit_code_for(error.code)
    finally:
        end_signals.shield()
    return code


def _finish_critical_tasks(code: int) -> int:
    """Store every login that is being refreshed, and return the exit code.

    No signal interrupts this: `EndSignals.shield` has been called.
    """
    shutdown = sys.modules.get("claude_usage_monitor.monitor.login.shutdown")
    if shutdown is None or shutdown.drain():  # not imported: nothing was refreshed
        return code
    output.error(
        "A refreshed login could not be stored and is lost.",
        f"`{PROGRAM} accounts list` shows which one. Log in to it again.",
    )
    return code or ExitCode.FAILED
