"""Replies of the APIs, mutated at random, and what reads them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import FORMATS, load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.sources.anthropic import admin_api, admin_reports, oauth_api
from claude_usage_monitor.sources.anthropic.oauth_login import grant_from
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW, PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claude_usage_monitor.usage.limits.windows import Usage

TOKEN = Secret("sk-ant-oat01-canary")
LEAK = "sk-ant-oat01-"
STATUSES = (200,) * 60 + (201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 511, 529)
ODD_VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -0.0,
    -1,
    1,
    5e-324,
    1e-320,
    1e-7,
    99.999999,
    1e15,
    1e308,
    -1e308,
    float("inf"),
    float("nan"),
    2**63,
    10**400,
    "",
    " ",
    "0",
    "-1.5",
    "1e999",
    "NaN",
    "٣",
    "9" * 5000,
    "\x1b]0;title\x07\u202e",
    "\ud800",
    "Z\u0335\u0335\u0335",
    "x" * 10_000,
    "sk-ant-oat01-canary",
    "2026-11-24T14:40:00Z",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    1_795_000_000,
    1_795_000_000_000,
    [],
    [[]],
    [None, {}],
    {},
    {"": {}},
    {"display_name": "Fable"},
    {"utilization": 5e-324, "resets_at": "2026-11-24T14:40:00Z"},
    {"limit_dollars": 5e-324, "used_dollars": 1e12},
)
ODD_KEYS = ("", "five_hour", "five_hour\u200b", "seven_day_", "limits", "spend", "\x1b", "a" * 500)
ODD_BYTES = (b"\0", b"\xff", b"{", b"}", b"[", b'"', b"1e5", b"\xef\xbb\xbf", b"\\ud800", b",")


class StubClient:
    """Answers every request with the same reply."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def get(self, path: str, headers: Mapping[str, str], **options: object) -> Reply:
        """Return the reply."""
        del path, headers, options
        return self._reply


def show(usage: Usage) -> None:
    """Show usage in every output."""
    status = AccountStatus(Account("claude-code"), usage)
    for row in FORMATS:
        load_format(row.name)((status,), NOW, FormatOptions())
    for line in dashboard((status,), NOW, 40, None, RenderOptions()):
        assert line.plain.isprintable()
        assert LEAK not in line.plain


MONTH = NOW.date().replace(year=2025, month=8)  # of the recorded reports
Reader = Callable[[Any, Reply], object]
# Recorded replies, and what reads them from a client that returns them or from the reply itself.
READERS: tuple[tuple[str, Reader], ...] = (
    ("usage_*.json", lambda client, _: show(oauth_api.get_usage(client, TOKEN))),
    ("error_*.json", lambda client, _: oauth_api.get_usage(client, TOKEN)),
    ("error_*.json", lambda _, reply: grant_from(reply)),
    ("error_*.json", lambda client, _: admin_api.get_organization(client, TOKEN)),
    ("profile_*.json", lambda client, _: oauth_api.get_profile(client, TOKEN)),
    ("admin/cost*.json", lambda client, _: admin_reports.get_costs(client, TOKEN, MONTH, "model")),
    (
        "admin/cost*.json",
        lambda client, _: admin_reports.get_costs(client, TOKEN, MONTH, "workspace_id"),
    ),
    (
        "admin/usage_report_messages.json",
        lambda client, _: admin_reports.get_key_tokens(client, TOKEN, MONTH),
    ),
    (
        "admin/*claude_code*.json",
        lambda client, _: admin_reports.get_claude_code_day(client, TOKEN, MONTH),
    ),
    ("admin/users*.json", lambda client, _: admin_reports.get_names(client, TOKEN, "users")),
    (
        "admin/workspaces*.json",
        lambda client, _: admin_reports.get_names(client, TOKEN, "workspaces"),
    ),
    ("admin/api_keys*.json", lambda client, _: admin_reports.get_names(client, TOKEN, "api_keys")),
)


def read_mutants(seed: int, count: int) -> tuple[list[tuple[bytes, Exception]], int]:
    """Read ``count`` mutated replies.

    Returns those that gave an exception other than ours or that showed a token, and how many gave
    figures.
    """
    rng = random.Random(seed)  # noqa: S311 - not a secret
    originals = [
        (path.read_bytes().replace(b'"has_more": true', b'"has_more": false'), reader)
        for pattern, reader in READERS
        for path in sorted(PAYLOADS.glob(pattern))
    ]
    failures: list[tuple[bytes, Exception]] = []
    successes = 0
    for _ in range(count):
        original, reader = rng.choice(originals)
        body = mutate(original, rng)
        headers = {"Retry-After": str(rng.choice(ODD_VALUES)), "request-id": "sk-ant-oat01-canary"}
        reply = Reply(rng.choice(STATUSES), headers, body, NOW)
        try:
            assert LEAK not in repr(reader(StubClient(reply), reply))
            successes += 1
        except UsageMonitorError as error:
            if LEAK in f"{error.message}{error.hint}":
                failures.append((body, error))
        except Exception as error:  # noqa: BLE001 - the test reports every one
            failures.append((body, error))
    return failures, successes


def mutate(body: bytes, rng: random.Random) -> bytes:
    """Return a body with some of its values or bytes changed."""
    document = json.loads(body)
    for _ in range(rng.randint(1, 4)):
        document = _with_change(document, rng, depth=0)
    mutated = json.dumps(document).encode()
    for _ in range(rng.choice((0,) * 10 + (1, 3))):
        at = rng.randrange(len(mutated) + 1)
        end = at + rng.choice((0, 1, 20, len(mutated)))
        mutated = mutated[:at] + rng.choice(ODD_BYTES) + mutated[end:]
    return mutated


def _with_change(value: Any, rng: random.Random, depth: int) -> Any:
    """Return a JSON value with one change, rather deep in it than at its top."""
    if not value or not isinstance(value, dict | list) or rng.random() < 0.02 * depth:
        return rng.choice((rng.choice(ODD_VALUES), rng.choice(ODD_VALUES), [value], {"a": value}))
    changed = value.copy()
    key = rng.choice(list(changed)) if isinstance(changed, dict) else rng.randrange(len(changed))
    kind = rng.random()
    if kind < 0.85:
        changed[key] = _with_change(changed[key], rng, depth + 1)
    elif kind < 0.9:
        del changed[key]
    elif isinstance(changed, dict):
        changed[rng.choice(ODD_KEYS)] = changed[key]
    else:
        changed.extend([changed[key]] * rng.choice((1, 2, 300)))
    return changed
