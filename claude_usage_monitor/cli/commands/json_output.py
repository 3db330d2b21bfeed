"""``--json``: one JSON document on standard output, also after a failure."""

from __future__ import annotations

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest, write
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.clock import utc_now


def show(request: DashboardRequest) -> int:
    """Print the document of all accounts and return the exit code."""
    try:
        statuses = request.shown(request.read_accounts())
    except UsageMonitorError as error:
        show_error(error, request.output_file)
        raise
    settings = request.settings._replace(clock="24h")
    clock = clock_style(request.environ, utc_now(), settings)
    document = load_format("json")(statuses, utc_now(), FormatOptions(clock=clock))
    _write(document, request.output_file)
    return request.report(statuses)


def show_error(error: UsageMonitorError, file: str | None = None) -> None:
    """Print a document without accounts, which says why there are none."""
    _write(load_format("json")((), utc_now(), FormatOptions(), error), file)


def _write(document: str, file: str | None) -> None:
    if file is None:
        output.json(document)
    else:
        write(document, file)
