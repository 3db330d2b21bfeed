from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.store.state.reports import (
    USAGE_REPORT,
    ReportContent,
    ReportFailure,
    StoredReports,
    day_report,
    record_report,
    record_report_failure,
    stored_reports,
)
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.usage.money.spend import Costs, Tokens, UserSpend
from tests.support.payloads import NOW

if TYPE_CHECKING:
    import sqlite3

MONTH = date(2026, 11, 1)
DAY = date(2026, 11, 3)
USER = UserSpend(None, "ada@example.com", Decimal("1.2345678901"), 1, 2, 3, 4, 5, 6, 7, None, 9)
COSTS = Costs("USD", {MONTH: Decimal("0.1"), DAY: None}, {None: Decimal("0.1"), "wrkspc_1": None})


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def store(
    connection: sqlite3.Connection, part: str, content: ReportContent, read_at: datetime = NOW
) -> None:
    record_report(connection, "org", read_at.date().replace(day=1), part, content, read_at)


def test_reports_are_read_as_they_were_recorded(connection: sqlite3.Connection) -> None:
    store(connection, "workspace_id", COSTS)
    store(connection, "users", {"ada@example.com": "Ada"})
    store(connection, USAGE_REPORT, {None: Tokens(1, None, 3, 4), "apikey_1": Tokens(0, 0, 0, 0)})
    store(connection, day_report(DAY), (USER, USER._replace(amount=None)))
    at = NOW.replace(microsecond=0)
    assert StoredReports(
        read_at=dict.fromkeys(("workspace_id", "users", USAGE_REPORT, day_report(DAY)), at),
        names={"users": {"ada@example.com": "Ada"}},
        costs={"workspace_id": COSTS},
        tokens={None: Tokens(1, None, 3, 4), "apikey_1": Tokens(0, 0, 0, 0)},
        days={DAY: (USER, USER._replace(amount=None))},
        failures={},
    ) == stored_reports(connection, "org", MONTH)


@given(st.decimals(-(10**12), 10**12, allow_nan=False))
def test_no_amount_loses_a_digit(amount: Decimal) -> None:
    connection = open_in_memory().connection
    store(connection, "workspace_id", Costs("USD", {DAY: amount}, {}))
    assert str(amount) == str(
        stored_reports(connection, "org", MONTH).costs["workspace_id"].daily[DAY]
    )


@pytest.mark.parametrize(
    ("part", "empty"),
    [
        (USAGE_REPORT, {}),
        ("users", {}),
        (day_report(DAY), ()),
        ("description", Costs("USD", {}, {})),
    ],
)
def test_an_empty_report_is_stored_too(
    connection: sqlite3.Connection, part: str, empty: ReportContent
) -> None:
    """So that an empty report is not requested again."""
    store(connection, part, empty)
    assert part in stored_reports(connection, "org", MONTH).read_at


def test_an_older_report_never_replaces_a_newer_one(connection: sqlite3.Connection) -> None:
    """A process that was stopped meanwhile may store an old response."""
    store(connection, "users", {"a": "new"})
    store(connection, "users", {"a": "old"}, NOW - timedelta(seconds=1))
    assert {"users": {"a": "new"}} == stored_reports(connection, "org", MONTH).names


def test_organizations_and_months_do_not_share_reports(connection: sqlite3.Connection) -> None:
    store(connection, "workspace_id", COSTS)
    store(connection, "users", {"a": "A"})
    assert {} == stored_reports(connection, "another", MONTH).read_at
    following = stored_reports(connection, "org", date(2026, 12, 1))
    assert ({}, {"users": {"a": "A"}}) == (following.costs, following.names)


def test_past_months_are_deleted(connection: sqlite3.Connection) -> None:
    """A year of an organization takes no more space than its last month."""
    for month in range(1, 13):
        for day in range(1, 29):
            moment = datetime(2026, month, day, 12, tzinfo=UTC)
            store(connection, day_report(moment.date()), (USER,), moment)
            store(connection, "workspace_id", COSTS, moment)
    (count,) = connection.execute("SELECT count(*) FROM spend_part").fetchone()
    assert 29 == count


def test_lists_of_names_are_deleted_two_months_after_the_last_read(
    connection: sqlite3.Connection,
) -> None:
    store(connection, "users", {"a": "A"})
    store(connection, "workspaces", {}, NOW + timedelta(days=63))
    assert {"workspaces": {}} == stored_reports(connection, "org", MONTH).names


def test_a_failure_is_stored_until_the_call_succeeds(connection: sqlite3.Connection) -> None:
    failures = ReportFailure("forbidden", "This key may not call users (403).", NOW)
    record_report_failure(connection, "org", "users", failures)
    assert {"users": failures} == stored_reports(connection, "org", MONTH).failures
    record_report_failure(connection, "org", "users", None)
    assert {} == stored_reports(connection, "org", MONTH).failures
