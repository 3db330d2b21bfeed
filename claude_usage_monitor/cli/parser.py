"""The parser of the command line: one for all commands, and the options of the dashboard."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from importlib import import_module

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.formats import PRESETS
from claude_usage_monitor.light_typing import TYPE_CHECKING, NoReturn
from claude_usage_monitor.suggestions import did_you_mean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PROGRAM = "claude-usage-monitor"
COMMAND = "COMMAND"  # what the help calls the name of a command
COMPLETIONS = {  # shell: file in the folder `completions`
    "bash": f"{PROGRAM}.bash",
    "zsh": f"_{PROGRAM}",
    "fish": f"{PROGRAM}.fish",
}
_MIN_INTERVAL = 5  # seconds
_MAX_INTERVAL = 7 * 86_400  # seconds

_USAGE = """\
%(prog)s [options]
       %(prog)s COMMAND [options]"""
_DESCRIPTION = """\
A live dashboard of Claude Code's usage limits: how much of each is used, when
it resets, and whether your pace is sustainable. Leave it with q or Ctrl+C."""
_EPILOG = """\
Keys: q quit, r read now (within the request budget), Tab next account,
u used or left, w what used the window, h history, ? help; left and right
change the window or the range of a view.
Exit codes: 0 figures shown, 1 failed, 2 wrong usage, 3 a login is needed,
4 the service gave no figures, 75 not enough left (guard), 130 interrupted."""


class Parser(argparse.ArgumentParser):
    """A parser without abbreviated options, which reports wrong usage as an error and a hint."""

    def __init__(self, **settings: object) -> None:
        settings = {"formatter_class": _formatter, "allow_abbrev": False, **settings}
        super().__init__(**settings)  # type: ignore[arg-type] # passed on

    def error(self, message: str) -> NoReturn:
        """Report wrong usage and exit."""
        contents = "commands and options" if self._commands() else "options"
        output.error(message, f"`{self.prog} --help` lists the {contents}.")
        raise SystemExit(ExitCode.USAGE)

    def parse_known_args(  # type: ignore[override] # argparse calls it for every parser
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the arguments; report an unknown option before argparse misreads its value."""
        commands = set(self._commands())
        for argument in args:
            if argument == "--" or argument in commands:
                break
            option = argument.partition("=")[0]
            if option.startswith("--") and option not in self._option_string_actions:
                suggestion = did_you_mean(option, self._option_string_actions)
                self.error(f"unknown option {option}{suggestion or '.'}")
        return super().parse_known_args(args, namespace)

    def reject_options_before(self, name: str, arguments: Iterable[str]) -> NoReturn:
        """Report options that the command does not have, or that must come after its name."""
        command = self._commands()[name]
        known = command.all_options()
        for argument in arguments:
            option = argument.partition("=")[0]
            if option.startswith("--") and option not in known:
                command.error(f"`{name}` has no `{option}`")
        self.error(f"`{name}` must come before all options")

    def all_options(self) -> set[str]:
        """Return the options of this parser and of its commands."""
        of_commands = (parser.all_options() for parser in self._commands().values())
        return set(self._option_string_actions).union(*of_commands)

    def _commands(self) -> dict[str, Parser]:
        """Return the parsers by the names after which they parse the arguments."""
        for action in self._actions:
            if isinstance(action.choices, dict):
                return action.choices
        return {}

    def format_help(self) -> str:
        """Return the help; lines that are too wide are broken between words."""
        lines = super().format_help().splitlines()
        width = _width()
        return "\n".join(part for line in lines for part in _broken(line, width)) + "\n"

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Report an unknown command or choice, and the known one that is most similar."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        is_command = action.metavar == COMMAND
        name = "command" if is_command else f"value of {'/'.join(action.option_strings)}"
        suggestion = did_you_mean(str(value), known)
        raise argparse.ArgumentError(
            None, f"unknown {name} {value!r}{suggestion or f': use {_alternatives(known)}'}"
        )

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:  # noqa: ARG002 - argparse passes it
        """Write the text of ``--help`` and ``--version``."""
        output.data(message)


