"""What surrounds the command: a clock that jumps, a server that fails, and Claude Code."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.command import environ_running
from tests.support.payloads import payload
from tests.support.token_server import (
    Fault,
    RecordedRequest,
    TokenServer,
    email_of,
    refused,
    uuid_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 3600.0
REQUESTS_PER_HOUR = 20  # that an account may send
# The lowest figures of the accounts that Claude Code and this program are logged in to.
FIGURES = {"ada": 10, "bob": 25, "work": 40, "home": 55}
OTHER_FIGURES = 70
CALM = 8
FAILURES = ("429", "429 Retry-After", "500", "401 once", "hanging", "garbage", "dropped")
_GARBAGE = (b"<html>", b"{", b"", b"[]", b"\xff\x00")
_MAX_SECONDS_TO_SERVER = 2.0  # real ones from the permission to send a request to its arrival

# Replaces the command's one clock: a process reads the file again every time. Live mode tries a
# full disk again every second, not every minute.
_CLOCK = """
import datetime
import claude_usage_monitor.usage.clock as clock
from claude_usage_monitor.store.state import state_store
state_store._RETRY_INTERVAL = 1
def now():
    with open({path!r}) as file:
        offset = float(file.read())
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=offset)
clock.utc_now = now
"""


def seeded(seed: object) -> Random:
    """Return random numbers that are the same for the same seed."""
    return Random(str(seed))  # noqa: S311 - no secret


class WorldClock:
    """The time of the world: real time, and the time that this computer was suspended.

    This computer's clock may also be wrong. All times are in seconds, since the epoch unless they
    are spans.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self._moments = [0.0]  # real ones, by the monotonic clock, with the sums of suspensions
        self._suspended = [0.0]
        self._error = 0.0
        self.steps: list[tuple[float, float]] = []
        """When this computer's clock was set, and by how much."""
        self._write()
        python = folder / "python"
        python.mkdir()
        self.environ = environ_running(python, _CLOCK.format(path=str(self._path)))
        """The variables that make the command use this clock."""

    def time(self, seconds_ago: float = 0.0) -> float:
        """Return the time of the world now, or so many real seconds ago."""
        index = bisect_right(self._moments, time.monotonic() - seconds_ago) - 1
        return time.time() - seconds_ago + self._suspended[max(index, 0)]

    def computer_time(self) -> float:
        """Return the time by this computer's clock."""
        return time.time() + self._suspended[-1] + self._error

    def suspend(self, seconds: float) -> None:
        """Let time pass without the computer noticing, as while a laptop is closed."""
        self._suspended.append(self._suspended[-1] + seconds)
        self._moments.append(time.monotonic())
        self._write()

    def set_wrong(self, error: float) -> None:
        """Set this computer's clock wrong by so many seconds; 0 corrects it."""
        self.steps.append((self.time(), abs(error - self._error)))
        self._error = error
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(str(self._suspended[-1] + self._error))
        temporary.replace(self._path)


class Arrival(NamedTuple):
    """A request for usage: the world's time when it was permitted at the earliest, and arrived."""

    earliest: float
    latest: float


