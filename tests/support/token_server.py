"""A token endpoint on loopback that behaves as the real one, and records every request.

Codes and refresh tokens work once; a refresh token that is sent twice ends its whole family. The
server also returns usage and profile for the access tokens it has issued. Any number of threads and
processes may send requests. ``python -m tests.support.token_server`` runs it as a program that
prints its URL; ``GET /control/issue`` and ``GET /control/state`` then replace the methods.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import socketserver
import threading
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import NAMESPACE_URL, uuid5

from tests.support.api import PROFILE, USAGE
from tests.support.payloads import as_bytes, payload, usage_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Response = tuple[int, bytes]
    ResponseWithHeaders = tuple[int, bytes, Mapping[str, str]]

TOKEN = "/v1/oauth/token"
AUTHORIZE = "/oauth/authorize"
CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
MANUAL = "https://platform.claude.com/oauth/code/callback"
SCOPES = "user:profile user:inference"
HOURS_8 = 28800.0
DAYS_30 = 2592000.0
_CONNECTION_TESTS = ("/api/hello", "/v1/oauth/hello")  # Claude Code sends them before a login
_BLOCKED_AGENTS = ("claude-code/", "claude-cli/")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. The defaults mean nothing.

    With ``consumes``, the server spends the token of a token request all the same.
    """

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drops: bool = False
    consumes: bool = True


