"""The status line's use-case: keep the figures that came in, return the newest there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.credentials import CredentialFinder
from claude_usage_monitor.sources.statusline_input import parse_statusline_input
from claude_usage_monitor.store.identities import fingerprint_of, is_stand_in
from claude_usage_monitor.store.paths import state_path
from claude_usage_monitor.store.state import State
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from claude_usage_monitor.usage.status import Problem

CLAUDE_CODE = Account("claude-code")
_PATIENCE = 0.25  # seconds that a prompt can wait for another process's write
_QUICKLY_PARSED = 2 << 20  # bytes of ~/.claude.json that a prompt can wait for


class _Whose(NamedTuple):
    account: str | None
    problem: Problem | None = None


def status_after(content: bytes, environ: Mapping[str, str], now: datetime) -> AccountStatus:
    """Keep what an input holds and return the newest status that is stored.

    No network and no keychain: whose figures they are is told by the credentials file, else by
    who was last seen logged in.
    """
    state = State(state_path(environ), _PATIENCE)
    found = parse_statusline_input(content, now)
    whose = _whose(state, environ, now)
    usage = found.usage
    if whose.account is not None:
        seen = state.logged_in(CLAUDE_CODE.name)
        since = seen[1] if seen is not None and seen[0] == whose.account else None
        began_before = since is not None and (found.session_began or now) < since
        if usage is not None and not began_before:
            state.record(whose.account, usage, "by figure", complete=False)
        usage = state.newest(whose.account, now)
    return AccountStatus(CLAUDE_CODE, usage, problem=whose.problem, notice=state.notice)


def _whose(state: State, environ: Mapping[str, str], now: datetime) -> _Whose:
    try:
        credential = CredentialFinder(environ, "any but darwin").find(now)
    except UsageMonitorError:
        seen = state.logged_in(CLAUDE_CODE.name)
        return _Whose(seen[0] if seen else None)
    fingerprint = fingerprint_of(credential.token)
    account = state.account_of(fingerprint)
    if is_stand_in(account):
        account = _from_claude_json(environ) or account
    gate = state.gate_of(fingerprint)
    blocked = gate is not None and gate.next_at > now
    return _Whose(account, gate.problem if gate and blocked else None)


def _from_claude_json(environ: Mapping[str, str]) -> str | None:
    # Needed only until the token's account is known.
    from claude_usage_monitor.sources import claude_json

    try:
        path = claude_json.global_config_path(environ)
        if path.stat().st_size > _QUICKLY_PARSED:
            return None
    except (UsageMonitorError, OSError):
        return None
    profile = claude_json.read_claude_json(path).profile
    return profile.account_uuid if profile else None
