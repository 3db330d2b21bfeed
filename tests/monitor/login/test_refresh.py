from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from claude_usage_monitor.monitor.login import stored
from claude_usage_monitor.store.accounts.saved_account import RefreshState
from claude_usage_monitor.store.paths import accounts_path, locks_path, secrets_path, state_path
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.ledger import this_process
from claude_usage_monitor.usage.secret import Secret
from tests.support.command import PROGRAM
from tests.support.payloads import as_bytes
from tests.support.saved import Clock, age, keep, read, refresh_token, registry
from tests.support.token_server import TokenServer, delayed, dropped, garbled, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from claude_usage_monitor.store.accounts.saved_account import SavedAccount
    from tests.support.login import Store

PATIENCE = 60.0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


def expired(server: TokenServer, name: str = "work") -> SavedAccount:
    return keep(server.issue(name, expires_in=-60), name)


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def wait_for_rotation(server: TokenServer) -> None:
    """Wait until the server has spent a refresh token."""
    deadline = time.monotonic() + PATIENCE
    while not any(seen.rotated for seen in server.refreshes):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- once --------------------------------------------------------------------------------------


def test_an_expired_login_is_renewed_once_and_then_read(server: TokenServer) -> None:
    saved = expired(server)
    before = refresh_token(saved)
    status = read(registry(), saved)
    assert status.problem is None
    assert status.usage is not None
    assert [before] == [seen.refresh_token for seen in server.refreshes]
    assert server.accepts(refresh_token(saved))
    assert read(registry(), saved).usage is not None
    assert 1 == len(server.refreshes)


def test_a_login_is_renewed_when_less_than_five_minutes_are_left(server: TokenServer) -> None:
    clock = Clock()
    saved = keep(server.issue("work", expires_in=600), "work")
    read(registry(clock), saved)
    assert [] == server.refreshes
    clock.later(seconds=301)
    assert read(registry(clock), saved).problem is None
    assert 1 == len(server.refreshes)


def test_the_token_endpoint_is_told_who_we_are(server: TokenServer) -> None:
    """Claude Code's name gets 429 there, always."""
    read(registry(), expired(server))
    assert ["claude-usage-monitor/"] == [seen.user_agent[:21] for seen in server.refreshes]


def test_twenty_expired_accounts_in_four_processes_are_renewed_once_each(
    server: TokenServer,
) -> None:
    """Refresh tokens are single-use, and a second use ends the login: none is lost."""
    server.latency = 0.05
    accounts = [expired(server, f"a{number}") for number in range(20)]
    processes = [started("--json", "--all-accounts") for _ in range(4)]
    for process in processes:
        out, _ = process.communicate(timeout=PATIENCE)
        assert (0, 20) == (process.returncode, out.count(b'"key": "five_hour"'))
    assert 20 == len(server.refreshes)
    assert 20 == sum(server.accepts(refresh_token(saved)) for saved in accounts)


def test_two_threads_renew_once(server: TokenServer) -> None:
    server.latency = 0.05
    saved = expired(server)
    rosters = [registry() for _ in range(4)]
    threads = [threading.Thread(target=read, args=(found, saved)) for found in rosters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))


# --- kill -9 -----------------------------------------------------------------------------------


