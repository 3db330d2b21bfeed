from __future__ import annotations

import json
import os
import time
from datetime import timedelta
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
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.anthropic import oauth_api
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.login import TOKEN, Store
from tests.support.payloads import as_bytes, payload, usage_body
from tests.support.permissions import unreadable

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
    from claude_usage_monitor.store.state.ledger import Backoff
    from tests.support.api import Api

FIRST = AccountStatus(CLAUDE_CODE)
EXPIRED_401 = payload("error_401_expired_2026")
REFUSED_401 = payload("error_401_invalid_credentials")
SCOPE_403 = payload("error_403_scope_user_profile")
LIMITED_429 = payload("error_429_usage")


class Clock:
    """This computer's clock, which a test can set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def later(self, seconds: float) -> None:
        """Set the clock to some seconds after the start of the test."""
        self.ahead = timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reader(clock: Clock | None = None, settings: Settings | None = None) -> SubscriptionReader:
    return claude_code_reader(Services(os.environ, settings or Settings(), clock or Clock()))


def code(status: AccountStatus) -> str | None:
    return status.problem.code if status.problem else None


def seconds_until(moment: datetime | None, clock: Clock) -> float:
    assert moment is not None
    return (moment - clock()).total_seconds()


# --- get_usage ------------------------------------------------------------------------------------


def test_get_usage_returns_figures_with_one_request(api: Api, store: Store) -> None:
    store.login()
    usage = get_usage()
    assert usage.five_hour is not None
    assert (78.0, "api") == (usage.five_hour.utilization, usage.source)
    assert [f"Bearer {TOKEN}"] == [r.headers["Authorization"] for r in api.usage_requests]


def test_get_usage_respects_the_budget(api: Api, store: Store) -> None:
    """A second call within the floor returns the stored reading."""
    store.login()
    first, second = get_usage(), get_usage()
    assert first.as_of == second.as_of
    assert 1 == len(api.usage_requests)


def test_get_usage_raises_why_there_are_no_figures(api: Api, store: Store) -> None:
    with pytest.raises(NoCredentials):
        get_usage()
    store.login(expires_in=-60)
    with pytest.raises(CredentialsExpired):
        get_usage()
    assert [] == api.requests


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"<html>", 200, UnexpectedResponse),
        (LIMITED_429, 429, RateLimited),
        (REFUSED_401, 401, Unauthorized),
        (SCOPE_403, 403, MissingScope),
    ],
)
def test_get_usage_raises_the_error_of_the_response_and_of_the_stored_one(
    api: Api, store: Store, body: bytes, status: int, error: type[Exception]
) -> None:
    store.login()
    api.answer(body, status)
    for _ in range(2):
        with pytest.raises(error) as caught:
            get_usage()
        assert TOKEN not in str(caught.value)
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize(
    ("expires_at", "words"),
    [
        (0, "The login expired more than a year ago."),
        (86_400_000, "The login expired more than a year ago."),
        (1_500_000_000_000, "The login expired more than a year ago."),
        ("2019-01-01T00:00:00Z", "The login expired more than a year ago."),
        (int(time.time()) - 7200, "The login expired 2 hours ago."),
        (int(time.time() * 1000) - 7_200_000, "The login expired 2 hours ago."),
    ],
    ids=["zero", "1970", "2017", "text", "in seconds", "in milliseconds"],
)
def test_an_expired_token_is_not_sent_whatever_the_unit_of_its_expiry(
    api: Api, store: Store, expires_at: object, words: str
) -> None:
    store.login(expiresAt=expires_at)
    status = reader().read(FIRST)
    assert "credentials_expired" == code(status)
    assert status.problem is not None
    assert words == problem_text.message(status.problem, utc_now(), ClockStyle())
    assert [] == api.requests


def test_get_usage_says_how_long_the_api_asked_to_wait_and_when_to_retry(
    api: Api, store: Store
) -> None:
    """On the first call and on later ones, which send no request."""
    store.login()
    api.answer(LIMITED_429, 429, {"Retry-After": "600"})
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            get_usage()
        assert timedelta(minutes=10) == caught.value.retry_after
        assert seconds_until(caught.value.retry_at, Clock()) == pytest.approx(25 * 60, abs=20)
        assert "The API asked to wait 10m." == caught.value.message
    assert 1 == len(api.usage_requests)


def test_get_usage_says_when_to_retry_if_the_api_did_not_say_how_long_to_wait(
    api: Api, store: Store
) -> None:
    store.login()
    api.answer(LIMITED_429, 429)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            get_usage()
        assert None is caught.value.retry_after
        assert seconds_until(caught.value.retry_at, Clock()) > 290
        assert "The API refused and did not say how long." == caught.value.message


@pytest.mark.parametrize(
    ("asked", "hours", "words"),
    [
        (7_200, 2, "The API asked to wait 2h 0m."),
        (86_400, 24, "The API asked to wait 1d 0h."),
        (259_200, 24, "The API asked to wait 3d 0h, which counts as 24h."),
    ],
)
def test_no_request_is_sent_earlier_than_the_api_asked(
    api: Api, store: Store, clock: Clock, asked: int, hours: int, words: str
) -> None:
    store.login(expires_in=100 * 3600)
    api.answer(LIMITED_429, 429, {"Retry-After": str(asked)})
    for at in (0.0, 76 / 60, hours - 0.01):
        clock.later(at * 3600)
        found = reader(clock).read(FIRST).problem
        assert found is not None
        assert words == found.message
    assert 1 == len(api.usage_requests)
    clock.later((hours + 0.3) * 3600)
    reader(clock).read(FIRST)
    assert 2 == len(api.usage_requests)


def test_the_request_has_the_headers_that_the_api_expects(api: Api, store: Store) -> None:
    store.login()
    get_usage()
    (request,) = api.usage_requests
    assert "oauth-2025-04-20" == request.headers["anthropic-beta"]
    assert "application/json" == request.headers["Accept"]
    assert request.headers["User-Agent"].startswith("claude-code/")


def test_saved_resets_are_requested_only_if_the_user_asks_for_them(
    api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the one flag that Claude Code sends, and without `skip_spend`, which empties money."""
    store.login()
    get_usage()
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text("saved_resets = true")
    found = get_usage()
    assert [b"", b"cedar_ember=1"] == [request.query_string for request in api.usage_requests]
    assert None is found.saved_resets  # the API did not answer: unknown
    assert found.extra_usage is not None


