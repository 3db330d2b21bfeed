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
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from claude_usage_monitor.errors import (
    CredentialsExpired,
    NoCredentials,
    RateLimited,
    RefreshTokenRevoked,
    ServerError,
    Unauthorized,
)
from claude_usage_monitor.monitor.login import stored
from claude_usage_monitor.monitor.login.refresh import RefreshReason, error_from_refresh_state
from claude_usage_monitor.monitor.login.stored import CredentialStore, StoredCredentials
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.paths import accounts_path, locks_path, secrets_path, state_path
from claude_usage_monitor.store.processes import this_process
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.secret import Secret
from tests.support.payloads import as_bytes
from tests.support.saved import (
    Clock,
    forget_last_refresh,
    read,
    refresh_token,
    registry,
    save_account,
)
from tests.support.token_server import TokenServer, delayed, dropped, garbled, refused

if TYPE_CHECKING:
    from claude_usage_monitor.store.accounts.saved_account import SavedAccount
    from tests.support.command import Command
    from tests.support.login import Store

PATIENCE = 60.0


def expired(server: TokenServer, name: str = "work") -> SavedAccount:
    return save_account(server.issue(name, expires_in=-60), name)


def wait_for_rotation(server: TokenServer) -> None:
    """Wait until the server has spent a refresh token."""
    deadline = time.monotonic() + PATIENCE
    while not any(request.rotated for request in server.refreshes):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- once -----------------------------------------------------------------------------------------


def test_an_expired_login_is_refreshed_once_and_then_used(server: TokenServer) -> None:
    saved = expired(server)
    before = refresh_token(saved)
    status = read(registry(), saved)
    assert status.problem is None
    assert status.usage is not None
    assert [before] == [request.refresh_token for request in server.refreshes]
    assert server.accepts(refresh_token(saved))
    assert read(registry(), saved).usage is not None
    assert 1 == len(server.refreshes)


@pytest.mark.parametrize(("seconds_left", "refreshes"), [(340, 0), (299, 1)])
def test_a_login_is_refreshed_when_less_than_five_minutes_are_left(
    server: TokenServer, seconds_left: int, refreshes: int
) -> None:
    clock = Clock()
    saved = save_account(server.issue("work", expires_in=600), "work")
    clock.advance(seconds=600 - seconds_left)
    assert read(registry(clock), saved).problem is None
    assert refreshes == len(server.refreshes)


def test_the_token_endpoint_gets_our_own_user_agent(server: TokenServer) -> None:
    """It always responds to Claude Code's with 429."""
    read(registry(), expired(server))
    assert ["claude-usage-monitor/"] == [request.user_agent[:21] for request in server.refreshes]


def test_twenty_expired_accounts_in_four_processes_are_refreshed_once_each(
    server: TokenServer, command: Command
) -> None:
    """A second use of a refresh token would end its login."""
    server.latency = 0.05
    accounts = [expired(server, f"a{number}") for number in range(20)]
    processes = [command.start("--json", "--all-accounts") for _ in range(4)]
    for process in processes:
        code, out, _ = process.wait()
        assert (0, 20) == (code, out.count('"key": "five_hour"'))
    assert 20 == len(server.refreshes)
    assert 20 == sum(server.accepts(refresh_token(saved)) for saved in accounts)


def test_four_threads_refresh_a_login_once(server: TokenServer) -> None:
    server.latency = 0.05
    saved = expired(server)
    threads = [threading.Thread(target=read, args=(registry(), saved)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))


def access_fingerprint(saved: SavedAccount) -> str:
    stored = registry().services.credentials.load(saved)
    return token_fingerprint(stored.login(saved.name).token)


def test_a_login_that_was_refreshed_meanwhile_is_returned(server: TokenServer) -> None:
    """The caller had read the previous access token."""
    saved = expired(server)
    refreshed = registry().services.refresher.refresh(
        saved, "that of the previous token", RefreshReason.EXPIRING
    )
    assert registry().services.credentials.load(saved) == refreshed
    assert [] == server.refreshes


