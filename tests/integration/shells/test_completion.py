"""TAB in bash, zsh and fish: words of the command line, and names of accounts, however odd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.cli.parser import COMPLETIONS
from tests.integration.programs import required
from tests.support.command import PROGRAM, Terminal
from tests.support.saved import save_account
from tests.support.shell_files import FOLDER
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

HOSTILE = "$(touch executed) `touch executed`;x"
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOAD = {
    "bash": "source {file}",
    "zsh": "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump",
    "fish": "source {file}",
}


@pytest.fixture(params=START)
def shell(
    request: pytest.FixtureRequest,
    command: Command,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Terminal:
    """Return a shell that has loaded the completion, with two saved accounts."""
    name: str = request.param
    required(name, name)
    with TokenServer() as server:
        for account in ("Zebra", HOSTILE):
            save_account(server.issue(account), account)
    folder = tmp_path / "completions"
    folder.mkdir()
    file = folder / COMPLETIONS[name]
    file.write_text((FOLDER / COMPLETIONS[name]).read_text())
    monkeypatch.setenv("PATH", os.path.dirname(PROGRAM), prepend=":")
    monkeypatch.setenv("PS1", "READY> ")
    monkeypatch.chdir(home)
    terminal = command.track(Terminal(START[name], (100, 30), {"TERM": "xterm"}))
    terminal.wait_until_quiet(0.5)
    terminal.type(LOAD[name].format(file=file, folder=folder) + "; echo LOAD''ED\r")
    terminal.wait_for("LOADED")
    terminal.wait_until_quiet(0.3)
    return terminal


def test_tab_completes_commands_and_options(shell: Terminal) -> None:
    shell.type("claude-usage-monitor stat\t")
    shell.wait_for("claude-usage-monitor statusline")
    shell.type("\x15claude-usage-monitor --all-a\t")
    shell.wait_for("claude-usage-monitor --all-accounts")


def test_tab_completes_the_names_of_accounts(shell: Terminal) -> None:
    shell.type("claude-usage-monitor --account Zeb\t")
    shell.wait_for("--account Zebra")
    shell.type("\x15claude-usage-monitor accounts use Zeb\t")
    shell.wait_for("accounts use Zebra")


def test_a_name_is_never_executed(shell: Terminal, home: Path) -> None:
    shell.type("claude-usage-monitor accounts rename \t\t")
    shell.wait_for("Zebra")
    shell.wait_for("executed")
    shell.wait_until_quiet(0.5)
    shell.type("\x03\x15claude-usage-monitor accounts rename '$\t")
    shell.wait_until_quiet(0.5)
    assert not (home / "executed").exists()
