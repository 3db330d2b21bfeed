"""The options of the dashboard, and wrong usage."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import COMMANDS
from claude_usage_monitor.cli import parser as parser_module
from claude_usage_monitor.cli.parser import build_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        "format": None,
        "follow": False,
        "output": None,
        "demo": False,
        "ascii": False,
        "hide_names": False,
        "no_color": False,
        "theme": None,
        "plain": False,
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
        "format": None,
        "follow": True,
        "output": "FILE",
        "demo": True,
        "hide_names": True,
        "ascii": True,
        "no_color": True,
        "theme": "dark",
        "plain": True,
    }
    arguments = "--interval 5 --mode code --account A --account B --all-accounts --json --demo"
    arguments += " --follow --output FILE --theme dark --plain"
    assert expected == parsed(*arguments.split(), "--hide-names", "--ascii", "--no-color")


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


def every_parser() -> Iterator[argparse.ArgumentParser]:
    parsers: list[argparse.ArgumentParser] = [build_parser(COMMANDS, COMMANDS)]
    for parser in parsers:
        yield parser
        for action in parser._actions:  # noqa: SLF001 - there is no public list
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - there is no public class
                parsers += action.choices.values()


@pytest.mark.parametrize("width", [20, 28, 40, 60, 79, 80, 120])
def test_help_fits_every_width_and_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(parser_module, "_width", lambda: 200)
    whole = [parser.format_help() for parser in every_parser()]
    monkeypatch.setattr(parser_module, "_width", lambda: width)
    for text, parser in zip(whole, every_parser(), strict=True):
        shown = parser.format_help()
        assert sorted(text.split()) == sorted(shown.split())
        assert [] == [
            line for line in shown.splitlines() if len(line) > width and " " in line.strip()
        ]


@pytest.mark.parametrize("name", [(), *((name,) for name in COMMANDS), ("accounts", "add")])
def test_help_fits_80_columns_where_there_is_no_terminal(
    command: Command, name: tuple[str, ...]
) -> None:
    done = command.run(*name, "--help")
    assert 0 == done.returncode
    assert 80 >= max(map(len, done.stdout.splitlines()))


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("0", 80), ("wide", 80)])
def test_help_obeys_columns_where_there_is_no_terminal(
    command: Command, columns: str, width: int
) -> None:
    shown = command.run("--help", environ={"COLUMNS": columns}).stdout.splitlines()
    sentences = [len(line) for line in shown if " " in line.strip()]
    assert width - 10 < max(sentences) <= width


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("statsline",), "unknown command 'statsline'; did you mean `statusline`?"),
        (("accounts", "lst"), "unknown command 'lst'; did you mean `list`?"),
        (("weather",), "unknown command 'weather': use accounts, "),
        (("--intervall", "5"), "unknown option --intervall; did you mean `--interval`?"),
        (("--intervall=5",), "unknown option --intervall; did you mean `--interval`?"),
        (("--onc",), "unknown option --onc; did you mean `--once`?"),
        (("history", "--day", "5"), "unknown option --day; did you mean `--days`?"),
        (("--weather",), "unknown option --weather."),
        (("--demo", "guard", "--min-left", "5"), "`guard` has no `--demo`"),
        (("--account", "x", "guard"), "`guard` must come before all options"),
        (("--json", "accounts", "list"), "`accounts` must come before all options"),
        (("--mode", "consol"), "unknown value of --mode 'consol'; did you mean `console`?"),
        (("--account", "claud"), "There is no account 'claud'; did you mean `claude-code`?"),
        (("--account", "x", "--all-accounts"), "`--account` and `--all-accounts` exclude"),
        (("--account", "console", "--mode", "code"), "The account console is an organization"),
        (("--account", "claude-code", "--mode", "console"), "The account claude-code is a sub"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_what_was_probably_meant(
    command: Command, arguments: tuple[str, ...], words: str
) -> None:
    environ = {"ANTHROPIC_ADMIN_API_KEY": "sk-ant-admin01-canary-5f2a91"}
    done = command.run(*arguments, environ=environ)
    assert (2, "") == (done.returncode, done.stdout)
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {words}")
    assert hint.startswith("hint: ")


def test_conflicting_options_are_a_json_document_too(command: Command) -> None:
    done = command.run("--account", "x", "--all-accounts", "--json")
    assert 2 == done.returncode
    assert "invalid_setting" == json.loads(done.stdout)["problem"]["code"]


def test_a_relative_folder_of_ours_is_an_error(command: Command) -> None:
    """It would be another folder in each working directory."""
    for arguments in ((), ("accounts",), ("doctor",)):
        done = command.run(*arguments, environ={"CLAUDE_USAGE_MONITOR_HOME": "ours"})
        assert (2, "") == (done.returncode, done.stdout)
        assert "CLAUDE_USAGE_MONITOR_HOME is not an absolute path: 'ours'." in done.stderr
    assert not Path("ours").exists()


# --- the demo -------------------------------------------------------------------------------------


def demo(command: Command, *options: str) -> list[dict[str, Any]]:
    done = command.run("--demo", "--json", *options)
    accounts: list[dict[str, Any]] = json.loads(done.stdout)["accounts"]
    assert 0 == done.returncode
    return accounts


def test_the_demo_has_an_organization(command: Command) -> None:
    for options in (("--mode", "console"), ("--account", "demo-organization")):
        (account,) = demo(command, *options)
        assert ("console", "demo", None) == (account["kind"], account["source"], account["problem"])
        assert account["spend"]["month_to_date"] > 0
    shown = command.run("--demo", "--mode", "console", "--once").stdout
    assert "Analytical Engines" in shown
    assert "demo" in shown.splitlines()[-1]


def test_the_demo_has_several_accounts_one_of_them_with_a_problem(command: Command) -> None:
    accounts = demo(command, "--all-accounts")
    assert ["demo", "demo-organization", "demo-work"] == [each["name"] for each in accounts]
    problems = [each["problem"]["code"] for each in accounts if each["problem"]]
    assert ["rate_limited"] == problems
    shown = command.run("--demo", "--all-accounts", "--once").stdout
    assert shown.count("demo") >= 3


def test_the_demo_names_its_accounts(command: Command) -> None:
    done = command.run("--demo", "--account", "claude-code")
    assert 2 == done.returncode
    assert "Known accounts: demo, demo-organization, demo-work." in done.stderr
