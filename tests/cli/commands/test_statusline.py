from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PROGRAM, TIMEOUT, environ_running
from tests.support.payloads import as_bytes
from tests.support.state import HOUR, make_older

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

PLAIN = {"NO_COLOR": "1"}


def figures(percent: float, *, minutes_left: float = 131) -> bytes:
    resets_at = int(time.time() + minutes_left * 60)
    return as_bytes(
        {"rate_limits": {"five_hour": {"used_percentage": percent, "resets_at": resets_at}}}
    )


def line(command: Command, content: bytes = b"{}", *arguments: str) -> str:
    done = command.run("statusline", *arguments, stdin=content, environ=PLAIN)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def test_figures_in_the_input_are_shown_and_stored(command: Command, store: Store) -> None:
    store.login()
    assert "5h 20% 2h1" in line(command, figures(20))
    assert "5h 20% 2h1" in line(command, b"{}")
    document = json.loads(command.run("--json").stdout)
    window = document["accounts"][0]["windows"][0]
    assert (20.0, "statusline") == (window["utilization"], window["source"])


def test_the_status_line_sends_no_request(command: Command, api: Api, store: Store) -> None:
    store.login()
    line(command, figures(20))
    line(command)
    assert [] == api.requests


def test_stored_figures_are_shown_if_the_input_has_none(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    command.run("--json")
    assert "5h 78% 2h1" in line(command)
    assert "5h 79% 2h1" in line(command, figures(79))


def test_old_figures_in_the_input_replace_no_newer_ones(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    command.run("--json")
    assert "5h 78%" in line(command, figures(12))


def test_a_rate_limit_is_shown(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(b"", 429, {"Retry-After": "300"})
    command.run("--json")
    assert "429: wait" in line(command)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b"\xff\xfe\x00", b"{" * 10_000, b"x" * 3_000_000]
)
def test_any_input_gives_a_line_and_exit_0(command: Command, content: bytes) -> None:
    assert 1 == len(line(command, content).splitlines())


def test_without_a_home_or_a_writable_folder_it_prints_a_line(command: Command) -> None:
    for environ in ({"HOME": "relative"}, {"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x"}):
        done = command.run("statusline", stdin=figures(20), environ={**PLAIN, **environ})
        assert (0, "", 1) == (done.returncode, done.stderr, len(done.stdout.splitlines()))
    done = command.run("statusline", environ={"CLAUDE_USAGE_MONITOR_HOME": "relative"})
    assert "CLAUDE_USAGE_MONITOR_HOME" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--format", "ansi")])
def test_the_line_obeys_config_toml(
    command: Command, store: Store, home: Path, arguments: tuple[str, ...]
) -> None:
    store.login()
    environ = {"NO_COLOR": None, "TERM": "xterm", "CLAUDE_USAGE_MONITOR_HOME": str(home / "ours")}
    (home / "ours").mkdir(mode=0o700)

    def shown(content: str) -> str:
        (home / "ours" / "config.toml").write_text(content)
        return command.run("statusline", *arguments, stdin=figures(20), environ=environ).stdout

    assert "\x1b[" in shown("")
    assert "\x1b[" not in shown('color = "never"')
    assert "\x1b[" in shown('color = "always"')
    assert shown("ascii = true").isascii()
    assert "80%" in shown('show = "left"')


def configure(home: Path, content: str) -> None:
    file = home / ".config" / "claude-usage-monitor" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_without_forecasts_the_line_equals_that_of_the_format(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    command.run("--json")  # stores forecasts
    template = "{binding.key} {five_hour.forecast.probability}"
    shown = line(command, b"{}", "--format", template)
    assert "—" not in shown
    configure(home, "forecast = false")
    without = command.run("--format", template).stdout
    assert "five_hour —\n" == without
    assert without == line(command, b"{}", "--format", template)
    assert line(command).startswith("▸5h")


def test_figures_are_stale_after_three_intervals_of_the_settings(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    command.run("--json")
    make_older(home, HOUR // 3)
    assert "20m old" in line(command)
    configure(home, "interval = 3600")
    assert "old" not in line(command)
    assert "\n" == line(command, b"{}", "--format", "{stale}")
    assert "\n" == command.run("--format", "{stale}").stdout


def test_our_line_is_appended_to_another_status_line(command: Command, store: Store) -> None:
    store.login()
    theirs = (
        "import json, sys\n"
        "limits = json.load(sys.stdin)['rate_limits']\n"
        "print('theirs', limits['five_hour']['used_percentage'])"
    )
    shown = line(command, figures(20), "--", "python3", "-c", theirs)
    assert shown.startswith("theirs 20 · ▸5h 20%")


def test_with_ascii_our_line_is_appended_in_ascii(
    command: Command, store: Store, home: Path
) -> None:
    store.login()
    configure(home, "ascii = true")
    assert line(command, figures(20), "--", "echo", "theirs").startswith("theirs - >5h 20%")


def test_our_line_is_put_below_another_status_line_of_several_lines(
    command: Command, store: Store
) -> None:
    store.login()
    shown = line(command, figures(20), "--", "printf", "one\\ntwo\\n").splitlines()
    assert ["one", "two"] == shown[:2]
    assert shown[2].startswith("▸5h 20%")


@pytest.mark.parametrize("theirs", [("false",), ("no-such-command",), ("sh", "-c", "exit 3")])
def test_our_line_is_shown_if_another_status_line_fails(
    command: Command, store: Store, theirs: tuple[str, ...]
) -> None:
    store.login()
    assert line(command, figures(20), "--", *theirs).startswith("▸5h 20%")


def test_the_help_shows_the_setting_for_claude_code(command: Command) -> None:
    done = command.run("statusline", "--help")
    assert 0 == done.returncode
    assert '"statusLine"' in done.stdout


def test_figures_of_a_session_older_than_the_login_are_ignored(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    """An idle session keeps sending the figures of the previous account."""
    for who in ("ada", "bob"):
        store.login(f"token-of-{who}")
        api.answer_profile({"account": {"uuid": f"uuid-of-{who}"}})
        command.run("--json")
    old = json.loads(figures(99, minutes_left=290))
    old["cost"] = {"total_duration_ms": 3_600_000}
    assert "99%" not in line(command, as_bytes(old))
    old["cost"] = {"total_duration_ms": 0}
    assert "99%" in line(command, as_bytes(old))


def test_figures_of_an_old_session_do_not_count_for_a_login_we_have_not_seen(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login("token-of-ada")
    api.answer_profile({"account": {"uuid": "uuid-of-ada"}})
    command.run("--json")
    store.login("token-of-bob")
    (home / ".claude.json").write_text('{"oauthAccount": {"accountUuid": "uuid-of-bob"}}')
    old = json.loads(figures(93))
    old["cost"] = {"total_duration_ms": 36_000_000}
    line(command, as_bytes(old))
    assert "93%" not in line(command)


def test_a_reset_later_than_the_length_of_the_window_is_ignored(
    command: Command, store: Store
) -> None:
    store.login()
    assert "5%" not in line(command, figures(5, minutes_left=60 * 24 * 900))
    assert "60%" in line(command, figures(60))


def test_an_input_that_does_not_end_does_not_delay_the_line(command: Command, store: Store) -> None:
    store.login()
    reading, writing = os.pipe()
    process = subprocess.Popen([PROGRAM, "statusline"], stdin=reading, stdout=subprocess.PIPE)
    os.write(writing, figures(20))
    output, _ = process.communicate(timeout=TIMEOUT)
    os.close(writing)
    os.close(reading)
    assert b"20%" in output


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("sleep 1000 & echo THEIRS", "THEIRS · ▸5h 20%"),
        ("echo PARTIAL; exec sleep 1000", "PARTIAL · ▸5h 20%"),
        ("yes", "y"),
    ],
)
def test_another_status_line_that_does_not_end_is_killed(
    command: Command, store: Store, theirs: str, expected: str
) -> None:
    store.login()
    shown = line(command, figures(20), "--", "sh", "-c", theirs)
    assert shown.startswith(expected)
    assert "5h 20%" in shown
    assert len(shown) < 100_000


def test_the_input_of_another_status_line_does_not_get_into_our_files(
    command: Command, store: Store, tmp_path: Path
) -> None:
    """The other command has ended before its input is written, and our database is open by then."""
    code = """
import threading
import claude_usage_monitor.cli.pipes as pipes
import claude_usage_monitor.store.state.state_store as state_store
opened, written = threading.Event(), threading.Event()
def open_state_file(*arguments, original=state_store.open_state_file):
    file = original(*arguments)
    opened.set()
    written.wait(60)
    return file
def write(*arguments, original=pipes._write):
    opened.wait(60)
    original(*arguments)
    written.set()
state_store.open_state_file, pipes._write = open_state_file, write
"""
    store.login()
    environ = {**PLAIN, **environ_running(tmp_path, code)}
    done = command.run("statusline", "--", "echo", stdin=figures(20), environ=environ)
    assert "5h 20%" in done.stdout
    assert "5h 20%" in line(command)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_characters_that_cannot_be_encoded_are_no_error(
    command: Command, store: Store, encoding: str
) -> None:
    store.login()
    done = subprocess.run(
        [PROGRAM, "statusline", "--", "printf", "\u2708 caf\u00e9"],
        input=figures(20),
        capture_output=True,
        check=False,
        env={**os.environ, **PLAIN, "PYTHONIOENCODING": encoding},
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert b"5h 20%" in done.stdout


def test_a_full_disk_is_no_error(command: Command, store: Store) -> None:
    store.login()
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "statusline"], input=b"{}", stdout=full, check=False)
    assert 0 == done.returncode


@pytest.mark.parametrize("where", [">&-", ">&- 2>&-", ">/dev/full", ">&- <&-"])
def test_without_standard_output_the_figures_are_stored_all_the_same(
    command: Command, store: Store, where: str
) -> None:
    store.login()
    for arguments in ("", " -- echo theirs"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{PROGRAM} statusline{arguments} {where}"],
            input=figures(20),
            capture_output=True,
            check=False,
        )
        assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
    assert ("20%" in line(command)) is ("<&-" not in where)


@pytest.mark.parametrize("columns", ["0", "1", "3", "9" * 5000])
def test_a_line_of_any_width_shows_a_figure(command: Command, store: Store, columns: str) -> None:
    store.login()
    line(command, figures(20))
    done = command.run("statusline", stdin=b"{}", environ={**PLAIN, "COLUMNS": columns})
    assert "20%" in done.stdout
