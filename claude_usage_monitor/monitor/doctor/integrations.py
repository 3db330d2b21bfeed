"""The table of places that can show the limits: bars, prompts, editors, and what each needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from claude_usage_monitor.light_typing import NamedTuple


class Integration(NamedTuple):
    """A place: how it is found, the file of its settings, and what to put there.

    ``program`` is a command on PATH or the path of an application. ``tried`` is the version that
    the snippet was tried with, ``None`` if it is written by the program's documentation.
    """

    name: str
    program: str
    file: str
    snippet: str
    tried: str | None = None


INTEGRATIONS = (
    Integration(
        "tmux",
        "tmux",
        "~/.tmux.conf",
        """\
set -g status-right-length 80
set -g status-right "#(claude-usage-monitor --format tmux --follow)"
bind u display-popup -E -w 64 -h 22 claude-usage-monitor
""",
        "3.3a",
    ),
    Integration(
        "GNU Screen",
        "screen",
        "~/.screenrc",
        """\
backtick 1 0 0 claude-usage-monitor --format screen --follow
hardstatus alwayslastline '%1`'
""",
        "4.9",
    ),
    Integration(
        "zellij with zjstatus",
        "zellij",
        "the layout's zjstatus plugin",
        """\
command_claude_command  "claude-usage-monitor --format tmux"
command_claude_format   "{stdout}"
command_claude_interval "30"
command_claude_rendermode "dynamic"
format_right "{command_claude}"
""",
    ),
    Integration(
        "starship",
        "starship",
        "~/.config/starship.toml",
        """\
[custom.claude]
command = "cat ~/.cache/claude-limits"
when = "test -s ~/.cache/claude-limits"
""",
    ),
    Integration(
        "zsh",
        "zsh",
        "~/.zshrc",
        """\
precmd() { { psvar[1]=$(<~/.cache/claude-limits) } 2>/dev/null }
RPROMPT='%1v'
""",
        "5.9",
    ),
    Integration(
        "bash",
        "bash",
        "~/.bashrc",
        """\
PROMPT_COMMAND='{ IFS= read -r limits <~/.cache/claude-limits; } 2>/dev/null'
PS1='$limits \\w \\$ '
""",
        "5.2",
    ),
    Integration(
        "fish",
        "fish",
        "~/.config/fish/config.fish",
        """\
function fish_right_prompt; cat ~/.cache/claude-limits 2>/dev/null; end
""",
        "3.6",
    ),
    Integration(
        "Waybar",
        "waybar",
        "~/.config/waybar/config",
        """\
"custom/claude": {
    "exec": "claude-usage-monitor --format waybar --follow",
    "return-type": "json",
    "restart-interval": 60
}
""",
    ),
    Integration(
        "i3blocks",
        "i3blocks",
        "~/.config/i3blocks/config",
        """\
[claude]
command=claude-usage-monitor --format i3blocks --follow
format=json
interval=persist
""",
        "1.4",
    ),
    Integration(
        "i3status-rust",
        "i3status-rs",
        "~/.config/i3status-rust/config.toml",
        """\
[[block]]
block = "custom"
command = "claude-usage-monitor --format i3status-rust --follow"
json = true
persistent = true
""",
    ),
    Integration(
        "Polybar",
        "polybar",
        "~/.config/polybar/config.ini",
        """\
[module/claude]
type = custom/script
exec = claude-usage-monitor --format polybar --follow
tail = true
""",
        "3.6",
    ),
    Integration(
        "xbar",
        "/Applications/xbar.app",
        "~/Library/Application Support/xbar/plugins/claude.5m.sh",
        """\
#!/bin/sh
PATH="$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin:$PATH"
exec claude-usage-monitor --format xbar
""",
    ),
    Integration(
        "SwiftBar",
        "/Applications/SwiftBar.app",
        "claude.5m.sh in SwiftBar's plugin folder",
        """\
#!/bin/sh
PATH="$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin:$PATH"
exec claude-usage-monitor --format xbar
""",
    ),
    Integration(
        "Neovim",
        "nvim",
        "~/.config/nvim/init.lua",
        """\
vim.g.claude_limits = ""
local function read_limits()
  local file = io.open(vim.fn.expand("~/.cache/claude-limits"))
  if file then
    vim.g.claude_limits = file:read("*l") or ""
    file:close()
  end
end
read_limits()
vim.fn.timer_start(30000, read_limits, { ["repeat"] = -1 })
vim.o.statusline = "%f %m%=%{g:claude_limits}"
""",
        "0.7",
    ),
    Integration(
        "the file that prompts and editors read",
        "sh",
        "~/.profile",
        """\
mkdir -p ~/.cache
claude-usage-monitor --format plain --follow --output ~/.cache/claude-limits &
""",
        "dash 0.5",
    ),
    Integration(
        "the same file, with systemd",
        "systemctl",
        "~/.config/systemd/user/claude-limits.service",
        """\
# systemctl --user enable --now claude-limits
[Service]
ExecStartPre=/usr/bin/env mkdir -p %h/.cache
ExecStart=%h/.local/bin/claude-usage-monitor \\
    --format plain --follow --output %h/.cache/claude-limits
Restart=on-failure

[Install]
WantedBy=default.target
""",
    ),
)


def installed(environ: Mapping[str, str]) -> tuple[Integration, ...]:
    """Return the integrations with a program on this computer."""
    path = environ.get("PATH", os.defpath)
    return tuple(
        row
        for row in INTEGRATIONS
        if shutil.which(row.program, path=path)
        or (row.program.startswith("/") and Path(row.program).exists())
    )


def text_of(row: Integration) -> str:
    """Return a place's snippet with a heading."""
    return f"# {row.name}: {row.file} ({origin_of(row)})\n\n{row.snippet}"


def origin_of(row: Integration) -> str:
    """Return how far a snippet can be trusted."""
    return "by its documentation" if row.tried is None else f"tried on version {row.tried}"
