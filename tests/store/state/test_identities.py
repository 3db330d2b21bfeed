from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.store.state import identities, reports
from claude_usage_monitor.store.state.readings import latest_usage, record_usage
from claude_usage_monitor.store.state.state_file import open_in_memory
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile
from tests.support.payloads import NOW, as_bytes, usage_body

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

ADA = "uuid-of-ada"
PRINT = identities.token_fingerprint(Secret("sk-ant-oat01-canary"))


@pytest.fixture
def connection() -> sqlite3.Connection:
    return open_in_memory().connection


def test_a_fingerprint_does_not_reveal_its_token() -> None:
    assert (16, False) == (len(PRINT), "canary" in PRINT)
    assert PRINT != identities.token_fingerprint(Secret("sk-ant-oat01-canarz"))


def test_a_token_has_a_provisional_identity_until_its_own_is_known(
    connection: sqlite3.Connection,
) -> None:
    provisional_identity = identities.identity_of(connection, PRINT)
    assert identities.is_provisional(provisional_identity)
    assert PRINT in provisional_identity


def test_figures_move_to_an_identity_that_becomes_known(connection: sqlite3.Connection) -> None:
    usage = usage_from(as_bytes(usage_body()), NOW)
    record_usage(connection, identities.identity_of(connection, PRINT), usage)
    identities.link_identity(connection, PRINT, ADA)
    found = latest_usage(connection, ADA, NOW)
    assert found is not None
    assert len(usage.windows) == len(found.windows)
    assert latest_usage(connection, f"token:{PRINT}", NOW) is None
    assert ADA == identities.identity_of(connection, PRINT)


def test_figures_of_the_real_identity_win_over_those_of_the_provisional_one(
    connection: sqlite3.Connection,
) -> None:
    for identity, percent in ((ADA, 10.0), (identities.identity_of(connection, PRINT), 90.0)):
        usage = usage_from(as_bytes(usage_body(five_hour=percent)), NOW)
        record_usage(connection, identity, usage)
    identities.link_identity(connection, PRINT, ADA)
    found = latest_usage(connection, ADA, NOW)
    assert found is not None
    assert found.five_hour is not None
    assert 10.0 == found.five_hour.utilization


def test_a_profile_is_stored_with_its_token(connection: sqlite3.Connection) -> None:
    assert identities.profile_of(connection, PRINT) is None
    profile = Profile("Ada", "ada@example.com", None, "Max 5x", None, ADA)
    identities.store_profile(connection, PRINT, profile)
    assert profile == identities.profile_of(connection, PRINT)
    identities.link_identity(connection, PRINT, ADA)
    assert profile == identities.profile_of(connection, PRINT)


def test_a_login_has_a_start_only_after_a_change(connection: sqlite3.Connection) -> None:
    """The login that is observed first may be years old."""
    assert identities.last_login(connection, "claude-code") is None
    assert identities.record_login(connection, "claude-code", ADA, NOW) is None
    later = NOW + timedelta(hours=1)
    assert later == identities.record_login(connection, "claude-code", "uuid-of-bob", later)
    assert later == identities.record_login(connection, "claude-code", "uuid-of-bob", NOW)
    assert ("uuid-of-bob", later) == identities.last_login(connection, "claude-code")


def test_a_switch_of_the_account_is_dated_by_the_process_that_saw_it_first(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "claude-code"
    reads: list[object] = []
    identities.record_login(connection, program, ADA, NOW)

    def read_before_another_process_stores(
        connection: sqlite3.Connection, program: str
    ) -> tuple[str, datetime | None] | None:
        login = last_login(connection, program)
        reads.append(login)
        if len(reads) == 1:
            identities.record_login(connection, program, "uuid-of-bob", NOW)
        return login

    last_login = identities.last_login
    monkeypatch.setattr(identities, "last_login", read_before_another_process_stores)
    later = NOW + timedelta(seconds=1)
    assert NOW == identities.record_login(connection, program, "uuid-of-bob", later)
    assert ("uuid-of-bob", NOW) == last_login(connection, program)


def test_the_email_of_an_identity_is_that_of_its_newest_profile(
    connection: sqlite3.Connection,
) -> None:
    assert None is identities.email_of(connection, ADA)
    identities.store_profile(connection, PRINT, Profile(account_uuid=ADA))
    identities.link_identity(connection, PRINT, ADA)
    assert None is identities.email_of(connection, ADA)
    identities.store_profile(connection, PRINT, Profile(email="ada@example.com", account_uuid=ADA))
    assert "ada@example.com" == identities.email_of(connection, ADA)


def test_reports_move_to_an_organization_that_becomes_known(connection: sqlite3.Connection) -> None:
    provisional_identity = identities.identity_of(connection, PRINT)
    reports.record_report(
        connection, provisional_identity, NOW.date().replace(day=1), "users", {"a": "A"}, NOW
    )
    reports.record_report_failure(
        connection, provisional_identity, "users", reports.ReportFailure("forbidden", "no", NOW)
    )
    identities.link_identity(connection, PRINT, ADA)
    stored = reports.stored_reports(connection, ADA, NOW.date().replace(day=1))
    assert ({"users": {"a": "A"}}, {"users"}) == (stored.names, set(stored.failures))
