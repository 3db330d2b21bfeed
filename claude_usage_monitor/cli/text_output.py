"""``--format`` and ``--output``: figures as text, on standard output or in a file."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.terminal import line_options
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.files import replace_file
from claude_usage_monitor.formats import Render
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus


def text_of(
    render: Render,
    request: DashboardRequest,
    statuses: Sequence[AccountStatus],
    error: UsageMonitorError | None = None,
) -> str:
    """Return statuses as text as of now, or the error that prevented reading any."""
    now, to_file = utc_now(), request.output_file is not None
    options = line_options(request.environ, now, request.settings, to_file=to_file)
    return render(request.shown(statuses), now, options, error)


def write(text: str, file: str | None) -> None:
    """Write the text as a line to standard output, or replace a file with it.

    Raises OutputFailed.
    """
    if file is None:
        output.data(f"{text}\n")
        return
    try:
        replace_file(file, f"{output.redacted(text)}\n".encode("utf-8", "replace"))
    except OSError as error:
        hint = "--output needs a file in a folder that you can write to."
        raise output.OutputFailed(output.describe(error), hint) from None
