"""The command's exit codes, and the exit code for each problem."""

from __future__ import annotations

from collections.abc import Iterable

from claude_usage_monitor.errors import (
    CredentialError,
    InvalidSetting,
    ServiceError,
    UnknownAccount,
    class_of,
)
from claude_usage_monitor.light_typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing these dataclasses would make `--version` 50 % slower
    from claude_usage_monitor.usage.status import AccountStatus


class ExitCode:
    """The exit codes. After a signal, the exit code is SIGNAL plus the signal's number.

    They are plain integers: an IntEnum would take 0.3 ms at each start.
    """

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


_WORST_FIRST = (ExitCode.LOGIN_NEEDED, ExitCode.NO_FIGURES, ExitCode.USAGE, ExitCode.FAILED)


def exit_code_for(problem_code: str) -> int:
    """Return the exit code for an account that has this problem and no figures."""
    kind = class_of(problem_code)
    if issubclass(kind, CredentialError):
        return ExitCode.LOGIN_NEEDED
    if issubclass(kind, ServiceError):
        return ExitCode.NO_FIGURES
    if issubclass(kind, (UnknownAccount, InvalidSetting)):
        return ExitCode.USAGE
    return ExitCode.FAILED


def exit_code_of(statuses: Iterable[AccountStatus]) -> int:
    """Return the worst exit code of all accounts: 0 if all have figures, even stale ones."""
    codes = {
        exit_code_for(status.problem.code if status.problem else "")
        for status in statuses
        if not status.has_figures
    }
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)
