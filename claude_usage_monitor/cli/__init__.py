"""The command line: a table of commands, and the process that runs one of them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.light_typing import NoReturn

if sys.platform != "win32":
    import resource

_FOLDER = "claude_usage_monitor.cli.commands"
COMMANDS = {  # name: (module with ``arguments(parser)`` and ``run(options) -> exit code``, help)
    "accounts": (f"{_FOLDER}.accounts", "add, list, use, rename and remove accounts"),
    "history": (f"{_FOLDER}.history", "show past windows and limits hit, or import readings"),
    "guard": (f"{_FOLDER}.guard", "tell scripts by exit code whether enough is left"),
    "usage": (f"{_FOLDER}.usage", "show what used a limit: projects, sessions, models"),
    "alerts": (f"{_FOLDER}.alerts", "send alerts about limits, without a dashboard"),
    "hook": (f"{_FOLDER}.hook", "store a limit hit that Claude Code's hook reports"),
    "statusline": (f"{_FOLDER}.statusline", "print Claude Code's status line"),
    "serve": (f"{_FOLDER}.serve", "serve the figures to Prometheus"),
    "doctor": (f"{_FOLDER}.doctor", "check what works, and say how to fix what does not"),
}
_WITHOUT_COMMAND = f"{_FOLDER}.dashboard"


class _SingleOption(SimpleNamespace):
    """The options of a command line with a single one."""

    account: tuple[str, ...] = ()

    def __getattr__(self, _name: str) -> None:
        """Return ``None`` for an option that is not given."""


def command() -> NoReturn:
    """Run the command line, then end the process.

    `os._exit` skips the interpreter's shutdown, which would delay scripts and prompts by 10 ms.
    The garbage collector would take another 4 ms, and a short command has no garbage: only live
    mode turns it on.
    """
    gc.disable()
    code: int = ExitCode.FAILED
    try:
        code = main()
    finally:  # also after a bug: Python then prints its traceback
        code = _finish_critical_tasks(code)
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as error:  # from argparse or a signal handler
        return error.code if isinstance(error.code, int) else ExitCode.OK
    except KeyboardInterrupt:  # before a command ran
        return ExitCode.INTERRUPTED
    except output.ReaderGone:
        return ExitCode.BROKEN_PIPE
    except output.OutputFailed as error:
        output.error(str(error), error.hint)
    except OSError as error:
        output.error(output.describe(error), output.OS_ERROR_HINT)
    return ExitCode.FAILED


def _run(arguments: list[str]) -> int:
    if arguments == ["statusline"]:
        # Claude Code waits for this line after every message, and bars and scripts run the two
        # others every few seconds: argparse would add 5 ms.
        options = SimpleNamespace(format=None, other_line=[])
        return _run_command(COMMANDS["statusline"][0], options)
    if len(arguments) == 2 and arguments[0] == "--format":
        return _run_command(_WITHOUT_COMMAND, _SingleOption(format=arguments[1]))
    if arguments == ["--json"]:
        return _run_command(_WITHOUT_COMMAND, _SingleOption(json=True))
    from claude_usage_monitor.cli.parser import build_parser

    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    parser = build_parser(COMMANDS, {each for each in arguments if each in COMMANDS})
    parsed = parser.parse_args(arguments)
    if parsed.command != name:
        before = arguments[: arguments.index(parsed.command)]
        parser.reject_options_before(parsed.command, before)
    return _run_command(_WITHOUT_COMMAND if name is None else COMMANDS[name][0], parsed)


def _run_command(module_name: str, options: object) -> int:
    module = import_module(module_name)
    # Takes 1 ms (threading), and `--help` and `--version` do not need it.
    from claude_usage_monitor.cli.signals import end_signals

    _disable_core_files()
    end_signals.install()
    try:
        code: int = module.run(options)
    except UsageMonitorError as error:
        output.error(error.message, error.hint)
        return exit_code_for(error.code)
    finally:
        end_signals.shield()
    return code


def _disable_core_files() -> None:
    """Disable core dumps: after a crash, they would contain the tokens and keys in memory.

    ``PR_SET_DUMPABLE`` would also block debuggers, but needs ctypes, which takes 3 ms.
    """
    if sys.platform != "win32":
        _, hard_limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard_limit))


def _finish_critical_tasks(code: int) -> int:
    """Store every login that is being refreshed, and return the exit code.

    No signal interrupts this: `EndSignals.shield` has been called.
    """
    shutdown = sys.modules.get("claude_usage_monitor.monitor.login.shutdown")
    if shutdown is None:  # no command ran
        return code

    def explain(account_names: list[str]) -> None:
        logins = "login" if len(account_names) == 1 else "logins"
        seconds = round(shutdown.MAX_DRAIN_SECONDS)
        output.message(
            f"Saving the renewed {logins} of {', '.join(account_names)}… (up to {seconds} s)"
        )

    if shutdown.drain(on_wait=explain):
        return code
    output.error(
        "A refreshed login could not be stored and is lost.",
        "`claude-usage-monitor accounts list` shows which one. Log in to it again.",
    )
    return code or ExitCode.FAILED