def test_a_login_without_a_refresh_token_cannot_be_refreshed(server: TokenServer) -> None:
    credentials: Any = server.issue("work", expires_in=-60)
    del credentials["claudeAiOauth"]["refreshToken"]
    saved = save_account(credentials, "work")
    with pytest.raises(CredentialsExpired) as caught:
        registry().services.refresher.refresh(
            saved, access_fingerprint(saved), RefreshReason.EXPIRING
        )
    assert "Log in again" in caught.value.hint


def test_a_removed_account_is_not_refreshed(server: TokenServer) -> None:
    saved = expired(server)
    fingerprint = access_fingerprint(saved)
    registry().services.accounts.remove(saved.id)
    with pytest.raises(NoCredentials, match="work was removed"):
        registry().services.refresher.refresh(saved, fingerprint, RefreshReason.EXPIRING)
    assert [] == server.refreshes


def test_a_back_off_that_another_process_has_just_stored_counts(server: TokenServer) -> None:
    saved = expired(server)
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    retry_at = (Clock()() + timedelta(minutes=10)).replace(microsecond=0)
    state = RefreshState(fingerprint, 0, 1, retry_at, "rate_limited", "It asks to wait.", "Wait.")
    registry().services.accounts.store_refresh_state(saved.id, state)
    with pytest.raises(RateLimited) as caught:
        registry().services.refresher.refresh(
            saved, access_fingerprint(saved), RefreshReason.EXPIRING
        )
    assert ("It asks to wait.", retry_at) == (caught.value.message, caught.value.retry_at)
    assert [] == server.refreshes


@pytest.mark.parametrize(
    ("reason", "minutes"),
    [
        (RefreshReason.EXPIRING, 5),
        (RefreshReason.REFUSED, 5),
        (RefreshReason.NEVER_ACCEPTED, 60),
    ],
)
def test_a_login_that_was_just_refreshed_is_refreshed_again_after_the_cooldown(
    server: TokenServer, reason: RefreshReason, minutes: int
) -> None:
    times = [datetime.now(UTC)]
    refresher = registry(lambda: times[-1]).services.refresher
    saved = expired(server)
    refreshed = refresher.refresh(saved, access_fingerprint(saved), reason)
    assert saved.generation < refreshed.generation
    end = times[0] + timedelta(minutes=minutes)
    for too_early in (times[0], end - timedelta(microseconds=1)):
        times.append(too_early)
        with pytest.raises((CredentialsExpired, Unauthorized)) as caught:
            refresher.refresh(saved, access_fingerprint(saved), reason)
        assert end == caught.value.retry_at
    assert 1 == len(server.refreshes)
    times.append(end)
    refresher.refresh(saved, access_fingerprint(saved), reason)
    assert 2 == len(server.refreshes)


@pytest.mark.parametrize("unanswered", [0, 1])
def test_an_attempt_is_counted_before_its_response_arrives(
    server: TokenServer, unanswered: int
) -> None:
    """So it also counts if the process is killed meanwhile."""
    saved = expired(server)
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    accounts = registry().services.accounts
    accounts.store_refresh_state(saved.id, RefreshState(fingerprint, unanswered, 0, None))
    during: list[RefreshState] = []
    server.after_rotation = lambda _: during.append(accounts.refresh_state(saved.id, fingerprint))
    began = datetime.now(UTC)
    assert read(registry(), saved).problem is None
    (attempt,) = during
    assert (unanswered + 1, this_process()) == (attempt.unanswered, attempt.sent_by)
    assert attempt.next_request_at is not None
    timeout = timedelta(seconds=30)
    assert began + timeout < attempt.next_request_at < datetime.now(UTC) + timeout


def test_the_error_of_a_revoked_refresh_token_keeps_its_class() -> None:
    final = RefreshState("print", 1, 0, None, RefreshTokenRevoked.code, "It is revoked.", "Log in.")
    error = error_from_refresh_state(final)
    assert isinstance(error, RefreshTokenRevoked)
    assert ("It is revoked.", "Log in.", None) == (error.message, error.hint, error.retry_at)