def test_the_user_agent_is_a_setting(
    api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('user_agent = "my-own/1.0"')
    store.login()
    get_usage()
    assert "my-own/1.0" == api.usage_requests[0].headers["User-Agent"]


def test_an_unsafe_api_url_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.login()
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://example.com")
    with pytest.raises(InvalidSetting):
        get_usage()


# --- a status -------------------------------------------------------------------------------------


def test_a_status_has_figures_profile_origin_and_next_read(
    api: Api, store: Store, clock: Clock
) -> None:
    store.login()
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert status.profile is not None
    assert ("User", "Enterprise") == (status.profile.display_name, status.profile.plan)
    assert "Claude Code credentials file" == status.credential_origin
    assert 295 < seconds_until(status.next_read_at, clock) <= 300
    assert (1, 1) == (len(api.usage_requests), len(api.profile_requests))


def test_publishes_stored_figures_first_and_new_ones_before_profile_and_forecasts(
    api: Api, store: Store
) -> None:
    store.login()
    published: list[tuple[bool, int, int]] = []

    def publish(status: AccountStatus) -> None:
        requests = len(api.usage_requests), len(api.profile_requests)
        published.append((status.usage is not None, *requests))

    reader().read(FIRST, publish)
    assert [(False, 0, 0), (True, 1, 0), (True, 1, 1)] == published


@pytest.mark.parametrize("status", [500, 401, 403, 429, 200])
def test_a_failed_profile_hides_no_figures_and_is_not_requested_again(
    api: Api, store: Store, clock: Clock, status: int
) -> None:
    """The plan comes from the stored login then."""
    store.login()
    api.answer_profile(b"<html>", status)
    first = reader(clock).read(FIRST)
    clock.later(400)
    second = reader(clock).read(FIRST)
    assert (None, None) == (code(first), code(second))
    assert second.profile is not None
    assert ("Max 5x", None) == (second.profile.plan, second.profile.email)
    assert (2, 1) == (len(api.usage_requests), len(api.profile_requests))


def test_each_token_gets_its_own_profile(api: Api, store: Store) -> None:
    store.login()
    reader().read(FIRST)
    store.login("another")
    reader().read(FIRST)
    assert (2, 2) == (len(api.usage_requests), len(api.profile_requests))


def test_the_next_start_shows_stored_figures_without_a_request(api: Api, store: Store) -> None:
    store.login()
    first = reader().read(FIRST)
    second = reader().read(FIRST)
    assert first.usage == second.usage
    assert first.profile == second.profile
    assert 1 == len(api.usage_requests)


def test_a_refresh_by_the_user_is_read_as_soon_as_the_budget_allows(
    api: Api, store: Store, clock: Clock
) -> None:
    store.login()
    subject = reader(clock)
    first = subject.read(FIRST)
    assert seconds_until(first.next_read_at, clock) > 290
    subject.request_refresh()
    assert seconds_until(subject.read(first).next_read_at, clock) > 290
    clock.later(60)
    subject.request_refresh()
    waiting = subject.read(first)
    assert 110 < seconds_until(waiting.next_read_at, clock) <= 120
    clock.later(181)
    again = subject.read(waiting)
    assert 2 == len(api.usage_requests)
    assert seconds_until(again.next_read_at, clock) > 290


# --- failures -------------------------------------------------------------------------------------


def test_figures_stay_and_grow_old_during_a_problem(api: Api, store: Store, clock: Clock) -> None:
    store.login()
    good = reader(clock).read(FIRST)
    assert good.usage is not None
    api.answer(payload("error_529_overloaded"), 529)
    clock.later(400)
    bad = reader(clock).read(FIRST)
    assert bad.usage is not None
    assert ("server_error", good.usage.as_of) == (code(bad), bad.usage.as_of)
    assert bad.stale(clock())
    assert 29 < seconds_until(bad.next_read_at, clock) <= 30
    api.answer(as_bytes(usage_body(utc_now())))
    clock.later(800)
    assert code(reader(clock).read(FIRST)) is None


def test_errors_back_off_across_processes(api: Api, store: Store, clock: Clock) -> None:
    store.login()
    api.answer(b"", 503)
    waits = []
    for _ in range(4):
        status = reader(clock).read(FIRST)
        waits.append(round(seconds_until(status.next_read_at, clock)))
        clock.ahead += timedelta(seconds=waits[-1] + 1)
    assert [30, 60, 120, 240] == waits
    assert 4 == len(api.usage_requests)


def test_an_expired_token_is_never_sent_and_the_next_one_is_used(api: Api, store: Store) -> None:
    store.login(expires_in=-720)
    subject = reader()
    status = subject.read(FIRST)
    assert ("credentials_expired", None) == (code(status), status.next_read_at)
    assert [] == api.requests
    store.login("renewed")
    assert code(subject.read(status)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [(EXPIRED_401, "credentials_expired"), (REFUSED_401, "unauthorized")],
)
def test_a_refused_token_is_not_sent_again_for_fifteen_minutes(
    api: Api, store: Store, clock: Clock, body: bytes, expected: str
) -> None:
    store.login(expires_in=7200)
    api.answer(body, 401)
    status = FIRST
    for seconds in range(0, 600, 20):
        clock.later(seconds)
        status = reader(clock).read(status)
        assert expected == code(status)
    assert 1 == len(api.usage_requests)
    clock.later(901)
    reader(clock).read(status)
    assert 2 == len(api.usage_requests)


def test_another_login_may_be_sent_right_after_a_refusal(api: Api, store: Store) -> None:
    store.login()
    api.answer(REFUSED_401, 401, token=TOKEN)
    assert "unauthorized" == code(reader().read(FIRST))
    store.login("another")
    assert code(reader().read(FIRST)) is None


@pytest.mark.parametrize(
    ("body", "status"), [(EXPIRED_401, 401), (REFUSED_401, 401), (LIMITED_429, 429)]
)
def test_a_token_that_was_refreshed_meanwhile_is_tried_once(
    api: Api, store: Store, body: bytes, status: int
) -> None:
    """A 401 or a 429 is about the old token if the store has a new one now."""
    store.login("old")
    api.answer(as_bytes(usage_body(utc_now())), token="new")

    def refuse() -> Response:
        store.login("new")
        return Response(body, status)

    api.answer_with(refuse)
    assert code(reader().read(FIRST)) is None
    assert 2 == len(api.usage_requests)


def test_every_process_waits_out_a_rate_limit(api: Api, store: Store, clock: Clock) -> None:
    store.login()
    api.answer(LIMITED_429, 429, {"Retry-After": "500"})
    status = reader(clock).read(FIRST)
    assert status.problem is not None
    assert ("rate_limited", status.next_read_at) == (code(status), status.problem.retry_at)
    assert 499 <= seconds_until(status.next_read_at, clock) <= 501
    for seconds in (1, 100, 490):
        clock.later(seconds)
        assert "rate_limited" == code(reader(clock).read(FIRST))
    assert 1 == len(api.usage_requests)
    clock.later(510)
    again = reader(clock).read(FIRST)
    assert 2 == len(api.usage_requests)
    assert 590 < seconds_until(again.next_read_at, clock) < 610


def test_a_new_login_has_no_back_off(api: Api, store: Store) -> None:
    store.login()
    api.answer(LIMITED_429, 429, token=TOKEN)
    assert "rate_limited" == code(reader().read(FIRST))
    store.login("another")
    assert code(reader().read(FIRST)) is None


def off_by(span: timedelta) -> Clock:
    """Return a clock that is wrong."""
    clock = Clock()
    clock.ahead = span
    return clock


def test_a_rate_limit_is_an_expiry_if_the_token_has_expired_by_the_apis_clock(
    api: Api, store: Store
) -> None:
    """By a clock two hours behind, the token seems to be valid for another hour."""
    store.login(expires_in=-3600)
    api.answer(LIMITED_429, 429)
    assert "credentials_expired" == code(reader(off_by(timedelta(hours=-2))).read(FIRST))


def test_one_wrong_date_header_does_not_expire_a_token(
    api: Api, store: Store, clock: Clock
) -> None:
    """A proxy may send another time."""
    store.login(expires_in=3600)
    reader(off_by(timedelta(hours=-2))).read(FIRST)
    assert code(reader(clock).read(FIRST)) is None


def test_a_wrong_clock_is_noticed_and_figures_follow_the_apis_clock(api: Api, store: Store) -> None:
    store.login(expires_in=2 * 86400)
    clock = off_by(timedelta(days=1))
    status = reader(clock).read(FIRST)
    assert 86390 < status.clock_skew.total_seconds() < 86410
    assert status.usage is not None
    assert not status.stale(clock())
    assert "running" == status.usage.windows[0].state(status.api_time(clock()))


# --- the environment's token ----------------------------------------------------------------------


@pytest.fixture
def env_token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "setup-token")
    return "setup-token"


