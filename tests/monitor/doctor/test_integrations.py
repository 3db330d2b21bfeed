from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.cli import COMMANDS
from claude_usage_monitor.cli.parser import build_parser
from claude_usage_monitor.monitor.doctor.integrations import (
    INTEGRATIONS,
    Integration,
    installed,
    origin_of,
    text_of,
)

if TYPE_CHECKING:
    from tests.support.command import Command

DOCS = (Path(__file__).parents[3] / "docs" / "integrations.md").read_text()


def snippet_of(name: str) -> str:
    return next(row.snippet for row in INTEGRATIONS if row.name == name)


@pytest.mark.parametrize("row", INTEGRATIONS, ids=lambda row: row.name)
def test_every_snippet_is_documented(row: Integration) -> None:
    assert f"{row.file}" in DOCS
    assert f", {origin_of(row)}:\n\n```\n{row.snippet}```\n" in DOCS


@pytest.mark.parametrize("row", INTEGRATIONS, ids=lambda row: row.name)
def test_every_snippet_uses_options_that_exist(row: Integration) -> None:
    text = re.sub(r"\\\n *", "", row.snippet)
    _, found, rest = text.partition("claude-usage-monitor --")
    if found:
        words = f"--{rest}".splitlines()[0].rstrip(')"&, ').split()
        options = build_parser(COMMANDS, ()).parse_args(words)
        assert options.format is not None


def test_snippets_in_a_known_language_are_valid() -> None:
    tomllib.loads(snippet_of("starship"))
    tomllib.loads(snippet_of("i3status-rust"))
    json.loads(f"{{{snippet_of('Waybar')}}}")
    for shell in ("bash", "xbar", "the file that prompts and editors read"):
        subprocess.run(["/bin/sh", "-n"], input=snippet_of(shell), text=True, check=True)


def test_only_what_is_installed_is_printed(command: Command, tmp_path: Path) -> None:
    for name in ("tmux", "waybar"):
        program = tmp_path / name
        program.write_text("")
        program.chmod(0o700)
    found = installed({"PATH": str(tmp_path)})
    assert ["tmux", "Waybar"] == [row.name for row in found]
    done = command.run("doctor", "--integrations", environ={"PATH": str(tmp_path)})
    assert (0, "") == (done.returncode, done.stderr)
    assert "\n".join(map(text_of, found)) == done.stdout
    assert "# tmux: ~/.tmux.conf (tried on version 3.3a)\n\nset -g" in done.stdout


def test_a_computer_without_any_of_them_gets_no_snippet(command: Command, tmp_path: Path) -> None:
    done = command.run("doctor", "--integrations", environ={"PATH": str(tmp_path)})
    assert (0, "") == (done.returncode, done.stdout)
    assert "docs/integrations.md" in done.stderr
