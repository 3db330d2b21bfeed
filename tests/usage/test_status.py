from __future__ import annotations

from datetime import timedelta
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import CredentialsExpired
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, name_key
from claude_usage_monitor.usage.throttling import Throttling
from tests.support.payloads import NOW
from tests.support.spends import ORGANIZATION

STATUS = AccountStatus(Account("claude-code"), Usage((), "api", NOW))


@pytest.mark.parametrize(
    ("interval", "age", "expected"),
    [(300, 900, False), (300, 901, True), (5, 900, False), (600, 1800, False), (600, 1801, True)],
)
def test_figures_are_stale_after_three_intervals(interval: int, age: int, expected: bool) -> None:
    status = STATUS._replace(interval=timedelta(seconds=interval))
    assert expected is status.stale(NOW + timedelta(seconds=age))


def test_figures_with_a_problem_are_stale() -> None:
    assert STATUS._replace(problem=Problem("unreachable", "", "")).stale(NOW)


def test_a_status_without_figures_is_not_stale_and_has_no_age() -> None:
    blind = STATUS._replace(usage=None, problem=Problem("unreachable", "", ""))
    assert (blind.stale(NOW), blind.age(NOW)) == (False, None)


def test_ages_use_the_clock_of_the_api() -> None:
    """A computer with a clock a day ahead does not show figures a day old."""
    ahead = STATUS._replace(clock_skew=timedelta(days=1))
    assert timedelta(seconds=7) == ahead.age(NOW + timedelta(days=1, seconds=7))
    assert timedelta() == STATUS.age(NOW - timedelta(hours=1))


def test_a_problem_has_the_times_of_its_error() -> None:
    error = CredentialsExpired(expired_at=NOW)
    problem = Problem.from_error(error, NOW + timedelta(1))
    assert ("credentials_expired", error.message, error.hint, NOW + timedelta(1), NOW) == (
        problem.code,
        problem.message,
        problem.hint,
        problem.retry_at,
        problem.since,
    )


def test_spend_is_figures_too() -> None:
    assert (True, NOW) == (STATUS.has_figures, STATUS.as_of)
    assert (True, ORGANIZATION.spend and ORGANIZATION.spend.as_of) == (
        ORGANIZATION.has_figures,
        ORGANIZATION.as_of,
    )
    assert timedelta(minutes=2) == ORGANIZATION.age(NOW)
    blind = ORGANIZATION._replace(spend=None)
    assert (False, None, None) == (blind.has_figures, blind.as_of, blind.age(NOW))


def throttled(backoff_minutes: float | None) -> Throttling:
    until = None if backoff_minutes is None else NOW + timedelta(minutes=backoff_minutes)
    return Throttling(enabled=True, backoff_until=until)


@pytest.mark.parametrize(
    ("backoff", "next_read", "expected"),
    [(5, 6, 5), (5, 5, 5), (5, 4, None), (-1, 6, None), (None, 6, None), (5, None, None)],
)
def test_a_back_off_of_pace_maker_pauses_reads_that_are_due_after_it(
    backoff: float | None, next_read: float | None, expected: float | None
) -> None:
    status = STATUS._replace(
        throttling=throttled(backoff),
        next_read_at=None if next_read is None else NOW + timedelta(minutes=next_read),
    )
    assert (None if expected is None else NOW + timedelta(minutes=expected)) == (
        status.paused_until(NOW)
    )
    assert status._replace(throttling=None).paused_until(NOW) is None


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("É", "e\u0301"), ("ΟΔΟΣ", "οδος"), ("ﬁ", "FI")]
)
def test_names_that_differ_in_case_alone_have_the_same_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@given(st.text())
def test_a_key_is_its_own_key_and_does_not_depend_on_composition(name: str) -> None:
    assert name_key(name) == name_key(name_key(name))
    assert name_key(name) == name_key(normalize("NFD", name))
