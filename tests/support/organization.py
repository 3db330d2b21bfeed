"""An invented organization, and an Admin API on loopback that serves it.

The API behaves like the real one: two kinds of pages, RFC 3339 for reports and plain days for
Claude Code, cents as decimal strings, ``null`` for the default workspace, error bodies with request
ids.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

ADMIN_KEY = "sk-ant-admin01-" + "a" * 40
ORGANIZATION_ID = "dc9f6c26-b22c-4831-8d01-0446bada88f1"
ROOT = "/v1/organizations/"
COSTS, MESSAGES, CLAUDE_CODE = "cost_report", "usage_report/messages", "usage_report/claude_code"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5")
# The share of an average day, Monday first.
_WEEK = ("1.0", "1.1", "1.2", "1.05", "0.8", "0.15", "0.1")
_WORKSPACES = ("Claude Code", None, "Research", "Support bot", "Data pipeline", "Evaluation")
_PEOPLE = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Mary Somerville", "Émilie du Châtelet")


@dataclass(frozen=True)
class Cell:
    """The cost of one model in one workspace on one day, in cents."""

    day: date
    workspace_id: str | None
    model: str | None
    cost_type: str
    cents: Decimal


@dataclass
class Invented:
    """An organization's figures, from which tests compute the sums that they expect."""

    name: str = "Acme Corporation"
    users: list[dict[str, str]] = field(default_factory=list)
    workspaces: list[dict[str, object]] = field(default_factory=list)
    api_keys: list[dict[str, object]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    messages: dict[date, list[dict[str, object]]] = field(default_factory=dict)
    claude_code: dict[date, list[dict[str, object]]] = field(default_factory=dict)

    @classmethod
    def of_size(
        cls, now: datetime, *, users: int = 5, workspaces: int = 6, seed: int = 7
    ) -> Invented:
        """Return an organization with random figures of this month up to ``now``."""
        organization = cls()
        rng = random.Random(seed)  # noqa: S311 - figures, not secrets
        for number in range(users):
            name = _PEOPLE[number] if number < len(_PEOPLE) else f"User {number}"
            email = f"{name.split()[0].lower()}{number}@example.com"
            organization.users.append({"id": f"user_{number:04}", "email": email, "name": name})
        for number in range(workspaces):
            label = _WORKSPACES[number] if number < len(_WORKSPACES) else f"Team {number}"
            if label is not None:
                organization.workspaces.append({"id": f"wrkspc_{number:04}", "name": label})
        for number in range(min(workspaces, 12)):
            organization.api_keys.append({"id": f"apikey_{number:04}", "name": f"service-{number}"})
        for offset in range(now.day):
            organization._add_day(now.date() - timedelta(days=offset), now, rng, workspaces)
        return organization

    def _add_day(self, day: date, now: datetime, rng: random.Random, workspaces: int) -> None:
        share = Decimal(1)
        if day == now.date():
            share = Decimal(now.hour * 60 + now.minute) / 1440
        scale = Decimal(_WEEK[day.weekday()]) * share
        for number in range(workspaces):
            known = number >= len(_WORKSPACES) or _WORKSPACES[number] is not None
            for model in _MODELS:
                cents = scale * Decimal(rng.randint(20_000, 900_000)) / (40 * (number + 1))
                workspace = f"wrkspc_{number:04}" if known else None
                self.cells.append(
                    Cell(day, workspace, model, "tokens", cents.quantize(Decimal("1e-6")))
                )
        searches = (scale * rng.randint(100, 900)).quantize(Decimal("1e-6"))
        self.cells.append(Cell(day, None, None, "web_search", searches))
        keys = [key["id"] for key in self.api_keys]
        self.messages[day] = [_message_row(key, rng, scale) for key in [*keys, None]]
        self.claude_code[day] = [
            _claude_code_row(day, user["email"], terminal, rng, scale)
            for user in self.users
            for terminal in (("vscode", "iTerm.app") if rng.random() < 0.4 else ("vscode",))
            if rng.random() < 0.95
        ]

    def cents(self, **where: object) -> Decimal:
        """Return the plain sum of all cells with these values."""
        return sum(
            (c.cents for c in self.cells if all(getattr(c, k) == v for k, v in where.items())),
            Decimal(0),
        )

    def claude_code_cents(self, email: str | None = None) -> Decimal:
        """Return the plain sum of the Claude Code report, of one user or of all."""
        found = Decimal(0)
        records: list[Any] = [row for rows in self.claude_code.values() for row in rows]
        for record in records:
            if email in (None, record["actor"]["email_address"]):
                for model in record["model_breakdown"]:
                    found += Decimal(str(model["estimated_cost"]["amount"]))
        return found


def _message_row(key: object, rng: random.Random, scale: Decimal) -> dict[str, object]:
    def tokens(most: int) -> int:
        return int(scale * rng.randint(most // 10, most))

    return {
        "api_key_id": key,
        "uncached_input_tokens": tokens(400_000),
        "output_tokens": tokens(90_000),
        "cache_read_input_tokens": tokens(3_000_000),
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens(50_000),
            "ephemeral_1h_input_tokens": tokens(20_000),
        },
        "server_tool_use": {"web_search_requests": 1},
        "workspace_id": None,
        "model": None,
    }


def _claude_code_row(
    day: date, email: str, terminal: str, rng: random.Random, scale: Decimal
) -> dict[str, object]:
    def some(most: int) -> int:
        return int(scale * rng.randint(1, most))

    return {
        "date": f"{day.isoformat()}T00:00:00Z",
        "actor": {"type": "user_actor", "email_address": email},
        "organization_id": ORGANIZATION_ID,
        "customer_type": "api",
        "terminal_type": terminal,
        "core_metrics": {
            "num_sessions": some(8),
            "lines_of_code": {"added": some(900), "removed": some(400)},
            "commits_by_claude_code": some(6),
            "pull_requests_by_claude_code": some(2),
        },
        "model_breakdown": [
            {
                "model": model,
                "tokens": {
                    "input": some(90_000),
                    "output": some(30_000),
                    "cache_read": some(900_000),
                    "cache_creation": some(40_000),
                },
                "estimated_cost": {"currency": "USD", "amount": some(900_00) / 100},
            }
            for model in _MODELS[:2]
        ],
    }


class AdminApi:
    """Serves an organization, and records the requests and how many of them were concurrent."""

    def __init__(self, server: HTTPServer, organization: Invented) -> None:
        self._server = server
        self.organization = organization
        self._cells: dict[date, list[Cell]] = defaultdict(list)
        for cell in organization.cells:
            self._cells[cell.day].append(cell)
        self.requests: list[Request] = []
        self.max_concurrent = 0
        self.latency = 0.0
        self.hold = False
        self.release = threading.Event()
        """Set it to answer the requests that ``hold`` delays."""
        self.key = ADMIN_KEY
        self.total_seconds_served = 0.0
        """The sum of the times that all requests took in this server."""
        self.concurrent = 0
        self._lock = threading.Lock()
        self._failures: dict[str, list[tuple[int, object, Mapping[str, str]]]] = defaultdict(list)
        self._always: dict[str, tuple[int, object, Mapping[str, str]]] = {}
        server.expect_request(re.compile(f"^{ROOT}")).respond_with_handler(self._answer)

    @property
    def url(self) -> str:
        """The base URL."""
        return self._server.url_for("").rstrip("/")

    @property
    def calls(self) -> list[str]:
        """The calls so far, in order."""
        return [request.path.removeprefix(ROOT) for request in self.requests]

    def fail(
        self,
        call: str,
        status: int,
        kind: str = "api_error",
        message: str = "Something is wrong",
        headers: Mapping[str, str] | None = None,
        *,
        once: bool = False,
    ) -> None:
        """Let a call fail: always, or once."""
        body = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
        }
        if once:
            self._failures[call].append((status, body, headers or {}))
        else:
            self._always[call] = (status, body, headers or {})

    def recover(self) -> None:
        """Let no call fail any more."""
        self._failures.clear()
        self._always.clear()

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            self.concurrent += 1
            self.max_concurrent = max(self.max_concurrent, self.concurrent)
        began = time.perf_counter()
        try:
            if self.latency:
                time.sleep(self.latency)
            if self.hold:
                self.release.wait(60)
            return self._reply(request, request.path.removeprefix(ROOT))
        finally:
            with self._lock:
                self.concurrent -= 1
                self.total_seconds_served += time.perf_counter() - began

    def _reply(self, request: Request, call: str) -> Response:
        if request.headers.get("x-api-key") != self.key:
            return _error(401, "authentication_error", "invalid x-api-key")
        if request.headers.get("anthropic-version") != "2023-06-01":
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        if self._failures[call]:
            return _json(*self._failures[call].pop(0))
        if call in self._always:
            return _json(*self._always[call])
        organization = self.organization
        lists: dict[str, Sequence[Mapping[str, object]]] = {
            "users": organization.users,
            "workspaces": organization.workspaces,
            "api_keys": organization.api_keys,
        }
        if call == "me":
            found = {"id": ORGANIZATION_ID, "type": "organization", "name": organization.name}
            return _json(200, found)
        if call in lists:
            return _listed(request, lists[call])
        if call == CLAUDE_CODE:
            return self._claude_code(request)
        if call in (COSTS, MESSAGES):
            return self._buckets(request, call)
        return _error(404, "not_found_error", "The requested resource could not be found.")

    def _claude_code(self, request: Request) -> Response:
        day = request.args.get("starting_at", "")
        if not _DAY.fullmatch(day) or set(request.args) - {"starting_at", "limit", "page"}:
            return _error(400, "invalid_request_error", "starting_at: one day, YYYY-MM-DD")
        records = self.organization.claude_code.get(date.fromisoformat(day), [])
        return _paged(request, records, 20, 1000)

    def _buckets(self, request: Request, call: str) -> Response:
        starting, ending = request.args.get("starting_at", ""), request.args.get("ending_at", "")
        if not (_INSTANT.fullmatch(starting) and _INSTANT.fullmatch(ending)):
            return _error(400, "invalid_request_error", "starting_at: RFC 3339 is needed")
        by = request.args.getlist("group_by[]")
        day, end = date.fromisoformat(starting[:10]), date.fromisoformat(ending[:10])
        buckets = []
        while day + timedelta(days=1) <= end:  # buckets that end before
            rows = self._cost_rows(day, by) if call == COSTS else self._token_rows(day)
            following = day + timedelta(days=1)
            buckets.append(
                {
                    "starting_at": f"{day.isoformat()}T00:00:00Z",
                    "ending_at": f"{following.isoformat()}T00:00:00Z",
                    "results": rows,
                }
            )
            day = following
        return _paged(request, buckets, 7, 31)

    def _token_rows(self, day: date) -> list[dict[str, object]]:
        return self.organization.messages.get(day, [])

    def _cost_rows(self, day: date, by: Sequence[str]) -> list[dict[str, object]]:
        sums: dict[tuple[object, ...], Decimal] = defaultdict(Decimal)
        for cell in self._cells[day]:
            workspace = cell.workspace_id if "workspace_id" in by else None
            described = "description" in by
            model, kind = (cell.model, cell.cost_type) if described else (None, None)
            sums[workspace, model, kind] += cell.cents
        return [
            {
                "amount": str(cents),
                "currency": "USD",
                "workspace_id": workspace,
                "model": model,
                "cost_type": kind,
                "token_type": None,
                "description": None,
            }
            for (workspace, model, kind), cents in sums.items()
        ]


def _listed(request: Request, items: Sequence[Mapping[str, object]]) -> Response:
    limit = int(request.args.get("limit", "20"))
    if not 1 <= limit <= 1000:
        return _error(400, "invalid_request_error", "limit: 1 to 1000")
    start = 0
    after = request.args.get("after_id")
    if after is not None:
        start = next((n for n, item in enumerate(items, 1) if item["id"] == after), len(items))
    page = items[start : start + limit]
    return _json(
        200,
        {
            "data": list(page),
            "has_more": start + limit < len(items),
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        },
    )


def _paged(request: Request, items: Iterable[object], default: int, maximum: int) -> Response:
    limit = int(request.args.get("limit", str(default)))
    if not 1 <= limit <= maximum:
        return _error(400, "invalid_request_error", f"limit: 1 to {maximum}")
    page = request.args.get("page", "page_0")
    start = int(page.removeprefix("page_"))
    found = list(items)
    more = start + limit < len(found)
    return _json(
        200,
        {
            "data": found[start : start + limit],
            "has_more": more,
            "next_page": f"page_{start + limit}" if more else None,
        },
    )


def _error(status: int, kind: str, message: str) -> Response:
    return _json(
        status,
        {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
        },
    )


def _json(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False),
        status,
        dict(headers or {}),
        mimetype="application/json",
    )
