from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from claude_usage_monitor.cli.screen import PlainScreen, Screen
from tests.support.command import CLEARED, environ_with_short_floor
from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

SIZES = [(0, 0), (1, 1), (80, 1), (1, 24), (20, 6), (28, 8), (40, 12), (60, 90), (250, 60)]
# In the forecast for the last window, which is drawn after the figures.
FORECAST = "before the reset"
# With this interval, "next in 5m" stays on the screen for the whole test, with any jitter.
STEADY_INTERVAL = ("--interval", "295")


@pytest.fixture
def steady(api: Api, store: Store) -> datetime:
    """Let the API return figures with texts that do not change in the next seconds.

    Returns the time of the figures: every countdown has half a minute to its next change.
    """
    moment = datetime.now(UTC) + timedelta(seconds=30)
    store.login()
    api.answer(usage_body(moment))
    return moment


def opened(
    command: Command,
    columns: int = 60,
    rows: int = 24,
    environ: Mapping[str, str] | None = None,
) -> Terminal:
    """Return the command once it shows the figures and the profile."""
    terminal = command.open(*STEADY_INTERVAL, columns=columns, rows=rows, environ=environ)
    terminal.wait_for("Max 5x" if columns < 60 else "user@example.com")
    terminal.wait_until_quiet()
    return terminal


def width(terminal: Terminal) -> int:
    """Return the columns of the widest line on the screen."""
    return max(cell_len(line) for line in terminal.lines)


@pytest.mark.usefixtures("steady")
def test_nothing_is_written_while_nothing_changes(command: Command) -> None:
    terminal = opened(command)
    terminal.wait_for(FORECAST)
    terminal.wait_until_quiet()

    assert terminal.read_for(1.5) == b""


def test_only_the_lines_that_changed_are_written(
    command: Command, api: Api, steady: datetime, home: Path, tmp_path: Path
) -> None:
    """A changed figure rewrites its own row, unless another window binds then."""
    api.answer(usage_body(steady, five_hour=40.0))
    terminal = opened(command, environ=environ_with_short_floor(home, tmp_path))
    terminal.wait_for("next in")
    terminal.wait_for(FORECAST)
    terminal.wait_until_quiet(0.5)
    before = len(terminal.written)

    api.answer(usage_body(steady, five_hour=41.0))
    terminal.type("r")  # once: a second read might begin before the last frame
    terminal.wait_for("41 %")
    terminal.wait_for("next in")
    terminal.wait_until_quiet(0.5)

    written = terminal.written[before:].decode()
    assert [name in written for name in ("5-hour", "7-day", "Fable")] == [True, False, False]
    assert terminal.text == terminal.repaint()


@pytest.mark.usefixtures("steady")
def test_no_line_wraps_or_scrolls_in_a_terminal_of_any_size(command: Command) -> None:
    """Everything stays where it is painted: a larger terminal would show the same."""
    terminal = opened(command)
    for columns, rows in SIZES:
        terminal.resize(columns, rows)
        shown = terminal.repaint()

        larger = pyte.Screen(columns + 99, rows + 40)
        pyte.ByteStream(larger).feed(bytes(terminal.written[terminal.written.rindex(CLEARED) :]))
        assert shown.rstrip() == "\n".join(map(str.rstrip, larger.display)).rstrip()
        assert width(terminal) > 0


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 1), (500, 200)])
def test_the_command_starts_in_a_terminal_of_any_size(
    command: Command, columns: int, rows: int
) -> None:
    terminal = command.open("--demo", columns=columns, rows=rows)
    terminal.wait_for(lambda: terminal.text.strip() not in {"", "…"})
    terminal.type("q")

    assert terminal.wait_for_exit() == 0


@pytest.mark.usefixtures("steady")
def test_after_many_resizes_the_last_size_counts(command: Command) -> None:
    """After a hundred sizes, the screen is that of a command started in the last one."""
    terminal = opened(command)
    for step in range(100):
        columns, rows = (step * 37) % 140 + 1, (step * 23) % 40 + 1
        terminal.resize(columns, rows)
        terminal.read(0.002)
    terminal.resize(72, 26)
    terminal.wait_for(lambda: width(terminal) == 72 and "API" in terminal.text)
    terminal.wait_until_quiet()

    fresh = opened(command, columns=72, rows=26)
    assert fresh.text == terminal.text
    assert width(terminal) == 72


@pytest.mark.usefixtures("steady")
def test_the_terminals_size_counts_not_exported_columns(command: Command) -> None:
    """At the start and after a resize."""
    terminal = opened(command, environ={"COLUMNS": "40", "LINES": "5"})
    assert width(terminal) == 60

    terminal.resize(90, 30)
    terminal.wait_for(lambda: width(terminal) == 90)


@pytest.mark.parametrize("repaint", ["a resize", "SIGCONT"])
@pytest.mark.usefixtures("steady")
def test_a_full_repaint_covers_what_other_processes_wrote(command: Command, repaint: str) -> None:
    terminal = opened(command)
    before = terminal.text
    terminal.write_from_elsewhere("warning: stray")

    if repaint == "SIGCONT":
        terminal.repaint()
    else:
        terminal.resize(59, 24)
        terminal.wait_for(lambda: width(terminal) == 59)
        terminal.resize(60, 24)
        terminal.wait_for(lambda: width(terminal) == 60)
        terminal.wait_until_quiet()

    assert before == terminal.text


@pytest.mark.usefixtures("steady")
def test_a_frame_is_painted_by_position(command: Command) -> None:
    """Live mode writes no line feed, which would scroll a full screen."""
    terminal = opened(command, columns=46, rows=10)

    assert b"\n" not in terminal.written
    assert terminal.lines[0][0] == "╭"
    assert re.fullmatch(r"╰─.*─╯", terminal.lines[len(terminal.text.strip().splitlines()) - 1])


@pytest.mark.parametrize("screen_type", [Screen, PlainScreen])
def test_frames_with_new_texts_use_no_more_memory(screen_type: type[Screen]) -> None:
    with Path(os.devnull).open("w") as file:
        screen = screen_type(Console(file=file, force_terminal=True, legacy_windows=False))

        def paint(frames: range) -> None:
            for frame in frames:
                lines = [Text(f"line {line} of frame {frame}") for line in range(20)]
                columns = max(line.cell_len for line in lines)
                screen.paint(lines, (columns, 24), changed=True)

        screen.enter()
        paint(range(10))
        blocks = sys.getallocatedblocks()
        paint(range(10, 210))
        more = sys.getallocatedblocks() - blocks
        screen.leave()
    assert more < 1000