def kill_renewals(server: TokenServer, accounts: list[SavedAccount], seed: int, runs: int) -> int:
    """Kill processes that renew, at any instant; returns how many logins were lost.

    Raises AssertionError unless each was lost to the one instant that cannot be helped: its answer
    was sent and not yet stored. No token is sent again but once.
    """
    jitter = random.Random(seed)  # noqa: S311 - no secret
    server.expires_in = 200  # under five minutes: every run renews
    server.latency = 0.01
    lost = 0
    for _ in range(runs):
        be_due(accounts)
        before = {saved.id: refresh_token(saved) for saved in accounts}
        asked = len(server.refreshes)
        process = started("--json", "--all-accounts")
        time.sleep(jitter.uniform(0.2, 1.0))
        process.kill()
        process.communicate()
        killed = server.refreshes[asked:]
        for saved in accounts:
            now = refresh_token(saved)
            if server.accepts(now):
                continue
            # Not stored: then it was this run that had used it up, or repeated it in vain.
            assert before[saved.id] == now
            assert now in [seen.refresh_token for seen in killed]
        be_due(accounts)
        done = started("--json", "--all-accounts")
        done.communicate(timeout=PATIENCE)
        for index, saved in enumerate(accounts):
            if not server.accepts(refresh_token(saved)):
                assert saved.name in _ended(saved)
                lost += 1
                name = f"{saved.name}x"
                accounts[index] = keep(server.issue(name), name)
                registry().services.accounts.remove(saved.id)
    sent = [seen.refresh_token for seen in server.refreshes]
    used_up = {seen.refresh_token for seen in server.refreshes if seen.rotated}
    assert max(sent.count(token) for token in used_up) <= 2
    assert [] == [token for token in set(sent) - used_up if sent.count(token) > 2]
    return lost


def be_due(accounts: list[SavedAccount]) -> None:
    """Let everybody ask, and renew: nobody does with fresh figures or a fresh login."""
    for saved in accounts:
        age(saved)
    for path in state_path(os.environ).parent.glob("state.db*"):
        path.unlink()


def _ended(saved: SavedAccount) -> str:
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    state = registry().services.accounts.refresh_state(saved.id, fingerprint)
    assert "no longer valid" in state.message
    assert "Log in again" in state.hint
    return state.message


def test_a_kill_loses_nothing_that_could_be_kept(server: TokenServer) -> None:
    accounts = [keep(server.issue(f"a{n}", expires_in=200), f"a{n}") for n in range(4)]
    assert kill_renewals(server, accounts, seed=1, runs=3) <= 4


def test_killed_after_the_answer_was_sent_the_login_ends_in_words(server: TokenServer) -> None:
    """The one instant: the server has rotated, and nothing is stored. One more try, no more."""
    saved = expired(server)
    server.script(delayed(PATIENCE))
    process = started("--json", "--account", "work")
    wait_for_rotation(server)
    process.kill()
    process.communicate()
    codes = []
    for _ in range(4):
        status = read(registry(), saved)
        assert status.problem is not None
        codes.append((status.problem.code, "Log in again" in status.problem.hint))
    assert [("credentials_expired", True)] * 4 == codes
    assert 2 == len(server.refreshes)


# --- no answer, and other answers --------------------------------------------------------------


@pytest.mark.parametrize("fault", [dropped(), garbled(), garbled(b"{}")])
def test_a_lost_answer_is_asked_for_once_more_and_then_the_login_has_ended(
    server: TokenServer, fault: object
) -> None:
    clock = Clock()
    saved = expired(server)
    server.script(fault)  # type: ignore[arg-type] # a Fault each
    first = read(registry(clock), saved)
    assert first.problem is not None
    assert first.problem.retry_at is not None
    for _ in range(4):
        clock.later(hours=1)
        ended = read(registry(clock), saved)
    assert ended.problem is not None
    assert ("credentials_expired", None) == (ended.problem.code, ended.problem.retry_at)
    assert "Log in again" in ended.problem.hint
    assert 2 == len(server.refreshes)


def test_an_answer_that_was_lost_before_the_token_was_used_costs_nothing(
    server: TokenServer,
) -> None:
    clock = Clock()
    saved = expired(server)
    server.script(dropped(consumes=False))
    assert read(registry(clock), saved).problem is not None
    clock.later(hours=1)
    assert read(registry(clock), saved).problem is None
    assert 2 == len(server.refreshes)


