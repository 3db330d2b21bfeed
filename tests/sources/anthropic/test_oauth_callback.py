"""The local address of a login, as the browser, other programs and other users request it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from claude_usage_monitor.errors import LoginFailed
from claude_usage_monitor.sources import loopback_server
from claude_usage_monitor.sources.anthropic.oauth_callback import LoginCallback, Outcome
from claude_usage_monitor.sources.anthropic.oauth_login import Challenge
from claude_usage_monitor.usage.secret import Secret
from tests.support.loopback import PATIENCE, LoopbackClient, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = "state-6c1f0b2a9d"
CODE = "code-canary-41d2e8"
CHALLENGE = Challenge(Secret("verifier-90ab12"), STATE)


class Callback(LoopbackClient):
    """A callback under test, and the outcomes it has reported."""

    def __init__(self) -> None:
        self.outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self.callback = LoginCallback(CHALLENGE, self.outcomes.put)
        super().__init__(urlsplit(self.callback.redirect_uri).port or 0)

    def call(self, **fields: str) -> str:
        """Return the answer to a callback with these fields in its query."""
        return self.get(f"/callback?{urlencode(fields)}")

    def start(self) -> str:
        """Return the answer to a request for the start address."""
        return self.get(urlsplit(self.callback.start_url).path)

    def outcome(self) -> Outcome:
        """Return the outcome, which may not have arrived yet."""
        return self.outcomes.get(timeout=PATIENCE)

    def still_waits(self) -> bool:
        """Return whether there is no outcome yet, and the right code is accepted."""
        with pytest.raises(Empty):
            self.outcomes.get_nowait()
        self.call(code=CODE, state=STATE)
        return self.outcome() == Secret(CODE)


@pytest.fixture(autouse=True)
def _closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback_server, "_POLL_INTERVAL", 0.005)


@pytest.fixture
def callback() -> Iterator[Callback]:
    running = Callback()
    with running.callback:
        yield running


def test_the_browser_delivers_the_code(callback: Callback) -> None:
    assert 200 == status_of(callback.call(code=CODE, state=STATE))
    assert Secret(CODE) == callback.outcome()


def test_the_login_service_redirects_to_localhost(callback: Callback) -> None:
    assert f"http://localhost:{callback.port}/callback" == callback.callback.redirect_uri


# --- the start address --------------------------------------------------------------------------


def test_the_start_address_redirects_to_the_login_page(callback: Callback) -> None:
    """The start address itself contains nothing of the login."""
    head = callback.start().partition("\r\n\r\n")[0]
    location = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])["Location"]
    assert CHALLENGE.url(callback.callback.redirect_uri) == location
    query = dict(parse_qsl(urlsplit(location).query))
    for value in (query["state"], query["code_challenge"]):
        assert value not in callback.callback.start_url
    assert callback.still_waits()


def test_a_second_request_for_the_start_address_cancels_the_login(callback: Callback) -> None:
    """Another user has seen the address, and one of the two requests was theirs."""
    callback.start()
    answer = callback.start()
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert "opened twice" in error.message
    assert (410, True) == (status_of(answer), STATE not in answer)
    assert 410 == status_of(callback.call(code=CODE, state=STATE))
    assert callback.outcomes.empty()


def test_after_the_code_the_start_address_cancels_nothing(callback: Callback) -> None:
    callback.start()
    callback.call(code=CODE, state=STATE)
    assert 410 == status_of(callback.start())
    assert Secret(CODE) == callback.outcome()
    assert callback.outcomes.empty()


@pytest.mark.parametrize("change", ["", "x", "/", "/../x"])
def test_no_other_path_starts_a_login(callback: Callback, change: str) -> None:
    path = urlsplit(callback.callback.start_url).path
    answer = callback.get(path + change if change else path[:-1])
    assert (404, True) == (status_of(answer), "Location" not in answer)


def test_only_a_get_request_starts_a_login(callback: Callback) -> None:
    """Some programs send HEAD before they open an address; this neither starts nor cancels."""
    path = urlsplit(callback.callback.start_url).path
    assert [405, 302] == [status_of(callback.get(path, method=each)) for each in ("HEAD", "GET")]
    assert callback.still_waits()


# --- requests that do not count -----------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=x",
        f"state={STATE}",
        f"state={STATE}&code=",
        f"state={STATE}&code=a%20b",
        f"state={STATE}&code=a%0d%0aX:y",
        f"state={STATE}&code=%ff",
        f"state={STATE}&code=x&code=y",
        f"state={STATE}&state={STATE}&code=x",
        f"state={STATE}&state=other&code=x",
        "state=other&code=x",
        "state=&code=x",
        f"state={STATE[:-1]}&code=x",
        f"state={STATE}x&code=x",
        f"state={STATE.upper()}&code=x",
        "state=%ff%00&code=x",
        "state=ä&code=x",
        f"State={STATE}&code=x",
        "error=access_denied",
        "error=access_denied&state=other",
        f"error=access_denied&error=x&state={STATE}",
        f"state={STATE}&" + "&".join(f"a{n}=1" for n in range(40)) + "&code=x",
    ],
)
def test_a_callback_of_another_login_is_refused_and_the_login_goes_on(
    callback: Callback, query: str
) -> None:
    assert 400 == status_of(callback.get(f"/callback?{query}"))
    assert callback.still_waits()


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/favicon.ico",
        "/callback/",
        "/callback/../callback",
        "/Callback",
        "/callback;x",
        f"http://localhost/callback?code={CODE}&state={STATE}",
        "*",
    ],
)
def test_no_other_path_receives_the_code(callback: Callback, target: str) -> None:
    assert 404 == status_of(callback.get(target))
    assert callback.still_waits()


def test_another_host_name_receives_no_code(callback: Callback) -> None:
    target = f"/callback?code={CODE}&state={STATE}"
    assert 403 == status_of(callback.get(target, host=f"evil.example:{callback.port}"))
    assert callback.still_waits()


# --- the end of a login -------------------------------------------------------------------------


def test_the_first_outcome_counts(callback: Callback) -> None:
    callback.call(code=CODE, state=STATE)
    later = [
        callback.call(code=CODE, state=STATE),
        callback.call(code="other", state=STATE),
        callback.call(error="access_denied", state=STATE),
    ]
    assert [410, 410, 410] == [status_of(answer) for answer in later]
    assert 400 == status_of(callback.call(code=CODE, state="other"))
    assert Secret(CODE) == callback.outcome()
    assert callback.outcomes.empty()


def test_of_many_simultaneous_codes_one_counts(callback: Callback) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda n: callback.call(code=f"code-{n}", state=STATE), range(32))
        assert [200, *[410] * 31] == sorted(status_of(answer) for answer in answers)
    callback.outcome()
    assert callback.outcomes.empty()


def test_a_denied_login_has_failed(callback: Callback) -> None:
    callback.call(error="access_denied", state=STATE)
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert ("login_failed", "The login was denied (access_denied).") == (error.code, error.message)


def test_an_error_counts_more_than_a_code(callback: Callback) -> None:
    callback.call(error="server_error", state=STATE, code=CODE)
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert "The login service ended the login (server_error)." == error.message


HOSTILE = "<script>alert(1)</script>\"'&\x1b]0;title\x07\x1b[2J\u202e\n\ud7ff"


def test_the_text_of_an_error_is_harmless(callback: Callback) -> None:
    """The page escapes it, and the terminal gets plain text."""
    fields = {"error": f"x{HOSTILE}", "error_description": HOSTILE * 100, "state": STATE}
    answer = callback.get(f"/callback?{urlencode(fields, quote_via=quote)}")
    assert "&lt;script&gt;" in answer
    assert "<script" not in answer
    assert "\x1b" not in answer
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert (True, True) == (error.message.isprintable(), len(error.message) < 400)


@pytest.mark.parametrize(
    "target",
    [
        "/callback?state=<b>",
        "/callback?error=<b>",
        f"/callback?code={CODE}&state={STATE}",
        f"/callback?error=x&state={STATE}",
    ],
)
def test_a_page_repeats_neither_code_nor_state(callback: Callback, target: str) -> None:
    answer = callback.get(target)
    assert [] == [text for text in (target, CODE, STATE, "<b>") if text in answer]


def test_without_a_free_port_the_login_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback_server, "_PORT_ATTEMPTS", 0)
    with pytest.raises(LoginFailed, match="No port"):
        Callback()
