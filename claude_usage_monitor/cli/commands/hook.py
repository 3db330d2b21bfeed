"""Store that a limit was hit: reads the JSON of a Claude Code hook, prints nothing.

Claude Code calls the hook StopFailure when it stops because of an error. Only the
kind of the error and the time are stored. `claude -p` ends at once and sends
SIGTERM to its hooks, so the shell ignores it. In ~/.claude/settings.json:

  {"hooks": {"StopFailure": [{"matcher": "rate_limit|usage_limit", "hooks": [
    {"type": "command",
     "command": "trap '' TERM; claude-usage-monitor hook"}]}]}}
"""

from __future__ import annotations

import argparse
import os

from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.pipes import read_input
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.subscription.hook import record_hook
from claude_usage_monitor.usage.clock import utc_now


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: ``hook`` has no arguments."""
    parser.usage = "%(prog)s"


def run(options: argparse.Namespace) -> int:
    """Store the event on standard input. Returns 0 even if that fails."""
    del options
    try:
        record_hook(read_input(), os.environ, utc_now())
    except (UsageMonitorError, OSError):
        return ExitCode.OK  # the figures will show the limit, too
    return ExitCode.OK
