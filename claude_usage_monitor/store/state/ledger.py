"""The request ledger: all processes of this user share one budget of requests for usage.

A token sends at most one request per floor interval, an identity at most twenty an hour, and one
request is in flight at a time. The problem of a failed request is stored with the time of the next
attempt, and applies to every process. A back-off that the API gave another program for an identity
applies to all tokens of the identity.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple, TypeAlias
from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)
from claude_usage_monitor.store.database import batches, transaction
from claude_usage_monitor.store.processes import is_alive, this_process
from claude_usage_monitor.usage.status import Problem

MAX_REQUESTS_PER_HOUR = 20  # an account has about 28; the rest is for Claude Code
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=45)  # longer than any request with its retry, each cut off after 20 s
MAX_BACKOFF = timedelta(hours=25)  # longer than the back-off of any problem

_COPIED_BACKOFFS = timedelta(days=1)
_REQUEST_RETENTION = timedelta(days=1)  # an hour, and more where the clock jumps ahead and back
_MILLISECOND = timedelta(milliseconds=1)
_MAX_MILLISECONDS = 1 << 47  # since the epoch: the year 6429


class Granted(NamedTuple):
    """The request may be sent; `record_result` or `release` must follow."""

    request: int


class InFlight(NamedTuple):
    """Another process has sent a request, and will store its figures."""

    request: int


class Wait(NamedTuple):
    """No request may be sent before ``until``; ``problem`` is why, if the last one failed."""

    until: datetime
    problem: Problem | None = None


class Backoff(NamedTuple):
    """When a token may send its next request, and its last failure.

    ``rate_limits`` counts the 429s in a row, ``failures`` the other service errors in a row. At
    most one of them is above 0.
    """

    requested_at: datetime
    next_request_at: datetime
    problem: Problem | None = None
    rate_limits: int = 0
    failures: int = 0
    clock_skew: timedelta = timedelta()


def acquire(
    connection: sqlite3.Connection,
    fingerprint: str,
    identity: str,
    now: datetime,
    max_per_hour: int = MAX_REQUESTS_PER_HOUR,
) -> Granted | InFlight | Wait:
    """Decide whether a request may be sent now. A granted one is stored before this returns."""
    with transaction(connection):
        _correct_times(connection, now)
        connection.execute(
            "DELETE FROM request WHERE asked_at <= ?", (milliseconds(now - _REQUEST_RETENTION),)
        )
        refused = refusal(connection, fingerprint, identity, now, max_per_hour)
        if refused is not None:
            return refused
        # A random id stays unique in every ledger that the request is copied to.
        request = int.from_bytes(os.urandom(7))
        connection.execute(
            "INSERT INTO request VALUES (?, ?, ?, ?, 0, ?)",
            (request, fingerprint, identity, milliseconds(now), this_process()),
        )
        return Granted(request)


def refusal(
    connection: sqlite3.Connection,
    fingerprint: str,
    identity: str,
    now: datetime,
    max_per_hour: int = MAX_REQUESTS_PER_HOUR,
) -> InFlight | Wait | None:
    """Return why no request may be sent now, ``None`` if one may. Only reads."""
    return (
        _request_in_flight(connection, fingerprint, now)
        or _backing_off(connection, fingerprint, now)
        or _backing_off(connection, identity, now)
        or _hour_used_up(connection, identity, now, max_per_hour)
    )


def _correct_times(connection: sqlite3.Connection, now: datetime) -> None:
    """Move future times, which remain after the clock was set back, to now.

    Also shorten waits that are longer than any problem's: only a wrong clock leaves them.
    """
    connection.execute("UPDATE request SET asked_at = ?1 WHERE asked_at > ?1", (milliseconds(now),))
    connection.execute(
        "UPDATE gate SET asked_at = min(asked_at, ?1),"
        " next_at = min(asked_at, ?1) + min(next_at - asked_at, ?2)"
        " WHERE asked_at > ?1 OR next_at - asked_at > ?2",
        (milliseconds(now), MAX_BACKOFF // _MILLISECOND),
    )


def _request_in_flight(
    connection: sqlite3.Connection, fingerprint: str, now: datetime
) -> InFlight | None:
    unanswered = connection.execute(
        "SELECT id FROM request WHERE fingerprint = ? AND answered = 0", (fingerprint,)
    ).fetchall()
    return next(
        (InFlight(row[0]) for row in unanswered if in_flight(connection, row[0], now)), None
    )


def _backing_off(connection: sqlite3.Connection, key: str, now: datetime) -> Wait | None:
    backoff = backoff_of(connection, key)
    if backoff is None or now >= backoff.next_request_at:
        return None
    return Wait(backoff.next_request_at, backoff.problem)


def _hour_used_up(
    connection: sqlite3.Connection, identity: str, now: datetime, max_per_hour: int
) -> Wait | None:
    row = connection.execute(
        "SELECT asked_at FROM request WHERE account = ? AND asked_at > ?"
        " ORDER BY asked_at DESC LIMIT 1 OFFSET ?",
        (identity, milliseconds(now - HOUR), max_per_hour - 1),
    ).fetchone()
    return None if row is None else Wait(instant(row[0]) + HOUR)


def record_result(
    connection: sqlite3.Connection, request: int, fingerprint: str, backoff: Backoff
) -> None:
    """End a granted request, and store when the next one may be sent.

    A late result of a suspended process does not replace the result of a later request.
    """
    with transaction(connection):
        release(connection, request)
        stored = backoff_of(connection, fingerprint)
        if (
            stored is None
            or stored.requested_at <= backoff.requested_at
            or stored.requested_at > backoff.next_request_at  # by a clock that was set back since
        ):
            _store_backoff(connection, fingerprint, backoff)


def release(connection: sqlite3.Connection, request: int) -> None:
    """End a granted request: no process waits for it any more."""
    connection.execute("UPDATE request SET answered = 1 WHERE id = ?", (request,))


def extend_lease(connection: sqlite3.Connection, request: int, now: datetime) -> None:
    """Start the lease of a granted request again, because its process has more to request."""
    connection.execute(
        "UPDATE request SET asked_at = ? WHERE id = ? AND answered = 0",
        (milliseconds(now), request),
    )


def in_flight(connection: sqlite3.Connection, request: int, now: datetime) -> bool:
    """Return whether a granted request has not ended: its process runs and its lease lasts.

    The lease limits the wait for a suspended process.
    """
    row = connection.execute(
        "SELECT process, asked_at FROM request WHERE id = ? AND answered = 0", (request,)
    ).fetchone()
    return row is not None and now < instant(row[1]) + LEASE and is_alive(row[0])


def set_account_backoff(
    connection: sqlite3.Connection, identity: str, problem: Problem | None, now: datetime
) -> None:
    """Block the requests of an identity's tokens until ``problem.retry_at``; ``None`` unblocks.

    Only changes are written, because other processes read again after every write.
    """
    stored = backoff_of(connection, identity)
    until = problem.retry_at if problem is not None else None
    if until is None or until <= now:
        if stored is not None:
            connection.execute("DELETE FROM gate WHERE fingerprint = ?", (identity,))
        return
    if stored is None or abs(stored.next_request_at - until) > _MILLISECOND:
        _store_backoff(connection, identity, Backoff(now, until, problem))


def backoff_of(connection: sqlite3.Connection, key: str) -> Backoff | None:
    """Return the back-off of a token (by its fingerprint) or an identity; ``None`` without one."""
    row = connection.execute(
        "SELECT asked_at, next_at, clock_ahead, rate_limits, failures, code, message, hint, since,"
        " retry_after FROM gate WHERE fingerprint = ?",
        (key,),
    ).fetchone()
    if row is None:
        return None
    requested_at, next_request_at = instant(row[0]), instant(row[1])
    clock_skew = timedelta(milliseconds=row[2])
    rate_limits, failures, code, message, hint, since, retry_after = row[3:]
    problem = None
    if code:
        problem = Problem(
            str(code),
            message or "",
            hint or "",
            next_request_at,
            optional_instant(since),
            None if retry_after is None else timedelta(milliseconds=retry_after),
        )
    return Backoff(requested_at, next_request_at, problem, rate_limits, failures, clock_skew)


def _store_backoff(connection: sqlite3.Connection, key: str, backoff: Backoff) -> None:
    problem = backoff.problem
    connection.execute(
        "INSERT OR REPLACE INTO gate (fingerprint, asked_at, next_at, clock_ahead, code, message,"
        " hint, since, rate_limits, failures, retry_after)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            milliseconds(backoff.requested_at),
            milliseconds(backoff.next_request_at),
            round(backoff.clock_skew / _MILLISECOND),
            problem.code if problem else None,
            problem.message if problem else None,
            problem.hint if problem else None,
            optional_milliseconds(problem.since) if problem else None,
            backoff.rate_limits,
            backoff.failures,
            problem.retry_after // _MILLISECOND if problem and problem.retry_after else None,
        ),
    )


def refuse(
    connection: sqlite3.Connection, fingerprint: str, problem: Problem, now: datetime
) -> Wait:
    """Store a problem, and let a token send no request until ``problem.retry_at``.

    A longer back-off stays.
    """
    until = problem.retry_at or now
    with transaction(connection):
        wait = _backing_off(connection, fingerprint, now)
        if wait is not None and wait.until >= until:
            return wait
        _store_backoff(connection, fingerprint, Backoff(now, until, problem))
    return Wait(until, problem)


Entries: TypeAlias = tuple[list[tuple[str, Backoff]], list[tuple[object, ...]]]
"""A part of what is copied from one ledger to another: back-offs by key, and rows of requests."""


def copy_ledger(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    now: datetime | None = None,
    process: str | None = None,
) -> None:
    """Add the requests and back-offs of another ledger, so that both count for one budget.

    With ``process``, only its requests. If the source is damaged, what could be read before is
    added. Raises sqlite3.Error then too.
    """
    for entries in read_entries(source, now, process):
        add_entries(target, entries)


def read_entries(
    source: sqlite3.Connection, now: datetime | None = None, process: str | None = None
) -> Iterator[Entries]:
    """Yield a ledger's back-offs, then its requests, or those of one process.

    With ``now``, future times are corrected first. Raises sqlite3.Error where it is damaged.
    """
    if now is not None:
        _try_to_correct_times(source, now)
    yield _read_backoffs(source), []
    requests = source.execute(  # skips unreadable values: they would damage the target, too
        "SELECT * FROM request WHERE typeof(asked_at) = 'integer' AND typeof(process) = 'text'"
        " AND asked_at BETWEEN 0 AND ?1 AND (?2 IS NULL OR process = ?2)",
        (_MAX_MILLISECONDS, process),
    )
    for rows in batches(requests):
        yield [], rows


def add_entries(target: sqlite3.Connection, entries: Entries) -> None:
    """Add another ledger's entries; of two back-offs of a key the later one stays."""
    backoffs, requests = entries
    with transaction(target):  # also of the reads, or a back-off stored meanwhile would be lost
        for key, backoff in backoffs:
            with suppress(ValueError, TypeError, OverflowError):  # a row that we cannot read
                stored = backoff_of(target, key)
                if stored is None or stored.requested_at < backoff.requested_at:
                    _store_backoff(target, key, backoff)
        target.executemany(
            "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET answered = max(answered, excluded.answered)",
            requests,
        )


