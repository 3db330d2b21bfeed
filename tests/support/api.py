"""A local API: a real HTTP server on loopback that answers like the real one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_httpserver import HTTPServer
from werkzeug import Response

from tests.support.payloads import as_bytes, payload, usage_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug import Request

USAGE = "/api/oauth/usage"
PROFILE = "/api/oauth/profile"


class ThreadedServer(HTTPServer):
    """A server that handles several requests at once, and stops without the half second's wait."""

    def __init__(self) -> None:
        super().__init__(threaded=True)

    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(0.01)


class Api:
    """Answers requests for usage and profile, and records them.

    ``answer`` changes the reply for usage, ``answer_profile`` that for a profile.
    """

    def __init__(self, server: HTTPServer) -> None:
        self._server = server
        self.requests: list[Request] = []
        self._usage: Callable[[], Response] = lambda: _json(as_bytes(usage_body(datetime.now(UTC))))
        self._profile: Callable[[], Response] = lambda: _json(payload("profile_2025-11_enterprise"))
        self._by_token: dict[str, Callable[[], Response]] = {}
        server.expect_request(USAGE).respond_with_handler(self._answer_usage)
        server.expect_request(PROFILE).respond_with_handler(self._answer_profile)

    @property
    def url(self) -> str:
        """The base URL."""
        return self._server.url_for("").rstrip("/")

    @property
    def usage_requests(self) -> list[Request]:
        """The requests for usage so far."""
        return [request for request in self.requests if request.path == USAGE]

    @property
    def profile_requests(self) -> list[Request]:
        """The requests for a profile so far."""
        return [request for request in self.requests if request.path == PROFILE]

    def answer(
        self,
        body: bytes | object,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> None:
        """Set the reply to requests for usage: to all, or to those with one token."""
        content = body if isinstance(body, bytes) else as_bytes(body)

        def response() -> Response:
            return _json(content, status, headers)

        if token is None:
            self._usage = response
        else:
            self._by_token[token] = response

    def answer_profile(self, body: bytes | object, status: int = 200) -> None:
        """Set the reply to requests for a profile."""
        content = body if isinstance(body, bytes) else as_bytes(body)
        self._profile = lambda: _json(content, status)

    def answer_with(self, response: Callable[[], Response]) -> None:
        """Let a function make the reply to each request for usage."""
        self._usage = response

    def _answer_usage(self, request: Request) -> Response:
        self.requests.append(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._by_token.get(token, self._usage)()

    def _answer_profile(self, request: Request) -> Response:
        self.requests.append(request)
        return self._profile()


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, dict(headers or {}), mimetype="application/json")
