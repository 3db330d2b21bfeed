from __future__ import annotations

import pytest

from claude_usage_monitor import errors
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem
from tests.support.spends import LIMITED, ORGANIZATION, REFUSED
from tests.support.statuses import NORMAL, RATE_LIMITED

WITHOUT_FIGURES = AccountStatus(Account("claude-code"))


def subclasses_of(base: type[errors.UsageMonitorError]) -> list[type[errors.UsageMonitorError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in subclasses_of(child))]


def test_every_error_has_the_exit_code_of_its_base_class() -> None:
    for base, expected in (
        (errors.CredentialError, ExitCode.LOGIN_NEEDED),
        (errors.ServiceError, ExitCode.NO_FIGURES),
    ):
        leaves = [kind for kind in subclasses_of(base) if kind is not base]
        assert {expected} == {exit_code_for(kind.code) for kind in leaves}
    assert exit_code_for(errors.UnknownAccount.code) == ExitCode.USAGE
    assert exit_code_for("error") == ExitCode.FAILED


def test_no_error_without_figures_is_a_success() -> None:
    codes = [kind.code for kind in subclasses_of(errors.UsageMonitorError)]
    assert [] == [code for code in codes if exit_code_of([failed(code)]) == ExitCode.OK]
    assert ExitCode.FAILED == exit_code_of([WITHOUT_FIGURES])


def failed(code: str) -> AccountStatus:
    return WITHOUT_FIGURES._replace(problem=Problem(code, "", ""))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((NORMAL,), 0),
        ((RATE_LIMITED,), 0),
        ((ORGANIZATION, LIMITED, REFUSED), 0),
        ((failed("rate_limited"),), 4),
        ((failed("rate_limited"), failed("credentials_expired"), NORMAL), 3),
        ((failed("error"), failed("unreachable")), 4),
        ((failed("error"), NORMAL), 1),
        ((failed("unknown_account"),), 2),
        ((failed("unknown_account"), NORMAL), 2),
        ((failed("error"), failed("unknown_account")), 2),
        ((failed("unreachable"), failed("unknown_account")), 4),
        ((), 0),
    ],
)
def test_the_worst_account_decides_and_figures_are_a_success(
    statuses: tuple[AccountStatus, ...], expected: int
) -> None:
    assert expected == exit_code_of(statuses)
