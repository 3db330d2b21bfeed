from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor import __version__
from claude_usage_monitor.cli.options import Options, parse_options

if TYPE_CHECKING:
    from tests.support.command import Command


def test_nothing_asked_for_leaves_everything_to_the_settings() -> None:
    expected = Options(
        interval=None,
        mode=None,
        accounts=(),
        all_accounts=False,
        once=False,
        json=False,
        demo=False,
        ascii=None,
        no_color=False,
    )
    assert expected == parse_options([])


def test_every_option_is_parsed() -> None:
    found = parse_options(
        [
            "--interval",
            "5",
            "--mode",
            "code",
            "--account",
            "A",
            "--account",
            "B",
            "--all-accounts",
            "--json",
            "--demo",
            "--ascii",
            "--no-color",
        ]
    )
    assert Options(5.0, "code", ("A", "B"), True, False, True, True, True, True) == found


@pytest.mark.parametrize("seconds", ["4", "4.99", "0", "-1", "nan", "inf", "1e99", "five", ""])
def test_an_interval_that_is_none_is_wrong_usage(command: Command, seconds: str) -> None:
    done = command.run("--interval", seconds)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: argument --interval: ")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "arguments",
    [("--mode", "all"), ("--unheard-of",), ("--once", "--json"), ("--account",), ("--inter", "9")],
)
def test_wrong_usage_is_two_lines_and_exit_2(command: Command, arguments: tuple[str, ...]) -> None:
    done = command.run(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_touch_nothing(command: Command, flag: str) -> None:
    done = command.run(flag, environ={"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x", "HOME": "\0"[:0]})
    assert (done.returncode, done.stderr) == (0, "")
    assert ("--interval" if flag == "--help" else __version__) in done.stdout
