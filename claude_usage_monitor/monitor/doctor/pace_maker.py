"""Findings about Claude Pace Maker: its installation, activity and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.monitor.subscription.pace_maker import PaceMakerMonitor
from claude_usage_monitor.sources.pace_maker.folder import installed_as
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.durations import ClockStyle, ago, clock_time, countdown
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.throttling import Throttling

_AREA = "Pace Maker"


def pace_maker(
    environ: Mapping[str, str], state: StateStore, now: datetime, style: ClockStyle
) -> Iterator[Finding]:
    """Yield the findings about Claude Pace Maker. Its folder is not changed."""
    monitor = PaceMakerMonitor(environ, state)
    snapshot, folder = monitor.read(now), monitor.folder
    if snapshot is None or folder is None:
        yield Finding(_AREA, "Claude Pace Maker", "ok", "not installed")
        return
    yield Finding(_AREA, "Claude Pace Maker", "ok", f"{folder}: {installed_as(Path(folder))}")
    yield Finding(_AREA, "throttling", "ok", _activity(snapshot.throttling, now))
    login = ClaudeCodeLogin(CredentialFinder(environ), state, environ).snapshot(now)
    reason = monitor.why_unused(login, snapshot, now)
    if reason is None:
        read_at = "" if snapshot.polled_at is None else f", read {ago(now - snapshot.polled_at)}"
        yield Finding(_AREA, "its figures", "ok", f"used{read_at}")
    else:
        yield Finding(_AREA, "its figures", "note", f"not used: {reason}")
    problem = login.pace_maker_problem
    if problem is not None and problem.retry_at is not None:
        until, left = clock_time(problem.retry_at, now, style), countdown(problem.retry_at - now)
        detail = f"the next request is sent at {until} ({left})"
        yield Finding(_AREA, "API back-off", "note", detail)
    for gap in snapshot.throttling.gaps:
        yield Finding(_AREA, "incomplete", "note", str(gap))


def _activity(throttling: Throttling, now: datetime) -> str:
    if throttling.enabled is False:
        return "switched off"
    if throttling.decided_at is None:
        return "no decision is stored"
    delay = (
        "" if throttling.delay_seconds is None else f", {throttling.delay_seconds:g}s a tool use"
    )
    activities = {True: f"throttling{delay}", False: "not throttling", None: "at rest"}
    mode = " (fallback)" if throttling.mode == "fallback" else ""
    activity = activities[throttling.throttling(now)]
    return f"{activity}{mode}, decided {ago(now - throttling.decided_at)}"
