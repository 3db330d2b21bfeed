"""Claude Pace Maker next to a login: its figures, its back-off, the outputs, its own folder."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription import pace_maker
from claude_usage_monitor.monitor.subscription.pace_maker import BACKOFF_MESSAGE
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.store.paths import state_path
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.command import environ_running
from tests.support.login import TOKEN, Store
from tests.support.pace_maker import CANARY, PaceMakerFolder
from tests.support.payloads import payload, usage_body
from tests.support.permissions import unreadable

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command

FIRST = AccountStatus(CLAUDE_CODE)
PROFILE = {
    "account": {"uuid": "11111111-aaaa", "email": "user@example.com", "display_name": "User"},
    "organization": {"uuid": "33333333-cccc", "organization_type": "claude_max"},
}


def named(account: str) -> str:
    """Return a ~/.claude.json that names who is logged in."""
    profile = {"accountUuid": account, "organizationUuid": "33333333-cccc"}
    return json.dumps({"oauthAccount": profile})


class Clock:
    """This computer's clock, which a test can set."""

    def __init__(self) -> None:
        self._began = utc_now()
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def later(self, seconds: float) -> None:
        """Let more seconds pass."""
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(home: Path) -> PaceMakerFolder:
    return PaceMakerFolder(home / ".claude-pace-maker").install()


@pytest.fixture
def login(api: Api, store: Store, home: Path) -> Store:
    """Log in as an account that the API confirms."""
    api.answer_profile(PROFILE)
    (home / ".claude.json").write_text(named("11111111-aaaa"))
    store.login(expires_in=86400)
    return store


def reader(clock: Clock) -> SubscriptionReader:
    return claude_code_reader(Services(os.environ, Settings(), clock))


def seconds_until(moment: datetime | None, clock: Clock) -> float:
    assert moment is not None
    return (moment - clock()).total_seconds()


def percent(status: AccountStatus) -> float | None:
    assert status.usage is not None
    assert status.usage.five_hour is not None
    return status.usage.five_hour.utilization


# --- its figures ----------------------------------------------------------------------------------


