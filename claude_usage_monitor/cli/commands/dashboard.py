"""The dashboard, which runs without a command: live, as one frame, or as text for programs."""

from __future__ import annotations

import os
from datetime import timedelta
from importlib import import_module

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings

if TYPE_CHECKING:  # `cli.main` shows a format without it, which saves 6 ms
    import argparse

_FOLDER = "claude_usage_monitor.cli.commands"
OUTPUTS = {  # modules that define ``show(request) -> exit code``
    "live": f"{_FOLDER}.live",
    "once": f"{_FOLDER}.once",
    "follow": f"{_FOLDER}.follow",
    "json": f"{_FOLDER}.json_output",
    "format": f"{_FOLDER}.format_output",
    "lines": f"{_FOLDER}.plain",  # instead of the live dashboard, with `--plain`
}
_HELP_HINT = "`claude-usage-monitor --help` lists the commands and options."


def run(options: argparse.Namespace) -> int:
    """Show the dashboard and return the exit code."""
    has_format = options.format is not None
    if (options.follow or options.output is not None) and not (has_format or options.json):
        raise InvalidSetting("--follow and --output need --format or --json.", _HELP_HINT)
    default = "live" if output.stdout().isatty() else "once"
    chosen = (name for name in OUTPUTS if getattr(options, name, None) not in (None, False))
    name = next(chosen, default)
    try:
        request = _request(options)
    except UsageMonitorError as error:
        if name == "json":
            import_module(OUTPUTS[name]).show_error(error)
        raise
    if name == "live" and request.settings.plain:
        name = "lines"
    code: int = import_module(OUTPUTS[name]).show(request)
    return code


def _request(options: argparse.Namespace) -> DashboardRequest:
    """Return the request of the command line. Raises InvalidSetting for options that conflict."""
    if options.account and options.all_accounts:
        raise InvalidSetting(
            "`--account` and `--all-accounts` exclude each other.",
            "`--all-accounts` shows every account, `--account NAME` only the named ones.",
        )
    return DashboardRequest(
        settings=_settings(options),
        environ=os.environ,
        names=tuple(options.account),
        all_accounts=options.all_accounts,
        demo=options.demo,
        required_mode=options.mode,
        format=options.format,
        follow=options.follow,
        output_file=options.output,
    )


def _settings(options: argparse.Namespace) -> Settings:
    """Return the settings of config.toml, overridden by command-line options."""
    if options.demo:
        settings = Settings()
    else:
        settings = load_settings(config_path(os.environ), output.warning)
    if options.interval is not None:
        settings = settings._replace(interval=timedelta(seconds=options.interval))
    if options.mode is not None:
        settings = settings._replace(mode=options.mode)
    if options.ascii:
        settings = settings._replace(ascii=True)
    if options.hide_names:
        settings = settings._replace(hide_names=True)
    if options.no_color:
        settings = settings._replace(color="never")
    if options.theme is not None:
        settings = settings._replace(theme=options.theme)
    if options.plain:
        settings = settings._replace(plain=True)
    return settings