def test_a_refresh_in_the_future_delays_no_other_one(server: TokenServer) -> None:
    """The clock was wrong when it was stored."""
    saved = expired(server)
    services = registry().services
    stored = services.credentials.load(saved)
    future = Clock()() + timedelta(hours=1)
    services.secrets.write(saved.id, stored._replace(refreshed_at=future).as_secret())
    assert None is read(registry(), saved).problem
    assert 1 == len(server.refreshes)


# --- kill -9 --------------------------------------------------------------------------------------


def kill_refreshes(
    server: TokenServer, command: Command, accounts: list[SavedAccount], seed: int, runs: int
) -> int:
    """Kill processes that refresh logins, at random instants; return how many logins were lost.

    Raises AssertionError if one was lost although its new tokens were stored, or had not been
    issued. Every refresh token is sent twice at most.
    """
    instants = random.Random(seed)  # noqa: S311 - no secret
    server.expires_in = 200  # seconds, less than five minutes: every run refreshes
    server.latency = 0.01
    lost = 0
    for _ in range(runs):
        make_due(accounts)
        before = {saved.id: refresh_token(saved) for saved in accounts}
        earlier = len(server.refreshes)
        process = command.start("--json", "--all-accounts")
        time.sleep(instants.uniform(0.0, 0.5))
        process.kill()
        process.wait()
        sent_by_killed = [request.refresh_token for request in server.refreshes[earlier:]]
        for saved in accounts:
            now = refresh_token(saved)
            if not server.accepts(now):  # it was spent, and the new one is not stored
                assert before[saved.id] == now
                assert now in sent_by_killed
        make_due(accounts)
        command.start("--json", "--all-accounts").wait()
        for index, saved in enumerate(accounts):
            if not server.accepts(refresh_token(saved)):
                assert saved.name in final_message(saved)
                lost += 1
                name = f"{saved.name}x"
                accounts[index] = save_account(server.issue(name), name)
                registry().services.accounts.remove(saved.id)
    sent = [request.refresh_token for request in server.refreshes]
    assert max(sent.count(token) for token in sent) <= 2
    return lost


def make_due(accounts: list[SavedAccount]) -> None:
    """Make the next process refresh the logins and request usage."""
    for saved in accounts:
        forget_last_refresh(saved)
    for path in Path(state_path(os.environ)).parent.glob("state.db*"):
        path.unlink(missing_ok=True)  # closing a database deletes its log, too


def final_message(saved: SavedAccount) -> str:
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    state = registry().services.accounts.refresh_state(saved.id, fingerprint)
    assert "no longer valid" in state.message
    assert "Log in again" in state.hint
    return state.message


def test_a_kill_loses_no_login_that_could_be_stored(server: TokenServer, command: Command) -> None:
    accounts = [save_account(server.issue(f"a{n}", expires_in=200), f"a{n}") for n in range(4)]
    kill_refreshes(
        server, command, accounts, seed=1, runs=3
    )  # how many are lost depends on the load


def test_a_login_whose_new_tokens_could_not_be_stored_is_tried_once_more(
    server: TokenServer, command: Command
) -> None:
    """The process was killed after the server had issued them. Then the user has to log in."""
    saved = expired(server)
    server.script(delayed(PATIENCE))
    process = command.start("--json", "--account", "work")
    wait_for_rotation(server)
    process.kill()
    process.wait()
    codes = []
    for _ in range(4):
        status = read(registry(), saved)
        assert status.problem is not None
        codes.append((status.problem.code, "Log in again" in status.problem.hint))
    assert [("credentials_expired", True)] * 4 == codes
    assert 2 == len(server.refreshes)


# --- no response, and others ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [dropped(), garbled(), garbled(b"{}")])
def test_after_a_lost_response_the_token_is_sent_once_more(
    server: TokenServer, fault: object
) -> None:
    clock = Clock()
    saved = expired(server)
    server.script(fault)  # type: ignore[arg-type] # a Fault each
    first = read(registry(clock), saved)
    assert first.problem is not None
    assert first.problem.retry_at is not None
    for _ in range(4):
        clock.advance(hours=1)
        final = read(registry(clock), saved)
    assert final.problem is not None
    assert ("credentials_expired", None) == (final.problem.code, final.problem.retry_at)
    assert "Log in again" in final.problem.hint
    assert 2 == len(server.refreshes)


