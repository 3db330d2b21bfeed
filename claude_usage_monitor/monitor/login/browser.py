"""Logging in with a browser, or with a code that is pasted; whichever answers first.

Knows no terminal: what is told and what is typed goes through a `Prompter`.
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
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.errors import LoginFailed, UsageMonitorError
from claude_usage_monitor.sources.anthropic.oauth_callback import (
    CallbackListener,
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

if TYPE_CHECKING:
    from claude_usage_monitor.sources.http import HttpClient

TIMEOUT_SECONDS = 300.0
_SLICE = 0.2  # seconds; on Windows a wait hears Ctrl+C only when it ends
_MOST_TRIES = 20  # lines without a code in them, before an input counts as ended

# Isolated: nothing in the working directory is imported.
_BROWSE = ["-I", "-c", "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"]
_TEXT_BROWSERS = frozenset(("browsh", "elinks", "links", "links2", "lynx", "w3m"))
_SECRET_PREFIXES = ("ANTHROPIC", "CLAUDE")  # their variables hold tokens and keys


class Prompter(NamedTuple):
    """The user's end: ``say`` shows a line, ``ask`` waits for one.

    ``say`` is called on the caller's thread. ``ask`` is called on a daemon thread, which may
    still wait in it when the login is over; it returns ``None`` when no line can come any more.
    """

    say: Callable[[str], None]
    ask: Callable[[], str | None]


class _Pasted(NamedTuple):
    """A line that was typed, which may be a code; ``None`` at the end of the input."""

    line: Secret | None


class _NoBrowser(NamedTuple):
    """No browser could be opened."""


class _Came(NamedTuple):
    """A code, and the redirect address of the URL that it came by."""

    code: Secret
    redirect_uri: str


_Events = SimpleQueue["Outcome | _Pasted | _NoBrowser"]


def log_in(  # noqa: PLR0913 - a login touches everything outside
    client: HttpClient,
    environ: Mapping[str, str],
    prompter: Prompter,
    *,
    browser: bool = True,
    timeout: float = TIMEOUT_SECONDS,
    clock: Callable[[], datetime],
) -> dict[str, object]:
    """Return the credentials of a new login, in Claude Code's shape; nothing is stored.

    ``client`` asks the token endpoint. Without ``browser``, or where none can be opened, the code
    has to be pasted.

    Raises LoginFailed when it was denied, took longer than ``timeout`` seconds, or no code can
    come any more; else as `exchange_code` does. The code is exchanged once, whatever comes of it.
    """
    challenge = Challenge.fresh()
    try:
        with ExitStack() as stack:
            came = _code_of(challenge, environ, prompter, timeout, stack if browser else None)
            grant = exchange_code(client, came.code, challenge, came.redirect_uri)
    except UsageMonitorError as error:
        raise error.with_traceback(None) from None  # the frames in it hold the verifier
    finally:
        del challenge
    return credentials_of(grant, clock())


def _code_of(
    challenge: Challenge,
    environ: Mapping[str, str],
    prompter: Prompter,
    timeout: float,
    stack: ExitStack | None,
) -> _Came:
    """Return the code of a login. A listener for the browser ends with the ``stack``."""
    events: _Events = SimpleQueue()
    listener = None
    if stack is not None and browser_can_open(environ):
        with contextlib.suppress(LoginFailed):  # no port is free: a pasted code needs none
            listener = stack.enter_context(CallbackListener(challenge.state, events.put))
    if listener is not None:
        prompter.say("Your browser opens: log in there.")
        prompter.say("If it does not, open this address anywhere and paste the code that it shows:")
    else:
        prompter.say("Open this address in a browser, log in, and paste the code that it shows:")
    prompter.say(challenge.url(MANUAL_REDIRECT))
    browser_uri = listener.redirect_uri if listener is not None else None
    if browser_uri is not None:
        _open(challenge.url(browser_uri), environ, events)
    return _Conversation(prompter, events, challenge.state, browser_uri).code(timeout)


class _Conversation:
    """Waits for the browser and for the user at the same time."""

    def __init__(
        self, prompter: Prompter, events: _Events, state: str, browser_uri: str | None
    ) -> None:
        self._prompter = prompter
        self._events = events
        self._state = state.encode()
        self._browser_uri = browser_uri
        self._tries = 0

    def code(self, timeout: float) -> _Came:
        """Return the first code that comes. Raises LoginFailed when none can come any more."""
        until = time.monotonic() + timeout
        browsing, typing = self._browser_uri is not None, True
        self._listen_for_a_line()
        while browsing or typing:
            event = self._next(until)
            if event is None:
                raise LoginFailed(
                    f"Nobody logged in within {span_in_words(timedelta(seconds=timeout))}."
                )
            if isinstance(event, LoginFailed):
                raise event
            if isinstance(event, Secret):
                return _Came(event, self._browser_uri or MANUAL_REDIRECT)
            if isinstance(event, _NoBrowser):
                browsing = False
                self._prompter.say("No browser could be opened: use the address above.")
            elif event.line is None:
                typing = False
            elif (came := self._came_with(event.line.reveal().strip())) is not None:
                return came
            else:
                self._tries += 1
                typing = self._tries < _MOST_TRIES
                if typing:
                    self._listen_for_a_line()
        if self._tries >= _MOST_TRIES:
            raise LoginFailed("Nothing that was pasted is the code of this login.")
        raise LoginFailed(
            "The input ended before a code was pasted.",
            "Run this in a terminal, and paste the code that the address shows.",
        )

    def _next(self, until: float) -> Outcome | _Pasted | _NoBrowser | None:
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                return self._events.get(timeout=min(left, _SLICE))
        return None

    def _listen_for_a_line(self) -> None:
        """Let a line be read, on a thread: nobody knows when one comes, if ever."""
        ask, events = self._prompter.ask, self._events

        def read() -> None:
            try:
                line = ask()
            except (OSError, ValueError):  # closed, or no text
                line = None
            events.put(_Pasted(None if line is None else Secret(line)))

        threading.Thread(target=read, name="login paste", daemon=True).start()

    def _came_with(self, line: str) -> _Came | None:
        """Return the code in a pasted line; else say what is wrong with it.

        Besides ``code#state`` the address of the page where the login ended will do.
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
            return _Came(outcome, redirect_uri)
        if query or "#" in line:
            self._prompter.say("That is of another login. Open the address above, and paste anew:")
        else:
            self._prompter.say(
                "That is not all of it: paste the code with the # and what follows it:"
            )
        return None