def test_without_a_network_nothing_is_counted(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days offline are many tries, none of which was sent."""
    clock = Clock()
    saved = expired(server)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    for _ in range(6):
        status = read(registry(clock), saved)
        assert status.problem is not None
        assert "unreachable" == status.problem.code
        clock.later(hours=1)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", server.url)
    assert read(registry(clock), saved).problem is None


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (429, {"error": {"type": "rate_limit_error", "message": "…"}}, "rate_limited"),
        (503, {}, "server_error"),
        (529, {"error": {"type": "overloaded_error"}}, "server_error"),
        (408, {}, "server_error"),
        (404, b"<html>", "unexpected_response"),
    ],
)
def test_a_passing_trouble_is_waited_out_by_every_process_and_ends_nothing(
    server: TokenServer, status: int, body: object, code: str
) -> None:
    clock = Clock()
    saved = expired(server)
    for _ in range(3):
        server.script(refused(status, body))
        asked = len(server.refreshes)
        found = read(registry(clock), saved)
        assert found.problem is not None
        assert code == found.problem.code
        assert found.problem.retry_at is not None
        other = read(registry(clock), saved).problem  # another process
        assert other is not None
        assert (code, found.problem.message) == (other.code, other.message)
        assert asked + 1 == len(server.refreshes)
        clock.later(hours=2)
    assert read(registry(clock), saved).problem is None
    assert server.accepts(refresh_token(saved))


def test_an_ended_login_is_never_sent_again(server: TokenServer) -> None:
    clock = Clock()
    saved = expired(server)
    server.revoke(server.family_of(refresh_token(saved)))
    for _ in range(3):
        status = read(registry(clock), saved)
        assert status.problem is not None
        assert "credentials_expired" == status.problem.code
        assert "Log in again: `claude-usage-monitor accounts add work" in status.problem.hint
        clock.later(days=1)
    assert 1 == len(server.refreshes)
    assert registry().services.secrets.read(saved.id).content  # never deleted by itself


def test_while_the_token_lasts_a_failed_renewal_keeps_no_figures_away(server: TokenServer) -> None:
    saved = keep(server.issue("work", expires_in=200), "work")
    server.script(refused(503))
    status = read(registry(), saved)
    assert (None, True) == (status.problem, status.usage is not None)


# --- locks and stores --------------------------------------------------------------------------


def test_a_stopped_process_is_waited_for_and_never_overridden(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LOCK_TIMEOUT", 0.2)
    saved = expired(server)
    locks = locks_path(os.environ)
    locks.mkdir(mode=0o700)
    holds = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", holds, str(locks / f"{saved.id}.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert b"held\n" == holder.stdout.readline()
    holder.send_signal(signal.SIGSTOP)
    status = read(registry(), saved)
    assert status.problem is not None
    assert "Another process" in status.problem.message
    assert status.problem.retry_at is not None
    assert [] == server.refreshes
    holder.kill()  # the kernel lets go of a dead one's lock at once
    holder.communicate()
    assert read(registry(), saved).problem is None


def test_a_token_is_sent_once_although_the_locks_are_deleted(server: TokenServer) -> None:
    """Who creates a lock file anew is not excluded by the lock of the deleted one."""
    saved = expired(server)
    server.script(delayed(3))
    first = started("--json", "--account", "work")
    wait_for_rotation(server)
    shutil.rmtree(locks_path(os.environ))
    second = started("--json", "--account", "work")
    for process in (second, first):
        process.communicate(timeout=PATIENCE)
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))
    assert None is read(registry(), saved).problem


def test_an_attempt_of_a_process_that_died_delays_no_other_one(server: TokenServer) -> None:
    saved = expired(server)
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    retry_at = Clock()() + timedelta(seconds=25)
    for sent_by, requests in ((this_process(), 0), ("999999999:1", 1)):
        state = RefreshState(fingerprint, 1, 0, retry_at, sent_by=sent_by)
        registry().services.accounts.store_refresh_state(saved.id, state)
        problem = read(registry(), saved).problem
        assert requests == len(server.refreshes)
        assert (requests == 0) == (problem is not None and problem.retry_at is not None)


def test_nothing_is_sent_that_cannot_be_noted(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the note cannot be written the new login could not be kept either."""
    monkeypatch.setattr("claude_usage_monitor.store.accounts.account_store.BUSY_TIMEOUT", 0.1)
    saved = expired(server)
    other = sqlite3.connect(accounts_path(os.environ), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status = read(registry(), saved)
    other.close()
    assert status.problem is not None
    assert "accounts_unavailable" == status.problem.code
    assert [] == server.refreshes
    assert read(registry(), saved).problem is None


def test_a_renewed_login_that_cannot_be_stored_is_held_and_stored_later(
    server: TokenServer,
) -> None:
    """Nobody sends the old one again meanwhile."""
    clock = Clock()
    saved = expired(server)
    path = secrets_path(os.environ)
    aside = path.with_name("aside")

    def take_away(_: object) -> None:
        path.rename(aside)
        path.mkdir()

    server.after_rotation = take_away
    found = registry(clock)
    status = read(found, saved)
    server.after_rotation = None
    assert status.problem is None
    assert status.usage is not None
    assert "could not be stored" in str(status.notice)
    path.rmdir()
    aside.rename(path)
    other = read(registry(clock), saved)  # another process has only the old one
    assert other.problem is not None
    assert "could not be stored" in other.problem.message
    clock.later(minutes=10)
    assert read(found, saved).problem is None
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))
    assert read(registry(clock), saved).problem is None


