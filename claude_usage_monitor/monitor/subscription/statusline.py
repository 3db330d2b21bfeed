"""Claude Code's status line: store the figures in its input, return the newest stored ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.sources.claude_code.statusline_input import parse_statusline_input
from claude_usage_monitor.store.paths import fallback_path, state_path
from claude_usage_monitor.store.state.identities import is_provisional
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus, Problem

LOCK_TIMEOUT = 0.25  # seconds that a prompt can wait for another process's write
_MAX_CONFIG_BYTES = 2 << 20  # of ~/.claude.json: parsing more would delay the prompt


class LoginState(NamedTuple):
    """The identity of Claude Code's login, and the back-off of its token."""

    identity: str | None
    problem: Problem | None = None
    clock_skew: timedelta = timedelta()


def status_after_input(content: bytes, environ: Mapping[str, str], now: datetime) -> AccountStatus:
    """Store the figures in an input of the status line and return the newest stored status.

    Sends no request and reads no keychain. The figures are stored for the identity of the
    credentials file, else of ``~/.claude.json``, else of the last known login.
    """
    state = StateStore(state_path(environ), LOCK_TIMEOUT, fallback_path(environ))
    login = login_state(state, environ, now)
    api_time = now - login.clock_skew
    line_input = parse_statusline_input(content, api_time)
    usage = line_input.usage
    if login.identity is not None:
        logged_in_since = None
        if not is_provisional(login.identity):
            logged_in_since = state.record_login(CLAUDE_CODE.name, login.identity, api_time)
        session_began = line_input.session_began or api_time
        of_this_login = logged_in_since is None or session_began >= logged_in_since
        if usage is not None and of_this_login:
            state.record_usage(login.identity, usage)
        usage = state.latest_usage(login.identity, api_time)
    return AccountStatus(
        CLAUDE_CODE,
        usage,
        problem=login.problem,
        notice=state.notice,
        clock_skew=login.clock_skew,
    )


def login_state(state: StateStore, environ: Mapping[str, str], now: datetime) -> LoginState:
    """Return the identity of Claude Code's login, without a request and without the keychain."""
    try:
        credential = CredentialFinder(environ, use_keychain=False).find(now)
    except UsageMonitorError:
        last_login = state.last_login(CLAUDE_CODE.name)
        return LoginState(_configured_identity(environ) or (last_login and last_login[0]))
    identity = state.identity_of(credential.fingerprint)
    if is_provisional(identity) and state.latest_usage(identity, now) is None:
        identity = _configured_identity(environ) or identity
    backoff = state.backoff_of(credential.fingerprint)
    if backoff is None:
        return LoginState(identity)
    problem = backoff.problem if backoff.next_request_at > now else None
    return LoginState(identity, problem, backoff.clock_skew)


def _configured_identity(environ: Mapping[str, str]) -> str | None:
    """Return the identity in ``~/.claude.json``, if the file is small enough for a prompt."""
    # Takes 3 ms; only needed until the token's identity is known.
    from claude_usage_monitor.sources.claude_code import global_config

    try:
        path = global_config.global_config_path(environ)
    except (UsageMonitorError, OSError):
        return None
    profile = global_config.read_claude_json(path, _MAX_CONFIG_BYTES).profile
    return profile.identity if profile else None
