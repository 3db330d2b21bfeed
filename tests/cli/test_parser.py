"""The options of the dashboard, and wrong usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import COMMANDS
from claude_usage_monitor.cli.parser import build_parser

if TYPE_CHECKING:
    from tests.support.command import Command


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(build_parser(COMMANDS, ()).parse_args(arguments))


def test_without_options_the_settings_decide() -> None:
    expected: dict[str, Any] = {
        "command": None,
        "interval": None,
        "mode": None,
        "account": [],
        "all_accounts": False,
        "once": False,
        "json": False,
        "demo": False,
        "ascii": False,
        "no_color": False,
    }
    assert expected == parsed()


def test_every_option_is_parsed() -> None:
    expected = {
        "command": None,
        "interval": 5.0,
        "mode": "code",
        "account": ["A", "B"],
        "all_accounts": True,
        "once": False,
        "json": True,
        "demo": True,
        "ascii": True,
        "no_color": True,
    }
    arguments = "--interval 5 --mode code --account A --account B --all-accounts --json --demo"
    assert expected == parsed(*arguments.split(), "--ascii", "--no-color")


@pytest.mark.parametrize("seconds", ["4", "4.99", "0", "-1", "nan", "inf", "1e99", "five", ""])
def test_an_interval_outside_its_range_is_wrong_usage(command: Command, seconds: str) -> None:
    done = command.run("--interval", seconds)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: argument --interval: ")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mode", "all"),
        ("--no-such-option",),
        ("--once", "--json"),
        ("--account",),
        ("--inter", "9"),
        ("no-such-command",),
        ("--demo", "doctor"),
        ("statusline", "--no-such-option"),
    ],
)
def test_wrong_usage_is_an_error_a_hint_and_exit_2(
    command: Command, arguments: tuple[str, ...]
) -> None:
    done = command.run(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_touch_no_files(command: Command, flag: str) -> None:
    done = command.run(flag, environ={"CLAUDE_USAGE_MONITOR_HOME": "/dev/null/x", "HOME": ""})
    assert (done.returncode, done.stderr) == (0, "")
    assert ("--interval" if flag == "--help" else __version__) in done.stdout
