"""``--format``: the stored figures as text, for a bar, a prompt or a scraper."""

from __future__ import annotations

from collections.abc import Sequence

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest, text_of, write
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import format_named
from claude_usage_monitor.monitor.reader import DisplayedAccount, read_all
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus


def show(request: DashboardRequest) -> int:
    """Print the stored figures and close standard output, then read the accounts that are due.

    An account without stored figures is read first. Returns 0 once the text is printed, because
    bars hide a module if its command fails: the text says what is wrong.
    """
    render = format_named("plain" if request.format is None else request.format)
    try:
        accounts, statuses = _stored(request)
    except UsageMonitorError as error:
        if exit_code_for(error.code) == ExitCode.USAGE:
            raise
        write(text_of(render, request, (), error), request.output_file)
        return ExitCode.OK
    write(text_of(render, request, statuses), request.output_file)
    output.close()
    _read_due(request, accounts, statuses)
    return ExitCode.OK


def _stored(
    request: DashboardRequest,
) -> tuple[Sequence[DisplayedAccount], Sequence[AccountStatus]]:
    try:
        accounts = request.open_accounts(output.note).current()
        return accounts, [_status(request, each) for each in accounts]
    except OSError as error:
        raise UsageMonitorError(output.describe(error), output.OS_ERROR_HINT) from error


def _status(request: DashboardRequest, displayed: DisplayedAccount) -> AccountStatus:
    """Return an account's stored status; read it if there are no figures."""
    unread = AccountStatus(displayed.account, interval=request.settings.interval)
    status = displayed.reader.cached_status(unread)
    return status if status.has_figures else displayed.reader.read(unread)


def _read_due(
    request: DashboardRequest,
    accounts: Sequence[DisplayedAccount],
    statuses: Sequence[AccountStatus],
) -> None:
    """Read the accounts that are due: the next run prints what they store."""
    now = utc_now()
    due = [
        displayed
        for displayed, status in zip(accounts, statuses, strict=True)
        if status.next_read_at is not None and status.next_read_at <= now
    ]
    if due and not request.demo:
        read_all(due, request.settings.interval)
