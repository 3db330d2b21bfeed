"""``--once``: one whole frame on standard output."""

from __future__ import annotations

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.terminal import output_width
from claude_usage_monitor.formats import plain_text
from claude_usage_monitor.usage.clock import utc_now


def show(request: DashboardRequest) -> int:
    """Print one frame of all accounts, if any of them has figures. Returns the exit code."""
    statuses = request.shown(request.read_accounts())
    shown = [status for status in statuses if status.has_figures]
    if shown and request.settings.plain:
        shown = [status._replace(next_read_at=None) for status in shown]  # this command ends
        output.data(f"{plain_text.render(shown, utc_now(), request.format_options())}\n")
    elif shown:
        # Importing Rich takes 40 ms, and only a frame needs it.
        from claude_usage_monitor.cli.rich_console import frame_text, open_console

        now, environ = utc_now(), request.environ
        console, render_options = open_console(request.settings, environ, now, live=False)
        output.data(
            frame_text(console, statuses, now, (output_width(environ), None), render_options)
        )
    return request.report(statuses)
