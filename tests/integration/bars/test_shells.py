"""Prompts that read our file: nothing in it is executed, and nothing is eaten."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.doctor.integrations import INTEGRATIONS
from tests.integration.bars.conftest import HOSTILE
from tests.integration.programs import required
from tests.support.command import PROGRAM, Terminal

if TYPE_CHECKING:
    from tests.support.command import Command

LINE = f"[{HOSTILE} 78%]"
PLAIN = "[{name} {five_hour.utilization}%]"
SHOW = {
    "zsh": (["zsh", "-f", "-c"], 'precmd; print -P "$RPROMPT"'),
    "bash": (["bash", "-c"], 'eval "$PROMPT_COMMAND"; echo "$limits"'),
    "fish": (["fish", "--no-config", "-c"], "fish_right_prompt"),
}
DOCS = (Path(__file__).parents[3] / "docs" / "integrations.md").read_text()


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


@pytest.mark.parametrize("name", SHOW)
def test_a_prompt_says_nothing_while_the_file_is_missing(home: Path, name: str) -> None:
    required(name, name)
    start, show_prompt = SHOW[name]
    shell = [*start, f"{snippet_of(name)}\n{show_prompt}"]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert ("", "") == (done.stdout.strip(), done.stderr)
    (home / ".cache").mkdir(exist_ok=True)
    (home / ".cache" / "claude-limits").write_text("5h 78%\n")
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert ("5h 78%", "") == (done.stdout.strip(), done.stderr)


def test_the_file_of_the_prompts_is_written_in_a_new_home(home: Path, command: Command) -> None:
    snippet = snippet_of("the file that prompts and editors read").replace(" &", "")
    file = home / ".cache" / "claude-limits"
    shell = Terminal(["sh", "-c", snippet], (80, 10), {"PATH": path_with_ours()})
    command.track(shell)
    shell.wait_for(file.exists)
    shell.type("\x03")


def test_the_completions_are_written_in_a_new_home(home: Path) -> None:
    _, _, docs = DOCS.partition("## Shell completion")
    commands = docs.split("```")[1]
    environ = {**os.environ, "PATH": path_with_ours()}
    done = subprocess.run(
        ["sh", "-e", "-c", commands], env=environ, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert (home / ".zfunc" / "_claude-usage-monitor").stat().st_size


def snippet_of(name: str) -> str:
    return next(row.snippet for row in INTEGRATIONS if row.name == name)


def path_with_ours() -> str:
    return f"{os.path.dirname(PROGRAM)}{os.pathsep}{os.environ['PATH']}"
