"""The command: options in, one of its faces out, every failure an ``error:`` and a ``hint:``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def command() -> NoReturn:
    """Be the command: run it, then end the process at once.

    What is to be written is written by then, and the database needs no farewell; the
    interpreter's own takes 10 ms, which scripts and prompts would wait for. Nor is there rubbish
    worth looking for, 4 ms: live mode, which stays, turns the collector on again.
    """
    gc.disable()
    try:
        code = main()
    except SystemExit as error:  # of argparse, or of a signal
        code = error.code if isinstance(error.code, int) else 0
        with contextlib.suppress(OSError, AttributeError):
            sys.stdout.flush()
    code = _with_logins_stored(code)
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)


def _with_logins_stored(code: int) -> int:
    """Let what is being renewed be stored before the process ends; returns its exit code."""
    renewals = sys.modules.get("claude_usage_monitor.monitor.login.shutdown")
    if renewals is None or renewals.drain():
        return code
    from claude_usage_monitor.cli.options import tell

    tell(
        "error: A renewed login could not be stored, and is lost.\n"
        "hint: `claude-usage-monitor accounts list` says which. Log in to it again.\n"
    )
    return code or 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    from claude_usage_monitor.cli.exit_codes import ExitCode

    code = 0
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:  # before there was anything to leave
        return ExitCode.INTERRUPTED
    except OSError as error:
        _drop_output()
        if code > ExitCode.SIGNAL:  # the terminal is gone: what it did not take was for nobody
            return code
        if isinstance(error, BrokenPipeError):  # as after ``| head``: nobody to tell
            return ExitCode.SIGNAL + 13  # SIGPIPE, as a program that does not catch it
        from claude_usage_monitor.cli.options import tell

        tell(f"error: Writing failed: {error.strerror}.\nhint: Is the disk full?\n")
        return ExitCode.FAILED
    return code


def _run(arguments: list[str]) -> int:
    """Find the command in the table; each imports what it needs and no more."""
    if arguments[:1] == ["statusline"]:
        from claude_usage_monitor.cli.commands.statusline import run_statusline

        return run_statusline(arguments[1:], os.environ)
    if arguments[:1] == ["doctor"]:
        from claude_usage_monitor.cli.commands.doctor import run_doctor

        return run_doctor(arguments[1:], os.environ)
    if arguments[:1] == ["accounts"]:
        from claude_usage_monitor.cli.commands.accounts import run_accounts

        return run_accounts(arguments[1:], os.environ)
    from claude_usage_monitor.cli.options import parse_options

    options = parse_options(arguments)
    # Deferred so that --help and --version pay for argparse alone.
    from claude_usage_monitor.cli.commands.dashboard import run

    return run(options, os.environ)


def _drop_output() -> None:
    """Give up what is still buffered, which would be complained about at the interpreter's end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
