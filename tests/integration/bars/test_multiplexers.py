"""tmux and GNU Screen show a stream of ours, literally, and end it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.integration.bars.conftest import HOSTILE, process_id, wait_for_end
from tests.integration.programs import required
from tests.support.command import PROGRAM, Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command


TEMPLATE = "[{name!c} {five_hour.utilization}%]"


def _terminal(arguments: list[str], rows: int = 10, **environ: str) -> Terminal:
    return Terminal(arguments, (120, rows), environ)


def test_tmux_shows_the_name_literally_and_the_stream_ends_with_the_client(
    command: Command, script: str, tmp_path: Path, folder: Path
) -> None:
    tmux = [required("tmux", "tmux"), "-S", str(tmp_path / "socket")]
    config, bar = tmp_path / "tmux.conf", tmp_path / "bar"
    bar.write_text(
        f"exec {script} --format 'tmux:[{{name!c}} {{five_hour.utilization}}%]' --follow"
    )
    config.write_text(
        "set -g status-left ''\n"
        "set -g status-right-length 110\n"
        "set -g window-status-current-format ''\n"
        f"set -g status-right '#(sh {bar})'\n"
    )
    terminal = command.track(_terminal([*tmux, "-f", str(config), "new-session", "sleep 100"]))
    try:
        terminal.wait_for(f"[{HOSTILE} 78%]")
        assert [] == list(folder.iterdir())
        pid = process_id(tmp_path)
        subprocess.run([*tmux, "detach-client"], check=True)
        wait_for_end(pid)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_a_tmux_popup_shows_the_dashboard(command: Command, tmp_path: Path) -> None:
    tmux = [required("tmux", "tmux"), "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    terminal = command.track(_terminal([*tmux, "new-session", "sleep 100"], rows=30))
    try:
        terminal.wait_for("[0]")  # the status line
        popup = [*tmux, "display-popup", "-E", "-w", "64", "-h", "22", f"{PROGRAM} --demo"]
        shown = subprocess.Popen(popup)
        terminal.wait_for("Fable")
        terminal.type("q")
        assert 0 == shown.wait(20)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_screen_shows_the_name_literally_and_the_stream_ends_with_it(
    command: Command, script: str, tmp_path: Path, folder: Path
) -> None:
    screen = required("screen", "screen")
    folder_of_sockets = tmp_path / "sockets"
    folder_of_sockets.mkdir(mode=0o700)
    config, bar = tmp_path / "screenrc", tmp_path / "bar"
    bar.write_text(
        f"exec {script} --format 'screen:[{{name!c}} {{five_hour.utilization}}%]' --follow"
    )
    config.write_text(
        f"startup_message off\nbacktick 1 0 0 sh {bar}\nhardstatus alwayslastline '%1`'\n"
    )
    terminal = command.track(
        _terminal([screen, "-c", str(config), "sleep", "100"], SCREENDIR=str(folder_of_sockets))
    )
    terminal.wait_for(f"[{HOSTILE} 78%]")
    assert [] == list(folder.iterdir())
    pid = process_id(tmp_path)
    subprocess.run([screen, "-X", "quit"], env={"SCREENDIR": str(folder_of_sockets)}, check=True)
    wait_for_end(pid)
