"""Whole logins: a real callback, a real token endpoint on loopback, a program as the browser."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from claude_usage_monitor.errors import (
    LoginFailed,
    ServerError,
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.login.browser import Prompter, browser_can_open, log_in
from claude_usage_monitor.sources import loopback_server
from claude_usage_monitor.sources.anthropic.oauth_login import MANUAL_REDIRECT, Challenge
from claude_usage_monitor.sources.http import HttpClient, TimeLimits
from tests.support.browser import install_browser
from tests.support.payloads import NOW
from tests.support.raw_servers import PATIENCE
from tests.support.token_server import TokenServer, dropped, garbled, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "canary-90be17"
SECRETS = {
    "CLAUDE_CODE_OAUTH_TOKEN": CANARY,
    "ANTHROPIC_API_KEY": CANARY,
    "ANTHROPIC_ADMIN_API_KEY": CANARY,
    "ANTHROPIC_ADMIN_KEY": CANARY,
    "ANTHROPIC_AUTH_TOKEN": CANARY,
}


class Scene:
    """A user, a browser and the login service."""

    def __init__(self, server: TokenServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.environ = {**os.environ, **SECRETS}
        self.said = list[str]()
        self.typed: SimpleQueue[str | None] = SimpleQueue()
        self._record = folder / "browser.started"

    def install_browser(self, action: str = "consent()", name: str = "browser") -> None:
        """Let ``$BROWSER`` be a program that opens the login page, then acts."""
        self._record = install_browser(self.folder / name, self.server.url, action)
        self.environ["BROWSER"] = str(self.folder / name)

    @property
    def started(self) -> Any:
        """How the browser was started: arguments, environment, streams, session, login page."""
        deadline = time.monotonic() + PATIENCE
        while not self._record.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return json.loads(self._record.read_text())

    @property
    def browser_started(self) -> bool:
        """Whether the browser has been started so far."""
        return self._record.exists()

    @property
    def login_url(self) -> str:
        """The address of the login page in the browser."""
        return str(self.started[4])

    @property
    def browser_redirect(self) -> str:
        """Where the login page redirects the browser to."""
        return dict(parse_qsl(urlsplit(self.login_url).query))["redirect_uri"]

    @property
    def manual_url(self) -> str:
        """The address that the user should open."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in list(self.said):
                if line.startswith("https://"):
                    return line
            time.sleep(0.01)
        raise AssertionError(self.said)

    @property
    def exchanges(self) -> list[dict[str, str]]:
        """The documents that the token endpoint received."""
        return [seen.document for seen in self.server.requests if seen.method == "POST"]

    def log_in(
        self, *, browser: bool = True, timeout: float = PATIENCE, total: float = PATIENCE
    ) -> dict[str, object]:
        client = HttpClient(
            self.server.url, "test/0", lambda: NOW, os.environ, TimeLimits(total, total)
        )
        prompter = Prompter(self.said.append, self.typed.get)
        return log_in(
            client, self.environ, prompter, browser=browser, timeout=timeout, clock=lambda: NOW
        )

    def meanwhile(self, act: Callable[[], None]) -> None:
        """Act on a thread, while the login waits."""
        threading.Thread(target=act, daemon=True).start()

    def fail(self, **options: Any) -> UsageMonitorError:
        """Return the error of a login that fails. Neither it nor any other output has a secret."""
        with pytest.raises(UsageMonitorError) as caught:
            self.log_in(**options)
        error = caught.value
        shown = [repr(error), error.message, error.hint, *traceback.format_exception(error)]
        for sent in self.exchanges:
            for name in ("code", "code_verifier"):
                assert sent[name] not in "".join([*shown, *self.said])
        assert (None, None) == (error.__cause__, error.__context__)
        return error

    def port_is_free(self) -> bool:
        """Return whether nothing listens any more where the login page redirects the browser."""
        port = urlsplit(self.browser_redirect).port or 0
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return False
        return True


