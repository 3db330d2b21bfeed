"""The request ledger: all processes of this user share one budget of requests for usage.

At most one request a token and floor, at most twenty an account and hour, one in flight. What kept
the last one from figures is kept too, with the instant of the next try: no process asks before.
What another program was told about an account keeps all of its tokens from asking.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.store.database import transaction
from claude_usage_monitor.store.state.readings import instant, milliseconds
from claude_usage_monitor.usage.status import Problem

if TYPE_CHECKING:
    import sqlite3

MAX_REQUESTS_PER_HOUR = 20  # of about 28 that the account has: the rest is Claude Code's own
HOUR = timedelta(hours=1)
_KEPT = timedelta(days=1)  # an hour's requests, also when the clock jumps ahead and back
LEASE = timedelta(seconds=45)  # no request takes longer: it is cut off after 20 s, and its retry
LONGEST_WAIT = timedelta(minutes=75)  # of any problem's
_LEASE_EXTENSION = timedelta(minutes=1)  # how often a longer one is
_MILLISECOND = timedelta(milliseconds=1)


class Granted(NamedTuple):
    """The request may be made; `record_result` must follow."""

    request: int


class InFlight(NamedTuple):
    """Another process is asking right now: its answer will be in the store."""

    request: int


class Wait(NamedTuple):
    """No request before ``until``; ``problem`` is what the last one met, if it met one."""

    until: datetime
    problem: Problem | None = None


class Backoff(NamedTuple):
    """What a token has met: its problem, and how many of a kind in a row."""

    requested_at: datetime
    next_request_at: datetime
    problem: Problem | None = None
    rate_limits: int = 0
    failures: int = 0
    clock_skew: timedelta = timedelta()


def acquire(
    connection: sqlite3.Connection,
    fingerprint: str,
    account: str,
    now: datetime,
    per_hour: int = MAX_REQUESTS_PER_HOUR,
) -> Granted | InFlight | Wait:
    """Ask for a request. What is granted is in the ledger before this returns."""
    with transaction(connection):
        return _decide(connection, fingerprint, account, now, per_hour)


def _decide(
    connection: sqlite3.Connection,
    fingerprint: str,
    account: str,
    now: datetime,
    per_hour: int,
) -> Granted | InFlight | Wait:
    present = milliseconds(now)
    # A clock that was set back: what lies in the future was asked just now at the latest.
    connection.execute("UPDATE request SET asked_at = ?1 WHERE asked_at > ?1", (present,))
    connection.execute("DELETE FROM request WHERE asked_at <= ?", (milliseconds(now - _KEPT),))
    flying = connection.execute(
        "SELECT id FROM request WHERE fingerprint = ? AND answered = 0 ORDER BY id DESC",
        (fingerprint,),
    ).fetchall()
    for (request,) in flying:
        if in_flight(connection, request, now):
            return InFlight(request)
    for backoff in (
        _current_backoff(connection, fingerprint, now),
        _current_backoff(connection, account, now),
    ):
        if backoff is not None and now < backoff.next_request_at:
            return Wait(backoff.next_request_at, backoff.problem)
    oldest = connection.execute(
        "SELECT asked_at FROM request WHERE account = ? AND asked_at > ?"
        " ORDER BY asked_at DESC LIMIT 1 OFFSET ?",
        (account, milliseconds(now - HOUR), per_hour - 1),
    ).fetchone()
    if oldest is not None:
        return Wait((instant(oldest[0]) or now) + HOUR)
    cursor = connection.execute(
        "INSERT INTO request (fingerprint, account, asked_at, process) VALUES (?, ?, ?, ?)",
        (fingerprint, account, present, this_process()),
    )
    return Granted(int(cursor.lastrowid or 0))


def _current_backoff(
    connection: sqlite3.Connection, fingerprint: str, now: datetime
) -> Backoff | None:
    """Return the gate, its waits counted from now if the clock was set back, none without end."""
    backoff = backoff_of(connection, fingerprint)
    if backoff is None:
        return None
    wait = min(backoff.next_request_at - backoff.requested_at, LONGEST_WAIT)
    requested_at = min(backoff.requested_at, now)
    if (requested_at, requested_at + wait) == (backoff.requested_at, backoff.next_request_at):
        return backoff
    problem = backoff.problem and replace(backoff.problem, retry_at=requested_at + wait)
    backoff = backoff._replace(
        requested_at=requested_at, next_request_at=requested_at + wait, problem=problem
    )
    _store_backoff(connection, fingerprint, backoff)
    return backoff


def record_result(
    connection: sqlite3.Connection, request: int, fingerprint: str, backoff: Backoff
) -> None:
    """Close a granted request with what it met and when the next one is due.

    A process that was stopped meanwhile changes nothing that a later request has met.
    """
    with transaction(connection):
        release(connection, request)
        known = backoff_of(connection, fingerprint)
        if (
            known is None
            or known.requested_at <= backoff.requested_at
            or known.requested_at > backoff.next_request_at
        ):
            _store_backoff(connection, fingerprint, backoff)


def set_account_backoff(
    connection: sqlite3.Connection, account: str, problem: Problem | None, now: datetime
) -> None:
    """Let no token of an account ask before ``problem.retry_at``; ``None`` lets them again.

    Writes only what is news: other processes look again whenever something was written.
    """
    known = backoff_of(connection, account)
    until = problem.retry_at if problem is not None else None
    if problem is None or until is None or until <= now:
        if known is not None:
            connection.execute("DELETE FROM gate WHERE fingerprint = ?", (account,))
        return
    longest = now + LONGEST_WAIT  # no gate waits longer at once; a longer wait is renewed
    until, slack = (until, timedelta()) if until <= longest else (longest, _LEASE_EXTENSION)
    if known is None or abs(known.next_request_at - until) > slack + _MILLISECOND:
        _store_backoff(connection, account, Backoff(now, until, problem))


def extend_lease(connection: sqlite3.Connection, request: int, now: datetime) -> None:
    """Begin a granted request's lease anew: its process is at work, and has more to ask."""
    connection.execute(
        "UPDATE request SET asked_at = ? WHERE id = ? AND answered = 0",
        (milliseconds(now), request),
    )


