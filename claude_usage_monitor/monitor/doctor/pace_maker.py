"""What ``doctor`` says of Claude Pace Maker: found, doing what, and whose its figures are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.monitor.subscription.claude_code import ClaudeCodeLogin
from claude_usage_monitor.monitor.subscription.pace_maker import PaceMakerMonitor
from claude_usage_monitor.usage.durations import ClockStyle, age, clock_time, countdown
from claude_usage_monitor.usage.findings import Finding

if TYPE_CHECKING:
    from claude_usage_monitor.store.state.state_store import StateStore
    from claude_usage_monitor.usage.throttling import Throttling

_AREA = "Pace Maker"


def pace_maker(
    environ: Mapping[str, str], state: StateStore, now: datetime, style: ClockStyle
) -> Iterator[Finding]:
    """Yield what is known of Claude Pace Maker. Nothing in its folder is made or changed."""
    beside = PaceMakerMonitor(environ, state)
    seen, folder = beside.seen(now), beside.folder
    if seen is None or folder is None:
        yield Finding(_AREA, "Claude Pace Maker", "ok", "not there (it need not be)")
        return
    from claude_usage_monitor.sources.pace_maker.folder import installed_as

    yield Finding(_AREA, "Claude Pace Maker", "ok", f"{folder}: {installed_as(folder)}")
    yield Finding(_AREA, "throttling", "ok", _doing(seen.throttling, now))
    snapshot = ClaudeCodeLogin(CredentialFinder(environ), state, environ).snapshot(now)
    reason = beside.not_taken(snapshot, seen, now)
    read = "" if seen.polled_at is None else f", read {_ago(now, seen.polled_at)}"
    if reason is None:
        yield Finding(_AREA, "its figures", "ok", f"used{read}: they save a request")
    else:
        yield Finding(_AREA, "its figures", "note", f"not used: {reason}")
    if snapshot.pace_maker_problem is not None and snapshot.pace_maker_problem.retry_at is not None:
        end = snapshot.pace_maker_problem.retry_at
        until, left = clock_time(end, now, style), countdown(end - now)
        detail = f"until {until} ({left}): nothing is asked before"
        yield Finding(_AREA, "API back-off", "note", detail)
    for gap in seen.throttling.gaps:
        yield Finding(_AREA, "incomplete", "note", gap)


def _doing(throttling: Throttling, now: datetime) -> str:
    if throttling.enabled is False:
        return "switched off"
    if throttling.decided_at is None:
        return "no decision is known"
    delay = (
        "" if throttling.delay_seconds is None else f", {throttling.delay_seconds:g}s a tool use"
    )
    words = {True: f"throttling{delay}", False: "on pace", None: "at rest"}
    mode = " (fallback)" if throttling.mode == "fallback" else ""
    told = words[throttling.throttling(now)]
    return f"{told}{mode}, decided {_ago(now, throttling.decided_at)}"


def _ago(now: datetime, then: datetime) -> str:
    words = age(now - then)
    return words if words == "now" else f"{words} ago"
