"""The status line's use-case: keep the figures that came in, return the newest there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.sources.claude_code.statusline_input import parse_statusline_input
from claude_usage_monitor.store.paths import fallback_path, state_path
from claude_usage_monitor.store.state.identities import is_provisional, token_fingerprint
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus, Problem

_PATIENCE = 0.25  # seconds that a prompt can wait for another process's write
_QUICKLY_PARSED = 2 << 20  # bytes of ~/.claude.json that a prompt can wait for


class _Whose(NamedTuple):
    account: str | None
    problem: Problem | None = None
    clock_skew: timedelta = timedelta()


def status_after(content: bytes, environ: Mapping[str, str], now: datetime) -> AccountStatus:
    """Keep what an input holds and return the newest status that is stored.

    No network and no keychain: whose figures they are is told by the credentials file, else by
    ``~/.claude.json`` or by who was last seen logged in.
    """
    state = StateStore(state_path(environ), _PATIENCE, fallback_path(environ))
    whose = _whose(state, environ, now)
    true_now = now - whose.clock_skew
    found = parse_statusline_input(content, true_now)
    usage = found.usage
    if whose.account is not None:
        since = None
        if not is_provisional(whose.account):
            since = state.record_login(CLAUDE_CODE.name, whose.account, true_now)
        began_before = since is not None and (found.session_began or true_now) < since
        if usage is not None and not began_before:
            state.record_usage(whose.account, usage)
        usage = state.latest_usage(whose.account, true_now)
    return AccountStatus(
        CLAUDE_CODE,
        usage,
        problem=whose.problem,
        notice=state.notice,
        clock_skew=whose.clock_skew,
    )


def _whose(state: StateStore, environ: Mapping[str, str], now: datetime) -> _Whose:
    try:
        credential = CredentialFinder(environ, use_keychain=False).find(now)
    except UsageMonitorError:
        seen = state.last_login(CLAUDE_CODE.name)
        return _Whose(_from_claude_json(environ) or (seen[0] if seen else None))
    fingerprint = token_fingerprint(credential.token)
    account = state.identity_of(fingerprint)
    if is_provisional(account) and state.latest_usage(account, now) is None:
        account = _from_claude_json(environ) or account
    backoff = state.backoff_of(fingerprint)
    if backoff is None:
        return _Whose(account)
    problem = backoff.problem if backoff.next_request_at > now else None
    return _Whose(account, problem, backoff.clock_skew)


def _from_claude_json(environ: Mapping[str, str]) -> str | None:
    # Needed only until the token's account is known.
    from claude_usage_monitor.sources.claude_code import global_config

    try:
        path = global_config.global_config_path(environ)
        if path.stat().st_size > _QUICKLY_PARSED:
            return None
    except (UsageMonitorError, OSError):
        return None
    profile = global_config.read_claude_json(path).profile
    return profile.identity if profile else None
