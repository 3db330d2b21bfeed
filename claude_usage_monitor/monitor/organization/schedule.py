"""What is to be asked of an organisation now, and two askers that share it.

Figures of money are read at every turn. Lists of names daily; of the Claude Code report today and
yesterday hourly, and a day that was over when it was read never again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import NamedTuple

from claude_usage_monitor.errors import Forbidden
from claude_usage_monitor.store.state.reports import (
    COST_REPORTS,
    NAME_LISTS,
    USAGE_REPORT,
    StoredReports,
    day_report,
)

IN_FLIGHT = 2  # the reports share one limit; ten at once have been answered with 429
AT_A_TURN = 4  # requests for what is known already: more waits for the next turn

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SETTLED = timedelta(hours=2)  # after its end: a day's last figures come an hour late
_REFUSED_FOR = timedelta(hours=1)  # a call that was forbidden is not tried again for so long
_GLANCE = 5.0  # seconds between two looks of one that waits

_CALLS = {
    **dict.fromkeys(COST_REPORTS, "cost_report"),
    **{kind: kind for kind in NAME_LISTS},
    USAGE_REPORT: "usage_report/messages",
}
_CLAUDE_CODE = "usage_report/claude_code"


class ReportRequest(NamedTuple):
    """One part to ask for. ``day`` is set for those of the Claude Code report."""

    part: str
    day: date | None = None

    @property
    def call(self) -> str:
        """The API's name for what is called."""
        return _CALLS[self.part] if self.day is None else _CLAUDE_CODE


def requests_due(stored: StoredReports, now: datetime, interval: timedelta) -> list[ReportRequest]:
    """Return what to ask for at ``now`` (by the API's clock), the most wanted first.

    All that has never been read; and of the rest what is due, so that no turn but the first makes
    more than `AT_A_TURN` requests.
    """
    every = [e for e in _all(now.date()) if not _is_refused(e, stored, now)]
    unread = [request for request in every if request.part not in stored.read_at]
    due = sorted(
        (at, place)
        for place, request in enumerate(every)
        if (at := due_at(request, stored, now, interval)) is not None
        and at <= now
        and request.part in stored.read_at
    )
    again = [every[place] for _, place in due]
    again.sort(key=lambda request: request.part not in COST_REPORTS)
    again = again[: max(AT_A_TURN - len(unread), 2)]
    return sorted([*unread, *again], key=every.index)


def next_turn(stored: StoredReports, now: datetime, interval: timedelta) -> datetime:
    """Return when to ask again, by the API's clock: for what is unread, at once.

    What met trouble waits for the turn of the figures of money.
    """
    every = list(_all(now.date()))
    if any(e.part not in stored.read_at and e.call not in stored.failures for e in every):
        return now
    turns = [due_at(ReportRequest(part), stored, now, interval) for part in COST_REPORTS]
    return min((at for at in turns if at is not None), default=now + interval)


def due_at(
    request: ReportRequest, stored: StoredReports, now: datetime, interval: timedelta
) -> datetime | None:
    """Return when a part is to be asked for again; ``None`` for never, or never read yet."""
    read_at = stored.read_at.get(request.part)
    if read_at is None:
        return None
    if request.day is None:
        return read_at + (_DAY if request.part in NAME_LISTS else interval)
    end = datetime.combine(request.day, datetime.min.time(), UTC) + _DAY
    if read_at >= end + _SETTLED and now >= end + _DAY:
        return None  # it was over when it was read: closed. Yesterday may have late figures
    return read_at + _HOUR


def _all(today: date) -> Iterator[ReportRequest]:
    yield ReportRequest("workspaces")  # beside the costs, so that these have names when they come
    yield from (ReportRequest(part) for part in COST_REPORTS)
    for number in range(today.day, 0, -1):
        day = today.replace(day=number)
        yield ReportRequest(day_report(day), day)
        if number == today.day:
            yield from (ReportRequest(part) for part in ("users", USAGE_REPORT, "api_keys"))


def _is_refused(request: ReportRequest, stored: StoredReports, now: datetime) -> bool:
    trouble = stored.failures.get(request.call)
    return (
        trouble is not None
        and trouble.code == Forbidden.code
        and now < trouble.failed_at + _REFUSED_FOR
    )


class Outcome(NamedTuple):
    """What came of an errand: an answer, or the error that was raised."""

    request: ReportRequest
    answer: object
    error: Exception | None


class ReportThreads:
    """Two threads that do errands; what comes of them is taken by the one who sent them.

    An error ends the errands of its call, or all that are left where ``ends_all`` says so; what is
    under way comes to its end. The threads are daemons: a process that ends does not wait for a
    request that hangs.
    """

    def __init__(
        self,
        errands: Sequence[ReportRequest],
        ask: Callable[[ReportRequest], object],
        ends_all: Callable[[ReportRequest, Exception], bool],
    ) -> None:
        self._left = deque(errands)
        self._lock = threading.Lock()
        self._ask = ask
        self._ends_all = ends_all
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        self._working = min(IN_FLIGHT, len(errands))
        for _ in range(self._working):
            threading.Thread(target=self._work, name="asker", daemon=True).start()

    def outcomes(self, meanwhile: Callable[[], None]) -> Iterator[Outcome]:
        """Yield what comes of the errands; ``meanwhile`` is called while nothing does."""
        while self._working:
            try:
                outcome = self._outcomes.get(timeout=_GLANCE)
            except Empty:
                meanwhile()
                continue
            if outcome is None:
                self._working -= 1
            else:
                yield outcome

    def _work(self) -> None:
        while (request := self._next()) is not None:
            try:
                outcome = Outcome(request, self._ask(request), None)
            except Exception as error:  # noqa: BLE001 - raised again by the one who takes it
                outcome = Outcome(request, None, error)
                self._drop_after(request, error)
            self._outcomes.put(outcome)
        self._outcomes.put(None)

    def _next(self) -> ReportRequest | None:
        with self._lock:
            return self._left.popleft() if self._left else None

    def _drop_after(self, request: ReportRequest, error: Exception) -> None:
        everything = self._ends_all(request, error)
        with self._lock:
            kept = [e for e in self._left if not everything and e.call != request.call]
            self._left = deque(kept)
