"""Claude Code's hook `StopFailure`: a limit was hit, and when. Its texts are not used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from claude_usage_monitor.monitor.subscription.statusline import LOCK_TIMEOUT, login_state
from claude_usage_monitor.sources.values import parse_json_object
from claude_usage_monitor.store.paths import fallback_path, state_path
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import limit_events

_EVENT = "StopFailure"


def record_hook(content: bytes, environ: Mapping[str, str], now: datetime) -> None:
    """Store a limit that was hit, for the account that Claude Code is logged in as.

    Other events and kinds of failure are ignored.
    """
    fields = parse_json_object(content)
    if fields is None or fields.get("hook_event_name") != _EVENT:
        return
    kind = fields.get("error")
    if kind != "rate_limit" and kind != "usage_limit":  # noqa: PLR1714 - narrows the type
        return
    state = StateStore(state_path(environ), LOCK_TIMEOUT, fallback_path(environ))
    login = login_state(state, environ, now)
    if login.identity is not None:
        at = now - login.clock_skew
        usage = state.latest_usage(login.identity, at)
        state.run(limit_events.record_event, login.identity, kind, usage, at)