def test_uses_the_stored_login_if_the_environment_token_lacks_the_scope(
    api: Api, store: Store, env_token: str, clock: Clock
) -> None:
    store.login()
    api.answer(SCOPE_403, 403, token=env_token)
    status = reader(clock).read(FIRST)
    assert code(status) is None
    assert "Claude Code credentials file" == status.credential_origin
    assert status.notice is not None
    assert "CLAUDE_CODE_OAUTH_TOKEN" in status.notice
    clock.later(400)
    reader(clock).read(FIRST)
    assert 3 == len(api.usage_requests)


def test_without_a_stored_login_the_missing_scope_is_the_problem(
    api: Api, store: Store, env_token: str
) -> None:
    api.answer(SCOPE_403, 403, token=env_token)
    assert "missing_scope" == code(reader().read(FIRST))
    store.login(expires_in=-5)
    assert "missing_scope" == code(reader().read(FIRST))


def test_a_stored_login_without_the_scope_is_tried_once(api: Api, store: Store) -> None:
    store.login()
    api.answer(SCOPE_403, 403)
    assert "missing_scope" == code(reader().read(FIRST))
    assert 1 == len(api.usage_requests)


# --- sources without a request, and their accounts ------------------------------------------------

ADA, BOB = "uuid-of-ada", "uuid-of-bob"


