"""The terminal in live mode: frames on the alternate screen, only what changed written."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.control import Control
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

_BACK = b"\x1b[?25h\x1b[?1049l"  # cursor shown, normal screen


class Screen:
    """Paints frames where they can be painted over: Rich's ``Live`` holds the alternate screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._shown: list[list[Segment]] = []
        self._size = (0, 0)

    def enter(self) -> None:
        """Switch to the alternate screen and hide the cursor."""
        self._shown, self._size = [], (0, 0)
        self._live = Live(
            Text(),
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def leave(self) -> None:
        """Switch back, with the cursor shown."""
        if self._live is not None:
            # Terminals that were resized may show what is left on the other screen.
            self._console.control(Control.home(), Control.clear())
            self._live.stop()
            self._live = None

    def leave_at_once(self) -> None:
        """Switch back, from any thread, unless the terminal takes no output."""
        if self._live is not None and sys.platform != "win32":
            with contextlib.suppress(OSError):
                # Its own description of the terminal: the other one is shared with the shell.
                name = os.ttyname(self._console.file.fileno())
                terminal = os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                os.write(terminal, _BACK)

    def forget(self) -> None:
        """Paint the next frame whole: something else may have written to the screen."""
        self._size = (0, 0)

    def paint(self, lines: Sequence[Text], size: tuple[int, int], *, news: bool) -> None:
        """Show a frame of at most ``size`` (columns, rows); writes only the lines that changed."""
        del news
        console = self._console
        console.size = size
        frame = [self._segments(line) for line in lines]
        with console:  # one write
            if size != self._size:
                console.control(Control.home(), Control.clear())
                self._shown, self._size = [], size
            for y in range(max(len(frame), len(self._shown))):
                new = frame[y] if y < len(frame) else []
                old = self._shown[y] if y < len(self._shown) else []
                if new != old:
                    rest = Segment.get_line_length(old) - Segment.get_line_length(new)
                    padding = [Segment(" " * rest)] if rest > 0 else []
                    console.update_screen_lines([new + padding], 0, y)
        self._shown = frame

    def _segments(self, line: Text) -> list[Segment]:
        options = self._console.options.update(no_wrap=True, overflow="ignore")
        return [s for s in self._console.render(line, options) if s.text != "\n"]


class PlainScreen:
    """A terminal that cannot move its cursor: each new reading is printed beneath the last."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def enter(self) -> None:
        """Do nothing: there is no other screen."""

    def leave(self) -> None:
        """Do nothing: there is nothing to undo."""

    def leave_at_once(self) -> None:
        """Do nothing: there is nothing to undo."""

    def forget(self) -> None:
        """Do nothing: what was printed stays printed."""

    def paint(self, lines: Sequence[Text], size: tuple[int, int], *, news: bool) -> None:
        """Print a frame if it holds news; a countdown alone is none."""
        del size
        if news:
            for line in lines:
                self._console.print(line, no_wrap=True, overflow="ignore", crop=False)
