"""The command: options in, one of its faces out, every failure an ``error:`` and a ``hint:``."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    from claude_usage_monitor.cli.exit_codes import ExitCode

    try:
        from claude_usage_monitor.cli.options import parse_options

        options = parse_options(sys.argv[1:] if arguments is None else arguments)
        # Deferred so that --help and --version pay for argparse alone.
        from claude_usage_monitor.cli.run import run

        code = run(options, os.environ)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:  # before there was anything to leave
        return ExitCode.INTERRUPTED
    except OSError as error:
        _drop_output()
        if isinstance(error, BrokenPipeError):  # as after ``| head``: nobody to tell
            return ExitCode.SIGNAL + 13  # SIGPIPE, as a program that does not catch it
        sys.stderr.write(f"error: Writing failed: {error.strerror}.\nhint: Is the disk full?\n")
        return ExitCode.FAILED
    return code


def _drop_output() -> None:
    """Give up what is still buffered, which would be complained about at the interpreter's end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
