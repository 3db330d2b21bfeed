"""Prompts that read our file: nothing in it is executed, and nothing is eaten."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.bars.conftest import HOSTILE
from tests.integration.programs import required
from tests.support.command import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

LINE = f"[{HOSTILE} 78%]"
PLAIN = "[{name} {five_hour.utilization}%]"


def written(script: str, tmp_path: Path, template: str) -> Path:
    """Return a file that our command has written by a template."""
    file = tmp_path / "line"
    subprocess.run([script, "--format", template, "--output", str(file)], check=True)
    return file


@pytest.mark.parametrize(
    ("template", "settings"),
    [
        (PLAIN, "precmd() {{ psvar[1]=$(<{file}) }}\nPROMPT='%1v > '\n"),
        (
            "zsh:[{name!c} {five_hour.utilization}%%]",
            "setopt prompt_subst\nPROMPT='$(<{file}) > '\n",
        ),
    ],
)
def test_zsh(
    command: Command, script: str, tmp_path: Path, folder: Path, template: str, settings: str
) -> None:
    file = written(script, tmp_path, template)
    (tmp_path / ".zshrc").write_text(settings.format(file=file))
    zsh = [required("zsh", "zsh"), "-o", "no_global_rcs", "-i"]
    show(command, Terminal(zsh, (100, 10), {"ZDOTDIR": str(tmp_path)}), folder)


def test_bash(command: Command, script: str, tmp_path: Path, folder: Path) -> None:
    """Without a subshell: bash 5.2.15 hangs where ``$(<FILE)`` is in ``PS1``."""
    file = written(script, tmp_path, PLAIN)
    (tmp_path / "bashrc").write_text(
        f"PROMPT_COMMAND='IFS= read -r limits <{file}'\nPS1='$limits \\$ '\n"
    )
    bash = ["bash", "--rcfile", str(tmp_path / "bashrc"), "-i"]
    show(command, Terminal(bash, (100, 10), {}), folder)


def test_fish(command: Command, script: str, tmp_path: Path, folder: Path) -> None:
    file = written(script, tmp_path, "ansi:[{name!c} {five_hour.utilization}%]")
    prompt = f"function fish_prompt; cat {file}; end"
    fish = [required("fish", "fish"), "--no-config", "-i", "-C", prompt]
    show(command, Terminal(fish, (100, 10), {}), folder)


def show(command: Command, terminal: Terminal, folder: Path) -> None:
    """Wait for the prompt, press Enter, and wait for the next one."""
    command.track(terminal)
    terminal.wait_for(LINE)
    terminal.type("\n")
    terminal.wait_for(lambda: terminal.text.count(LINE) == 2)
    assert [] == list(folder.iterdir())