def test_a_response_that_was_lost_before_the_token_was_spent_costs_nothing(
    server: TokenServer,
) -> None:
    clock = Clock()
    saved = expired(server)
    server.script(dropped(consumes=False))
    assert read(registry(clock), saved).problem is not None
    clock.advance(hours=1)
    assert read(registry(clock), saved).problem is None
    assert 2 == len(server.refreshes)


def test_attempts_without_a_network_do_not_count(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, however often it was tried."""
    clock = Clock()
    saved = expired(server)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    for _ in range(6):
        status = read(registry(clock), saved)
        assert status.problem is not None
        assert "unreachable" == status.problem.code
        clock.advance(hours=1)
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
def test_a_temporary_failure_makes_every_process_back_off(
    server: TokenServer, status: int, body: object, code: str
) -> None:
    clock = Clock()
    saved = expired(server)
    for _ in range(3):
        server.script(refused(status, body))
        earlier = len(server.refreshes)
        found = read(registry(clock), saved)
        assert found.problem is not None
        assert code == found.problem.code
        assert found.problem.retry_at is not None
        other = read(registry(clock), saved).problem  # another process
        assert other is not None
        assert (code, found.problem.message) == (other.code, other.message)
        assert earlier + 1 == len(server.refreshes)
        fingerprint = token_fingerprint(Secret(refresh_token(saved)))
        state = registry().services.accounts.refresh_state(saved.id, fingerprint)
        assert len(server.refreshes) == state.failures
        clock.advance(hours=2)
    assert read(registry(clock), saved).problem is None
    assert server.accepts(refresh_token(saved))


def test_a_revoked_refresh_token_is_never_sent_again(server: TokenServer) -> None:
    clock = Clock()
    saved = expired(server)
    server.revoke(server.family_of(refresh_token(saved)))
    for _ in range(3):
        status = read(registry(clock), saved)
        assert status.problem is not None
        assert "credentials_expired" == status.problem.code
        assert "Log in again: `claude-usage-monitor accounts add work" in status.problem.hint
        clock.advance(days=1)
    assert 1 == len(server.refreshes)
    assert registry().services.secrets.read(saved.id).content  # only the user deletes it


def test_a_failed_refresh_is_no_problem_while_the_access_token_is_valid(
    server: TokenServer,
) -> None:
    saved = save_account(server.issue("work", expires_in=200), "work")
    server.script(refused(503))
    status = read(registry(), saved)
    assert (None, True) == (status.problem, status.usage is not None)


# --- locks and stores -----------------------------------------------------------------------------


def test_the_lock_of_a_stopped_process_is_not_overridden(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LOCK_TIMEOUT", 0.2)
    saved = expired(server)
    locks = Path(locks_path(os.environ))
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
    holder.kill()  # the kernel then releases its lock at once
    holder.communicate()
    assert read(registry(), saved).problem is None


def test_a_token_is_sent_once_although_the_locks_are_deleted(
    server: TokenServer, command: Command
) -> None:
    """The lock of a deleted file does not exclude a process that creates the file again."""
    saved = expired(server)
    sent, released = threading.Event(), threading.Event()

    def delay_response(_: object) -> None:
        sent.set()
        assert released.wait(PATIENCE)

    server.after_rotation = delay_response
    first = command.start("--json", "--account", "work")
    assert sent.wait(PATIENCE)
    shutil.rmtree(locks_path(os.environ))
    command.start("--json", "--account", "work").wait()
    assert first.runs
    released.set()
    first.wait()
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))
    assert None is read(registry(), saved).problem


def test_a_token_that_another_process_sends_meanwhile_is_not_sent(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have passed the checks, because the locks were deleted."""
    saved, accounts = expired(server), registry().services.accounts
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    retry_at = Clock()() + timedelta(seconds=25)
    attempt = RefreshState(fingerprint, 1, 0, retry_at, sent_by=this_process())

    def check_and_let_another_process_send(
        store: CredentialStore, account: SavedAccount, stored: StoredCredentials
    ) -> None:
        accounts.store_refresh_state(saved.id, attempt)
        ensure_writable(store, account, stored)

    ensure_writable = CredentialStore.ensure_writable
    monkeypatch.setattr(CredentialStore, "ensure_writable", check_and_let_another_process_send)
    problem = read(registry(), saved).problem
    assert problem is not None
    assert "Another process" in problem.message
    assert [] == server.refreshes
    assert 1 == accounts.refresh_state(saved.id, fingerprint).unanswered


def test_no_other_process_writes_between_the_last_check_and_the_attempt(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, calls, others = expired(server), list[str](), list[Future[None]]()

    def read_while_another_process_writes(
        accounts: AccountStore, account_id: str, fingerprint: str
    ) -> RefreshState:
        state = refresh_state(accounts, account_id, fingerprint)
        calls.append(fingerprint)
        if len(calls) == 2:  # the last check
            other = registry().services.accounts
            others.append(run_in_thread(lambda: other.set_active("another"), "other"))
            time.sleep(0.2)
            assert not others[0].done()
        return state

    refresh_state = AccountStore.refresh_state
    monkeypatch.setattr(AccountStore, "refresh_state", read_while_another_process_writes)
    registry().services.refresher.refresh(saved, access_fingerprint(saved), RefreshReason.EXPIRING)
    others[0].result(PATIENCE)


def test_the_lost_attempt_of_a_dead_process_is_named(server: TokenServer) -> None:
    saved = expired(server)
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    state = RefreshState(fingerprint, 2, 0, Clock()(), sent_by="999999999:1")
    registry().services.accounts.store_refresh_state(saved.id, state)
    for _ in range(2):
        problem = read(registry(), saved).problem
        assert problem is not None
        assert "the response to its refresh was lost" in problem.message
    assert [] == server.refreshes


def test_the_attempt_of_a_dead_process_delays_no_other_process(server: TokenServer) -> None:
    saved = expired(server)
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    retry_at = Clock()() + timedelta(seconds=25)
    for sent_by, requests in ((this_process(), 0), ("999999999:1", 1)):
        state = RefreshState(fingerprint, 1, 0, retry_at, sent_by=sent_by)
        registry().services.accounts.store_refresh_state(saved.id, state)
        problem = read(registry(), saved).problem
        assert requests == len(server.refreshes)
        assert (requests == 0) == (problem is not None and problem.retry_at is not None)


def test_the_attempt_of_a_running_process_delays_others_for_30_seconds_at_most(
    server: TokenServer,
) -> None:
    """The computer may have been suspended since, and the response is lost."""
    saved, clock = expired(server), Clock()
    fingerprint = token_fingerprint(Secret(refresh_token(saved)))
    state = RefreshState(fingerprint, 1, 0, clock(), sent_by=this_process())
    registry().services.accounts.store_refresh_state(saved.id, state)
    assert read(registry(clock), saved).problem is None
    assert 1 == len(server.refreshes)


def test_a_refresh_that_the_server_could_not_answer_is_tried_again_in_30_seconds(
    server: TokenServer,
) -> None:
    """Without jitter: only this process sends the token."""
    saved, clock = expired(server), Clock()
    refresher = registry(clock).services.refresher
    server.script(refused(500))
    began, wait = clock(), timedelta(seconds=30)
    with pytest.raises(ServerError) as caught:
        refresher.refresh(saved, access_fingerprint(saved), RefreshReason.EXPIRING)
    assert caught.value.retry_at is not None
    assert began + wait <= caught.value.retry_at <= clock() + wait


def test_no_token_is_sent_if_the_attempt_cannot_be_recorded(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.1)
    saved = expired(server)
    other = sqlite3.connect(accounts_path(os.environ), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status = read(registry(), saved)
    other.close()
    assert status.problem is not None
    assert "accounts_unavailable" == status.problem.code
    assert [] == server.refreshes
    assert read(registry(), saved).problem is None


def test_a_refreshed_login_that_cannot_be_stored_is_used_and_stored_later(
    server: TokenServer,
) -> None:
    """Meanwhile no process sends the spent refresh token."""
    clock = Clock()
    saved = expired(server)
    path = Path(secrets_path(os.environ))
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
    clock.advance(minutes=10)
    assert read(found, saved).problem is None
    assert 1 == len(server.refreshes)
    assert server.accepts(refresh_token(saved))
    assert read(registry(clock), saved).problem is None


def test_a_spent_token_is_not_sent_although_it_is_stored_again(
    server: TokenServer, tmp_path: Path
) -> None:
    """As after the file was restored from a backup."""
    saved = expired(server)
    path = Path(secrets_path(os.environ))
    backup = tmp_path / "backup"
    backup.write_bytes(path.read_bytes())
    assert read(registry(), saved).problem is None
    path.write_bytes(backup.read_bytes())
    status = read(registry(), saved)
    assert status.problem is not None
    assert "Log in again" in status.problem.hint
    assert 1 == len(server.refreshes)
    assert server.alive("family-1")


def test_no_token_is_sent_if_no_lock_can_be_created(server: TokenServer) -> None:
    saved = expired(server)
    locks = Path(locks_path(os.environ))
    locks.write_text("in the way")
    problem = read(registry(), saved).problem
    assert problem is not None
    assert ("accounts_unavailable", True) == (problem.code, str(locks) in problem.message)
    assert [] == server.refreshes
    locks.unlink()
    assert None is read(registry(), saved).problem


def test_lock_files_are_private(server: TokenServer) -> None:
    saved = expired(server)
    read(registry(), saved)
    lock = Path(locks_path(os.environ)) / f"{saved.id}.lock"
    assert (0o600, 0o700) == (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777)
    with FileLock(lock, timeout=0.1):
        pass


# --- odd endpoints and clocks ---------------------------------------------------------------------


@pytest.mark.parametrize("again", [{}, {"refresh_token": None}])
def test_a_refresh_token_that_the_server_does_not_replace_is_sent_again(
    server: TokenServer, again: dict[str, object]
) -> None:
    """RFC 6749 section 6: it stays valid then."""
    clock = Clock()
    saved = expired(server)
    token = refresh_token(saved)
    reply = {"access_token": "good-for-nothing-else", "expires_in": 600, "scope": "user:profile"}
    if "refresh_token" not in again:
        reply["refresh_token"] = token
    for _ in range(3):
        server.script(garbled(as_bytes(reply)))
        earlier = len(server.refreshes)
        read(registry(clock), saved)
        assert earlier + 1 == len(server.refreshes)
        clock.advance(hours=2)
    assert {token} == {request.refresh_token for request in server.refreshes}


@pytest.mark.parametrize("life", [0, 1, 200])
def test_a_token_that_expires_at_once_is_not_refreshed_for_five_minutes(
    server: TokenServer, life: float
) -> None:
    clock = Clock()
    saved = expired(server)
    server.expires_in = life
    for _ in range(5):
        read(registry(clock), saved)
        clock.advance(seconds=50)
    assert 1 == len(server.refreshes)
    clock.advance(minutes=5)
    read(registry(clock), saved)
    assert 2 == len(server.refreshes)


def test_a_back_off_that_was_stored_by_a_wrong_clock_is_ignored(server: TokenServer) -> None:
    clock = Clock()
    saved = expired(server)
    clock.advance(days=365)
    server.script(refused(429, {"error": {"type": "rate_limit_error"}}))
    assert read(registry(clock), saved).problem is not None
    assert read(registry(), saved).problem is None


def test_a_refresh_token_that_claude_code_holds_is_never_sent(
    server: TokenServer, store: Store
) -> None:
    """Also one of our own logins that was copied to its store."""
    credentials = server.issue("work", expires_in=-60)
    saved = save_account(credentials, "work")
    store.write(as_bytes(credentials))
    status = read(registry(), saved)
    assert status.problem is not None
    assert "credentials_expired" == status.problem.code
    assert [] == server.refreshes