def _try_to_correct_times(source: sqlite3.Connection, now: datetime) -> None:
    """Correct future times where they are copied from, or each copy would start its wait again."""
    with suppress(sqlite3.Error), transaction(source):
        _correct_times(source, now)


def _read_backoffs(source: sqlite3.Connection) -> list[tuple[str, Backoff]]:
    keys = source.execute(  # readable ones, and not the thousands of last year's tokens
        "SELECT fingerprint FROM gate WHERE asked_at BETWEEN (SELECT max(asked_at) FROM gate"
        " WHERE asked_at BETWEEN 0 AND ?1) - ?2 AND ?1"
        " AND typeof(rate_limits) = 'integer' AND typeof(failures) = 'integer'",
        (_MAX_MILLISECONDS, _COPIED_BACKOFFS // _MILLISECOND),
    ).fetchall()
    backoffs = []
    for (key,) in keys:
        with suppress(ValueError, TypeError, OverflowError):  # a row that we cannot read
            backoff = backoff_of(source, key)
            if backoff is not None:
                backoffs.append((key, backoff))
    return backoffs


def requests_in_last_hour(connection: sqlite3.Connection, identity: str, now: datetime) -> int:
    """Return how many requests the identity sent in the last sixty minutes."""
    (count,) = connection.execute(
        "SELECT count(*) FROM request WHERE account = ? AND asked_at > ?",
        (identity, milliseconds(now - HOUR)),
    ).fetchone()
    return int(count)
