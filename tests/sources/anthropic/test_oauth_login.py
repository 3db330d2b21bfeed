"""The token endpoint, against a server with the same rules, and against hostile ones."""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import (
    CredentialsExpired,
    InvalidSetting,
    LoginFailed,
    RateLimited,
    RefreshTokenRevoked,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.sources.anthropic.api_url import (
    API_URL_VARIABLE,
    TOKEN_URL,
    token_base_url_from,
)
from claude_usage_monitor.sources.anthropic.oauth_api import get_profile, get_usage
from claude_usage_monitor.sources.anthropic.oauth_login import (
    MANUAL_REDIRECT,
    Challenge,
    Grant,
    credentials_of,
    exchange_code,
    grant_from,
    refresh_grant,
)
from claude_usage_monitor.sources.http import MAX_BODY, HttpClient, TimeLimits
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.usage.secret import Secret
from tests.support.payloads import NOW, as_bytes
from tests.support.raw_servers import PATIENCE
from tests.support.token_server import (
    TokenServer,
    delayed,
    dropped,
    email_of,
    garbled,
    refused,
    uuid_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-7c31d0"  # part of every secret that hostile servers receive
REFRESH = Secret(f"sk-ant-ort01-{CANARY}")
NEUTRAL = "claude-usage-monitor/0"
LOCAL = "http://localhost:1/callback"
HTML = b"<!DOCTYPE html><title>Welcome to Hotel Wi-Fi</title>"
ANSWER = {"access_token": "sk-ant-oat01-new", "refresh_token": "sk-ant-ort01-new"}


def client_of(url: str, agent: str = NEUTRAL, total: float = PATIENCE) -> HttpClient:
    return HttpClient(url, agent, lambda: NOW, os.environ, TimeLimits(total, total))


def nothing() -> None:
    pass


def refresh_token(credentials: dict[str, object]) -> Secret:
    login = credentials["claudeAiOauth"]
    assert isinstance(login, dict)
    return Secret(login["refreshToken"])


def failure(attempt: Callable[[], object], *secrets: str) -> UsageMonitorError:
    """Return the error of an attempt. No part of it contains a secret."""
    with pytest.raises(UsageMonitorError) as caught:
        attempt()
    error = caught.value
    shown = [str(error), repr(error), error.message, error.hint, *traceback.format_exception(error)]
    for secret in (CANARY, *secrets):
        assert secret not in "".join(shown)
    assert (None, None) == (error.__cause__, error.__context__)
    return error


def answered(
    body: object, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[], Grant]:
    """Return a function that reads the grant in a reply."""
    content = body if isinstance(body, bytes) else as_bytes(body)
    return lambda: grant_from(Reply(status, headers or {}, content, NOW))


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [{}, {API_URL_VARIABLE: ""}])
def test_the_default_token_endpoint_is_the_public_one(environ: dict[str, str]) -> None:
    assert "https://platform.claude.com" == TOKEN_URL == token_base_url_from(environ)


def test_another_api_address_is_also_that_of_the_token_endpoint() -> None:
    assert "https://host/base" == token_base_url_from({API_URL_VARIABLE: "https://host/base/"})


def test_no_token_endpoint_is_unencrypted() -> None:
    with pytest.raises(InvalidSetting):
        token_base_url_from({API_URL_VARIABLE: "http://platform.claude.com"})


# --- the challenge ------------------------------------------------------------------------------


def test_a_challenge_is_random_and_its_state_independent_of_it() -> None:
    """RFC 7636 requires 43 to 128 unreserved characters."""
    made = [Challenge.fresh() for _ in range(50)]
    for challenge in made:
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", challenge.verifier.reveal())
        assert len(challenge.state) >= 32
        assert challenge.state not in challenge.verifier.reveal()
        assert challenge.verifier.reveal() not in repr(challenge)
    distinct = {challenge.verifier for challenge in made}, {each.state for each in made}
    assert (50, 50) == (len(distinct[0]), len(distinct[1]))


def test_the_login_url_has_minimal_scopes_and_only_the_hash_of_the_verifier() -> None:
    challenge = Challenge.fresh()
    url = challenge.url(MANUAL_REDIRECT)
    digest = sha256(challenge.verifier.reveal().encode()).digest()
    expected = {
        "code": "true",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "response_type": "code",
        "redirect_uri": "https://platform.claude.com/oauth/code/callback",
        "scope": "user:profile user:inference",
        "code_challenge": urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        "state": challenge.state,
    }
    assert expected == dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    assert url.startswith("https://claude.ai/oauth/authorize?")
    assert challenge.verifier.reveal() not in url


# --- a code for tokens --------------------------------------------------------------------------


def code_at(server: TokenServer, challenge: Challenge, redirect: str = MANUAL_REDIRECT) -> Secret:
    return Secret(server.authorize(challenge.url(redirect)).partition("#")[0])


@pytest.mark.parametrize("redirect", [MANUAL_REDIRECT, LOCAL])
def test_a_code_gives_tokens_that_the_api_accepts(server: TokenServer, redirect: str) -> None:
    challenge, client = Challenge.fresh(), client_of(server.url)
    grant = exchange_code(client, code_at(server, challenge, redirect), challenge, redirect)
    assert 78.0 == get_usage(client, grant.access_token).windows[0].utilization
    assert email_of("work") == get_profile(client, grant.access_token).email == grant.email
    assert (uuid_of("work"), uuid_of("work's")) == (grant.account_uuid, grant.organization_uuid)
    assert "work's" == grant.organization
    assert ("user:profile", "user:inference") == grant.scopes
    assert (timedelta(hours=8), timedelta(days=30)) == (grant.expires_in, grant.refresh_expires_in)
    assert "sk-ant" not in repr(grant)


def test_a_code_is_sent_with_all_required_fields(server: TokenServer) -> None:
    challenge = Challenge.fresh()
    code = code_at(server, challenge)
    exchange_code(client_of(server.url), code, challenge, MANUAL_REDIRECT)
    expected = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "state": challenge.state,
        "redirect_uri": MANUAL_REDIRECT,
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "code_verifier": challenge.verifier.reveal(),
    }
    (seen,) = server.requests
    assert (expected, NEUTRAL, None) == (seen.document, seen.user_agent, seen.access_token)


