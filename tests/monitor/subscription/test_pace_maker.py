"""Claude Pace Maker beside a login: as a source, in the ledger, on every face, and untouched."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.monitor.subscription import pace_maker
from claude_usage_monitor.monitor.subscription.pace_maker import REFUSED
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.store.paths import state_path
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.login import TOKEN, Store
from tests.support.pace_maker import CANARY, PaceMakerFolder
from tests.support.payloads import payload, usage_body

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
    """This computer's clock, which a test may set."""

    def __init__(self) -> None:
        self._began = utc_now()
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def later(self, seconds: float) -> None:
        """Let so many seconds more pass."""
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


# --- as a source ---------------------------------------------------------------------------------


def test_where_it_polls_we_need_not(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """One request confirms whose the token is; from then on its polls are enough."""
    subject = reader(clock)
    status = subject.read(FIRST)
    assert status.usage is not None
    for used in (79.0, 80.0, 81.0):
        clock.later(290)
        folder.polled(clock(), usage_body(clock(), five_hour=used))
        clock.later(100)
        status = subject.read(status)
        assert (used, "pace-maker") == (percent(status), status.usage and status.usage.source)
        assert 195 < seconds_until(status.next_read_at, clock) <= 200
    assert 1 == len(api.usage_requests)
    clock.later(301)
    assert 78.0 == percent(subject.read(status))
    assert 2 == len(api.usage_requests)


def test_a_key_asks_again_once_the_floor_has_passed(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    clock.later(290)
    folder.polled(clock())
    clock.later(100)
    subject.request_refresh()
    status = subject.read(status)
    assert 79 < seconds_until(status.next_read_at, clock) <= 80
    assert 1 == len(api.usage_requests)
    clock.later(81)
    subject.read(status)
    assert 2 == len(api.usage_requests)


def test_it_shows_at_a_look_too(login: Store, folder: PaceMakerFolder, clock: Clock) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    clock.later(200)
    folder.polled(clock(), usage_body(clock(), five_hour=80))
    folder.decided(clock(), 12)
    status = subject.cached_status(status)
    assert 80.0 == percent(status)
    assert status.throttling is not None
    assert (12.0, 299) == (
        status.throttling.delay_seconds,
        int(seconds_until(status.next_read_at, clock)),
    )


def test_an_older_reading_of_its_changes_nothing(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    clock.later(100)
    folder.polled(clock(), usage_body(clock(), five_hour=20))
    clock.later(100)
    status = reader(clock).read(FIRST)
    assert (78.0, 1) == (percent(status), len(api.usage_requests))
    assert seconds_until(status.next_read_at, clock) > 290


# --- whose its figures are -----------------------------------------------------------------------


@pytest.mark.parametrize("is_named", [True, False])
def test_before_the_token_is_confirmed_its_figures_are_nobodys(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock, home: Path, is_named: bool
) -> None:
    if not is_named:
        (home / ".claude.json").unlink()
    clock.later(200)
    folder.polled(clock(), usage_body(clock(), five_hour=11))
    clock.later(1)
    assert reader(clock).cached_status(FIRST).usage is None
    assert 78.0 == percent(reader(clock).read(FIRST))
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize("way", ["moved here", "written here"])
def test_figures_never_cross_accounts(
    api: Api,
    login: Store,
    folder: PaceMakerFolder,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    way: str,
) -> None:
    """What it read before the login changed is the one's before, whoever is named by now."""
    monkeypatch.setattr(pace_maker, "_ON_ITS_WAY", timedelta())
    clock = Clock()
    subject = reader(clock)
    status = subject.read(FIRST)
    time.sleep(0.02)
    folder.polled(clock(), usage_body(clock(), five_hour=11))
    assert 11.0 == percent(subject.cached_status(status))
    other = login.path.with_name("other.json")
    Store(other).login("another-token", expires_in=86400)
    os.utime(other, (1, 1))  # account switchers keep the time a file was written
    api.answer_profile({**PROFILE, "account": {"uuid": "22222222-bbbb"}})
    if way == "moved here":
        other.replace(login.path)
    else:
        login.write(other.read_bytes())
    # Confirm the other token's account, without figures of its own.
    state = StateStore(state_path(os.environ))
    state.link_identity(token_fingerprint(Secret("another-token")), "22222222-bbbb/33333333-cccc")
    (home / ".claude.json").write_text(named("22222222-bbbb"))
    assert reader(clock).cached_status(FIRST).usage is None
    folder.polled(clock(), usage_body(clock(), five_hour=12))
    assert 12.0 == percent(reader(clock).cached_status(FIRST))


def test_what_was_polled_just_as_the_login_changed_is_nobodys(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """A request is under way for a while: its token may still have been the one before."""
    status = reader(clock).read(FIRST)
    folder.polled(utc_now() + timedelta(seconds=30), usage_body(clock(), five_hour=11))
    clock.later(100)
    assert 78.0 == percent(reader(clock).cached_status(status))


@pytest.mark.parametrize("variable", ["CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"])
def test_another_login_than_the_one_it_asks_with_gets_nothing_of_it(
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
    folder.polled(clock(), usage_body(clock(), five_hour=11))
    folder.refused(clock() + timedelta(minutes=50))
    status = subject.cached_status(status)
    assert 78.0 == percent(status)
    assert status.throttling is not None  # it is shown all the same
    assert seconds_until(status.next_read_at, clock) < 110


def test_figures_from_the_future_are_nobodys(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    status = reader(clock).read(FIRST)
    folder.polled(clock() + timedelta(hours=1), usage_body(clock(), five_hour=11))
    assert 78.0 == percent(reader(clock).cached_status(status))


# --- in the ledger -------------------------------------------------------------------------------


def test_a_back_off_of_its_keeps_us_from_asking(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refused(clock() + timedelta(minutes=10))
    for method in (
        SubscriptionReader.read,
        SubscriptionReader.cached_status,
        SubscriptionReader.read,
    ):
        status = method(reader(clock), FIRST)
        assert status.problem is not None
        assert ("rate_limited", REFUSED) == (status.problem.code, status.problem.message)
        clock.later(150)
    assert [] == api.requests
    clock.later(151)
    assert 78.0 == percent(reader(clock).read(FIRST))


def test_with_figures_a_back_off_is_no_problem_but_a_wait(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    subject = reader(clock)
    status = subject.read(FIRST)
    until = clock() + timedelta(minutes=40)
    folder.refused(until, 4)
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


def test_once_it_was_answered_again_so_may_we(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refused(clock() + timedelta(minutes=10))
    reader(clock).read(FIRST)
    folder.execute("UPDATE backoff_state SET backoff_until = NULL, consecutive_429s = 0")
    assert 78.0 == percent(reader(clock).read(FIRST))


def test_a_back_off_of_hours_is_waited_out(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """It renews what the ledger keeps, which alone ends after 75 minutes."""
    folder.refused(clock() + timedelta(hours=5), 9)
    for _ in range(9):
        reader(clock).read(FIRST)
        clock.later(33 * 60)
    assert [] == api.requests
    clock.later(200)
    reader(clock).read(FIRST)
    assert 1 == len(api.usage_requests)


def test_a_back_off_from_before_the_login_changed_is_not_ours(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock, home: Path
) -> None:
    reader(clock).read(FIRST)
    clock.later(400)
    (home / ".claude.json").write_text(named("22222222-bbbb"))
    login.login("another-token", expires_in=86400)
    folder.refused(clock() + timedelta(minutes=50), 4)  # it began ten minutes ago
    reader(clock).read(FIRST)
    assert 2 == len(api.usage_requests)


def test_while_its_database_cannot_be_read_a_known_back_off_stays(
    api: Api, login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    folder.refused(clock() + timedelta(minutes=10))
    reader(clock).read(FIRST)
    folder.database.write_bytes(b"torn")
    clock.later(60)
    reader(clock).read(FIRST)
    assert [] == api.requests


def test_looking_again_writes_nothing_new(
    login: Store, folder: PaceMakerFolder, clock: Clock
) -> None:
    """Else two processes would wake each other for ever."""
    watcher, other = reader(clock), reader(clock)
    folder.polled(clock())
    folder.refused(clock() + timedelta(hours=3), 9)
    other.read(FIRST)
    watcher.cached_status(FIRST)
    for _ in range(3):
        other.cached_status(FIRST)
        clock.later(5)
    assert not watcher.changed()


# --- the installed command -----------------------------------------------------------------------


def throttling(command: Command, *, code: int = 0) -> dict[str, Any]:
    done = command.run("--json")
    assert code == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["accounts"][0]["throttling"]
    return found


def test_the_document_tells_what_it_does(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    now = utc_now().replace(microsecond=0)
    folder.polled(now)
    folder.decided(now, 35)
    folder.blocked(now, "pacing_quota", 2)
    before = folder.traces()
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
    assert before == folder.traces()


def test_without_it_there_is_no_section(command: Command, login: Store) -> None:
    assert throttling(command) is None
    assert "Pace Maker" not in command.run("--once").stdout


def test_the_frame_tells_it_in_words(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    now = utc_now()
    folder.polled(now)
    folder.decided(now, 35)
    shown = command.run("--once", environ={"COLUMNS": "60"}).stdout
    assert "throttling, 35s a tool use" in shown
    assert "target 56 %" in shown
    assert "╋" in shown


def test_live_follows_its_changes_at_the_intervals_pace(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    folder.polled(utc_now())
    folder.decided(utc_now(), 35)
    before = folder.traces()
    terminal = command.open("--interval", "5", rows=40)
    terminal.wait_for("throttling, 35s")
    terminal.rest(1)
    assert before == folder.traces()
    folder.decided(utc_now(), 0)
    terminal.wait_for("on pace, no delay")


def test_doctor_names_what_it_found(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    folder.polled(utc_now())
    folder.decided(utc_now(), 35)
    (folder.path / "config.json").write_text("{")
    before = folder.traces()
    done = command.run("doctor", "--json")
    found = {
        (finding["name"], finding["detail"])
        for finding in json.loads(done.stdout)["findings"]
        if finding["area"] == "Pace Maker"
    }
    assert found == {
        ("Claude Pace Maker", f"{folder.path}: installed as a Claude Code plugin"),
        ("throttling", "throttling, 35s a tool use, decided now"),
        ("its figures", "not used: whose this login is, is not confirmed yet"),
        ("incomplete", "config.json is not whole, or not JSON"),
    }
    assert before == folder.traces()


def test_doctor_says_why_nothing_is_asked(
    command: Command, login: Store, folder: PaceMakerFolder
) -> None:
    folder.refused(utc_now() + timedelta(minutes=10, seconds=30))
    done = command.run("doctor", environ={"COLUMNS": "200"})
    text = " ".join(done.stdout.split())
    assert "(10m): nothing is asked before" in text
    assert "The usage API asked Claude Pace Maker to wait until" in text
    assert 4 == done.returncode  # there are no figures, and none can be had


def test_doctor_without_it_says_so(command: Command, login: Store) -> None:
    assert "not there (it need not be)" in command.run("doctor").stdout


def test_its_secrets_reach_nothing_of_ours(
    command: Command, api: Api, login: Store, folder: PaceMakerFolder, home: Path
) -> None:
    folder.polled(utc_now())
    shown = [
        command.run(*arguments).stdout
        for arguments in (("--json",), ("--once",), ("doctor",), ("doctor", "--json"))
    ]
    kept = [path.read_bytes() for path in (home / ".local").rglob("*") if path.is_file()]
    assert len(kept) > 0
    assert not any(CANARY in text or TOKEN in text for text in shown)
    assert not any(CANARY.encode() in content for content in kept)


def test_what_it_was_told_is_no_usage_body(
    command: Command, api: Api, login: Store, folder: PaceMakerFolder
) -> None:
    """An error kept in its cache is a gap, not figures."""
    folder.polled(utc_now())
    folder.execute("UPDATE api_cache SET raw_response = ?", payload("error_429_usage").decode())
    assert ["api_cache: raw_response is not usage figures"] == throttling(command)["gaps"]


def test_a_home_of_any_name_will_do(
    command: Command, api: Api, store: Store, tmp_path: Path
) -> None:
    home = tmp_path / os.fsdecode(b"100% #sure?\xff")
    folder = PaceMakerFolder(home / ".claude-pace-maker").install()
    folder.decided(utc_now(), 35)
    done = command.run("--json", environ={"HOME": str(home), "USERPROFILE": str(home)})
    found = json.loads(done.stdout)["accounts"][0]["throttling"]
    assert (35.0, []) == (found["delay_seconds"], found["gaps"])


def test_absent_it_costs_no_module(command: Command, login: Store, home: Path) -> None:
    done = command.run("--json", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "monitor.subscription.pace_maker" in done.stderr
    assert "sources.pace_maker" not in done.stderr
    PaceMakerFolder(home / ".claude-pace-maker").install()
    done = command.run("--json", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "sources.pace_maker" in done.stderr