# --- the browser --------------------------------------------------------------------------------


def browser_can_open(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return whether a browser may be opened here, on the screen that the user sits at."""
    if not sys.executable:
        return False
    if environ.get("BROWSER"):
        return bool(_graphical_browsers(environ))
    if platform in ("darwin", "win32"):  # by SSH it would open where nobody sits
        return not any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _graphical_browsers(environ: Mapping[str, str]) -> list[str]:
    """Return what BROWSER names, without those that would take the terminal."""
    return [
        command
        for command in environ.get("BROWSER", "").split(os.pathsep)
        if command.strip() and _program(command) not in _TEXT_BROWSERS
    ]


def _program(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return Path(words[0]).name if words else ""


def _open(url: str, environ: Mapping[str, str], events: _Events) -> None:
    """Open the URL in a browser, which has no terminal and sees no token; never wait for it."""
    child_environ = {
        name: value
        for name, value in environ.items()
        # Without TERM the standard library knows no text browsers.
        if name not in ("BROWSER", "TERM") and not name.upper().startswith(_SECRET_PREFIXES)
    }
    if chosen := _graphical_browsers(environ):
        child_environ["BROWSER"] = os.pathsep.join(chosen)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell, no secret
            [sys.executable, *_BROWSE, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environ,
            start_new_session=True,  # no terminal to open, and no Ctrl+C from it
        )
    except OSError:
        events.put(_NoBrowser())
        return

    def watch() -> None:
        if child.wait() != 0:
            events.put(_NoBrowser())

    threading.Thread(target=watch, name="login browser", daemon=True).start()
