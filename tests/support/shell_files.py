"""The shell completions and the man page. ``python -m tests.support.shell_files`` writes them anew.

They are made from the one parser. The wheel has them where shells and man look for them, and
``--print-completion`` prints the completions.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shtab
from argparse_manpage.manpage import Manpage

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import COMMANDS
from claude_usage_monitor.cli.parser import COMPLETIONS, PROGRAM, build_parser
from claude_usage_monitor.formats import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "claude_usage_monitor" / "cli" / "completions"
MAN_PAGE = ROOT / "docs" / f"{PROGRAM}.1"
_DATE = "2026-11-22"  # of the man page: when its own sections were last changed

# An account may be called `$(…)`. compgen -W and zsh's `(…)` would run that, so these do not use
# them: bash gets each name quoted, and compadd quotes what it inserts.
_LIST = f"{PROGRAM} accounts list --names 2>/dev/null"
_ACCOUNTS = {
    "bash": "_claude_usage_monitor_accounts",
    "zsh": "_claude_usage_monitor_accounts",
    "fish": f"({_LIST})",
    "preamble": {
        "bash": f"""\
_claude_usage_monitor_accounts() {{
  local name
  while IFS= read -r name; do
    [[ $name == "$1"* ]] && printf '%q\\n' "$name"
  done < <({_LIST})
}}""",
        "zsh": f"""\
_claude_usage_monitor_accounts() {{
  local -a names
  names=("${{(@f)$({_LIST})}}")
  compadd -a names
}}""",
    },
}
_PRESET_NAMES = " ".join(row.name for row in PRESETS)
_PRESETS = {
    "bash": "_claude_usage_monitor_presets",
    "zsh": f"({_PRESET_NAMES})",
    "fish": _PRESET_NAMES,
    "preamble": {
        "bash": f"""\
_claude_usage_monitor_presets() {{
  compgen -W "{_PRESET_NAMES}" -- "$1"
}}"""
    },
}

_WIDTH = 200  # columns; man wraps for the terminal itself
_SYNOPSIS = f"""\
.B {PROGRAM}
[options]
.br
.B {PROGRAM}
COMMAND [options]"""
_SECTIONS = {
    "FILES": r"""
.TP
.I ~/.config/claude-usage-monitor/config.toml
Settings. Every key is optional.
.TP
.I ~/.local/state/claude-usage-monitor/
Figures, the request budget and the list of accounts.
.PP
.B claude-usage-monitor doctor
names every file, also on other systems. Claude Code's files are only read.
""",
    "ENVIRONMENT": r"""
.TP
.B CLAUDE_CODE_OAUTH_TOKEN
OAuth token, used before any stored login.
.TP
.BR ANTHROPIC_ADMIN_API_KEY ", " ANTHROPIC_ADMIN_KEY
Admin API key of an organization; the first one that is set is used.
.TP
.BR CLAUDE_CONFIG_DIR ", " CLAUDE_SECURESTORAGE_CONFIG_DIR
Claude Code's configuration directory, and the one of its credentials.
.TP
.B CLAUDE_USAGE_MONITOR_HOME
One directory for all files of this program.
.TP
.B CLAUDE_USAGE_MONITOR_API_URL
API base URL instead of https://api.anthropic.com.
.TP
.BR HTTPS_PROXY ", " NO_PROXY ", " REQUESTS_CA_BUNDLE ", " SSL_CERT_FILE
As everywhere.
.TP
.BR NO_COLOR ", " FORCE_COLOR ", " TERM=dumb ", " COLUMNS
As everywhere.
""",
    "EXIT STATUS": r"""
.TP
.B 0
Every account has figures, or the dashboard was left.
.B \-\-format
and
.B statusline
return 0 whenever they printed their line.
.TP
.B 1
Something else failed.
.TP
.B 2
Wrong usage.
.TP
.B 3
A login is needed.
.TP
.B 4
The service gave no figures, and none are stored.
.TP
.B 75
.BR guard :
not enough is left.
.TP
.B 130
A command was interrupted;
.B 128+N
ended by signal N.
""",
}


def generated() -> dict[Path, str]:
    """Return the content of every file."""
    files = {
        FOLDER / name: f"{shtab.complete(_completing_parser(), shell).rstrip()}\n"
        for shell, name in COMPLETIONS.items()
    }
    return {**files, MAN_PAGE: _man_page()}


def _completing_parser() -> argparse.ArgumentParser:
    parser = _whole_parser()
    for action in _actions(parser):
        completion: object = None
        if action.metavar == "NAME" and action.dest in ("account", "name"):
            completion = _ACCOUNTS
        elif action.metavar == "FILE":
            completion = shtab.FILE
        elif "--format" in action.option_strings:
            completion = _PRESETS
        if completion is not None:
            action.complete = completion  # type: ignore[attr-defined] # shtab's way
    return parser


def _whole_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; its texts do not depend on the terminal's width."""
    parser = build_parser(COMMANDS, COMMANDS)
    parsers: list[argparse.ArgumentParser] = [parser]
    for each in parsers:
        each.formatter_class = partial(argparse.RawDescriptionHelpFormatter, width=_WIDTH)
        for action in each._actions:  # noqa: SLF001 - there is no public list
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - there is no public class
                parsers += action.choices.values()
    return parser


def _actions(parser: argparse.ArgumentParser, name: str = "") -> Iterator[argparse.Action]:
    """Yield every argument that may complete; the name of a new account cannot."""
    for action in parser._actions:  # noqa: SLF001 - there is no public list
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - there is no public class
            for child_name, child in action.choices.items():
                yield from _actions(child, child_name)
        elif name != "add" or action.dest != "name":
            yield action


def _man_page() -> str:
    data: dict[str, Any] = {
        "date": _DATE,
        "project_name": PROGRAM,
        "version": __version__,
        "description": "show how much of Claude Code's usage limits is used",
        "manual_title": "User Commands",
    }
    page = Manpage(_whole_parser(), data)
    page.add_section("SYNOPSIS", "=", _SYNOPSIS)
    for heading, content in _SECTIONS.items():
        page.add_section(heading, "=", content.strip())
    return str(page)


def main() -> None:
    """Write the files."""
    for path, content in generated().items():
        path.write_text(content)


if __name__ == "__main__":
    main()