@pytest.mark.parametrize("as_objects", [False, True])
def test_an_invalid_code_fails_the_login(server: TokenServer, as_objects: bool) -> None:
    """A code that was used before, or is of another challenge or redirect. It is sent once."""
    server.errors_as_objects = as_objects
    challenge, client = Challenge.fresh(), client_of(server.url)
    code = code_at(server, challenge)
    hidden = (code.reveal(), challenge.verifier.reveal())
    exchange_code(client, code, challenge, MANUAL_REDIRECT)
    attempts: list[Callable[[], object]] = [
        lambda: exchange_code(client, code, challenge, MANUAL_REDIRECT),
        lambda: exchange_code(client, code_at(server, challenge), challenge, LOCAL),
        lambda: exchange_code(
            client, code_at(server, Challenge.fresh()), challenge, MANUAL_REDIRECT
        ),
    ]
    for attempt in attempts:
        error = failure(attempt, *hidden)
        assert isinstance(error, LoginFailed)
        assert "not accepted" in error.message
    assert 4 == len(server.requests)


def test_claude_codes_own_user_agent_is_refused(server: TokenServer) -> None:
    """By a rule of the endpoint. The requests for usage use such a User-Agent."""
    client = client_of(server.url, "claude-code/2.1.240")
    error = failure(lambda: refresh_grant(client, REFRESH, nothing))
    assert ("rate_limited", "The login service refused and did not say how long.") == (
        error.code,
        error.message,
    )


# --- a refresh token for the next ---------------------------------------------------------------