class _PrintCompletion(argparse.Action):
    """Prints the completion script of a shell and exits."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - part of the protocol
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - argparse passes it
    ) -> NoReturn:
        # Importing pathlib would take 4 ms, and nothing else here needs it.
        folder = os.path.join(os.path.dirname(__file__), "completions")
        with open(os.path.join(folder, COMPLETIONS[str(values)]), encoding="utf-8") as file:
            output.data(file.read())
        parser.exit()


def build_parser(commands: Mapping[str, tuple[str, str]], loaded: Container[str]) -> Parser:
    """Return the parser of the whole command line.

    ``commands`` maps names to modules and help texts. Only the modules of the
    commands in ``loaded`` are imported, to add their arguments; a shell completion or a man page
    needs all of them.
    """
    parser = Parser(prog=PROGRAM, usage=_USAGE, description=_DESCRIPTION, epilog=_EPILOG)
    subparsers = parser.add_subparsers(
        prog=PROGRAM, title="commands", dest="command", metavar=COMMAND
    )
    for name, (module_name, help_text) in commands.items():
        subparser = subparsers.add_parser(name, help=help_text)
        if name in loaded:
            module = import_module(module_name)
            subparser.description = module.__doc__
            module.arguments(subparser)
    add_dashboard_options(parser)
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        default=argparse.SUPPRESS,
        choices=tuple(COMPLETIONS),
        help="print the completion script of a shell and exit",
    )
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
    outputs.add_argument(
        "--format",
        metavar="NAME|TEMPLATE",
        help="print one line for a bar or a prompt and exit: "
        f"{', '.join(row.name for row in PRESETS)}, or a template such as "
        "'{five_hour.utilization}%% until {five_hour.resets_at}'",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="with --format or --json: print again whenever the figures change",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="with --format or --json: replace this file instead of printing",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="show a simulated account: no login, no network, nothing stored",
    )
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    parser.add_argument(
        "--hide-names",
        action="store_true",
        help="show placeholders for e-mails, organizations, accounts, projects and sessions",
    )
    parser.add_argument("--no-color", action="store_true", help="draw without color")
    parser.add_argument(
        "--theme",
        choices=("auto", "dark", "light", "colorblind", "high-contrast"),
        help="the colors; auto (default) asks the terminal for its background where that is safe",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="print one fact a line, without frames and bars, for screen readers and logs",
    )
    parser.add_argument(
        "--json-schema",
        action=_PrintSchema,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the schema of --json and exit",
    )


class _PrintSchema(argparse.Action):
    """Prints the JSON schema and exits, as ``--version`` does."""

    def __call__(self, *_: object) -> NoReturn:
        # Takes 3 ms; only needed here.
        from claude_usage_monitor.formats.published_schema import schema_text

        output.data(f"{schema_text()}\n")
        raise SystemExit(ExitCode.OK)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A formatter that breaks lines between words only, and paragraphs that are too wide anew."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(indent + _filled(paragraph, width) for paragraph in paragraphs)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _broken(" ".join(text.split()), width)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return a formatter for the terminal's width; argparse's own search for it costs 5 ms."""
    return _Formatter(prog, width=_width() - 2)


def _width() -> int:
    """Return the width of the terminal on standard output, without one ``COLUMNS`` or 80."""
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except (AttributeError, OSError, ValueError):
        width = 0
    return width or output.columns(os.environ)


def _filled(paragraph: str, width: int) -> str:
    """Return a paragraph, its words distributed over the lines anew if one is too wide."""
    lines = paragraph.split("\n")
    if max(map(len, lines)) <= width or paragraph.startswith(" "):
        return paragraph
    return "\n".join(_broken(" ".join(lines), width))


def _broken(line: str, width: int) -> list[str]:
    """Break a line between words; only a word that is wider than a line stays too wide."""
    if len(line) <= width:
        return [line]
    import textwrap  # 1 ms; argparse imports it for `--help` only, too

    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * (len(line) - len(line.lstrip())),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _alternatives(choices: Sequence[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


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
