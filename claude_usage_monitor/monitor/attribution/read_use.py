"""Reads the transcripts' new parts and returns what used an account's window."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple, get_args
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.attribution.report import ReportRequest, check_window, make_report
from claude_usage_monitor.monitor.attribution.scan import Progress, scan
from claude_usage_monitor.monitor.attribution.transcripts import Transcripts
from claude_usage_monitor.monitor.attribution.use import AccountUse, window_keys
from claude_usage_monitor.monitor.reader import require_subscription
from claude_usage_monitor.store.database import reason_for
from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.report import UseReport
from claude_usage_monitor.usage.attribution.window_use import By
from claude_usage_monitor.usage.status import AccountStatus


class UseOfAccount(NamedTuple):
    """The report and the status it was made for. ``found`` is whether there are transcripts."""

    report: UseReport
    status: AccountStatus
    found: bool


def read_use(
    registry: AccountRegistry,
    listed: ListedAccount,
    request: ReportRequest,
    announce: Callable[[str], None],
    progress: Callable[[Progress], None] = lambda _: None,
) -> UseOfAccount:
    """Return what was used; ``announce`` receives the notice before the first transcript is read.

    Raises InvalidSetting, and UsageMonitorError if transcripts.db cannot be used.
    """
    if request.by not in get_args(By):
        raise InvalidSetting(f"`by` is {request.by!r}.", f"Use one of {', '.join(get_args(By))}.")
    if request.since and request.until and request.until <= request.since:
        raise InvalidSetting(
            "The period ends before it begins.",
            "Name a later end: a date such as 2026-11-21 is the beginning of that day.",
        )
    services = registry.services
    if not services.settings.transcripts:
        raise InvalidSetting(
            "Reading transcripts is turned off.", "Remove `transcripts = false` from config.toml."
        )
    require_subscription(listed.account)
    status = AccountStatus(listed.account, interval=services.settings.interval)
    status = registry.reader(listed).read(status)
    identity = status.identity or ""
    if request.window is not None:
        now = status.api_time(services.clock())
        check_window(request.window, window_keys(services.state, identity, status.usage, now))
    transcripts = Transcripts(services)
    roots = transcripts.roots()
    if not roots and not transcripts.was_announced:
        report = UseReport(listed.account.name, request.by, None, (), Tokens())
        return UseOfAccount(report, status, found=False)
    if not transcripts.was_announced:
        announce(transcripts.notice())
    store = transcripts.open()
    try:
        scan(store, roots, progress)
        now = status.api_time(services.clock())
        identities = transcripts.root_identities()
        use = AccountUse(services.state, store, identity, identities)
        if identity:
            use.store_ended_windows(now)
            windows = status.usage.at(now).windows if status.usage else ()
            use.store_shown(
                {w.key: w.utilization for w in windows if w.utilization is not None}, now
            )
        report = make_report(listed.account.name, use, status.usage, request, now)
    except sqlite3.Error as error:
        raise UsageMonitorError(
            f"{transcripts.path} cannot be used: {reason_for(error)}.",
            "`claude-usage-monitor doctor` checks the files.",
        ) from error
    finally:
        store.close()
    return UseOfAccount(report, status, found=bool(roots))
