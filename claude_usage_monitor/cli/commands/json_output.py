"""``--json``: one JSON document on standard output, also about a failure."""

from __future__ import annotations

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.json_document import json_document


def show(request: DashboardRequest) -> int:
    """Print the document of all accounts and return the exit code."""
    style = clock_style(request.environ, utc_clock())._replace(twelve_hour=False)
    try:
        statuses = request.read_accounts()
    except UsageMonitorError as error:
        output.json(json_document((), utc_clock(), style, error))
        raise
    output.json(json_document(statuses, utc_clock(), style))
    return request.report(statuses)