def test_a_token_that_was_used_up_is_not_sent_whatever_the_store_says(
    server: TokenServer, tmp_path: Path
) -> None:
    """A store that was put back to an older state, as by a backup."""
    saved = expired(server)
    path = secrets_path(os.environ)
    backup = tmp_path / "backup"
    backup.write_bytes(path.read_bytes())
    assert read(registry(), saved).problem is None
    path.write_bytes(backup.read_bytes())
    status = read(registry(), saved)
    assert status.problem is not None
    assert "Log in again" in status.problem.hint
    assert 1 == len(server.refreshes)
    assert server.alive("family-1")


def test_locks_are_yours_alone(server: TokenServer) -> None:
    saved = expired(server)
    read(registry(), saved)
    lock = locks_path(os.environ) / f"{saved.id}.lock"
    assert (0o600, 0o700) == (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777)
    with FileLock(lock, timeout=0.1):
        pass


# --- odd endpoints and clocks ------------------------------------------------------------------


@pytest.mark.parametrize("again", [{}, {"refresh_token": None}])
def test_an_endpoint_that_leaves_the_refresh_token_as_it_is_is_asked_again(
    server: TokenServer, again: dict[str, object]
) -> None:
    """RFC 6749 section 6: the old one then stays good."""
    clock = Clock()
    saved = expired(server)
    token = refresh_token(saved)
    reply = {"access_token": "good-for-nothing-else", "expires_in": 600, "scope": "user:profile"}
    if "refresh_token" not in again:
        reply["refresh_token"] = token
    for _ in range(3):
        server.script(garbled(as_bytes(reply)))
        asked = len(server.refreshes)
        read(registry(clock), saved)
        assert asked + 1 == len(server.refreshes)
        clock.later(hours=2)
    assert {token} == {seen.refresh_token for seen in server.refreshes}


@pytest.mark.parametrize("life", [0, 1, 200])
def test_a_token_that_has_expired_already_is_no_reason_to_ask_on_and_on(
    server: TokenServer, life: float
) -> None:
    clock = Clock()
    saved = expired(server)
    server.expires_in = life
    for _ in range(5):
        read(registry(clock), saved)
        clock.later(seconds=50)
    assert 1 == len(server.refreshes)
    clock.later(minutes=5)
    read(registry(clock), saved)
    assert 2 == len(server.refreshes)


def test_a_wait_that_a_wrong_clock_noted_does_not_last(server: TokenServer) -> None:
    clock = Clock()
    saved = expired(server)
    clock.later(days=365)
    server.script(refused(429, {"error": {"type": "rate_limit_error"}}))
    assert read(registry(clock), saved).problem is not None
    assert read(registry(), saved).problem is None


def test_one_that_claude_code_holds_is_never_sent(server: TokenServer, store: Store) -> None:
    """Whatever it is called there: as when a login of ours was put into its store."""
    credentials = server.issue("work", expires_in=-60)
    saved = keep(credentials, "work")
    store.write(as_bytes(credentials))
    status = read(registry(), saved)
    assert status.problem is not None
    assert "credentials_expired" == status.problem.code
    assert [] == server.refreshes