def test_a_refreshed_login_works_and_can_be_refreshed_again(server: TokenServer) -> None:
    first = server.issue(expires_in=-60)
    client = client_of(server.url)
    grant = refresh_grant(client, refresh_token(first), nothing)
    second = credentials_of(grant, datetime.now(NOW.tzinfo), first)
    assert get_usage(client, grant.access_token).windows
    assert (False, True) == (server.accepts(first), server.accepts(second))
    third = credentials_of(refresh_grant(client, refresh_token(second), nothing), NOW, second)
    assert server.accepts(third)
    assert [200, 200] == [seen.status for seen in server.refreshes]


@pytest.mark.parametrize("as_objects", [False, True])
def test_a_used_refresh_token_is_revoked(server: TokenServer, as_objects: bool) -> None:
    server.errors_as_objects = as_objects
    first = server.issue()
    client, token = client_of(server.url), refresh_token(first)
    refresh_grant(client, token, nothing)
    error = failure(lambda: refresh_grant(client, token, nothing), token.reveal())
    assert isinstance(error, RefreshTokenRevoked)
    assert isinstance(error, CredentialsExpired)
    assert ("credentials_expired", "This login is no longer valid.") == (error.code, error.message)
    assert not server.alive(server.family_of(first))


def test_nothing_is_sent_if_the_callback_before_it_fails(server: TokenServer) -> None:
    def fail() -> None:
        raise CredentialsExpired

    token = refresh_token(server.issue())
    assert isinstance(
        failure(lambda: refresh_grant(client_of(server.url), token, fail)), UsageMonitorError
    )
    assert [] == server.requests


def test_the_callback_before_sending_is_called_once(server: TokenServer) -> None:
    before = list[int]()
    token = refresh_token(server.issue())
    refresh_grant(client_of(server.url), token, lambda: before.append(len(server.refreshes)))
    assert [0] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": "invalid_grant"}, 400),
        ({"error": "invalid_grant"}, 401),
        ({"error": "invalid_grant", "error_description": "Refresh token expired"}, 400),
        ({"error": {"type": "invalid_grant", "message": "…"}}, 400),
        ({"type": "error", "error": {"type": "invalid_grant"}}, 401),
        ({"error": "invalid_request", "message": "Refresh token not found or invalid"}, 400),
        ({"error": {"type": "x", "message": "refresh token not found or invalid."}}, 400),
        ({"error": {"type": "invalid_request_error", "message": "invalid_grant: gone"}}, 400),
        ({"error": "invalid_grant"}, 200),
    ],
)
def test_these_replies_revoke_a_login(body: object, status: int) -> None:
    assert isinstance(failure(answered(body, status)), RefreshTokenRevoked)


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"error": "invalid_grant_type"}, 400, UnexpectedResponse, "(invalid_grant_type)"),
        ({"error": "Odd-1"}, 400, UnexpectedResponse, "(HTTP 400)"),
        ({"error": "invalid_grant"}, 403, UnexpectedResponse, "does not allow"),
        ({"error": "invalid_grant"}, 404, UnexpectedResponse, "404"),
        ({"error": "invalid_grant"}, 500, ServerError, "500"),
        ({"error": "invalid_client"}, 401, UnexpectedResponse, "invalid_client"),
        ({"error": "invalid_request"}, 400, UnexpectedResponse, "invalid_request"),
        ({"error": {"type": "permission_error"}}, 403, UnexpectedResponse, "permission_error"),
        ({"error": {"type": "authentication_error"}}, 401, Unauthorized, "authentication_error"),
        ({}, 401, Unauthorized, "refuses"),
        (HTML, 400, UnexpectedResponse, "did not come from the login service (HTTP 400)"),
        (HTML, 401, UnexpectedResponse, "did not come from the login service (HTTP 401)"),
        (HTML, 403, UnexpectedResponse, "did not come from the login service (HTTP 403)"),
        (HTML, 302, UnexpectedResponse, "did not come from the login service (HTTP 302)"),
        (HTML, 511, UnexpectedResponse, "did not come from the login service (HTTP 511)"),
        (HTML, 502, ServerError, "502"),
        (b"", 408, ServerError, "408"),
        (b"", 529, ServerError, "529"),
        ({"error": {"type": "overloaded_error"}}, 200, ServerError, "overloaded_error"),
        ({"error": {"type": "rate_limit_error"}}, 200, RateLimited, "did not say how long"),
        (b"", 429, RateLimited, "did not say how long"),
    ],
)
def test_no_other_reply_revokes_a_login(
    body: object, status: int, kind: type[UsageMonitorError], words: str
) -> None:
    """Each has a message of its own, and the token counts as unused."""
    error = failure(answered(body, status))
    assert kind is type(error)
    assert words in error.message
    assert not getattr(error, "sent", False)
    assert error.hint


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"[]",
        b"null",
        {},
        {"access_token": ""},
        {"access_token": None, "refresh_token": "sk-ant-ort01-new"},
        {"access_token": "with space"},
        {"access_token": "line\nbreak"},
        {"access_token": ["sk"]},
        {**ANSWER, "refresh_token": "line\nbreak"},
        {**ANSWER, "refresh_token": 7},
        {**ANSWER, "error": "server is confused"},
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_a_success_without_a_login_may_have_used_the_token(body: object, status: int) -> None:
    error = failure(answered(body, status))
    assert isinstance(error, UnexpectedResponse)
    assert error.sent
    assert "no login" in error.message