class ChaosServer(TokenServer):
    """A server that fails in turn, and remembers every figure that it has sent.

    Each account has its own range of figures, so that one in the wrong place is recognized, and no
    figure is sent twice.
    """

    def __init__(self, clock: WorldClock, random: Random) -> None:
        super().__init__(expires_in=HOUR / 2)
        self.clock = clock.time
        self.figures_sent: dict[str, dict[float, float]] = {}
        """For each account its figures in the order they were sent, and when each was sent."""
        self.calm = False
        """Whether the figures are those of the end of the run, at least `CALM` higher."""
        self.arrivals: dict[str, list[Arrival]] = {}
        self.claude_code_family: str | None = None
        self.claude_code_refreshes = 0
        """How often this program refreshed the login that Claude Code holds."""
        self._world_clock = clock
        self._random = random
        self._failure = ""
        self._failure_over = threading.Event()
        self._guard = threading.Lock()
        self._response = threading.local()  # each response has a thread

    def fail(self, failure: str) -> None:
        """Fail from now on as `FAILURES` name it; not at all with an empty text."""
        over, self._failure_over = self._failure_over, threading.Event()
        self._failure = failure
        over.set()

    def account_of(self, token: str | None) -> str:
        """Return the account that a token was issued to."""
        family = self._by_token.get(token or "")
        return family.account if family else ""

    def five_hour(self, account: str) -> float:
        """Return the account's next figure."""
        with self._guard:
            sent = self.figures_sent.setdefault(account, {})
            first = FIGURES.get(account, OTHER_FIGURES) + (CALM if self.calm else 0)
            figure = round(first + len(sent) / 1000, 3)
            sent[figure] = self._response.figure_at = self.clock()
            return figure

    def response_time(self) -> float:
        """Return the time of the figure in a response, also if a suspension has followed it."""
        at: float | None = self._response.__dict__.pop("figure_at", None)
        return self.clock() if at is None else at

    def api_fault(self, request: RecordedRequest) -> Fault:
        """Return what goes wrong with a request for usage or a profile."""
        if request.path.endswith("usage"):
            arrival = Arrival(self._world_clock.time(_MAX_SECONDS_TO_SERVER), self.clock())
            with self._guard:
                account = self.account_of(request.access_token)
                self.arrivals.setdefault(account, []).append(arrival)
        failure, over = self._failure, self._failure_over
        if failure == "401 once":
            self._failure = ""
            return refused(401, payload("error_401_invalid_credentials"))
        if failure == "hanging":
            over.wait(30)
            return Fault(drops=True)
        return self._fault(failure)

    def fault_for(self, document: Mapping[str, str]) -> Fault | None:
        """Return what goes wrong with a refresh: never something that can end a login."""
        family = self._by_token.get(document.get("refresh_token", ""))
        if family is not None and family.name == self.claude_code_family:
            self.claude_code_refreshes += 1
        if self._failure in ("429", "429 Retry-After", "500"):
            return self._fault(self._failure)
        return Fault(delay=self._random.choice((0.0, 0.0, 0.3)))

    def _fault(self, failure: str) -> Fault:
        retry_after = {"Retry-After": str(self._random.randint(30, 900))}
        return {
            "429": refused(429, payload("error_429_usage")),
            "429 Retry-After": refused(429, payload("error_429_usage"), retry_after),
            "500": refused(500),
            "garbage": Fault(200, self._random.choice(_GARBAGE)),
            "dropped": Fault(drops=True),
        }.get(failure, Fault())

    def refresh_by_claude_code(self, credentials: Mapping[str, Any]) -> dict[str, Any]:
        """Refresh Claude Code's login as Claude Code does; return the new credentials."""
        with self._lock:
            login = dict(credentials["claudeAiOauth"])
            family = self._by_token[login["refreshToken"]]
            self._rotate(family)
            login["accessToken"] = self._new_access(family, self.expires_in)
            login["refreshToken"] = family.current
            login["expiresAt"] = int((self.clock() + self.expires_in) * 1000)
        return {"claudeAiOauth": login}

    def over_budget(self, account: str) -> list[int]:
        """Return the spans in which an account certainly sent more requests than it may in an hour.

        A request may arrive later than it was permitted. Each time this computer's clock was set
        may shorten the hour by so much.
        """
        arrivals = self.arrivals.get(account, [])
        spans = []
        for first, last in zip(arrivals, arrivals[REQUESTS_PER_HOUR:], strict=False):
            span = last.latest - first.earliest
            steps = self._world_clock.steps
            set_by = sum(by for at, by in steps if first.earliest < at < last.latest)
            if span < HOUR - set_by:
                spans.append(round(span))
        return spans


class ClaudeCode:
    """Claude Code: it refreshes and replaces its login. ``lock`` is held while that happens."""

    def __init__(self, server: ChaosServer, random: Random) -> None:
        self._server = server
        self._random = random
        self._file = Path.home() / ".claude" / ".credentials.json"
        self._file.parent.mkdir()
        self._login: dict[str, Any] = {}
        self.account = ""
        self.lock = threading.RLock()

    def log_in(self, account: str) -> None:
        """Replace the login."""
        login = self._server.issue(account)
        with self.lock:
            self._server.claude_code_family = self._server.family_of(login)
            self.account, self._login = account, login
            self._write()
            profile = {
                "accountUuid": uuid_of(account),
                "emailAddress": email_of(account),
                "organizationUuid": uuid_of(f"{account}'s"),
            }
            config = json.dumps({"oauthAccount": profile})
            (Path.home() / ".claude.json").write_text(config)

    def refresh(self) -> None:
        """Refresh the login."""
        with self.lock:
            self._login = self._server.refresh_by_claude_code(self._login)
            self._write()

    def remove_file(self, seconds: float) -> None:
        """Remove the file with the login for some seconds."""
        with self.lock:
            self._file.unlink()
            time.sleep(seconds)
            self._write()

    def _write(self) -> None:
        """Write the file in one of the ways in which programs replace a file."""
        content = json.dumps(self._login)
        way = self._random.choice(("in place", "delete first", "at once"))
        if way == "in place":
            with self._file.open("w") as file:
                file.write(content[:100])
                file.flush()
                time.sleep(self._random.choice((0, 0.05)))
                file.write(content[100:])
            return
        if way == "delete first":
            self._file.unlink(missing_ok=True)
            time.sleep(self._random.choice((0, 0.05)))
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(content)
        temporary.replace(self._file)
