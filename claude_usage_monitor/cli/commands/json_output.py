"""``--json``: one JSON document on standard output, also after a failure."""

from __future__ import annotations

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import load_format
from claude_usage_monitor.formats.options import FormatOptions


def show(request: DashboardRequest) -> int:
    """Print the document of all accounts and return the exit code."""
    try:
        statuses = request.read_accounts()
    except UsageMonitorError as error:
        show_error(error)
        raise
    clock = clock_style(request.environ, utc_clock())._replace(twelve_hour=False)
    output.json(load_format("json")(statuses, utc_clock(), FormatOptions(clock=clock)))
    return request.report(statuses)


def show_error(error: UsageMonitorError) -> None:
    """Print a document without accounts, which says why there are none."""
    output.json(load_format("json")((), utc_clock(), FormatOptions(), error))