def test_other_unexpected_responses_used_no_token() -> None:
    assert not UnexpectedResponse().sent


@pytest.mark.parametrize("refresh", [None, ""])
def test_a_reply_without_a_refresh_token_is_a_grant(refresh: str | None) -> None:
    assert None is answered({**ANSWER, "refresh_token": refresh})().refresh_token


@pytest.mark.parametrize("odd", ["28800", -1, 1e300, float("nan"), True, None, []])
def test_an_invalid_lifetime_is_unknown(odd: object) -> None:
    grant = answered({**ANSWER, "expires_in": odd, "account": odd, "scope": odd})()
    assert (None, None, None) == (grant.expires_in, grant.email, grant.account_uuid)


def test_all_scopes_are_read() -> None:
    scopes = tuple(f"user:scope_{n}" for n in range(40))
    assert scopes == answered({**ANSWER, "scope": " ".join(scopes)})().scopes


def test_names_are_cleaned() -> None:
    body = {
        **ANSWER,
        "account": {"email_address": "a\x1b[2J@b"},
        "organization": {"name": "\u202eX"},
    }
    grant = answered(body)()
    assert ("a[2J@b", "X") == (grant.email, grant.organization)


PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(), PLAIN, max_size=3)
BODIES = st.binary() | st.dictionaries(
    st.sampled_from(["access_token", "refresh_token", "error", "scope", "account", "expires_in"]),
    JSON | st.just("sk-ant-oat01-x"),
)


@given(BODIES, st.sampled_from([200, 204, 301, 400, 401, 403, 404, 408, 429, 500, 511, 599]))
def test_any_reply_is_a_grant_or_one_of_our_errors(
    body: bytes | dict[str, object], status: int
) -> None:
    with contextlib.suppress(UsageMonitorError):
        grant = answered(body, status)()
        assert re.fullmatch(r"[\x21-\x7e]+", grant.access_token.reveal())