@pytest.fixture
def scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    """Return a scene without a browser, which never prints anything."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(loopback_server, "_POLL_INTERVAL", 0.005)
    with TokenServer() as server:
        scene = Scene(server, tmp_path)
        yield scene
        scene.typed.put(None)
    printed = capfd.readouterr()
    assert ("", "") == (printed.out, printed.err)


def is_login(scene: Scene, credentials: dict[str, object]) -> bool:
    found = credentials["claudeAiOauth"]
    assert isinstance(found, dict)
    expected = int(NOW.timestamp() * 1000) + 28_800_000
    return scene.server.accepts(credentials) and expected == found["expiresAt"]


# --- with a browser -----------------------------------------------------------------------------


def test_a_browser_completes_the_login(scene: Scene) -> None:
    scene.install_browser()
    assert is_login(scene, scene.log_in())
    (sent,) = scene.exchanges
    assert sent["redirect_uri"].startswith("http://localhost:")
    assert scene.port_is_free()


def test_the_browser_has_no_terminal_and_sees_no_secret(scene: Scene) -> None:
    """Its environment has no token, its arguments nothing of the login: all users can read them."""
    scene.install_browser()
    scene.environ["TERM"] = "xterm"
    scene.log_in()
    arguments, environ, streams, session, login_url = scene.started
    assert ["/dev/null"] * 3 == streams
    assert os.getsid(0) != session  # it has no terminal, and Ctrl+C does not reach it
    assert {*SECRETS, "TERM"} & set(environ) == set()
    assert scene.environ["PATH"] == environ["PATH"]
    (exchange,) = scene.exchanges
    fields = dict(parse_qsl(urlsplit(login_url).query))
    secrets = [CANARY, exchange["code_verifier"], fields["state"], fields["code_challenge"]]
    visible = json.dumps([arguments, environ])
    assert [] == [secret for secret in secrets if secret in visible]
    assert (2, True) == (len(arguments), arguments[1].startswith("http://localhost:"))


def test_a_second_program_at_the_start_address_cancels_the_login(scene: Scene) -> None:
    """Another user, who has seen the address among the arguments of the browser."""
    scene.install_browser("get(start_url)")
    error = scene.fail()
    assert isinstance(error, LoginFailed)
    assert "opened twice" in error.message
    assert [] == scene.exchanges
    assert scene.port_is_free()


def test_the_user_gets_an_address_for_the_same_login(scene: Scene) -> None:
    """Either of the two addresses can give the code."""
    scene.install_browser()
    scene.log_in()
    shown = dict(parse_qsl(urlsplit(scene.manual_url).query))
    opened = dict(parse_qsl(urlsplit(scene.login_url).query))
    assert MANUAL_REDIRECT == shown.pop("redirect_uri") != opened.pop("redirect_uri")
    assert shown == opened


def test_a_pasted_code_works_while_the_browser_is_open(scene: Scene) -> None:
    scene.install_browser("pass")

    def paste() -> None:
        assert scene.started
        scene.typed.put(scene.server.authorize(scene.manual_url) + "\n")

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in())
    assert MANUAL_REDIRECT == scene.exchanges[0]["redirect_uri"]
    assert scene.port_is_free()


def test_the_address_of_the_last_page_can_be_pasted(scene: Scene) -> None:
    """A browser on another computer ends at an error page with the code in its address."""
    scene.install_browser("pass")

    def paste() -> None:
        code, _, state = scene.server.authorize(scene.login_url).partition("#")
        scene.typed.put(f"{scene.browser_redirect}?code={code}&state={state}\n")

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in())
    assert scene.exchanges[0]["redirect_uri"].startswith("http://localhost:")


def test_the_end_of_the_input_does_not_cancel_the_browser(scene: Scene) -> None:
    scene.install_browser("time.sleep(0.3); consent()")
    scene.typed.put(None)
    assert is_login(scene, scene.log_in())


@pytest.mark.parametrize("error", [OSError, ValueError, UnicodeError])
def test_an_unreadable_input_counts_as_its_end(scene: Scene, error: type[Exception]) -> None:
    def ask() -> str | None:
        raise error

    client = HttpClient(scene.server.url, "test/0", lambda: NOW, os.environ)
    with pytest.raises(LoginFailed, match="input ended"):
        log_in(client, {}, Prompter(scene.said.append, ask), clock=lambda: NOW)


def test_a_denied_login_fails(scene: Scene) -> None:
    scene.install_browser()
    scene.server.denies = True
    error = scene.fail()
    assert isinstance(error, LoginFailed)
    assert "The login was denied (access_denied)." == error.message
    assert [] == scene.exchanges
    assert scene.port_is_free()


def test_requests_of_other_programs_do_not_end_the_login(scene: Scene) -> None:
    scene.install_browser(
        "back = dict(parse_qsl(urlsplit(login_url).query))['redirect_uri']\n"
        "for query in ('', '?error=access_denied&state=x', '?code=x&state=y'):\n"
        "    assert get(back + query)[0] == 400\n"
        "consent()"
    )
    assert is_login(scene, scene.log_in())


# --- without a browser --------------------------------------------------------------------------


def test_without_a_browser_the_user_pastes_the_code(scene: Scene) -> None:
    scene.install_browser()
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in(browser=False))
    assert MANUAL_REDIRECT == scene.exchanges[0]["redirect_uri"]
    assert not scene.browser_started


def test_where_no_browser_can_open_the_user_pastes_the_code(scene: Scene) -> None:
    """Over SSH or in a container there is no display, and a text browser would use the terminal."""
    scene.environ["TERM"] = "xterm"
    scene.install_browser(name="w3m")
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in())
    assert not scene.browser_started


@pytest.mark.parametrize("browser", [True, False])
def test_without_browser_and_input_the_login_fails(scene: Scene, browser: bool) -> None:
    scene.typed.put(None)
    error = scene.fail(browser=browser)
    assert isinstance(error, LoginFailed)
    assert "The input ended before a code was pasted." == error.message


def test_when_the_browser_fails_the_user_pastes_the_code(scene: Scene) -> None:
    scene.install_browser("sys.exit(3)")

    def paste() -> None:
        while not any("No browser" in line for line in scene.said):
            time.sleep(0.01)
        scene.typed.put(scene.server.authorize(scene.manual_url))

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in())


def test_when_the_browser_fails_without_input_the_login_fails(scene: Scene) -> None:
    scene.install_browser("sys.exit(3)")
    scene.typed.put(None)
    assert "The input ended before a code was pasted." == scene.fail().message
    assert "No browser could be opened: use the address above." in scene.said


def test_when_no_program_can_start_the_browser_has_failed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(scene.folder / "gone"))
    scene.environ["BROWSER"] = "firefox"
    scene.typed.put(None)
    assert "The input ended before a code was pasted." == scene.fail().message


def test_without_a_free_port_the_user_pastes_the_code(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loopback_server, "_PORT_ATTEMPTS", 0)
    scene.install_browser()
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in())
    assert not scene.browser_started


def test_modules_in_the_working_directory_are_not_imported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.install_browser()
    planted = scene.folder / "planted"
    planted.mkdir()
    for name in ("webbrowser", "sitecustomize", "shlex"):
        (planted / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(planted)
    scene.environ["PYTHONPATH"] = str(planted)
    assert is_login(scene, scene.log_in())


# --- pasted lines -------------------------------------------------------------------------------

OTHER_LOGIN = "That code is from another login. Open the address above and paste its code:"
INCOMPLETE = "That code is incomplete. Paste it with the # and all that follows:"


def test_after_a_wrong_line_the_user_may_paste_again(scene: Scene) -> None:
    state = Challenge.fresh().state

    def paste() -> None:
        right = scene.server.authorize(scene.manual_url)
        code = right.partition("#")[0]
        for line in (f"{code}#{state}", code, "", "  ", f"{code}#", f"#{state}", f"  {right} \r\n"):
            scene.typed.put(line)

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in(browser=False))
    assert [OTHER_LOGIN, INCOMPLETE, OTHER_LOGIN, OTHER_LOGIN] == scene.said[2:]
    assert 1 == len(scene.exchanges)


@pytest.mark.parametrize(
    "line",
    [
        f"{MANUAL_REDIRECT}?code=x&state=y",
        f"{MANUAL_REDIRECT}?error=access_denied",
        "http://[::1?code=x",
        "https://evil.example/?code=x&state=y",
        "a" * 100_000,
        "\x1b[2J\0#\ud800",
        "#",
        "?",
    ],
)
def test_an_odd_line_is_answered(scene: Scene, line: str) -> None:
    scene.typed.put(line)
    scene.typed.put(None)
    assert "input ended" in scene.fail(browser=False).message
    assert scene.said[2] in (OTHER_LOGIN, INCOMPLETE)


def test_the_address_of_the_manual_page_can_be_pasted(scene: Scene) -> None:
    def paste() -> None:
        code, _, state = scene.server.authorize(scene.manual_url).partition("#")
        scene.typed.put(f"{MANUAL_REDIRECT}?code={code}&state={state}")

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in(browser=False))


def test_an_endless_input_is_not_read_forever(scene: Scene) -> None:
    for _ in range(1000):
        scene.typed.put("y\n")
    error = scene.fail(browser=False)
    assert "None of the pasted lines is the code of this login." == error.message
    assert (980, []) == (scene.typed.qsize(), scene.exchanges)


def test_an_endless_input_does_not_cancel_the_browser(scene: Scene) -> None:
    scene.install_browser()
    for _ in range(1000):
        scene.typed.put("y\n")
    assert is_login(scene, scene.log_in())


def test_lines_after_the_code_are_left_in_the_input(scene: Scene) -> None:
    """For the next command that reads it."""

    def paste() -> None:
        scene.typed.put(scene.server.authorize(scene.manual_url))
        scene.typed.put("y\n")

    scene.meanwhile(paste)
    scene.log_in(browser=False)
    assert "y\n" == scene.typed.get(timeout=PATIENCE)


# --- the end of a login -------------------------------------------------------------------------


def test_a_login_that_is_not_completed_in_time_fails(scene: Scene) -> None:
    scene.install_browser("pass")
    started = time.monotonic()
    error = scene.fail(timeout=1.0)
    assert isinstance(error, LoginFailed)
    assert "The login was not completed within 1 second." == error.message
    assert 0.9 < time.monotonic() - started < PATIENCE
    assert scene.port_is_free()


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
@pytest.mark.parametrize("browser", [True, False])
def test_ctrl_c_ends_the_wait(scene: Scene, browser: bool) -> None:
    scene.install_browser("pass")
    pressed_at = list[float]()

    def press() -> None:
        assert scene.manual_url
        if browser:
            assert scene.started
        pressed_at.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    scene.meanwhile(press)
    with pytest.raises(KeyboardInterrupt):
        scene.log_in(browser=browser, timeout=2 * PATIENCE)
    assert time.monotonic() - pressed_at[0] < PATIENCE
    assert not browser or scene.port_is_free()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refused(500), ServerError),
        (refused(400, {"error": "invalid_grant"}), LoginFailed),
        (dropped(), Unreachable),
        (dropped(consumes=False), Unreachable),
        (garbled(), UnexpectedResponse),
    ],
)
def test_a_code_is_exchanged_once(scene: Scene, fault: Any, kind: type[Exception]) -> None:
    """After any first reply: a second exchange could only revoke the login of the first."""
    scene.server.script(fault)
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert kind is type(scene.fail(browser=False))
    assert 1 == len(scene.exchanges)


@pytest.mark.parametrize("fails", [False, True])
def test_the_challenge_is_gone_after_the_login(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """An error refers to the frames that it passed, and they to their variables."""
    made = list[weakref.ref[Challenge]]()
    fresh = Challenge.fresh

    def tracked() -> Challenge:
        challenge = fresh()
        made.append(weakref.ref(challenge))
        return challenge

    monkeypatch.setattr(Challenge, "fresh", tracked)
    if fails:
        scene.server.script(refused(500))
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    error = scene.fail(browser=False) if fails else scene.log_in(browser=False)
    gc.collect()
    assert error
    assert [None] == [reference() for reference in made]


def test_a_login_works_inside_a_running_event_loop(scene: Scene) -> None:
    """As in a notebook."""
    import asyncio

    scene.install_browser()

    async def cell() -> dict[str, object]:
        return scene.log_in()

    assert is_login(scene, asyncio.run(cell()))


# --- where a browser can open -------------------------------------------------------------------

SSH = {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}


@pytest.mark.parametrize(
    ("environ", "platform", "can"),
    [
        ({}, "linux", False),
        ({"TERM": "xterm"}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ""}, "linux", False),
        (SSH, "linux", False),
        ({**SSH, "DISPLAY": "localhost:10.0"}, "linux", True),
        ({"WSL_DISTRO_NAME": "Ubuntu"}, "linux", False),
        ({"WSL_DISTRO_NAME": "Ubuntu", "BROWSER": "wslview"}, "linux", True),
        ({}, "darwin", True),
        (SSH, "darwin", False),
        ({"SSH_TTY": "/dev/ttys0"}, "darwin", False),
        ({}, "win32", True),
        ({"SSH_CLIENT": "10.0.0.1"}, "win32", False),
        ({**SSH, "BROWSER": "/opt/helper"}, "linux", True),
        ({"BROWSER": "w3m"}, "linux", False),
        ({"BROWSER": "/usr/bin/lynx -accept_all_cookies %s"}, "linux", False),
        ({"BROWSER": "w3m", "DISPLAY": ":0"}, "linux", False),
        ({"BROWSER": os.pathsep.join(("links", "firefox"))}, "linux", True),
        ({"BROWSER": "fire'fox"}, "linux", True),
        ({"BROWSER": os.pathsep * 2}, "linux", False),
        ({"BROWSER": ""}, "darwin", True),
    ],
)
def test_where_a_browser_can_open(environ: dict[str, str], platform: str, can: bool) -> None:
    assert can == browser_can_open(environ, platform)


def test_of_several_browsers_those_for_the_terminal_are_not_used(scene: Scene) -> None:
    scene.install_browser()
    scene.environ["BROWSER"] = os.pathsep.join(("w3m", scene.environ["BROWSER"], "lynx"))
    scene.log_in()
    assert scene.started[1]["BROWSER"] == str(scene.folder / "browser")


def test_without_an_interpreter_no_browser_can_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert not browser_can_open({"DISPLAY": ":0", "BROWSER": "firefox"})
