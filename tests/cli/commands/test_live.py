from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Response

from claude_usage_monitor.cli.commands.live import seconds_to_change
from claude_usage_monitor.usage.durations import age, countdown
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.status import Account, AccountStatus
from claude_usage_monitor.usage.throttling import Throttling
from tests.support.command import RESTORED, TIMEOUT, environ_running, environ_with_short_floor
from tests.support.login import TOKEN
from tests.support.payloads import payload, usage_body
from tests.support.transcripts import generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_live_mode_shows_figures_and_q_leaves(command: Command, api: Api, store: Store) -> None:
    store.login()

    terminal = command.open()
    terminal.wait_for("78 %")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert len(api.usage_requests) == 1


# The poller checks for a new login every five seconds; with this, every half second.
CHECK_OFTEN = """
import datetime
import claude_usage_monitor.monitor.live.poller as poller
poller._LOGIN_CHECK_INTERVAL = datetime.timedelta(seconds=0.5)
"""


@pytest.fixture
def hanging(api: Api) -> Iterator[threading.Event]:
    """Let the API not answer; the returned event is set when a request has arrived."""
    requested, over = threading.Event(), threading.Event()

    def hang() -> Response:
        requested.set()
        over.wait(TIMEOUT)
        return Response(b"{}")

    api.answer_with(hang)
    yield requested
    over.set()


@pytest.mark.parametrize(
    ("leave", "code"), [("q", 0), ("\x03", 0), (signal.SIGTERM, 143)], ids=["q", "Ctrl+C", "TERM"]
)
def test_leaving_does_not_wait_for_a_hung_request(
    command: Command,
    store: Store,
    hanging: threading.Event,
    leave: str | signal.Signals,
    code: int,
) -> None:
    store.login()
    terminal = command.open()
    terminal.wait_for("Reading")
    terminal.wait_for(hanging.is_set)

    if isinstance(leave, str):
        terminal.type(leave)
    else:
        terminal.kill(leave)

    assert terminal.wait_for_exit() == code


def test_an_expired_login_is_not_sent_and_a_new_one_is_used(
    command: Command, api: Api, store: Store, tmp_path: Path
) -> None:
    """As soon as Claude Code has refreshed it, without a key press."""
    store.login(expires_in=-60)
    terminal = command.open(environ=environ_running(tmp_path, CHECK_OFTEN))
    terminal.wait_for("The login expired")
    assert api.requests == []

    store.login()

    terminal.wait_for("78 %")
    assert "expired" not in terminal.text
    assert len(api.usage_requests) == 1


def test_figures_stay_on_the_screen_when_the_api_fails(
    command: Command, api: Api, store: Store, home: Path, tmp_path: Path
) -> None:
    """The problem is shown below them."""
    store.login()
    terminal = command.open(rows=30, environ=environ_with_short_floor(home, tmp_path))
    terminal.wait_for("78 %")

    api.answer(payload("error_529_overloaded"), 529)
    terminal.press_until("r", "The API has a problem")

    assert [figure in terminal.text for figure in ("78 %", "94 %")] == [True, True]


