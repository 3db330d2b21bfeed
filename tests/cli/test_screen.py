from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyte
import pytest
from rich.cells import cell_len

from tests.support.command import CLEARED, environ_with_short_floor
from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

SIZES = [(0, 0), (1, 1), (80, 1), (1, 24), (20, 6), (28, 8), (40, 12), (60, 90), (250, 60)]
# An interval at which "next in 5m" stays true for as long as a test takes, whatever the jitter.
CALM = ("--interval", "295")


@pytest.fixture
def steady(api: Api, store: Store) -> datetime:
    """Let the API give figures whose words stay the same for the next seconds; returns their time.

    Half a minute into every minute that is left, no countdown is about to change.
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
    """Return the command, the figures and the profile shown."""
    terminal = command.open(*CALM, columns=columns, rows=rows, environ=environ)
    terminal.wait_for("Max 5x" if columns < 60 else "user@example.com")
    terminal.wait_until_quiet()
    return terminal


def width(terminal: Terminal) -> int:
    """Return how many columns the widest line on the screen takes."""
    return max(cell_len(line) for line in terminal.lines)


@pytest.mark.usefixtures("steady")
def test_a_still_screen_costs_nothing(command: Command) -> None:
    """While no word on it changes, nothing is written."""
    terminal = opened(command)

    assert terminal.read_for(1.5) == b""


def test_only_the_lines_that_changed_are_written(
    command: Command, api: Api, steady: datetime, home: Path, tmp_path: Path
) -> None:
    """A figure that changes costs its own row."""
    terminal = opened(command, environ=environ_with_short_floor(home, tmp_path))
    before = len(terminal.written)

    api.answer(usage_body(steady, five_hour=79.0))
    terminal.press_until("r", "79 %")
    terminal.wait_until_quiet()

    written = terminal.written[before:].decode()
    assert [name in written for name in ("5-hour", "7-day", "Fable")] == [True, False, False]
    assert terminal.text == terminal.repaint()


@pytest.mark.usefixtures("steady")
def test_in_a_terminal_of_any_size_nothing_wraps_or_scrolls(command: Command) -> None:
    """What is painted stays where it is painted, so a larger terminal would show the same."""
    terminal = opened(command)
    for columns, rows in SIZES:
        terminal.resize(columns, rows)
        shown = terminal.repaint()

        larger = pyte.Screen(columns + 99, rows + 40)
        pyte.ByteStream(larger).feed(bytes(terminal.written[terminal.written.rindex(CLEARED) :]))
        assert shown.rstrip() == "\n".join(map(str.rstrip, larger.display)).rstrip()
        assert width(terminal) > 0


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 1), (500, 200)])
def test_a_terminal_of_any_size_is_good_to_start_in(
    command: Command, columns: int, rows: int
) -> None:
    terminal = command.open("--demo", columns=columns, rows=rows)
    terminal.wait_for(lambda: terminal.text.strip() not in {"", "…"})
    terminal.type("q")

    assert terminal.wait_for_exit() == 0


@pytest.mark.usefixtures("steady")
def test_after_a_storm_of_resizes_the_last_size_counts(command: Command) -> None:
    """A hundred sizes leave no debris: the screen is that of a command started in the last one."""
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
def test_exported_columns_do_not_pin_a_terminals_width(command: Command) -> None:
    """A terminal's own size counts, at the start and after a resize."""
    terminal = opened(command, environ={"COLUMNS": "40", "LINES": "5"})
    assert width(terminal) == 60

    terminal.resize(90, 30)
    terminal.wait_for(lambda: width(terminal) == 90)


@pytest.mark.parametrize("heal", ["a resize", "SIGCONT"])
@pytest.mark.usefixtures("steady")
def test_what_somebody_else_wrote_to_the_terminal_is_painted_over(
    command: Command, heal: str
) -> None:
    """A stray write of a child goes with the next full paint."""
    terminal = opened(command)
    before = terminal.text
    terminal.write_from_elsewhere("warning: stray")

    if heal == "SIGCONT":
        terminal.repaint()
    else:
        terminal.resize(59, 24)
        terminal.wait_for(lambda: width(terminal) == 59)
        terminal.resize(60, 24)
        terminal.wait_for(lambda: width(terminal) == 60)
        terminal.wait_until_quiet()

    assert before == terminal.text


@pytest.mark.usefixtures("steady")
def test_a_frame_is_painted_by_position_and_never_scrolls(command: Command) -> None:
    """No line feed is written in live mode, so that a full screen stays where it is."""
    terminal = opened(command, columns=46, rows=10)

    assert b"\n" not in terminal.written
    assert terminal.lines[0][0] == "╭"
    assert re.fullmatch(r"╰─.*─╯", terminal.lines[len(terminal.text.strip().splitlines()) - 1])
