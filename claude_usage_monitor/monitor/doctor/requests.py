"""Findings about the figures of Claude Code's account: stored ones, requests, other sources."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.errors import ServiceError, error_of
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.sources.claude_code.installation import statusline_command
from claude_usage_monitor.store.state.ledger import MAX_REQUESTS_PER_HOUR
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows.forecasts import interval_score
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle, ago, clock_time
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.status import AccountStatus, Problem

_AREA = "Figures"
_STATUS_LINE = "claude-usage-monitor statusline"
# Without blanks, because it must fit in 80 columns.
_STATUS_LINE_SETTING = f'{{"statusLine":{{"type":"command","command":"{_STATUS_LINE}"}}}}'


def blocking_problem(status: AccountStatus, now: datetime) -> Problem | None:
    """Return the problem that blocks the next request, if there is one.

    An expired login does not count: it is a finding about the login.
    """
    problem = status.problem
    if problem is None or problem.since is not None:
        return None
    return None if problem.retry_at is not None and problem.retry_at <= now else problem


def refuses_login(problem: Problem) -> bool:
    """Return whether a problem means that the login must be replaced."""
    return not isinstance(error_of(problem.code, "", ""), ServiceError)


def stored_figures(status: AccountStatus, now: datetime) -> Iterator[Finding]:
    """Yield the findings about the stored figures and the sources they come from."""
    usage = status.usage
    if usage is None:
        yield Finding(_AREA, "stored figures", "note", "none yet")
        return
    age = status.age(now) or timedelta()
    detail = f"{len(usage.windows)} windows, last complete reading {ago(age)}"
    yield Finding(_AREA, "stored figures", "ok", detail)
    newest: dict[str, datetime] = {}
    for window in usage.windows:
        newest[window.source] = max(window.as_of, newest.get(window.source, window.as_of))
    for source, as_of in sorted(newest.items()):
        yield Finding(_AREA, f"from {source}", "ok", f"newest {ago(now - as_of)}")


def request_budget(
    requests: int | None, status: AccountStatus, now: datetime, style: ClockStyle
) -> Finding:
    """Return the finding about the ``requests`` of the last hour; None means there is no login."""
    name = "request budget"
    if requests is None:
        return Finding(_AREA, name, "note", "no login to send a request with")
    detail = f"{requests} of {MAX_REQUESTS_PER_HOUR} requests in the last hour"
    problem = blocking_problem(status, now)
    if problem is not None:
        text = problem_text.message(problem, now, style)
        hint = problem_text.hint(status, now, style, live=False)
        return Finding(_AREA, name, "problem", f"{detail}; {text}", hint)
    if status.next_read_at is not None and status.next_read_at > now:
        detail += f"; next at {clock_time(status.next_read_at, now, style)}"
    return Finding(_AREA, name, "ok", detail)


def forecast_intervals(state: StateStore, now: datetime) -> Finding:
    """Return the finding about how often the forecasts were right."""
    held, total = state.run(interval_score, now)
    if not total:
        return Finding(_AREA, "forecast", "note", "no window with a forecast has ended yet")
    return Finding(_AREA, "forecast", "ok", f"80 % intervals held {held} of {total} times")


def status_line(environ: Mapping[str, str]) -> Finding:
    """Return the finding about Claude Code's status line, a source that needs no request."""
    name, command = "status line", statusline_command(environ)
    if command is None:
        hint = "It provides figures without a request. Add this to ~/.claude/settings.json:"
        detail = "not set up in Claude Code"
        return Finding(_AREA, name, "note", detail, hint, _STATUS_LINE_SETTING)
    if "claude-usage-monitor" not in command or "statusline" not in command:
        hint = f"To keep it and add ours: `{_STATUS_LINE} -- COMMAND`."
        return Finding(_AREA, name, "note", "another command is set up", hint)
    if shutil.which(command.split()[0], path=environ.get("PATH", os.defpath)) is None:
        detail = "set up, but its program is not on the PATH"
        return Finding(_AREA, name, "problem", detail, "Use the program's full path.")
    return Finding(_AREA, name, "ok", "set up")


def claude_json(environ: Mapping[str, str], now: datetime) -> Finding:
    """Return the finding about ``~/.claude.json``, in which Claude Code caches usage."""
    name, config = "~/.claude.json", GlobalConfig(environ).read()
    if config.profile is None or config.profile.account_uuid is None:
        return Finding(_AREA, name, "note", "does not say who is logged in")
    if config.usage is None:
        return Finding(_AREA, name, "ok", "has no figures")
    return Finding(_AREA, name, "ok", f"has figures, read {ago(now - config.usage.as_of)}")
