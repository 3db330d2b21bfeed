"""The whole login: a real listener, a real token endpoint on loopback, and a browser of sorts."""

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
from claude_usage_monitor.sources.anthropic import oauth_callback
from claude_usage_monitor.sources.anthropic.oauth_login import MANUAL_REDIRECT, Challenge
from claude_usage_monitor.sources.http import HttpClient, TimeLimits
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
SOON = 2.0  # seconds, on a busy machine

# Writes down how it was started, and does something with the address.
BROWSER = """#!{python} -I
import json, os, sys, time, urllib.request
streams = [os.path.realpath("/proc/self/fd/%d" % n) for n in range(3)]
with open({seen!r} + ".part", "w") as file:
    json.dump([sys.argv, dict(os.environ), streams, os.getsid(0)], file)
os.rename({seen!r} + ".part", {seen!r})
url = sys.argv[-1]
def consent():
    urllib.request.urlopen(url.replace("https://claude.ai", {server!r})).read()
{does}
"""


class Scene:
    """A user, a browser and the login service."""

    def __init__(self, server: TokenServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.environ = {**os.environ, **SECRETS}
        self.said = list[str]()
        self.typed: SimpleQueue[str | None] = SimpleQueue()
        self._seen = folder / "seen.json"

    def has_browser(self, does: str = "consent()", name: str = "browser") -> None:
        """Let ``$BROWSER`` be a program that does something."""
        path = self.folder / name
        text = BROWSER.format(
            python=sys.executable, seen=str(self._seen), server=self.server.url, does=does
        )
        path.write_text(text)
        path.chmod(0o700)
        self.environ["BROWSER"] = str(path)

    @property
    def started(self) -> Any:  # noqa: ANN401 - JSON
        """How the browser was started: arguments, environment, streams, session."""
        deadline = time.monotonic() + PATIENCE
        while not self._seen.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return json.loads(self._seen.read_text())

    @property
    def opened(self) -> bool:
        """Whether a browser was started so far."""
        return self._seen.exists()

    @property
    def manual_url(self) -> str:
        """The address that the user was told."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in list(self.said):
                if line.startswith("https://"):
                    return line
            time.sleep(0.01)
        raise AssertionError(self.said)

    @property
    def exchanges(self) -> list[dict[str, str]]:
        """What the token endpoint was sent."""
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
        """Do something while the login waits."""
        threading.Thread(target=act, daemon=True).start()

    def fail(self, **options: Any) -> UsageMonitorError:  # noqa: ANN401 - as log_in
        """Log in, in vain. Nothing that is told holds a secret."""
        with pytest.raises(UsageMonitorError) as caught:
            self.log_in(**options)
        error = caught.value
        told = [repr(error), error.message, error.hint, *traceback.format_exception(error)]
        for sent in self.exchanges:
            for name in ("code", "code_verifier"):
                assert sent[name] not in "".join([*told, *self.said])
        assert (None, None) == (error.__cause__, error.__context__)
        return error

    def port_is_free(self) -> bool:
        """Return whether nobody listens any more where the browser was to come back to."""
        redirect = dict(parse_qsl(urlsplit(self.started[0][-1]).query))["redirect_uri"]
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(redirect).port or 0)).close()
            return False
        return True


@pytest.fixture
def scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    """Return a scene without a browser. Whatever happens, nothing is printed."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with TokenServer() as server:
        made = Scene(server, tmp_path)
        yield made
        made.typed.put(None)
    told = capfd.readouterr()
    assert ("", "") == (told.out, told.err)


def is_login(scene: Scene, credentials: dict[str, object]) -> bool:
    found = credentials["claudeAiOauth"]
    assert isinstance(found, dict)
    expected = int(NOW.timestamp() * 1000) + 28_800_000
    return scene.server.accepts(credentials) and expected == found["expiresAt"]


# --- with a browser -----------------------------------------------------------------------------


def test_the_browser_brings_the_login(scene: Scene) -> None:
    scene.has_browser()
    assert is_login(scene, scene.log_in())
    (sent,) = scene.exchanges
    assert sent["redirect_uri"].startswith("http://localhost:")
    assert scene.port_is_free()


def test_the_browser_has_no_terminal_and_sees_no_secret(scene: Scene) -> None:
    """Neither in its environment nor in its arguments, which everybody can read."""
    scene.has_browser()
    scene.environ["TERM"] = "xterm"
    scene.log_in()
    arguments, environ, streams, session = scene.started
    assert ["/dev/null"] * 3 == streams
    assert os.getsid(0) != session  # so it has no terminal, nor is Ctrl+C for it
    assert {*SECRETS, "TERM"} & set(environ) == set()
    assert CANARY not in json.dumps(scene.started)
    assert scene.exchanges[0]["code_verifier"] not in json.dumps(scene.started)
    assert scene.environ["PATH"] == environ["PATH"]
    assert 2 == len(arguments)


def test_the_manual_address_is_told_too(scene: Scene) -> None:
    """For the same login: its code may come by either."""
    scene.has_browser()
    scene.log_in()
    told = dict(parse_qsl(urlsplit(scene.manual_url).query))
    opened = dict(parse_qsl(urlsplit(scene.started[0][-1]).query))
    assert MANUAL_REDIRECT == told.pop("redirect_uri") != opened.pop("redirect_uri")
    assert told == opened


def test_a_pasted_code_works_while_the_browser_is_waited_for(scene: Scene) -> None:
    scene.has_browser("pass")
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url) + "\n"))
    assert is_login(scene, scene.log_in())
    assert MANUAL_REDIRECT == scene.exchanges[0]["redirect_uri"]
    assert scene.port_is_free()


