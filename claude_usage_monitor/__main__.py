"""``python -m claude_usage_monitor`` runs the command line."""

from __future__ import annotations

from claude_usage_monitor.cli import command

command()