def claude_json(
    home: Path, account: str, *, age: float | None = None, five_hour: float = 33
) -> None:
    """Write Claude Code's global configuration, with figures so many seconds old."""
    document: dict[str, object] = {
        "oauthAccount": {"accountUuid": account, "emailAddress": f"{account}@example.com"}
    }
    if age is not None:
        fetched = utc_now() - timedelta(seconds=age)
        document["cachedUsageUtilization"] = {
            "fetchedAtMs": int(fetched.timestamp() * 1000),
            "accountUuid": account,
            "utilization": usage_body(fetched, five_hour=five_hour),
        }
    (home / ".claude.json").write_text(json.dumps(document))


def profile_of(account: str) -> dict[str, object]:
    return {"account": {"uuid": account, "email": f"{account}@example.com"}}


def test_shows_claude_codes_cached_figures_if_the_api_has_a_problem(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    store.login()
    claude_json(home, ADA, age=600)
    api.answer(b"", 503)
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert status.usage.five_hour is not None
    assert (33.0, "claude-json") == (
        status.usage.five_hour.utilization,
        status.usage.five_hour.source,
    )
    age = status.age(clock())
    assert age is not None
    assert 599 < age.total_seconds() < 620
    assert status.profile is not None
    assert "uuid-of-ada@example.com" == status.profile.email


def test_shows_the_newer_reading_whatever_its_source(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    store.login()
    api.answer_profile(profile_of(ADA))
    reader(clock).read(FIRST)
    claude_json(home, ADA, age=60, five_hour=1)
    older = reader(clock).read(FIRST)
    assert older.usage is not None
    assert "api" == older.usage.source
    time.sleep(0.01)
    claude_json(home, ADA, age=-1, five_hour=99)
    newer = reader(clock).read(FIRST)
    assert newer.usage is not None
    assert "claude-json" == newer.usage.source


def test_cached_figures_of_another_account_are_not_used(api: Api, store: Store, home: Path) -> None:
    store.login()
    api.answer_profile(profile_of(BOB))
    reader().read(FIRST)
    claude_json(home, ADA, age=-1, five_hour=99)
    status = reader().read(FIRST)
    assert status.usage is not None
    assert {"api"} == {window.source for window in status.usage.windows}


def test_figures_never_appear_under_another_account(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    """After a change of the login no old figure is shown, even if the API has a problem."""
    store.login("token-of-ada")
    api.answer_profile(profile_of(ADA))
    claude_json(home, ADA)
    before = reader(clock).read(FIRST)
    assert before.usage is not None
    store.login("token-of-bob")
    claude_json(home, BOB)
    api.answer(b"", 503)
    after = reader(clock).read(before)
    assert (None, "server_error") == (after.usage, code(after))
    assert after.profile is not None
    assert "uuid-of-bob@example.com" == after.profile.email


def test_a_new_token_of_the_same_account_shows_the_stored_figures(
    api: Api, store: Store, home: Path
) -> None:
    store.login("first")
    api.answer_profile(profile_of(ADA))
    claude_json(home, ADA)
    before = reader().read(FIRST)
    store.login("second")
    api.answer(b"", 503)
    after = reader().read(FIRST)
    assert before.usage is not None
    assert before.usage == after.usage


def test_a_status_combines_no_login_with_the_figures_of_another_moment(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process links the token to its account and stores figures during the snapshot."""
    store.login()
    backoff_of, others = StateStore.backoff_of, [reader()]

    def slow_backoff_of(state: StateStore, key: str) -> Backoff | None:
        while others:
            others.pop().read(FIRST)
        return backoff_of(state, key)

    monkeypatch.setattr(StateStore, "backoff_of", slow_backoff_of)
    status = reader().cached_status(FIRST)
    assert not others
    assert status.usage is not None
    assert 78.0 == status.usage.windows[0].utilization


def test_figures_read_before_the_account_was_known_belong_to_it(
    api: Api, store: Store, clock: Clock
) -> None:
    store.login("first")
    api.answer_profile(b"", 500)
    reader(clock).read(FIRST)
    store.login("second")
    api.answer_profile(profile_of(ADA))
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert 2 == len(api.usage_requests)


def test_a_window_that_is_not_reported_any_more_disappears(
    api: Api, store: Store, clock: Clock
) -> None:
    store.login()
    reader(clock).read(FIRST)
    body = usage_body(utc_now())
    body["limits"] = []
    api.answer(body)
    clock.later(400)
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert ["five_hour", "seven_day"] == [window.key for window in status.usage.windows]


def test_nothing_older_than_seven_days_is_shown(
    api: Api, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login(expires_in=30 * 86400)
    reader(clock).read(FIRST)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    shown = []
    for days in (6, 8):
        clock.ahead = timedelta(days=days)
        status = reader(clock).read(FIRST)
        assert "unreachable" == code(status)
        shown.append(status.usage is not None)
    assert [True, False] == shown


# --- files that cannot be used --------------------------------------------------------------------


def test_works_without_a_writable_folder_and_says_so(api: Api, store: Store, home: Path) -> None:
    store.login()
    (home / ".local").write_text("a file where our folder should be")
    status = reader().read(FIRST)
    assert status.usage is not None
    assert status.notice is not None
    assert "cannot be used" in status.notice


def test_fifos_in_place_of_claude_codes_files_do_not_block(
    api: Api, store: Store, home: Path
) -> None:
    store.path.parent.mkdir()
    for path in (store.path, home / ".claude.json", home / ".claude-pace-maker"):
        os.mkfifo(path)
    status = reader().read(FIRST)
    assert status.problem is not None
    assert "not a regular file" in status.problem.message
    assert [] == api.requests


def test_a_home_that_cannot_be_entered_is_a_problem_and_no_crash(
    api: Api, store: Store, home: Path
) -> None:
    store.login()
    with unreadable(home):
        status = reader().read(FIRST)
    assert status.problem is not None
    assert ("permission_denied", None) == (status.problem.code, status.usage)
    assert "permission denied" in status.problem.message


def test_figures_of_an_unconfirmed_token_are_not_stored_for_the_configured_account(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    """``~/.claude.json`` may still name the previous login."""
    store.login("token-of-ada")
    api.answer_profile(profile_of(ADA))
    claude_json(home, ADA)
    before = reader(clock).read(FIRST)
    store.login("token-of-bob")
    api.answer_profile(b"", 500)
    api.answer(usage_body(utc_now(), five_hour=99.0))
    bobs = reader(clock).read(FIRST)
    assert bobs.usage is not None
    assert 99.0 == bobs.usage.windows[0].utilization
    store.login("token-of-ada")
    assert before.usage == reader(clock).read(FIRST).usage


def test_figures_of_an_unconfirmed_token_are_not_shown_with_the_configured_account(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    """``~/.claude.json`` names the previous login until the profile of the new one is there."""
    shown: set[tuple[str | None, float]] = set()

    def publish(status: AccountStatus) -> None:
        if status.usage is not None:
            figure = status.usage.windows[0].utilization
            assert figure is not None
            shown.add((status.account.email, figure))

    claude_json(home, ADA)
    store.login("token-of-ada")
    api.answer_profile(profile_of(ADA))
    publish(reader(clock).read(FIRST, publish))
    store.login("token-of-bob")
    api.answer_profile(profile_of(BOB))
    api.answer(usage_body(utc_now(), five_hour=99.0))
    publish(reader(clock).read(FIRST, publish))
    assert {(f"{ADA}@example.com", 78.0), (f"{BOB}@example.com", 99.0)} == shown


def test_cached_figures_dated_in_the_future_are_not_used(
    api: Api, store: Store, home: Path, clock: Clock
) -> None:
    store.login()
    api.answer_profile(profile_of(ADA))
    reader(clock).read(FIRST)
    claude_json(home, ADA, age=-30 * 86400, five_hour=3)
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert "api" == status.usage.source


def test_an_interrupted_request_delays_no_other_process(
    api: Api, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    store.login()
    get_usage_of_the_api = oauth_api.get_usage
    monkeypatch.setattr(oauth_api, "get_usage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        reader(clock).read(FIRST)
    monkeypatch.setattr(oauth_api, "get_usage", get_usage_of_the_api)
    assert code(reader(clock).read(FIRST)) is None


def test_a_computer_suspended_during_a_request_sends_another_one(
    api: Api, store: Store, clock: Clock
) -> None:
    """The late response may be older than what other processes have stored since."""

    def answer() -> Response:
        if 1 == len(api.usage_requests):
            clock.later(600)
        return Response(as_bytes(usage_body(utc_now())), mimetype="application/json")

    store.login()
    api.answer_with(answer)
    status = reader(clock).read(FIRST)
    assert status.usage is not None
    assert 2 == len(api.usage_requests)