def test_the_address_where_a_browser_elsewhere_ended_works_too(scene: Scene) -> None:
    """A browser on another computer ends at an error page, whose address has the code."""
    scene.has_browser("pass")

    def paste() -> None:
        url = scene.started[0][-1]
        code, _, state = scene.server.authorize(url).partition("#")
        redirect = dict(parse_qsl(urlsplit(url).query))["redirect_uri"]
        scene.typed.put(f"{redirect}?code={code}&state={state}\n")

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in())
    assert scene.exchanges[0]["redirect_uri"].startswith("http://localhost:")


def test_the_end_of_the_input_does_not_cancel(scene: Scene) -> None:
    scene.has_browser("time.sleep(0.3); consent()")
    scene.typed.put(None)
    assert is_login(scene, scene.log_in())


@pytest.mark.parametrize("error", [OSError, ValueError, UnicodeError])
def test_an_input_that_cannot_be_read_has_ended(scene: Scene, error: type[Exception]) -> None:
    def ask() -> str | None:
        raise error

    client = HttpClient(scene.server.url, "test/0", lambda: NOW, os.environ)
    with pytest.raises(LoginFailed, match="input ended"):
        log_in(client, {}, Prompter(scene.said.append, ask), clock=lambda: NOW)


def test_a_login_that_is_denied_ends_in_words(scene: Scene) -> None:
    scene.has_browser()
    scene.server.denies = True
    error = scene.fail()
    assert isinstance(error, LoginFailed)
    assert "The login was denied (access_denied)." == error.message
    assert [] == scene.exchanges
    assert scene.port_is_free()


def test_what_others_knock_with_does_not_end_the_wait(scene: Scene) -> None:
    scene.has_browser(
        "from urllib.parse import parse_qsl, urlsplit\n"
        "back = dict(parse_qsl(urlsplit(url).query))['redirect_uri']\n"
        "for query in ('', '?error=access_denied&state=x', '?code=x&state=y'):\n"
        "    try: urllib.request.urlopen(back + query)\n"
        "    except urllib.error.HTTPError as error: assert error.code == 400\n"
        "consent()"
    )
    assert is_login(scene, scene.log_in())


# --- without ------------------------------------------------------------------------------------


def test_without_a_browser_the_code_is_pasted(scene: Scene) -> None:
    scene.has_browser()
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in(browser=False))
    assert MANUAL_REDIRECT == scene.exchanges[0]["redirect_uri"]
    assert not scene.opened


def test_where_no_browser_can_open_the_code_is_pasted(scene: Scene) -> None:
    """As by SSH and in a container: no display, and text browsers are not for this."""
    scene.environ["TERM"] = "xterm"
    scene.has_browser(name="w3m")
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in())
    assert not scene.opened


@pytest.mark.parametrize("browser", [True, False])
def test_without_browser_and_input_it_ends_in_words(scene: Scene, browser: bool) -> None:
    scene.typed.put(None)
    started = time.monotonic()
    error = scene.fail(browser=browser)
    assert isinstance(error, LoginFailed)
    assert "The input ended before a code was pasted." == error.message
    assert time.monotonic() - started < SOON


def test_a_browser_that_fails_is_made_do_without(scene: Scene) -> None:
    scene.has_browser("sys.exit(3)")

    def paste() -> None:
        while not any("No browser" in line for line in scene.said):
            time.sleep(0.01)
        scene.typed.put(scene.server.authorize(scene.manual_url))

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in())


def test_a_browser_that_fails_and_no_input_end_in_words(scene: Scene) -> None:
    scene.has_browser("sys.exit(3)")
    scene.typed.put(None)
    assert "The input ended before a code was pasted." == scene.fail().message
    assert "No browser could be opened: use the address above." in scene.said


def test_an_interpreter_that_cannot_be_started_is_a_browser_that_fails(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(scene.folder / "gone"))
    scene.environ["BROWSER"] = "firefox"
    scene.typed.put(None)
    assert "The input ended before a code was pasted." == scene.fail().message


def test_without_a_port_the_code_is_pasted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth_callback, "_PORTS_TO_TRY", 0)
    scene.has_browser()
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert is_login(scene, scene.log_in())
    assert not scene.opened


