"""The shell completions and the man page. tests/integration/shells presses TAB in real shells."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.cli.parser import COMPLETIONS
from tests.support.saved import save_account
from tests.support.shell_files import FOLDER, MAN_PAGE, ROOT, generated
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from tests.support.command import Command


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_every_file_is_up_to_date(path: object) -> None:
    """``python -m tests.support.shell_files`` writes them anew."""
    files = generated()
    (content,) = (files[each] for each in files if each == path)
    (written,) = (each.read_text() for each in files if each == path)
    assert content == written


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_print_completion_prints_the_script_of_a_shell(command: Command, shell: str) -> None:
    done = command.run("--print-completion", shell, environ={"HOME": ""})
    assert (0, "") == (done.returncode, done.stderr)
    assert (FOLDER / COMPLETIONS[shell]).read_text() == done.stdout


def test_an_unknown_shell_is_wrong_usage(command: Command) -> None:
    done = command.run("--print-completion", "tcsh")
    assert (2, "") == (done.returncode, done.stdout)
    assert "use bash, zsh or fish" in done.stderr


def test_the_wheel_has_every_file_where_shells_and_man_look() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {str(path.relative_to(ROOT)) for path in generated()} == set(shared)


def test_the_man_page_names_files_variables_and_exit_codes() -> None:
    text = MAN_PAGE.read_text()
    for heading in ("FILES", "ENVIRONMENT", "EXIT STATUS", "COMMAND"):
        assert f".SH {heading}" in text


def test_account_names_are_listed_without_a_request(command: Command) -> None:
    with TokenServer() as server:
        for name in ("Work", "$(touch x) y"):
            save_account(server.issue(name), name)
        environ = {"CLAUDE_USAGE_MONITOR_API_URL": server.url}
        done = command.run("accounts", "list", "--names", environ=environ)
        assert (0, "") == (done.returncode, done.stderr)
        assert {"claude-code", "Work", "$(touch x) y"} == set(done.stdout.splitlines())
        assert [] == server.requests
