from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from claude_usage_monitor import errors
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem
from tests.support.payloads import NOW

STYLE = ClockStyle(UTC)
STATUS = AccountStatus(Account("claude-code"), Usage((), "api", NOW - timedelta(minutes=31)))


def with_problem(error: errors.UsageMonitorError, minutes: float | None = None) -> AccountStatus:
    retry_at = None if minutes is None else NOW + timedelta(minutes=minutes)
    return STATUS._replace(problem=Problem.from_error(error, retry_at))


def message(status: AccountStatus) -> str:
    assert status.problem is not None
    return problem_text.message(status.problem, NOW, STYLE)


def test_an_expired_login_says_how_long_ago() -> None:
    expired = errors.CredentialsExpired(expired_at=NOW - timedelta(minutes=12))
    assert message(with_problem(expired)) == "The login expired 12 minutes ago."


def test_a_rate_limit_says_when_the_next_request_is_and_how_old_the_figures_are() -> None:
    status = with_problem(errors.RateLimited(), 31)
    assert message(status) == (
        "The API refused and did not say how long. Next request 12:50 (31m)."
    )
    assert problem_text.hint(status, NOW, STYLE, live=True).startswith("Figures stay as of 11:48. ")


@pytest.mark.parametrize(
    "error", [errors.Unreachable(), errors.UnexpectedResponse(), errors.ServerError()]
)
def test_live_mode_retries_and_a_command_tells_the_user_to(
    error: errors.UsageMonitorError,
) -> None:
    status = with_problem(error, 0.5)
    assert problem_text.hint(status, NOW, STYLE, live=True).endswith("rying again in 30s.")
    assert problem_text.hint(status, NOW, STYLE, live=False).endswith("ry again in 30s.")


def test_every_code_has_a_summary_for_the_narrowest_pane() -> None:
    for kind in _all(errors.UsageMonitorError):
        problem = Problem.from_error(kind(), NOW + timedelta(minutes=59))
        assert len(problem_text.short(problem, NOW)) <= 20
        assert problem.message


def _all(kind: type[errors.UsageMonitorError]) -> list[type[errors.UsageMonitorError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all(child))]


def test_every_problem_has_its_own_text() -> None:
    """429, expired, wrong scope, offline: distinct words, each with what to do."""
    kinds = [k for k in _all(errors.UsageMonitorError) if "code" in vars(k)]
    assert len(kinds) == len({kind.code for kind in kinds})
    assert len(kinds) == len({kind().message for kind in kinds})


def test_without_a_problem_there_is_no_hint() -> None:
    assert problem_text.hint(STATUS, NOW, STYLE, live=True) == ""


@pytest.mark.parametrize("minutes", [None, -1, 0])
def test_a_rate_limit_without_a_time_to_come_names_none(minutes: float | None) -> None:
    status = with_problem(errors.RateLimited(), minutes)
    assert status.problem is not None
    assert message(status) == errors.RateLimited.default_message
    assert problem_text.short(status.problem, NOW) == "429: wait"


def test_a_summary_of_a_rate_limit_has_a_compact_countdown() -> None:
    limited, offline = (
        with_problem(kind(), 131).problem for kind in (errors.RateLimited, errors.Unreachable)
    )
    assert limited is not None
    assert offline is not None
    assert problem_text.short(limited, NOW) == "429: wait 2h11m"
    assert problem_text.short(offline, NOW) == "offline"


@pytest.mark.parametrize("seconds", [-5, 0, 0.4, 59])
def test_a_login_that_expires_now_has_no_age_of_zero_seconds(seconds: float) -> None:
    expired = errors.CredentialsExpired(expired_at=NOW - timedelta(seconds=seconds))
    assert message(with_problem(expired)) == "The login has just expired."


def test_an_expired_login_without_a_time_says_only_that() -> None:
    assert message(with_problem(errors.CredentialsExpired())) == "The login has expired."
    problem = Problem.from_error(errors.Unauthorized())._replace(since=NOW)
    assert message(STATUS._replace(problem=problem)) == "The API refuses this login."


@pytest.mark.parametrize("minutes", [None, -1, 0])
def test_without_a_retry_to_come_the_hint_stands_alone(minutes: float | None) -> None:
    status = with_problem(errors.Unreachable(), minutes)
    assert problem_text.hint(status, NOW, STYLE, live=True) == errors.Unreachable.default_hint


def test_a_server_error_has_no_hint_but_the_retry() -> None:
    status = with_problem(errors.ServerError(), 0.5)
    assert problem_text.hint(status, NOW, STYLE, live=True) == "Trying again in 30s."
    offline = with_problem(errors.Unreachable(), 0.5)
    expected = "Check the network or proxy; trying again in 30s."
    assert problem_text.hint(offline, NOW, STYLE, live=True) == expected
