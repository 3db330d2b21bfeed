"""The command's exit codes, and the exit code for each problem."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing these dataclasses would make `--version` 50 % slower
    from claude_usage_monitor.usage.status import AccountStatus


class ExitCode(IntEnum):
    """The exit codes. After a signal, the exit code is SIGNAL plus the signal's number."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LOGIN_NEEDED = 3
    NO_FIGURES = 4
    NOT_ENOUGH = 75  # of `guard`: sysexits.h calls it EX_TEMPFAIL, "try again later"
    SIGNAL = 128
    HANGUP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_LOGIN_CODES = frozenset(
    (
        "no_credentials",
        "permission_denied",
        "credentials_expired",
        "unauthorized",
        "missing_scope",
        "forbidden",
        "login_failed",
        "secret_store_unavailable",
    )
)
_SERVICE_CODES = frozenset(("rate_limited", "unreachable", "server_error", "unexpected_response"))
_USAGE_CODES = frozenset(("unknown_account", "invalid_setting"))
_WORST_FIRST = (ExitCode.LOGIN_NEEDED, ExitCode.NO_FIGURES, ExitCode.USAGE, ExitCode.FAILED)


def exit_code_for(problem_code: str) -> ExitCode:
    """Return the exit code for an account that has this problem and no figures."""
    if problem_code in _LOGIN_CODES:
        return ExitCode.LOGIN_NEEDED
    if problem_code in _SERVICE_CODES:
        return ExitCode.NO_FIGURES
    return ExitCode.USAGE if problem_code in _USAGE_CODES else ExitCode.FAILED


def exit_code_of(statuses: Iterable[AccountStatus]) -> ExitCode:
    """Return the worst exit code of all accounts: 0 if all have figures, even stale ones."""
    codes = {
        exit_code_for(status.problem.code if status.problem else "")
        for status in statuses
        if not status.has_figures
    }
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)
