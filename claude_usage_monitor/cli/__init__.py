"""The command: options in, one of its faces out, every failure an ``error:`` and a ``hint:``."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


# As in exit_codes, whose enum is not needed to start.
_FAILED = 1
_INTERRUPTED = 130
_READER_LEFT = 141  # 128 + SIGPIPE, as a program that does not catch it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    from claude_usage_monitor.cli.options import parse_options

    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    try:
        # Deferred so that --help and --version pay for argparse alone.
        from claude_usage_monitor.cli.run import run

        code = run(options, os.environ)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return _output_lost(error)
    except KeyboardInterrupt:  # before there was anything to leave
        return _INTERRUPTED
    return code


def _output_lost(error: OSError) -> int:
    """Leave when output cannot be written; quietly when its reader has gone, as after ``| head``."""
    # What is still buffered would be complained about when the interpreter ends.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return _READER_LEFT
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: Writing failed: {error.strerror}.\nhint: Is the disk full?\n")
    return _FAILED
