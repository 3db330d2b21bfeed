"""What the command's exit codes mean."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from claude_usage_monitor.usage.status import AccountStatus


class ExitCode(IntEnum):
    """The exit codes of INTERFACE; a process that a signal ended adds its number to SIGNAL."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LOGIN_NEEDED = 3
    NO_FIGURES = 4
    SIGNAL = 128
    INTERRUPTED = 130


_LOGIN_CODES = frozenset(
    (
        "no_credentials",
        "credentials_expired",
        "unauthorized",
        "missing_scope",
        "forbidden",
        "login_failed",
        "secret_store_unavailable",
    )
)
_SERVICE_CODES = frozenset(("rate_limited", "unreachable", "server_error", "unexpected_response"))
_WORST_FIRST = (ExitCode.LOGIN_NEEDED, ExitCode.NO_FIGURES, ExitCode.USAGE, ExitCode.FAILED)


def exit_code_for(problem_code: str) -> ExitCode:
    """Return the exit code of a problem that left no figures."""
    if problem_code in _LOGIN_CODES:
        return ExitCode.LOGIN_NEEDED
    if problem_code in _SERVICE_CODES:
        return ExitCode.NO_FIGURES
    wrong_usage = problem_code in ("unknown_account", "invalid_setting")
    return ExitCode.USAGE if wrong_usage else ExitCode.FAILED


def exit_code_of(statuses: Iterable[AccountStatus]) -> ExitCode:
    """Return the worst code of all accounts: 0 when each has figures, also stale ones."""
    codes = {
        exit_code_for(status.problem.code if status.problem else "")
        for status in statuses
        if not status.has_figures
    }
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)
