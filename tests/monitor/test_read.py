from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from werkzeug import Response

from claude_usage_monitor import get_usage
from claude_usage_monitor.errors import (
    CredentialsExpired,
    InvalidSetting,
    MissingScope,
    NoCredentials,
    RateLimited,
    Unauthorized,
    UnexpectedResponse,
)
from claude_usage_monitor.monitor.read import CLAUDE_CODE, AccountReader, open_reader
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus
from tests.support.login import TOKEN, Store
from tests.support.payloads import as_bytes, payload, usage_body

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

FIRST = AccountStatus(CLAUDE_CODE)
EXPIRED_401 = payload("error_401_expired_2026")
REFUSED_401 = payload("error_401_invalid_credentials")
SCOPE_403 = payload("error_403_scope_user_profile")
LIMITED_429 = payload("error_429_usage")


def reader(settings: Settings | None = None) -> AccountReader:
    return open_reader(os.environ, settings or Settings(), utc_now)


def read(
    subject: AccountReader, previous: AccountStatus = FIRST, *, later: float = 0
) -> AccountStatus:
    return subject.read(utc_now() + timedelta(seconds=later), previous)


def code(status: AccountStatus) -> str | None:
    return status.problem.code if status.problem else None


# --- get_usage -------------------------------------------------------------------------------


def test_get_usage_gives_figures_with_one_request(api: Api, store: Store) -> None:
    store.login()
    usage = get_usage()
    assert usage.five_hour is not None
    assert (usage.five_hour.utilization, usage.source) == (78.0, "api")
    assert [f"Bearer {TOKEN}"] == [r.headers["Authorization"] for r in api.requests]


def test_get_usage_raises_what_keeps_figures_away(api: Api, store: Store) -> None:
    with pytest.raises(NoCredentials):
        get_usage()
    store.login(expires_in=-60)
    with pytest.raises(CredentialsExpired):
        get_usage()
    assert api.requests == []


def test_a_headers_worth_of_manners(api: Api, store: Store) -> None:
    store.login()
    get_usage()
    (request,) = api.usage_requests
    assert request.headers["anthropic-beta"] == "oauth-2025-04-20"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("claude-code/")


def test_the_user_agent_is_a_setting(
    api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('user_agent = "my-own/1.0"')
    store.login()
    get_usage()
    assert api.usage_requests[0].headers["User-Agent"] == "my-own/1.0"


def test_an_address_that_no_token_may_go_to_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://example.com")
    with pytest.raises(InvalidSetting):
        get_usage()


# --- a status ----------------------------------------------------------------------------------


def test_a_status_has_figures_profile_origin_and_next_read(api: Api, store: Store) -> None:
    store.login()
    status = read(reader())
    assert status.usage is not None
    assert status.profile is not None
    assert (status.profile.display_name, status.profile.plan) == ("User", "Enterprise")
    assert status.credential_origin == "Claude Code credentials file"
    assert status.next_read_at is not None
    left = (status.next_read_at - utc_now()).total_seconds()
    assert 290 < left <= 300
    assert (len(api.usage_requests), len(api.profile_requests)) == (1, 1)


def test_figures_are_published_before_the_profile_is_asked_for(api: Api, store: Store) -> None:
    store.login()
    published: list[tuple[AccountStatus, int]] = []
    reader().read(
        utc_now(), FIRST, lambda status: published.append((status, len(api.profile_requests)))
    )
    ((status, profiles_asked),) = published
    assert status.usage is not None
    assert profiles_asked == 0


@pytest.mark.parametrize("status", [500, 401, 403, 429, 200])
def test_a_profile_that_fails_costs_no_figures_and_is_not_asked_for_again(
    api: Api, store: Store, status: int
) -> None:
    """The stored login still tells the plan."""
    store.login()
    api.answer_profile(b"<html>", status)
    subject = reader()
    first = read(subject)
    second = read(subject, first, later=400)
    assert (code(first), code(second)) == (None, None)
    assert second.profile is not None
    assert (second.profile.plan, second.profile.email) == ("Max 5x", None)
    assert len(api.profile_requests) == 1


def test_another_token_gets_a_profile_of_its_own(api: Api, store: Store) -> None:
    store.login()
    subject = reader()
    status = read(subject)
    store.login("another")
    read(subject, status, later=400)
    assert len(api.profile_requests) == 2


# --- failures ----------------------------------------------------------------------------------


def test_a_problem_leaves_the_figures_and_their_age(api: Api, store: Store) -> None:
    store.login()
    subject = reader()
    good = read(subject)
    api.answer(payload("error_529_overloaded"), 529)
    bad = read(subject, good, later=400)
    assert code(bad) == "server_error"
    assert good.usage is bad.usage
    assert bad.stale(utc_now())
    api.answer(as_bytes(usage_body(utc_now())))
    assert code(read(subject, bad, later=800)) is None


def test_an_expired_token_is_never_sent_and_its_renewal_is_followed(api: Api, store: Store) -> None:
    store.login(expires_in=-720)
    subject = reader()
    status = read(subject)
    assert (
        code(status),
        status.next_read_at,
        len(api.requests),
    ) == ("credentials_expired", None, 0)
    store.login("renewed")
    assert code(read(subject, status)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [(EXPIRED_401, "credentials_expired"), (REFUSED_401, "unauthorized")],
)
def test_a_refused_token_is_not_sent_again_however_often_its_store_is_looked_at(
    api: Api, store: Store, body: bytes, expected: str
) -> None:
    store.login()
    api.answer(body, 401)
    subject = reader()
    status = FIRST
    for seconds in range(0, 600, 5):
        status = read(subject, status, later=seconds)
        assert expected == code(status)
    assert len(api.usage_requests) == 1
    read(subject, status, later=901)
    assert len(api.usage_requests) == 2


@pytest.mark.parametrize(
    ("body", "status"), [(EXPIRED_401, 401), (REFUSED_401, 401), (LIMITED_429, 429)]
)
def test_a_token_renewed_meanwhile_is_tried_once(
    api: Api, store: Store, body: bytes, status: int
) -> None:
    """A 401, or a 429, after which the store holds a new token was about the old one."""
    store.login("old")
    api.answer(as_bytes(usage_body(utc_now())), token="new")

    def refuse() -> Response:
        store.login("new")
        return Response(body, status)

    api.answer_with(refuse)
    assert code(read(reader())) is None
    assert len(api.usage_requests) == 2


def test_a_rate_limit_blocks_and_says_until_when(api: Api, store: Store) -> None:
    store.login()
    api.answer(LIMITED_429, 429, {"Retry-After": "500"})
    subject = reader()
    status = read(subject)
    assert (code(status), len(api.usage_requests)) == ("rate_limited", 1)
    assert status.problem is not None
    assert status.problem.retry_at is not None
    assert status.problem.retry_at == status.next_read_at
    assert 499 <= (status.problem.retry_at - utc_now()).total_seconds() <= 501
    assert not subject.allow_request(utc_now() + timedelta(seconds=490))
    assert subject.allow_request(utc_now() + timedelta(seconds=510))


def off_by(span: timedelta) -> tuple[AccountReader, datetime]:
    """Return a reader on a computer whose clock is off, and what that clock shows."""
    return open_reader(os.environ, Settings(), lambda: utc_now() + span), utc_now() + span


def test_a_rate_limit_of_a_token_that_the_apis_clock_calls_expired_is_an_expiry(
    api: Api, store: Store
) -> None:
    """By a clock that is two hours behind, the token seems to have an hour left."""
    store.login(expires_in=-3600)
    api.answer(LIMITED_429, 429)
    subject, now = off_by(timedelta(hours=-2))
    assert code(subject.read(now, FIRST)) == "credentials_expired"


def test_a_clock_that_is_off_is_said_and_figures_follow_the_api(api: Api, store: Store) -> None:
    store.login(expires_in=2 * 86400)
    subject, now = off_by(timedelta(days=1))
    status = subject.read(now, FIRST)
    assert 86390 < status.clock_ahead.total_seconds() < 86410
    assert status.usage is not None
    assert not status.stale(now)
    assert status.usage.windows[0].state(status.true_time(now)) == "running"


# --- the environment's token -----------------------------------------------------------------


@pytest.fixture
def env_token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "setup-token")
    return "setup-token"


