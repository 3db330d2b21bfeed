from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta

import pytest

from claude_usage_monitor.store.state import service
from claude_usage_monitor.store.state.schema import migrate
from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus
from tests.support.payloads import NOW

INCIDENT = Incident("i", "Elevated errors", "major", "identified", NOW - timedelta(hours=1), None)
STATUS = ServiceStatus("major", "Bad", (Component("Claude Code", "x"),), (INCIDENT,), NOW)
NO_WAIT = timedelta()


@pytest.fixture
def state() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    yield connection
    connection.close()


def test_one_process_asks_every_five_minutes(state: sqlite3.Connection) -> None:
    assert service.claim_request(state, NOW)
    assert not service.claim_request(state, NOW)
    assert not service.claim_request(state, NOW + timedelta(seconds=299))
    assert service.claim_request(state, NOW + timedelta(minutes=5))


def test_an_answer_is_stored_and_confirmed(state: sqlite3.Connection) -> None:
    assert (None, None) == (service.stored_status(state), service.stored_etag(state))
    service.claim_request(state, NOW)
    assert service.stored_status(state) is None
    service.record_answer(state, STATUS, '"1"', NOW, NO_WAIT)
    assert (STATUS, '"1"') == (service.stored_status(state), service.stored_etag(state))
    later = NOW + timedelta(minutes=6)
    service.record_answer(state, None, '"1"', later, NO_WAIT)
    assert STATUS._replace(as_of=later) == service.stored_status(state)


def test_a_wait_that_the_page_asked_for_is_obeyed(state: sqlite3.Connection) -> None:
    service.claim_request(state, NOW)
    service.postpone_request(state, NOW, timedelta(hours=1))
    assert not service.claim_request(state, NOW + timedelta(minutes=59))
    assert service.claim_request(state, NOW + timedelta(hours=1))


def test_a_clock_that_was_ahead_stops_nobody(state: sqlite3.Connection) -> None:
    service.claim_request(state, NOW + timedelta(days=400))
    assert service.claim_request(state, NOW)
