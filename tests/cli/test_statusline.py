from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.payloads import as_bytes

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


def test_figures_that_come_in_are_shown_and_kept(command: Command, store: Store) -> None:
    store.login()
    assert "5h 20% 2h1" in line(command, figures(20))
    assert "5h 20% 2h1" in line(command, b"{}")
    document = json.loads(command.run("--json").stdout)
    window = document["accounts"][0]["windows"][0]
    assert (20.0, "statusline") == (window["utilization"], window["source"])


def test_it_never_asks_the_api(command: Command, api: Api, store: Store) -> None:
    store.login()
    line(command, figures(20))
    line(command)
    assert [] == api.requests


def test_stored_figures_are_shown_where_the_input_has_none(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    command.run("--json")
    assert line(command).startswith("5h 78% 2h1")
    assert "▸Fable 94% 3d2h" in line(command, figures(79))


def test_an_input_that_repeats_old_figures_changes_none(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    command.run("--json")
    assert "5h 78%" in line(command, figures(12))


def test_what_blocks_the_api_is_said(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(b"", 429, {"Retry-After": "300"})
    command.run("--json")
    assert "429: wait" in line(command)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b"\xff\xfe\x00", b"{" * 10_000, b"x" * 3_000_000]
)
def test_whatever_comes_in_it_prints_a_line_and_exits_0(command: Command, content: bytes) -> None:
    assert 1 == len(line(command, content).splitlines())


def test_without_a_home_or_a_writable_place_it_prints_a_line(command: Command) -> None:
    for environ in ({"HOME": "relative"}, {"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x"}):
        done = command.run("statusline", stdin=figures(20), environ={**PLAIN, **environ})
        assert (0, "", 1) == (done.returncode, done.stderr, len(done.stdout.splitlines()))


def test_another_status_line_gets_the_same_input_and_ours_is_appended(
    command: Command, store: Store
) -> None:
    store.login()
    theirs = (
        "import json, sys\n"
        "limits = json.load(sys.stdin)['rate_limits']\n"
        "print('theirs', limits['five_hour']['used_percentage'])"
    )
    shown = line(command, figures(20), "--", "python3", "-c", theirs)
    assert shown.startswith("theirs 20 · ▸5h 20%")


def test_another_status_line_of_several_lines_stays_as_it_is(
    command: Command, store: Store
) -> None:
    store.login()
    shown = line(command, figures(20), "--", "printf", "one\\ntwo\\n").splitlines()
    assert ["one", "two"] == shown[:2]
    assert shown[2].startswith("▸5h 20%")


@pytest.mark.parametrize("theirs", [("false",), ("no-such-command",), ("sh", "-c", "exit 3")])
def test_another_status_line_that_fails_costs_only_itself(
    command: Command, store: Store, theirs: tuple[str, ...]
) -> None:
    store.login()
    assert line(command, figures(20), "--", *theirs).startswith("▸5h 20%")


def test_help_tells_how_to_set_it_up(command: Command) -> None:
    done = command.run("statusline", "--help")
    assert 0 == done.returncode
    assert '"statusLine"' in done.stdout


def test_figures_of_a_session_from_before_the_login_are_void(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    """An idle session goes on telling the old account's figures."""
    for who in ("ada", "bob"):
        store.login(f"token-of-{who}")
        api.answer_profile({"account": {"uuid": f"uuid-of-{who}"}})
        command.run("--json")
    old = json.loads(figures(99, minutes_left=290))
    old["cost"] = {"total_duration_ms": 3_600_000}
    assert "99%" not in line(command, as_bytes(old))
    old["cost"] = {"total_duration_ms": 0}
    assert "99%" in line(command, as_bytes(old))