def release(connection: sqlite3.Connection, request: int) -> None:
    """Close a granted request that met nothing: nobody waits for it any more."""
    connection.execute("UPDATE request SET answered = 1 WHERE id = ?", (request,))


def _store_backoff(connection: sqlite3.Connection, fingerprint: str, backoff: Backoff) -> None:
    problem = backoff.problem
    connection.execute(
        "INSERT OR REPLACE INTO gate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fingerprint,
            milliseconds(backoff.requested_at),
            milliseconds(backoff.next_request_at),
            round(backoff.clock_skew / timedelta(milliseconds=1)),
            problem.code if problem else None,
            problem.message if problem else None,
            problem.hint if problem else None,
            milliseconds(problem.since) if problem and problem.since else None,
            backoff.rate_limits,
            backoff.failures,
        ),
    )


def backoff_of(connection: sqlite3.Connection, fingerprint: str) -> Backoff | None:
    """Return what a token has met, if it has asked before."""
    row = connection.execute(
        "SELECT asked_at, next_at, clock_ahead, rate_limits, failures, code, message, hint, since"
        " FROM gate WHERE fingerprint = ?",
        (fingerprint,),
    ).fetchone()
    if row is None:
        return None
    requested_at, next_request_at = (datetime.fromtimestamp(at / 1000, UTC) for at in row[:2])
    code, message, hint, since = row[5:]
    problem = (
        Problem(str(code), message or "", hint or "", next_request_at, instant(since))
        if code
        else None
    )
    ahead = timedelta(milliseconds=row[2])
    return Backoff(requested_at, next_request_at, problem, row[3], row[4], ahead)


def in_flight(connection: sqlite3.Connection, request: int, now: datetime) -> bool:
    """Return whether a request still waits for its answer: its process alive, its lease not over.

    A process may be stopped for ever, so its being alive is not enough.
    """
    row = connection.execute(
        "SELECT process, asked_at FROM request WHERE id = ? AND answered = 0", (request,)
    ).fetchone()
    return row is not None and now < (instant(row[1]) or now) + LEASE and is_alive(row[0])


def requests_in_last_hour(connection: sqlite3.Connection, account: str, now: datetime) -> int:
    """Return how many requests the account has in the trailing hour."""
    (count,) = connection.execute(
        "SELECT count(*) FROM request WHERE account = ? AND asked_at > ?",
        (account, milliseconds(now - HOUR)),
    ).fetchone()
    return int(count)


def this_process() -> str:
    """Return a name for this process that no later one will have."""
    return f"{os.getpid()}:{_started(os.getpid())}"


def is_alive(process: str) -> bool:
    """Return whether a process lives; ``True`` where that cannot be told (the lease then ends)."""
    pid, _, started = process.partition(":")
    if sys.platform == "win32":
        return True  # signal 0 would be Ctrl+C there
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return started == _started(int(pid))


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()[19].decode()
    except (OSError, IndexError):
        return ""