def test_a_new_login_solves_the_problem_of_a_refused_one(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    api.answer(payload("error_401_invalid_credentials"), 401, token=TOKEN)
    terminal = command.open()
    terminal.wait_for("The API refuses this login.")
    assert "78 %" not in terminal.text

    store.login("sk-ant-oat01-canary-another")
    terminal.press_until("r", "78 %")

    assert "refuses" not in terminal.text


@pytest.mark.parametrize("place", ["in drawing", "in the worker"])
def test_a_bug_restores_the_terminal_before_its_traceback_is_printed(
    command: Command, api: Api, store: Store, tmp_path: Path, place: str
) -> None:
    """The exit code is 1, and the traceback does not contain the token."""
    store.login()
    code = {
        "in drawing": """
import claude_usage_monitor.cli.commands.live as live
drawn = live.dashboard
def dashboard(statuses, *rest):
    if statuses[0].usage:
        raise RuntimeError("a bug")
    return drawn(statuses, *rest)
live.dashboard = dashboard
""",
        "in the worker": """
import claude_usage_monitor.sources.anthropic.oauth_api as oauth_api
def get_usage(client, token, **options):
    raise RuntimeError(f"a bug with {token}")
oauth_api.get_usage = get_usage
""",
    }[place]

    terminal = command.open(columns=100, rows=60, environ=environ_running(tmp_path, code))

    assert terminal.wait_for_exit() == 1
    assert terminal.state == RESTORED
    assert "Traceback (most recent call last)" in terminal.text
    assert "RuntimeError: a bug" in terminal.text
    assert terminal.written.rindex(b"\x1b[?1049l") < terminal.written.rindex(b"Traceback")
    assert TOKEN.encode() not in terminal.written
    assert len(api.usage_requests) == (1 if place == "in drawing" else 0)


def test_what_libraries_write_does_not_get_onto_the_screen(
    command: Command, tmp_path: Path
) -> None:
    """They write warnings, log lines and tracebacks to standard error."""
    code = """
import logging, sys, warnings
import claude_usage_monitor.cli.commands.live as live
drawn = live.dashboard
def dashboard(*arguments):
    warnings.warn("noise of a library")
    logging.getLogger("urllib3").warning("noise of a library")
    print("Traceback (most recent call last): noise", file=sys.stderr)
    return drawn(*arguments)
live.dashboard = dashboard
"""
    terminal = command.open("--demo", environ=environ_running(tmp_path, code))
    terminal.wait_for("Fable")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert b"noise" not in terminal.written


def test_a_response_that_a_library_cannot_parse_leaves_the_screen_whole(
    command: Command, api: Api, store: Store
) -> None:
    """The standard library prints a traceback for such a cookie."""
    store.login()
    cookie = {"Set-Cookie": f"name=value; max-age={'9' * 400}"}
    api.answer(usage_body(datetime.now(UTC)), 200, cookie)
    terminal = command.open()
    terminal.wait_for("%")
    terminal.wait_until_quiet()

    assert b"Traceback" not in terminal.written


@pytest.mark.parametrize("keys", ["q", "Q", "\x03", "?q"], ids=["q", "Q", "Ctrl+C", "in help"])
def test_leaving_restores_the_terminal_and_prints_a_last_frame_that_fits(
    command: Command, keys: str
) -> None:
    terminal = command.open("--demo")  # 24 rows
    terminal.wait_for("Fable")
    terminal.type(keys)

    assert terminal.wait_for_exit() == 0
    assert terminal.state == RESTORED
    frame = [line[0] for line in terminal.lines if line]
    assert (frame[0], frame[-1]) == ("╭", "╰")


def test_the_demo_has_several_accounts(command: Command) -> None:
    terminal = command.open("--demo", rows=30)
    terminal.wait_for("1 of 3")
    terminal.press_until("\t", "2 of 3")
    terminal.type("?")
    terminal.wait_for("next account")


def test_the_content_of_the_terminal_is_kept(command: Command) -> None:
    """The last frame is printed below it."""
    through = ("sh", "-c", 'echo "$ command"; exec "$@"', "sh")
    terminal = command.open("--demo", rows=40, through=through)
    terminal.wait_for("Fable")
    assert "$ command" not in terminal.text
    terminal.type("q")
    terminal.wait_for_exit()

    assert terminal.lines[0] == "$ command"
    assert terminal.lines[1][:7] == "╭─ Demo"


def test_ctrl_c_during_the_start_prints_no_traceback(command: Command, tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = f"""
import sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "claude_usage_monitor.cli.commands.dashboard":
            import pathlib, time
            pathlib.Path({json.dumps(str(started))}).touch()
            time.sleep(60)
sys.meta_path.insert(0, Slow())
"""
    terminal = command.open(environ=environ_running(tmp_path, code), preloaded=False)
    terminal.wait_for(started.exists)
    terminal.type("\x03")

    assert terminal.wait_for_exit() == 130
    assert terminal.text.strip() == "^C"


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.integers(1, 1000) | st.integers(1400, 20_000), st.floats(-0.9, 0.9))
def test_the_screen_is_drawn_again_before_a_countdown_is_wrong(minutes: int, offset: float) -> None:
    """Until then, the text of the countdown does not change."""
    span = timedelta(minutes=minutes, seconds=offset)
    fresh = NOW - timedelta(seconds=1)
    window = UsageWindow("five_hour", "5-hour", 0.0, NOW + span, "api", fresh)
    status = AccountStatus(Account("claude-code"), Usage((window,), "api", fresh))

    waited = timedelta(seconds=seconds_to_change((status,), NOW))

    assert timedelta() < waited <= timedelta(seconds=61)
    assert countdown(span) == countdown(span - waited + timedelta(seconds=0.05))


@given(st.integers(1, 100_000), st.integers(1, 4000))
def test_the_screen_is_drawn_again_before_an_age_of_pace_makers_figures_is_wrong(
    ago: int, left: int
) -> None:
    decided_at = NOW - timedelta(seconds=ago)
    until = NOW + timedelta(seconds=left)
    status = AccountStatus(
        Account("claude-code"),
        throttling=Throttling(decided_at=decided_at, backoff_until=until),
    )

    waited = timedelta(seconds=seconds_to_change((status,), NOW))

    just_before = max(NOW, NOW + waited - timedelta(seconds=1.1))  # texts are exact to the second
    assert age(NOW - decided_at) == age(just_before - decided_at)
    assert countdown(until - NOW) == countdown(until - just_before)


def test_h_shows_the_history_and_arrows_change_its_range(command: Command) -> None:
    terminal = command.open("--demo", rows=16)
    terminal.wait_for("78 %")
    terminal.type("h")
    terminal.wait_for("24 hours")
    terminal.type("\x1b[C")
    terminal.wait_for("7 days")
    terminal.type("\x1b[D")
    terminal.wait_for("24 hours")
    terminal.type("\x1b")
    terminal.wait_for("resets")
    terminal.type("h")
    terminal.wait_for("History")
    terminal.type("h")
    terminal.wait_for("resets")


@pytest.mark.parametrize("arguments", [(), ("--demo",)])
def test_up_and_down_change_the_window_of_the_history(
    command: Command, api: Api, store: Store, arguments: tuple[str, ...]
) -> None:
    store.login()
    terminal = command.open(*arguments, rows=16)
    terminal.wait_for("78 %")
    terminal.type("h")
    terminal.wait_for("History · 5-hour")
    terminal.type("\x1b[B")
    terminal.wait_for("History · 7-day")
    terminal.type("\x1b[B")
    terminal.wait_for("History · Fable")
    terminal.type("\x1b[C")
    terminal.wait_for("7 days")
    terminal.wait_for("History · Fable")
    terminal.type("\x1b[B")
    terminal.wait_for("History · 5-hour")
    terminal.type("\x1b[A")
    terminal.wait_for("History · Fable")


def test_w_shows_what_used_the_window(command: Command, api: Api, store: Store, home: Path) -> None:
    end = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    generate(home / ".claude", 1, 1, 20, days=2, end=end)
    store.login()
    terminal = command.open(rows=40)
    terminal.wait_for("What used")
    terminal.type("w")
    terminal.wait_for("1 of ")
    terminal.type("\x1b[C")
    terminal.wait_for("2 of ")
    terminal.type("\x1b[D")
    terminal.wait_for("1 of ")
    terminal.type("\x1b")
    terminal.wait_for("next in")
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
