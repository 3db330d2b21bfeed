from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PROGRAM, environ_running, environ_with_short_floor
from tests.support.payloads import payload, usage_body

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

COLOR = re.compile(rb"\x1b\[(?:\d+;)*[39][0-8](?:;\d+)*m")
ESCAPE = b"\x1b"
FULL = Path("/dev/full")


def test_a_terminal_gets_color(command: Command) -> None:
    terminal = command.open("--demo")
    terminal.wait_for("Fable")

    assert COLOR.search(terminal.written)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [(["--no-color"], {}), ([], {"NO_COLOR": "1"}), (["--no-color"], {"FORCE_COLOR": "1"})],
    ids=["--no-color", "NO_COLOR", "--no-color beside FORCE_COLOR"],
)
def test_without_color_severity_is_a_sign_after_the_percent(
    command: Command, arguments: list[str], environ: dict[str, str]
) -> None:
    terminal = command.open("--demo", *arguments, environ=environ)
    terminal.wait_for("94 % used !!")

    assert COLOR.search(terminal.written) is None


def test_an_empty_variable_counts_as_unset(command: Command) -> None:
    """``FORCE_COLOR=`` and ``NO_COLOR=`` have no effect."""
    terminal = command.open("--demo", environ={"FORCE_COLOR": "", "NO_COLOR": "", "TERM": "xterm"})
    terminal.wait_for("Fable")

    assert terminal.screen.alternate
    assert COLOR.search(terminal.written)


@pytest.mark.parametrize(
    "environ",
    [{"TERM": "dumb"}, {"TERM": "unknown"}, {"TTY_COMPATIBLE": "0"}],
    ids=["TERM=dumb", "TERM=unknown", "TTY_COMPATIBLE=0"],
)
def test_a_terminal_without_cursor_movement_gets_plain_frames(
    command: Command, environ: dict[str, str]
) -> None:
    """Without a single escape byte; q leaves."""
    terminal = command.open("--demo", rows=60, environ=environ)
    terminal.wait_for("Fable")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert ESCAPE not in terminal.written


@pytest.mark.parametrize("term", ["", "linux", None])
def test_other_terminals_get_the_live_screen(command: Command, term: str | None) -> None:
    terminal = command.open("--demo", environ={"TERM": term})
    terminal.wait_for("Fable")

    assert terminal.screen.alternate


def test_a_plain_terminal_shows_each_reading_once(
    command: Command, api: Api, store: Store, home: Path, tmp_path: Path
) -> None:
    """It prints a frame for a new reading, and none while nothing but countdowns changes."""
    often = """
import datetime
import claude_usage_monitor.monitor.live.poller as poller
poller._LOGIN_CHECK_INTERVAL = datetime.timedelta(seconds=0.1)
"""
    environ = {**environ_with_short_floor(home, tmp_path, often), "TERM": "dumb"}
    store.login(expires_in=-60)
    terminal = command.open(columns=80, rows=100, environ=environ)
    terminal.wait_for("The login expired")
    terminal.read_for(0.5)
    assert terminal.text.count("The login expired") == 1

    store.login()
    terminal.wait_for("user@example.com")
    api.answer(usage_body(datetime.now(UTC), five_hour=81.0))
    terminal.read_for(1.0)  # longer than the floor
    terminal.type("r")
    terminal.wait_for("81 %")
    terminal.read_for(0.2)

    assert terminal.text.count("81 % used !!") == 1
    assert ESCAPE not in terminal.written


def test_a_plain_terminal_shows_help(command: Command) -> None:
    terminal = command.open("--demo", rows=80, environ={"TERM": "dumb"})
    terminal.wait_for("Fable")
    terminal.type("?")
    terminal.wait_for("any key goes back")
    frames = terminal.text.count("Fable")
    terminal.type("x")

    terminal.wait_for(lambda: terminal.text.count("Fable") > frames)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_cannot_encode_the_glyphs_gets_ascii(
    command: Command, api: Api, store: Store, encoding: str
) -> None:
    """Names are shown with question marks."""
    store.login()
    profile = json.loads(payload("profile_2025-11_enterprise"))
    profile["account"]["display_name"] = "Zoë 東京"
    api.answer_profile(profile)
    terminal = command.open(environ={"PYTHONIOENCODING": encoding})
    terminal.wait_for("Zo? ??")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert terminal.written.isascii()