def test_an_environment_token_without_the_scope_gives_way_to_the_stored_login(
    api: Api, store: Store, env_token: str
) -> None:
    store.login()
    api.answer(SCOPE_403, 403, token=env_token)
    subject = reader()
    status = read(subject)
    assert code(status) is None
    assert status.credential_origin == "Claude Code credentials file"
    assert status.notice is not None
    assert "CLAUDE_CODE_OAUTH_TOKEN" in status.notice
    read(subject, status, later=400)
    assert len(api.usage_requests) == 3


def test_with_no_stored_login_the_missing_scope_is_the_problem(
    api: Api, store: Store, env_token: str
) -> None:
    api.answer(SCOPE_403, 403, token=env_token)
    assert code(read(reader())) == "missing_scope"
    store.login(expires_in=-5)
    assert code(read(reader())) == "missing_scope"


def test_a_stored_login_without_the_scope_has_nobody_to_give_way_to(api: Api, store: Store) -> None:
    store.login()
    api.answer(SCOPE_403, 403)
    assert code(read(reader())) == "missing_scope"
    assert len(api.usage_requests) == 1


# --- what the user may ask for ---------------------------------------------------------------


def test_r_reads_after_the_floor_and_not_before(api: Api, store: Store) -> None:
    store.login()
    subject = reader()
    read(subject)
    assert not subject.allow_request(utc_now() + timedelta(seconds=170))
    assert subject.allow_request(utc_now() + timedelta(seconds=181))


def test_r_sends_a_refused_token_again_after_the_floor_only(api: Api, store: Store) -> None:
    store.login()
    api.answer(REFUSED_401, 401)
    subject = reader()
    status = read(subject)
    assert subject.allow_request(utc_now() + timedelta(seconds=5))
    read(subject, status, later=5)
    assert len(api.usage_requests) == 1
    assert subject.allow_request(utc_now() + timedelta(seconds=200))
    read(subject, status, later=200)
    assert len(api.usage_requests) == 2


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"<html>", 200, UnexpectedResponse),
        (LIMITED_429, 429, RateLimited),
        (REFUSED_401, 401, Unauthorized),
        (SCOPE_403, 403, MissingScope),
    ],
)
def test_the_library_raises_the_error_of_the_reply(
    api: Api, store: Store, body: bytes, status: int, error: type[Exception]
) -> None:
    store.login()
    api.answer(body, status)
    with pytest.raises(error) as caught:
        get_usage()
    assert TOKEN not in str(caught.value)