def test_modules_in_the_working_directory_are_not_imported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.has_browser()
    planted = scene.folder / "planted"
    planted.mkdir()
    for name in ("webbrowser", "sitecustomize", "shlex"):
        (planted / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(planted)
    scene.environ["PYTHONPATH"] = str(planted)
    assert is_login(scene, scene.log_in())


# --- what is pasted -----------------------------------------------------------------------------

ANOTHER = "That is of another login. Open the address above, and paste anew:"
NOT_ALL = "That is not all of it: paste the code with the # and what follows it:"


def test_a_wrong_paste_gets_words_and_another_try(scene: Scene) -> None:
    state = Challenge.fresh().state

    def paste() -> None:
        right = scene.server.authorize(scene.manual_url)
        code = right.partition("#")[0]
        for line in (f"{code}#{state}", code, "", "  ", f"{code}#", f"#{state}", f"  {right} \r\n"):
            scene.typed.put(line)

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in(browser=False))
    assert [ANOTHER, NOT_ALL, ANOTHER, ANOTHER] == scene.said[2:]
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
def test_an_odd_paste_gets_words(scene: Scene, line: str) -> None:
    scene.typed.put(line)
    scene.typed.put(None)
    assert "input ended" in scene.fail(browser=False).message
    assert scene.said[2] in (ANOTHER, NOT_ALL)


def test_the_address_of_the_manual_page_works_too(scene: Scene) -> None:
    def paste() -> None:
        code, _, state = scene.server.authorize(scene.manual_url).partition("#")
        scene.typed.put(f"{MANUAL_REDIRECT}?code={code}&state={state}")

    scene.meanwhile(paste)
    assert is_login(scene, scene.log_in(browser=False))


def test_an_input_without_end_is_not_read_for_ever(scene: Scene) -> None:
    for _ in range(1000):
        scene.typed.put("y\n")
    error = scene.fail(browser=False)
    assert "Nothing that was pasted is the code of this login." == error.message
    assert (980, []) == (scene.typed.qsize(), scene.exchanges)


def test_an_input_without_end_does_not_cancel_the_browser(scene: Scene) -> None:
    scene.has_browser()
    for _ in range(1000):
        scene.typed.put("y\n")
    assert is_login(scene, scene.log_in())


def test_no_line_is_taken_from_whoever_reads_next(scene: Scene) -> None:
    """Of an input that goes on, one line at most is read ahead of what is needed."""

    def paste() -> None:
        scene.typed.put(scene.server.authorize(scene.manual_url))
        scene.typed.put("y\n")

    scene.meanwhile(paste)
    scene.log_in(browser=False)
    assert "y\n" == scene.typed.get(timeout=PATIENCE)


# --- how it ends --------------------------------------------------------------------------------


def test_a_login_takes_no_longer_than_it_may(scene: Scene) -> None:
    scene.has_browser("pass")
    started = time.monotonic()
    error = scene.fail(timeout=1.0)
    assert isinstance(error, LoginFailed)
    assert "Nobody logged in within 1 second." == error.message
    assert 0.9 < time.monotonic() - started < 1.0 + SOON
    assert scene.port_is_free()


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
@pytest.mark.parametrize("browser", [True, False])
def test_ctrl_c_leaves_at_once(scene: Scene, browser: bool) -> None:
    scene.has_browser("pass")
    pressed = list[float]()

    def press() -> None:
        assert scene.manual_url
        if browser:
            assert scene.started
        pressed.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    scene.meanwhile(press)
    with pytest.raises(KeyboardInterrupt):
        scene.log_in(browser=browser)
    assert time.monotonic() - pressed[0] < SOON
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
def test_a_code_is_exchanged_once(scene: Scene, fault: Any, kind: type[Exception]) -> None:  # noqa: ANN401
    """Whatever came of it: a second time it could only end what the first has given."""
    scene.server.script(fault)
    scene.meanwhile(lambda: scene.typed.put(scene.server.authorize(scene.manual_url)))
    assert kind is type(scene.fail(browser=False))
    assert 1 == len(scene.exchanges)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_challenge_is_left_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Also an error holds on to the frames that it came through."""
    made = list[weakref.ref[Challenge]]()
    fresh = Challenge.fresh

    def watched() -> Challenge:
        challenge = fresh()
        made.append(weakref.ref(challenge))
        return challenge

    monkeypatch.setattr(Challenge, "fresh", watched)
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

    scene.has_browser()

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


def test_of_several_browsers_those_for_the_terminal_are_left_out(scene: Scene) -> None:
    scene.has_browser()
    scene.environ["BROWSER"] = os.pathsep.join(("w3m", scene.environ["BROWSER"], "lynx"))
    scene.log_in()
    assert scene.started[1]["BROWSER"] == str(scene.folder / "browser")


def test_without_an_interpreter_no_browser_can_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert not browser_can_open({"DISPLAY": ":0", "BROWSER": "firefox"})
