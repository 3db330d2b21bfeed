"""The local address that starts a login in the browser and receives its code (RFC 8252)."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qsl

from claude_usage_monitor.errors import LoginFailed
from claude_usage_monitor.sources.anthropic.oauth_login import Challenge
from claude_usage_monitor.sources.loopback_server import LoopbackServer, Page
from claude_usage_monitor.sources.text import clean, is_token
from claude_usage_monitor.usage.secret import Secret

CALLBACK_PATH = "/callback"
_MAX_FIELDS = 32  # in a query; a callback has two or three

Outcome = Secret | LoginFailed


class LoginCallback:
    """Serves one login until it is closed.

    ``on_outcome`` is called at most once, on a thread of the server: with the code, or with the
    LoginFailed that ends the login.
    """

    def __init__(self, challenge: Challenge, on_outcome: Callable[[Outcome], None]) -> None:
        """Start serving. Raises LoginFailed when no port is free."""
        try:
            self._server = LoopbackServer(self._page_for)
        except OSError:
            raise LoginFailed(
                "No port of this computer is free for the browser to return to."
            ) from None
        self._start_path = f"/{secrets.token_urlsafe(32)}"
        origin = f"http://localhost:{self._server.port}"
        self.start_url = origin + self._start_path
        """The address to open in the browser: it redirects to the login page, once.

        All users of this computer can see it in the browser's arguments. Unlike the login page's
        address, it does not contain the state, which would let another user complete the login
        with their own account.
        """
        self.redirect_uri = origin + CALLBACK_PATH
        """The address to which the login service sends the browser with the code."""
        self._login_url = challenge.url(self.redirect_uri)
        self._state = challenge.state.encode()
        self._on_outcome = on_outcome
        self._lock = threading.Lock()  # guards the two fields below
        self._started = False
        self._finished = False
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving, and free the port."""
        self._server.close()

    def _page_for(self, target: str) -> Page:
        path, _, query = target.partition("?")
        if path == self._start_path:
            return self._start()
        if path != CALLBACK_PATH:
            return Page(HTTPStatus.NOT_FOUND, "There is nothing here.")
        outcome = outcome_of(fields_of(query), self._state)
        if outcome is None:
            return Page(HTTPStatus.BAD_REQUEST, "This does not belong to the current login.")
        if not self._finish(outcome):
            return Page(HTTPStatus.GONE, "This login has already ended.")
        result = outcome.message if isinstance(outcome, LoginFailed) else "The code has arrived."
        return Page(HTTPStatus.OK, f"{result} Close this page and return to the terminal.")

    def _start(self) -> Page:
        """Redirect to the login page; the second time, cancel the login."""
        with self._lock:
            first, self._started = not self._started, True
        if first:
            return Page(HTTPStatus.FOUND, "Continue to the login page.", self._login_url)
        self._finish(
            LoginFailed(
                "The login was canceled: its address was opened twice, perhaps by another user.",
                "Log in again, with `--no-browser` if this repeats.",
            )
        )
        return Page(HTTPStatus.GONE, "This address works only once. Return to the terminal.")

    def _finish(self, outcome: Outcome) -> bool:
        """Report the outcome if it is the first one; return whether it was."""
        with self._lock:
            first, self._finished = not self._finished, True
        if first:
            self._on_outcome(outcome)
        return first


def fields_of(query: str) -> Mapping[str, str]:
    """Return the fields of a URL's query; none if there are too many or one is repeated."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}


def outcome_of(fields: Mapping[str, str], state: bytes) -> Outcome | None:
    """Return the outcome in a redirect's fields; ``None`` if their state is not this login's."""
    received_state = fields.get("state", "").encode(errors="surrogatepass")
    if not hmac.compare_digest(received_state, state):
        return None
    if "error" not in fields:
        code = fields.get("code", "")
        return Secret(code) if is_token(code) else None
    error, description = clean(fields["error"], 60), clean(fields.get("error_description", ""))
    reason = ": ".join(part for part in (error, description) if part)
    if error == "access_denied":
        return LoginFailed(f"The login was denied ({reason}).")
    return LoginFailed(f"The login service ended the login ({reason or 'no reason given'}).")