@pytest.mark.parametrize(
    "body",
    [
        {"error": CANARY, "error_description": f"bad {CANARY}"},
        {"error": {"type": CANARY, "message": CANARY}},
        {"error": "invalid_grant", "error_description": CANARY},
        {"detail": CANARY},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
def test_an_echo_of_the_token_is_not_quoted(body: object, status: int) -> None:
    failure(answered(body, status))


# --- no reply, or part of one -------------------------------------------------------------------


def test_a_rate_limit_has_the_time_to_wait(server: TokenServer) -> None:
    server.script(refused(429, headers={"Retry-After": "77"}))
    first = server.issue()
    error = failure(lambda: refresh_grant(client_of(server.url), refresh_token(first), nothing))
    assert isinstance(error, RateLimited)
    assert (timedelta(seconds=77), True) == (error.retry_after, server.accepts(first))


@pytest.mark.parametrize("consumes", [False, True])
def test_a_dropped_connection_may_have_used_the_token(server: TokenServer, consumes: bool) -> None:
    server.script(dropped(consumes=consumes))
    first = server.issue()
    error = failure(lambda: refresh_grant(client_of(server.url), refresh_token(first), nothing))
    assert isinstance(error, Unreachable)
    assert (True, not consumes) == (error.sent, server.accepts(first))


def test_a_late_reply_may_have_used_the_token(server: TokenServer) -> None:
    server.script(delayed(0.5))
    first = server.issue()
    client = client_of(server.url, total=0.15)
    error = failure(lambda: refresh_grant(client, refresh_token(first), nothing))
    assert isinstance(error, Unreachable)
    assert (True, False) == (error.sent, server.accepts(first))


@pytest.mark.parametrize("body", [HTML, b" " * (MAX_BODY + 1)], ids=["garbage", "too much"])
def test_an_unreadable_reply_may_have_used_the_token(server: TokenServer, body: bytes) -> None:
    server.script(garbled(body))
    first = server.issue()
    error = failure(lambda: refresh_grant(client_of(server.url), refresh_token(first), nothing))
    assert isinstance(error, UnexpectedResponse)
    assert (True, False) == (error.sent, server.accepts(first))


def test_a_missing_server_has_used_no_token() -> None:
    with TokenServer() as gone:
        url = gone.url
    error = failure(lambda: refresh_grant(client_of(url), REFRESH, nothing))
    assert isinstance(error, Unreachable)
    assert not error.sent


def test_each_call_sends_one_request(server: TokenServer) -> None:
    """A code or a token is never sent twice, after any reply."""
    faults = [refused(500), refused(429), dropped(), garbled(), refused(302), refused(408)]
    server.script(*faults)
    for _ in faults:
        failure(
            lambda: refresh_grant(client_of(server.url), refresh_token(server.issue()), nothing)
        )
    assert len(faults) == len(server.requests)


# --- as Claude Code stores it -------------------------------------------------------------------

GRANT = Grant(
    Secret("access-2"),
    Secret("refresh-2"),
    timedelta(hours=8),
    timedelta(days=30),
    ("user:profile",),
    organization_uuid="org",
)
NOW_MS = int(NOW.timestamp() * 1000)


def test_a_new_login_is_stored_as_claude_code_does() -> None:
    login = {
        "accessToken": "access-2",
        "refreshToken": "refresh-2",
        "expiresAt": NOW_MS + 28_800_000,
        "refreshTokenExpiresAt": NOW_MS + 2_592_000_000,
        "scopes": ["user:profile"],
    }
    assert {"claudeAiOauth": login, "organizationUuid": "org"} == credentials_of(GRANT, NOW)


def test_a_refreshed_login_retains_everything_that_the_grant_does_not_tell() -> None:
    old = {
        "claudeAiOauth": {
            "accessToken": "access-1",
            "refreshToken": "refresh-1",
            "expiresAt": 1,
            "refreshTokenExpiresAt": 2,
            "scopes": ["user:profile", "user:inference"],
            "subscriptionType": "max",
            "unheardOf": [1, {"a": None}],
        },
        "mcpOAuth": {"x": 1},
        "organizationUuid": "old",
    }
    before = repr(old)
    new = credentials_of(Grant(Secret("access-2")), NOW, old)
    login = dict(old["claudeAiOauth"], accessToken="access-2")  # type: ignore[call-overload]  # parsed JSON
    del login["expiresAt"]  # that of the old token; that of the new one is unknown
    assert {**old, "claudeAiOauth": login} == new
    assert before == repr(old)


def test_a_grant_without_scopes_has_the_requested_ones() -> None:
    login = credentials_of(Grant(Secret("access")), NOW)["claudeAiOauth"]
    assert {"accessToken": "access", "scopes": ["user:profile", "user:inference"]} == login


@pytest.mark.parametrize("odd", [{}, {"claudeAiOauth": None}, {"claudeAiOauth": []}])
def test_a_previous_login_may_be_malformed(odd: dict[str, object]) -> None:
    assert "refresh-2" == refresh_token(credentials_of(GRANT, NOW, odd)).reveal()