def test_ascii_on_request(command: Command) -> None:
    terminal = command.open("--demo", "--ascii")
    terminal.wait_for("Fable")
    terminal.type("?")
    terminal.wait_for("any key goes back")

    assert terminal.written.isascii()


@pytest.mark.parametrize("flag", ["--once", "--json"])
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_reader_that_has_ended_is_no_error(flag: str, unbuffered: str) -> None:
    """As in ``| true``: no message, and the exit code of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, "--demo", flag],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writer)

    assert (141, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize("flag", ["--once", "--json"])
def test_a_reader_that_ends_early_gets_the_beginning(flag: str) -> None:
    """As in ``| head -c 10``: ten bytes and no message."""
    with subprocess.Popen(
        [PROGRAM, "--demo", flag], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        beginning = os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        messages = process.stderr.read()

    assert (10, b"") == (len(beginning), messages)
    assert process.returncode in {0, 141}


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flag", ["--once", "--json"])
def test_a_full_disk_is_an_error_and_a_hint(flag: str) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [PROGRAM, "--demo", flag], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert done.returncode == 1
    assert [b"error", b"hint"] == [line.split(b":")[0] for line in done.stderr.splitlines()]


@pytest.mark.parametrize("flag", ["--once", "--json", "--demo"])
def test_a_closed_output_is_an_error_and_a_hint(flag: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", PROGRAM, "--demo", flag],
        stderr=subprocess.PIPE,
        check=False,
    )

    assert done.returncode == 1
    assert [b"error", b"hint"] == [line.split(b":")[0] for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("garbage", r"\d\d:\d\d UTC"),
        ("Nowhere/Land", r"\d\d:\d\d UTC"),
        ("Asia/Tokyo", r"\d\d:\d\d"),
        ("JST-9", r"\d\d:\d\d"),
    ],
)
def test_a_time_zone_that_does_not_exist_is_shown_as_utc(
    command: Command, zone: str, label: str
) -> None:
    done = command.run("--demo", environ={"TZ": zone})

    assert re.search(rf"resets in [23]m, {label} ", done.stdout)


@pytest.mark.parametrize("arguments", [("--demo",), ("--json",), ("--once",), ("doctor",)])
def test_a_time_zone_with_an_impossible_offset_is_shown_as_utc(
    command: Command, api: Api, store: Store, arguments: tuple[str, ...]
) -> None:
    """The C library accepts an offset of 99 hours, Python does not."""
    store.login()
    api.answer(b"", 429, {"Retry-After": "300"})  # a problem with a clock time in its text
    done = command.run(*arguments, environ={"TZ": "<+99>-99"})

    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 4}
    if arguments == ("--demo",):
        assert re.search(r"resets in [23]m, \d\d:\d\d UTC ", done.stdout)


def test_a_change_of_the_time_zone_is_followed_in_the_next_frame(
    command: Command, tmp_path: Path
) -> None:
    """Python itself does not make the C library check for a change."""
    changed = tmp_path / "changed"
    code = f"""
import os, pathlib
import claude_usage_monitor.cli.commands.live as live
clock = live.utc_now
def utc_now():
    if pathlib.Path({str(changed)!r}).exists():
        os.environ["TZ"] = "XXX-5:30"
    return clock()
live.utc_now = utc_now
"""
    terminal = command.open("--demo", environ=environ_running(tmp_path, code))
    terminal.wait_for("Fable")
    before = clock_on(terminal.text)

    changed.touch()
    terminal.repaint()

    assert (clock_on(terminal.text) - before) % (24 * 60) == 5 * 60 + 30


def clock_on(screen: str) -> int:
    """Return the first clock time on a screen, in minutes after midnight."""
    match = re.search(r"(\d\d):(\d\d)", screen)
    assert match
    return int(match[1]) * 60 + int(match[2])
