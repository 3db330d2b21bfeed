"""``python -m claude_usage_monitor`` is the command."""

from claude_usage_monitor.cli import command

command()
