from __future__ import annotations

from dataclasses import replace

import pytest

from claude_usage_monitor import errors
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem
from tests.support.spends import LIMITED, ORGANIZATION, REFUSED
from tests.support.statuses import NORMAL, RATE_LIMITED

BLIND = AccountStatus(Account("claude-code"))


def kinds(base: type[errors.UsageMonitorError]) -> list[type[errors.UsageMonitorError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


def test_every_error_has_the_code_of_its_branch() -> None:
    for base, expected in (
        (errors.CredentialError, ExitCode.LOGIN_NEEDED),
        (errors.ServiceError, ExitCode.NO_FIGURES),
    ):
        leaves = [kind for kind in kinds(base) if kind is not base]
        assert {expected} == {exit_code_for(kind.code) for kind in leaves}
    assert exit_code_for(errors.UnknownAccount.code) == ExitCode.USAGE
    assert exit_code_for("error") == ExitCode.FAILED


def test_without_figures_no_error_is_a_success() -> None:
    codes = [kind.code for kind in kinds(errors.UsageMonitorError)]
    assert [] == [code for code in codes if exit_code_of([blind(code)]) == ExitCode.OK]
    assert ExitCode.FAILED == exit_code_of([BLIND])


def blind(code: str) -> AccountStatus:
    return replace(BLIND, problem=Problem(code, "", ""))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((NORMAL,), 0),
        ((RATE_LIMITED,), 0),
        ((ORGANIZATION, LIMITED, REFUSED), 0),
        ((blind("rate_limited"),), 4),
        ((blind("rate_limited"), blind("credentials_expired"), NORMAL), 3),
        ((blind("error"), blind("unreachable")), 4),
        ((blind("error"), NORMAL), 1),
        ((blind("unknown_account"),), 2),
        ((blind("unknown_account"), NORMAL), 2),
        ((blind("error"), blind("unknown_account")), 2),
        ((blind("unreachable"), blind("unknown_account")), 4),
        ((), 0),
    ],
)
def test_the_worst_of_all_counts_and_figures_are_a_success(
    statuses: tuple[AccountStatus, ...], expected: int
) -> None:
    assert expected == exit_code_of(statuses)
