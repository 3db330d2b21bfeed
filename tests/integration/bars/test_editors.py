"""Neovim shows the file, literally, by the documented settings."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.doctor.integrations import INTEGRATIONS
from tests.integration.bars.conftest import HOSTILE
from tests.integration.programs import required

if TYPE_CHECKING:
    from pathlib import Path


def test_neovim_shows_the_name_literally(script: str, home: Path, folder: Path) -> None:
    neovim = required("nvim", "neovim")
    file = home / ".cache" / "claude-limits"
    file.parent.mkdir()
    template = "[{name} {five_hour.utilization}%]"
    subprocess.run([script, "--format", template, "--output", str(file)], check=True)
    (home / "init.lua").write_text(next(r.snippet for r in INTEGRATIONS if r.program == "nvim"))
    options = "{maxwidth = 200, fillchar = ' '}"
    shown = f"lua io.stdout:write(vim.api.nvim_eval_statusline(vim.o.statusline, {options}).str)"
    done = subprocess.run(
        [neovim, "--headless", "-u", str(home / "init.lua"), "-c", shown, "-c", "qa!"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"[{HOSTILE} 78%]" in done.stdout + done.stderr
    assert [] == list(folder.iterdir())