def refused(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Fault:
    """Respond with a status, and leave the token valid."""
    content = body if isinstance(body, bytes) else as_bytes({} if body is None else body)
    return Fault(status, content, headers or {}, consumes=False)


def dropped(*, consumes: bool = True) -> Fault:
    """Close the connection without a response: after spending the token, or before."""
    return Fault(drops=True, consumes=consumes)


def delayed(seconds: float) -> Fault:
    """Spend the token at once, and respond some seconds later."""
    return Fault(delay=seconds)


def garbled(body: bytes = b"<html>", status: int = 200) -> Fault:
    """Spend the token, and respond with something else than tokens."""
    return Fault(status, body)


@dataclass
class RecordedRequest:
    """A request and the status of its response; ``None`` if there is none yet."""

    method: str
    path: str
    user_agent: str
    access_token: str | None = None
    document: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    rotated: bool = False
    at: float = field(default_factory=time.monotonic)

    @property
    def refresh_token(self) -> str | None:
        """The refresh token in the request."""
        return self.document.get("refresh_token")


@dataclass
class _Family:
    """A login: all tokens that were issued since the user consented once."""

    name: str
    account: str
    alive: bool = True
    current: str = ""
    access: dict[str, float] = field(default_factory=dict)  # access token: when it expires


@dataclass
class _Code:
    account: str
    challenge: str
    redirect_uri: str
    state: str
    family: _Family | None = None  # once the code is spent


class TokenServer:
    """The server. ``latency`` is the time before every response, in seconds.

    ``after_rotation`` is called when a token was spent, before the response.
    """

    def __init__(self, *, latency: float = 0.0, expires_in: float = HOURS_8, port: int = 0) -> None:
        self.latency = latency
        self.expires_in = expires_in
        self.errors_as_objects = False  # errors in the API's shape instead of OAuth's
        self.browser_account = "work"  # the account that logs in at /oauth/authorize
        self.denies = False  # whether the user denies the login there
        self.any_scopes = False  # whether other scopes than ours may be requested there
        self.figures: dict[str, float] = {}  # five-hour utilization by account
        self.after_rotation: Callable[[RecordedRequest], None] | None = None
        # Replies to POST requests for other paths than the token endpoint.
        self.other_replies: dict[str, Callable[[dict[str, object]], ResponseWithHeaders]] = {}
        self.clock: Callable[[], float] = time.time
        self._lock = threading.Lock()
        self._requests: list[RecordedRequest] = []
        self._families: dict[str, _Family] = {}
        self._by_token: dict[str, _Family] = {}  # all refresh and access tokens ever issued
        self._codes: dict[str, _Code] = {}
        self._faults: list[tuple[str | None, Fault]] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(0.005), name="token server", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- for tests ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far."""
        with self._lock:
            return list(self._requests)

    @property
    def refreshes(self) -> list[RecordedRequest]:
        """Every request to refresh a login so far, also those that failed."""
        return [request for request in self.requests if request.refresh_token is not None]

    def issue(self, account: str = "work", *, expires_in: float | None = None) -> dict[str, object]:
        """Return the credentials of a new login, as Claude Code stores them."""
        lifetime = self.expires_in if expires_in is None else expires_in
        with self._lock:
            family = self._new_family(account)
            access = self._new_access(family, lifetime)
        now = self.clock()
        return {
            "claudeAiOauth": {
                "accessToken": access,
                "refreshToken": family.current,
                "expiresAt": int((now + lifetime) * 1000),
                "refreshTokenExpiresAt": int((now + DAYS_30) * 1000),
                "scopes": SCOPES.split(),
                "subscriptionType": "max",
                "rateLimitTier": "default_claude_max_5x",
            }
        }

    def family_of(self, credentials: object) -> str:
        """Return the name of the family of credentials or of a token."""
        with self._lock:
            return self._by_token[_refresh_token_in(credentials)].name

    def alive(self, family: str) -> bool:
        """Return whether a family's last refresh token is still valid."""
        with self._lock:
            return self._families[family].alive

    def accepts(self, credentials: object) -> bool:
        """Return whether a refresh token, or the one in credentials, would be accepted now."""
        token = _refresh_token_in(credentials)
        with self._lock:
            family = self._by_token.get(token)
            return family is not None and family.alive and family.current == token

    def revoke(self, family: str) -> None:
        """End a family."""
        with self._lock:
            self._end(self._families[family])

    def refuse_access_tokens(self) -> None:
        """Refuse the access tokens issued so far; the refresh tokens stay usable."""
        with self._lock:
            for family in self._families.values():
                family.access.clear()

    def script(self, *faults: Fault, account: str | None = None) -> None:
        """Apply these faults to the next token requests, of all accounts or of one."""
        with self._lock:
            self._faults += [(account, fault) for fault in faults]

    def authorize(self, url: str, account: str = "work") -> str:
        """Return what the page for manual logins shows after the consent: ``code#state``.

        Raises ValueError when the URL is not as it has to be.
        """
        query = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        fixed = {
            "code": "true",
            "client_id": CLIENT_ID,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        wrong = {name for name, value in fixed.items() if query.get(name) != value}
        if query.get("scope") != SCOPES and not self.any_scopes:
            wrong.add("scope")
        redirect, state = query.get("redirect_uri", ""), query.get("state", "")
        if redirect != MANUAL and not redirect.startswith("http://localhost:"):
            wrong.add("redirect_uri")
        if len(query.get("code_challenge", "")) != 43 or len(state) < 16 or wrong:
            raise ValueError(f"not an authorize URL: {sorted(wrong)}")
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = _Code(account, query["code_challenge"], redirect, state)
        return f"{code}#{state}"

    def state(self) -> dict[str, object]:
        """Return all requests and families so far, for another process."""
        with self._lock:
            return {
                "requests": [
                    [
                        request.path,
                        request.refresh_token,
                        request.user_agent,
                        request.status,
                        request.rotated,
                    ]
                    for request in self._requests
                ],
                "families": {
                    family.name: [family.account, family.alive, family.current]
                    for family in self._families.values()
                },
            }

    # --- tokens; called with the lock held --------------------------------------------------

    def _new_family(self, account: str) -> _Family:
        family = _Family(f"family-{len(self._families) + 1}", account)
        self._families[family.name] = family
        self._rotate(family)
        return family

    def _rotate(self, family: _Family) -> None:
        family.current = f"sk-ant-ort01-{family.name}-{secrets.token_urlsafe(24)}"
        self._by_token[family.current] = family

    def _new_access(self, family: _Family, lifetime: float) -> str:
        token = f"sk-ant-oat01-{family.name}-{secrets.token_urlsafe(24)}"
        family.access[token] = self.clock() + lifetime
        self._by_token[token] = family
        return token

    @staticmethod
    def _end(family: _Family) -> None:
        family.alive = False
        family.access.clear()

    # --- responses ---------------------------------------------------------------------------

    def record(self, request: RecordedRequest) -> None:
        """Record a request, and wait as long as every response takes."""
        with self._lock:
            self._requests.append(request)
        time.sleep(self.latency)

    def fault_for(self, document: Mapping[str, str]) -> Fault | None:
        """Return and remove the next fault for a request."""
        with self._lock:
            family = self._by_token.get(document.get("refresh_token", ""))
            code = self._codes.get(document.get("code", ""))
            account = family.account if family else code.account if code else None
            for number, (target, fault) in enumerate(self._faults):
                if target in (None, account):
                    del self._faults[number]
                    return fault
            return None

    def grant(self, request: RecordedRequest) -> Response:
        """Exchange a code or a refresh token for new tokens."""
        document = request.document
        if document.get("client_id") != CLIENT_ID:
            return self._error("invalid_client", "Unknown client", 401)
        exchanges = {"refresh_token": self._refresh, "authorization_code": self._exchange_code}
        exchange = exchanges.get(document.get("grant_type", ""))
        if exchange is None:
            return self._error("unsupported_grant_type", "Unknown grant type")
        with self._lock:
            family = exchange(document)
            if isinstance(family, str):
                kind, _, text = family.partition(": ")
                return self._error(kind, text)
            request.rotated = True
            account = family.account
            return 200, as_bytes(
                {
                    "token_type": "Bearer",
                    "access_token": self._new_access(family, self.expires_in),
                    "refresh_token": family.current,
                    "expires_in": int(self.expires_in),
                    "refresh_token_expires_in": int(DAYS_30),
                    "scope": SCOPES,
                    "account": {"uuid": uuid_of(account), "email_address": email_of(account)},
                    "organization": {"uuid": uuid_of(f"{account}'s"), "name": f"{account}'s"},
                }
            )

    def _refresh(self, document: Mapping[str, str]) -> _Family | str:
        token = document.get("refresh_token", "")
        family = self._by_token.get(token)
        if family is not None and token != family.current:
            self._end(family)  # it was used before, and either client may be the thief
        if family is None or not family.alive:
            return "invalid_grant: Refresh token not found or invalid"
        self._rotate(family)
        return family

    def _exchange_code(self, document: Mapping[str, str]) -> _Family | str:
        if not document.get("state"):
            return "invalid_request: state is required"
        code = self._codes.get(document.get("code", ""))
        if code is None:
            return "invalid_grant: Invalid code"
        if code.family is not None:
            self._end(code.family)
            return "invalid_grant: Code was used already"
        verifier = document.get("code_verifier", "")
        digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = (document.get("redirect_uri"), document["state"], digest, True)
        expected = (code.redirect_uri, code.state, code.challenge, 43 <= len(verifier) <= 128)
        if asked != expected:
            return "invalid_grant: Code is not of this request"
        code.family = self._new_family(code.account)
        return code.family

    def _error(self, kind: str, text: str, status: int = 400) -> Response:
        if self.errors_as_objects:
            return status, as_bytes({"type": "error", "error": {"type": kind, "message": text}})
        return status, as_bytes({"error": kind, "error_description": text})

    def api_response(self, request: RecordedRequest, *, beta: bool) -> Response:
        """Return usage or a profile."""
        with self._lock:
            family = self._by_token.get(request.access_token or "")
            until = family.access.get(request.access_token or "") if family else None
        if family is None or until is None:
            return 401, payload("error_401_invalid_credentials")
        if until <= self.clock():
            return 401, payload("error_401_expired_2026")
        account = family.account
        if request.path == PROFILE:
            return 200, as_bytes(profile_of(account))
        if not beta:
            return 401, payload("error_401_missing_beta_header")
        now = datetime.fromtimestamp(self.clock(), UTC)
        return 200, as_bytes(usage_body(now, five_hour=self.five_hour(account)))

    def five_hour(self, account: str) -> float:
        """Return the five-hour utilization for a response."""
        return self.figures.get(account, 78.0)

    def response_time(self) -> float:
        """Return the time for the Date header of a response."""
        return self.clock()

    def api_fault(self, request: RecordedRequest) -> Fault:  # noqa: ARG002 - for subclasses
        """Return what goes wrong with a request for usage or a profile."""
        return Fault()


def uuid_of(name: str) -> str:
    """Return the UUID that an account or organisation of a name has here."""
    return str(uuid5(NAMESPACE_URL, name))


def email_of(account: str) -> str:
    """Return the address that an account of a name has here."""
    return f"{''.join(filter(str.isalnum, account)).lower()}@example.com"


def profile_of(account: str) -> dict[str, object]:
    """Return the profile that an account of a name has here."""
    return {
        "account": {
            "uuid": uuid_of(account),
            "display_name": account,
            "email": email_of(account),
            "has_claude_max": True,
        },
        "organization": {
            "uuid": uuid_of(f"{account}'s"),
            "name": f"{account}'s",
            "organization_type": "claude_max",
            "rate_limit_tier": "default_claude_max_5x",
        },
    }


def _refresh_token_in(credentials: object) -> str:
    if isinstance(credentials, dict):
        return str(credentials["claudeAiOauth"]["refreshToken"])
    return str(credentials)


class _Server(ThreadingHTTPServer):
    owner: TokenServer
    request_queue_size = 256
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own looks the host's name up

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients are killed here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 20.0

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the text for the Date header."""
        return super().date_time_string(timestamp or self.server.owner.response_time())

    def do_GET(self) -> None:
        owner, request = self.server.owner, self._recorded_request()
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/control/state":
            self._respond(200, as_bytes(owner.state()))
        elif parts.path == "/control/issue":
            lifetime = float(query.get("expires_in", owner.expires_in))
            self._respond(
                200, as_bytes(owner.issue(query.get("account", "work"), expires_in=lifetime))
            )
        elif parts.path == AUTHORIZE:
            owner.record(request)
            self._consent(query)
        else:
            owner.record(request)
            if parts.path in (USAGE, PROFILE):
                fault = owner.api_fault(request)
                response = 500, b""
                if fault.status is None and not fault.drops:
                    beta = "anthropic-beta" in self.headers
                    response = owner.api_response(request, beta=beta)
                self._respond_with(fault, request, *response)
            else:
                request.status = 200 if parts.path in _CONNECTION_TESTS else 404
                self._respond(request.status, as_bytes({}))

    def do_POST(self) -> None:
        owner, request = self.server.owner, self._recorded_request()
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with contextlib.suppress(ValueError):
            document = json.loads(content)
            request.document = document if isinstance(document, dict) else {}
        owner.record(request)
        if request.path in owner.other_replies:
            request.status, body, headers = owner.other_replies[request.path](json.loads(content))
            self._respond(request.status, body, headers)
        elif request.path != TOKEN:
            request.status = 404
            self._respond(404, as_bytes({}))
        elif request.user_agent.startswith(_BLOCKED_AGENTS):
            request.status = 429
            self._respond(429, payload("error_429_usage"))
        else:
            self._grant(request, owner.fault_for(request.document) or Fault())

    def _grant(self, request: RecordedRequest, fault: Fault) -> None:
        owner = self.server.owner
        status, body = owner.grant(request) if fault.consumes else (500, b"")
        if request.rotated and owner.after_rotation is not None:
            owner.after_rotation(request)
        self._respond_with(fault, request, status, body)

    def _respond_with(
        self, fault: Fault, request: RecordedRequest, status: int, body: bytes
    ) -> None:
        """Send a response, as far as the fault allows it."""
        time.sleep(fault.delay)
        if fault.drops:
            self.close_connection = True
            return
        if fault.status is not None:
            status, body = fault.status, fault.body
        request.status = status
        self._respond(status, body, fault.headers)

    def _consent(self, query: Mapping[str, str]) -> None:
        owner = self.server.owner
        try:
            code, _, state = owner.authorize(self.path, owner.browser_account).partition("#")
        except ValueError as error:
            self._respond(400, as_bytes({"error": str(error)}))
            return
        if query["redirect_uri"] == MANUAL:
            self._respond(200, f"{code}#{state}".encode())
            return
        outcome = {"error": "access_denied"} if owner.denies else {"code": code}
        answer = urlencode({**outcome, "state": state})
        self._respond(302, b"", {"Location": f"{query['redirect_uri']}?{answer}"})

    def _recorded_request(self) -> RecordedRequest:
        bearer = self.headers.get("Authorization", "")
        return RecordedRequest(
            self.command,
            urlsplit(self.path).path,
            self.headers.get("User-Agent", ""),
            bearer.removeprefix("Bearer ") or None,
        )

    def _respond(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        with contextlib.suppress(ConnectionError):  # the client has left
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--expires-in", type=float, default=HOURS_8)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = TokenServer(latency=options.latency, expires_in=options.expires_in, port=options.port)
    with server, contextlib.suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
