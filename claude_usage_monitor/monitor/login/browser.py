"""Logs in with a browser or a pasted code, whichever arrives first.

This module does not use the terminal: a `Prompter` shows lines to the user and reads lines.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue

from claude_usage_monitor.errors import LoginFailed, UsageMonitorError
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.sources.anthropic.oauth_callback import (
    LoginCallback,
    Outcome,
    fields_of,
    outcome_of,
)
from claude_usage_monitor.sources.anthropic.oauth_login import (
    MANUAL_REDIRECT,
    Challenge,
    credentials_of,
    exchange_code,
)
from claude_usage_monitor.usage.durations import span_in_words
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:  # requests costs 100 ms; only a process that sends a request imports it
    from claude_usage_monitor.sources.http import HttpClient

TIMEOUT_SECONDS = 300.0
_POLL_SECONDS = 0.2  # on Windows, Ctrl+C takes effect only when a wait ends
_MAX_ATTEMPTS = 20  # pasted lines without this login's code

# `-I` isolates the interpreter: it imports no module from the working directory.
_OPEN_BROWSER = ["-I", "-c", "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"]
_TEXT_BROWSERS = frozenset(("browsh", "elinks", "links", "links2", "lynx", "w3m"))
_SECRET_PREFIXES = ("ANTHROPIC", "CLAUDE")  # environment variables with tokens and keys


class Prompter(NamedTuple):
    """The dialog with the user: ``say`` shows a line, ``ask`` reads one.

    ``say`` is called on the caller's thread. ``ask`` is called on a daemon thread and may still be
    waiting when the login is over; it returns ``None`` at the end of the input.
    """

    say: Callable[[str], None]
    ask: Callable[[], str | None]


class _PastedLine(NamedTuple):
    """A line that the user typed, which may contain a code; ``None`` at the end of the input."""

    line: Secret | None


class _NoBrowser:
    """No browser could be opened."""


class _ReceivedCode(NamedTuple):
    """A code, and the redirect address of the login page that issued it."""

    code: Secret
    redirect_uri: str


_Events = SimpleQueue["Outcome | _PastedLine | _NoBrowser"]


def log_in(  # noqa: PLR0913 - a login needs all of these
    client: HttpClient,
    environ: Mapping[str, str],
    prompter: Prompter,
    *,
    browser: bool = True,
    timeout: float = TIMEOUT_SECONDS,
    clock: Callable[[], datetime],
) -> dict[str, object]:
    """Return the credentials of a new login, as Claude Code stores them; nothing is stored here.

    ``client`` sends requests to the token endpoint. Without ``browser``, or if none can open,
    the user has to paste the code.

    Raises LoginFailed if the user denies the login, takes longer than ``timeout`` seconds, or can
    no longer enter a code; otherwise as `exchange_code` does. The code is exchanged only once.
    """
    challenge = Challenge.fresh()
    try:
        received = _receive_code(challenge, environ, prompter, timeout, browser=browser)
        grant = exchange_code(client, received.code, challenge, received.redirect_uri)
    except UsageMonitorError as error:
        raise error.with_traceback(None) from None  # its frames refer to the verifier
    finally:
        del challenge
    return credentials_of(grant, clock())


def _receive_code(
    challenge: Challenge,
    environ: Mapping[str, str],
    prompter: Prompter,
    timeout: float,
    *,
    browser: bool,
) -> _ReceivedCode:
    """Return the code of a login, from the browser or from the user."""
    events: _Events = SimpleQueue()
    with ExitStack() as stack:
        callback = None
        if browser and browser_can_open(environ):
            with contextlib.suppress(LoginFailed):  # no port is free; pasting a code needs none
                callback = stack.enter_context(LoginCallback(challenge, events.put))
        if callback is None:
            prompter.say(
                "Open this address in a browser, log in, and paste the code that it shows:"
            )
        else:
            prompter.say("Your browser opens. Log in there.")
            prompter.say(
                "If it does not open, open this address anywhere and paste the code that it shows:"
            )
        prompter.say(challenge.url(MANUAL_REDIRECT))
        if callback is not None:
            _open_browser(callback.start_url, environ, events)
        redirect_uri = None if callback is None else callback.redirect_uri
        return _Conversation(prompter, events, challenge.state, redirect_uri).code(timeout)


class _Conversation:
    """Waits for the browser and for the user at the same time.

    ``browser_uri`` is the redirect address of the browser's login, ``None`` without a browser.
    """

    def __init__(
        self, prompter: Prompter, events: _Events, state: str, browser_uri: str | None
    ) -> None:
        self._prompter = prompter
        self._events = events
        self._state = state.encode()
        self._browser_uri = browser_uri

    def code(self, timeout: float) -> _ReceivedCode:
        """Return the first code. Raises LoginFailed if none can arrive any more."""
        deadline = time.monotonic() + timeout
        browser_open, input_open = self._browser_uri is not None, True
        attempts = 0
        self._read_line()
        while browser_open or input_open:
            event = self._next_event(deadline)
            if event is None:
                span = span_in_words(timedelta(seconds=timeout))
                raise LoginFailed(f"The login was not completed within {span}.")
            if isinstance(event, LoginFailed):
                raise event
            if isinstance(event, Secret):
                return _ReceivedCode(event, self._browser_uri or MANUAL_REDIRECT)
            if isinstance(event, _NoBrowser):
                browser_open = False
                self._prompter.say("No browser could be opened: use the address above.")
            elif event.line is None:
                input_open = False
            elif (received := self._code_in(event.line.reveal().strip())) is not None:
                return received
            else:
                attempts += 1
                input_open = attempts < _MAX_ATTEMPTS
                if input_open:
                    self._read_line()
        if attempts >= _MAX_ATTEMPTS:
            raise LoginFailed("None of the pasted lines is the code of this login.")
        raise LoginFailed(
            "The input ended before a code was pasted.",
            "Run this in a terminal, and paste the code that the address shows.",
        )

    def _next_event(self, deadline: float) -> Outcome | _PastedLine | _NoBrowser | None:
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                return self._events.get(timeout=min(left, _POLL_SECONDS))
        return None

    def _read_line(self) -> None:
        """Read one line on a separate thread, because the user may never press Enter."""
        ask, events = self._prompter.ask, self._events

        def read() -> None:
            try:
                line = ask()
            except (OSError, ValueError):  # the input is closed, or not text
                line = None
            events.put(_PastedLine(None if line is None else Secret(line)))

        threading.Thread(target=read, name="login paste", daemon=True).start()

    def _code_in(self, line: str) -> _ReceivedCode | None:
        """Return the code in a pasted line; if there is none, show the user why.

        Accepts ``code#state``, and the address of the page on which the login ended.
        """
        if not line:
            return None
        address, _, query = line.partition("?")
        if query and address in (MANUAL_REDIRECT, self._browser_uri):
            fields, redirect_uri = fields_of(query.partition("#")[0]), address
        else:
            code, _, state = line.partition("#")
            fields, redirect_uri = {"code": code, "state": state}, MANUAL_REDIRECT
        outcome = outcome_of(fields, self._state)
        if isinstance(outcome, LoginFailed):
            raise outcome
        if outcome is not None:
            return _ReceivedCode(outcome, redirect_uri)
        if query or "#" in line:
            self._prompter.say(
                "That code is from another login. Open the address above and paste its code:"
            )
        else:
            self._prompter.say("That code is incomplete. Paste it with the # and all that follows:")
        return None


# --- the browser --------------------------------------------------------------------------------


def browser_can_open(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return whether a browser would open on the user's own screen."""
    if not sys.executable:
        return False
    if environ.get("BROWSER"):
        return bool(_graphical_browsers(environ))
    if platform in ("darwin", "win32"):  # over SSH, it would open on the other computer
        return not any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _graphical_browsers(environ: Mapping[str, str]) -> list[str]:
    """Return the commands in BROWSER, without the browsers that would use the terminal."""
    return [
        command
        for command in environ.get("BROWSER", "").split(os.pathsep)
        if command.strip() and _program(command) not in _TEXT_BROWSERS
    ]


def _program(command: str) -> str:
    try:
        parts = shlex.split(command)
    except ValueError:
        parts = command.split()
    return Path(parts[0]).name if parts else ""


def _open_browser(url: str, environ: Mapping[str, str], events: _Events) -> None:
    """Open a URL in the browser, without a terminal and without our secrets; do not wait for it."""
    child_environ = {
        name: value
        for name, value in environ.items()
        # Without TERM, the standard library does not choose a text browser.
        if name not in ("BROWSER", "TERM") and not name.upper().startswith(_SECRET_PREFIXES)
    }
    if commands := _graphical_browsers(environ):
        child_environ["BROWSER"] = os.pathsep.join(commands)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell, no secret
            [sys.executable, *_OPEN_BROWSER, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environ,
            start_new_session=True,  # detached from our terminal and its Ctrl+C
        )
    except OSError:
        events.put(_NoBrowser())
        return

    def wait_for_exit() -> None:
        if child.wait() != 0:
            events.put(_NoBrowser())

    threading.Thread(target=wait_for_exit, name="login browser", daemon=True).start()