def test_its_polls_replace_our_requests(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """One request confirms the account of the token; after that its polls are enough."""
    subject = reader(clock)
    status = subject.read(FIRST)
    assert status.usage is not None
    for used in (79.0, 80.0, 81.0):
        clock.later(290)
        folder.poll(clock(), usage_body(clock(), five_hour=used))
        clock.later(100)
        status = subject.read(status)
        assert (used, "pace-maker") == (percent(status), status.usage and status.usage.source)
        assert 195 < seconds_until(status.next_read_at, clock) <= 200
    assert 1 == len(api.usage_requests)
    clock.later(301)
    assert 78.0 == percent(subject.read(status))
    assert 2 == len(api.usage_requests)


def test_a_refresh_by_the_user_waits_for_the_floor_after_its_poll(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    clock.later(290)
    folder.poll(clock())
    clock.later(100)
    subject.request_refresh()
    status = subject.read(status)
    assert 79 < seconds_until(status.next_read_at, clock) <= 80
    assert 1 == len(api.usage_requests)
    clock.later(81)
    subject.read(status)
    assert 2 == len(api.usage_requests)


def test_a_cached_status_has_its_figures_too(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    clock.later(200)
    folder.poll(clock(), usage_body(clock(), five_hour=80))
    folder.decide(clock(), 12)
    status = subject.cached_status(status)
    assert 80.0 == percent(status)
    assert status.throttling is not None
    assert (12.0, 299) == (
        status.throttling.delay_seconds,
        int(seconds_until(status.next_read_at, clock)),
    )


def test_an_older_reading_changes_nothing(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    clock.later(100)
    folder.poll(clock(), usage_body(clock(), five_hour=20))
    clock.later(100)
    status = reader(clock).read(FIRST)
    assert (78.0, 1) == (percent(status), len(api.usage_requests))
    assert seconds_until(status.next_read_at, clock) > 290


# --- the account of its figures -------------------------------------------------------------------


@pytest.mark.parametrize("is_configured", [True, False])
def test_its_figures_are_not_used_before_the_account_is_confirmed(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock, home: Path, is_configured: bool
) -> None:
    if not is_configured:
        (home / ".claude.json").unlink()
    clock.later(200)
    folder.poll(clock(), usage_body(clock(), five_hour=11))
    clock.later(1)
    assert reader(clock).cached_status(FIRST).usage is None
    assert 78.0 == percent(reader(clock).read(FIRST))
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize("change", ["moved", "written"])
def test_figures_never_appear_under_another_account(
    api: Api,
    login: Store,
    folder: PaceMakerFolder,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    change: str,
) -> None:
    """What it read before the login changed is the previous account's."""
    monkeypatch.setattr(pace_maker, "_MAX_REQUEST_TIME", timedelta())
    clock = Clock()
    subject = reader(clock)
    status = subject.read(FIRST)
    time.sleep(0.02)
    folder.poll(clock(), usage_body(clock(), five_hour=11))
    assert 11.0 == percent(subject.cached_status(status))
    other = login.path.with_name("other.json")
    Store(other).login("another-token", expires_in=86400)
    os.utime(other, (1, 1))  # account switchers preserve the mtime of a file
    api.answer_profile({**PROFILE, "account": {"uuid": "22222222-bbbb"}})
    if change == "moved":
        other.replace(login.path)
    else:
        login.write(other.read_bytes())
    # The other token's account is confirmed, and has no figures yet.
    state = StateStore(state_path(os.environ))
    state.link_identity(token_fingerprint(Secret("another-token")), "22222222-bbbb/33333333-cccc")
    (home / ".claude.json").write_text(named("22222222-bbbb"))
    assert reader(clock).cached_status(FIRST).usage is None
    folder.poll(clock(), usage_body(clock(), five_hour=12))
    assert 12.0 == percent(reader(clock).cached_status(FIRST))


def test_a_poll_during_a_change_of_the_login_is_not_used(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """A request takes a while: its token may have been that of the previous login."""
    status = reader(clock).read(FIRST)
    folder.poll(utc_now() + timedelta(seconds=30), usage_body(clock(), five_hour=11))
    clock.later(100)
    assert 78.0 == percent(reader(clock).cached_status(status))


@pytest.mark.parametrize("variable", ["CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"])
def test_its_figures_are_not_used_for_a_login_that_it_does_not_use(
    api: Api,
    login: Store,
    folder: PaceMakerFolder,
    clock: Clock,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    if variable == "CLAUDE_CONFIG_DIR":
        Store(home / "elsewhere" / ".credentials.json").login("other", expires_in=86400)
    value = str(home / "elsewhere") if variable == "CLAUDE_CONFIG_DIR" else "other"
    monkeypatch.setenv(variable, value)
    subject = reader(clock)
    status = subject.read(FIRST)
    clock.later(200)
    folder.poll(clock(), usage_body(clock(), five_hour=11))
    folder.refuse(clock() + timedelta(minutes=50))
    status = subject.cached_status(status)
    assert 78.0 == percent(status)
    assert status.throttling is not None  # its state is still shown
    assert seconds_until(status.next_read_at, clock) < 110


def test_figures_dated_in_the_future_are_not_used(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    status = reader(clock).read(FIRST)
    folder.poll(clock() + timedelta(hours=1), usage_body(clock(), five_hour=11))
    assert 78.0 == percent(reader(clock).cached_status(status))


# --- its back-off ---------------------------------------------------------------------------------


def test_its_back_off_stops_our_requests(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refuse(clock() + timedelta(minutes=10))
    for method in (
        SubscriptionReader.read,
        SubscriptionReader.cached_status,
        SubscriptionReader.read,
    ):
        status = method(reader(clock), FIRST)
        assert status.problem is not None
        assert ("rate_limited", BACKOFF_MESSAGE) == (status.problem.code, status.problem.message)
        clock.later(150)
    assert [] == api.requests
    clock.later(151)
    assert 78.0 == percent(reader(clock).read(FIRST))


def test_with_figures_its_back_off_is_a_wait_and_not_a_problem(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    until = clock() + timedelta(minutes=40)
    folder.refuse(until, 4)
    status = subject.cached_status(status)
    assert (None, False) == (status.problem, status.stale(clock()))
    paused_until = status.paused_until(clock())
    assert paused_until is not None
    assert abs(paused_until - until) < timedelta(milliseconds=1)
    clock.later(600)
    status = subject.read(status)
    assert (1, 1799) == (
        len(api.usage_requests),
        int(seconds_until(status.next_read_at, clock)),
    )


def test_requests_are_sent_again_after_its_back_off_was_cleared(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refuse(clock() + timedelta(minutes=10))
    reader(clock).read(FIRST)
    folder.execute("UPDATE backoff_state SET backoff_until = NULL, consecutive_429s = 0")
    assert 78.0 == percent(reader(clock).read(FIRST))


def test_a_back_off_of_hours_is_waited_out(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """Each read renews the stored back-off, which is limited to 75 minutes."""
    folder.refuse(clock() + timedelta(hours=5), 9)
    for _ in range(9):
        reader(clock).read(FIRST)
        clock.later(33 * 60)
    assert [] == api.requests
    clock.later(200)
    reader(clock).read(FIRST)
    assert 1 == len(api.usage_requests)


def test_a_back_off_from_before_a_change_of_the_login_does_not_count(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock, home: Path
) -> None:
    reader(clock).read(FIRST)
    clock.later(400)
    (home / ".claude.json").write_text(named("22222222-bbbb"))
    login.login("another-token", expires_in=86400)
    folder.refuse(clock() + timedelta(minutes=50), 4)  # it began ten minutes ago
    reader(clock).read(FIRST)
    assert 2 == len(api.usage_requests)


def test_a_stored_back_off_remains_while_the_database_cannot_be_read(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refuse(clock() + timedelta(minutes=10))
    reader(clock).read(FIRST)
    folder.database.write_bytes(b"torn")
    clock.later(60)
    reader(clock).read(FIRST)
    assert [] == api.requests


def test_reading_again_writes_nothing(login: Store, folder: PaceMakerFolder, clock: Clock) -> None:
    """Otherwise two processes would wake each other again and again."""
    watcher, other = reader(clock), reader(clock)
    folder.poll(clock())
    folder.refuse(clock() + timedelta(hours=3), 9)
    other.read(FIRST)
    watcher.cached_status(FIRST)
    for _ in range(3):
        other.cached_status(FIRST)
        clock.later(5)
    assert not watcher.changed()


# --- the installed command ------------------------------------------------------------------------


def throttling(command: Command, *, code: int = 0) -> dict[str, Any]:
    done = command.run("--json")
    assert code == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["accounts"][0]["throttling"]
    return found


def test_the_json_document_has_its_state(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    now = utc_now().replace(microsecond=0)
    folder.poll(now)
    folder.decide(now, 35)
    folder.block(now, "pacing_quota", 2)
    before = folder.contents()
    found = throttling(command)
    assert (True, True, 35.0, "five_hour") == (
        found["enabled"],
        found["throttling"],
        found["delay_seconds"],
        found["window"],
    )
    assert ({"five_hour": True, "seven_day": True}, "auto", "normal") == (
        found["limiters"],
        found["tempo"],
        found["mode"],
    )
    assert [{"category": "pacing_quota", "count": 2}] == found["blockages"]
    assert (56, 22) == (round(found["target"]), round(found["deviation"]))
    assert ([], False) == (found["gaps"], found["stale"])
    assert before == folder.contents()


def test_without_it_there_is_no_section(command: Command, login: Store) -> None:
    assert throttling(command) is None
    assert "Pace Maker" not in command.run("--once").stdout


def test_the_frame_has_its_state(command: Command, login: Store, folder: PaceMakerFolder) -> None:
    now = utc_now()
    folder.poll(now)
    folder.decide(now, 35)
    shown = command.run("--once", environ={"COLUMNS": "60"}).stdout
    assert "throttling, 35s a tool use" in shown
    assert "target 56 %" in shown
    assert "╋" in shown


# Accepts an interval below the least allowed one, which is 5 s.
ANY_INTERVAL = """
import claude_usage_monitor.cli.parser as parser
parser._interval = float
"""


def test_the_live_dashboard_follows_its_changes(
    command: Command, login: Store, folder: PaceMakerFolder, tmp_path: Path
) -> None:
    folder.poll(utc_now())
    folder.decide(utc_now(), 35)
    before = folder.contents()
    environ = environ_running(tmp_path, ANY_INTERVAL)
    terminal = command.open("--interval", "0.3", rows=40, environ=environ)
    terminal.wait_for("throttling, 35s")
    terminal.read_for(0.4)
    assert before == folder.contents()
    folder.decide(utc_now(), 0)
    terminal.wait_for("not throttling")


def test_doctor_describes_it(command: Command, login: Store, folder: PaceMakerFolder) -> None:
    folder.poll(utc_now())
    folder.decide(utc_now(), 35)
    (folder.path / "config.json").write_text("{")
    before = folder.contents()
    done = command.run("doctor", "--json")
    found = {
        (finding["name"], finding["detail"])
        for finding in json.loads(done.stdout)["findings"]
        if finding["area"] == "Pace Maker"
    }
    assert found == {
        ("Claude Pace Maker", f"{folder.path}: installed as a Claude Code plugin"),
        ("throttling", "throttling, 35s a tool use, decided now"),
        ("its figures", "not used: the account of this login is not confirmed yet"),
        ("incomplete", "config.json is truncated or not JSON"),
    }
    assert before == folder.contents()


def test_doctor_says_why_no_request_is_sent(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    folder.refuse(utc_now() + timedelta(minutes=10, seconds=30))
    done = command.run("doctor", environ={"COLUMNS": "200"})
    text = " ".join(done.stdout.split())
    assert "the next request is sent at" in text
    assert "The usage API asked Claude Pace Maker to wait. Next request" in text
    assert 4 == done.returncode  # there are no figures, and none can be had


def test_doctor_says_if_it_is_not_installed(command: Command, login: Store) -> None:
    assert "not installed" in command.run("doctor").stdout


def test_its_secrets_are_never_shown_or_stored(
    command: Command, api: Api, login: Store, folder: PaceMakerFolder, home: Path
) -> None:
    folder.poll(utc_now())
    shown = [
        command.run(*arguments).stdout
        for arguments in (("--json",), ("--once",), ("doctor",), ("doctor", "--json"))
    ]
    stored = [path.read_bytes() for path in (home / ".local").rglob("*") if path.is_file()]
    assert len(stored) > 0
    assert not any(CANARY in text or TOKEN in text for text in shown)
    assert not any(CANARY.encode() in content for content in stored)


def test_an_error_in_its_cache_is_a_gap(
    command: Command, api: Api, login: Store, folder: PaceMakerFolder
) -> None:
    folder.poll(utc_now())
    folder.execute("UPDATE api_cache SET raw_response = ?", payload("error_429_usage").decode())
    assert ["api_cache has an unusable value: raw_response"] == throttling(command)["gaps"]


def test_any_name_of_a_home_directory_works(
    command: Command, api: Api, store: Store, tmp_path: Path
) -> None:
    home = tmp_path / os.fsdecode(b"100% #sure?\xff")
    folder = PaceMakerFolder(home / ".claude-pace-maker").install()
    folder.decide(utc_now(), 35)
    done = command.run("--json", environ={"HOME": str(home), "USERPROFILE": str(home)})
    found = json.loads(done.stdout)["accounts"][0]["throttling"]
    assert (35.0, []) == (found["delay_seconds"], found["gaps"])


def test_a_folder_that_cannot_be_read_is_no_crash(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    with unreadable(folder.path):
        assert reader(clock).cached_status(FIRST).throttling is None


def test_its_modules_are_imported_only_if_it_is_installed(
    command: Command, login: Store, home: Path
) -> None:
    done = command.run("--json", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "monitor.subscription.pace_maker" in done.stderr
    assert "sources.pace_maker" not in done.stderr
    PaceMakerFolder(home / ".claude-pace-maker").install()
    done = command.run("--json", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "sources.pace_maker" in done.stderr
