"""Live mode's screen: paints frames on the alternate screen, writing only changed lines."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from rich.cells import cached_cell_len
from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

_RESTORE = b"\x1b[?25h\x1b[?1049l"  # show the cursor, switch to the normal screen
_MAX_CACHED_TEXTS = 256  # more than a frame of one account has


class Screen:
    """Paints frames on the alternate screen, which Rich's ``Live`` switches on and off."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._shown: list[list[Segment]] = []
        self._size = (0, 0)

    def enter(self) -> None:
        """Switch to the alternate screen and hide the cursor."""
        self.repaint()
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
        """Switch back to the normal screen and show the cursor."""
        if self._live is not None:
            # After a resize, a terminal may show leftovers of the alternate screen.
            self._console.control(Control.home(), Control.clear())
            self._live.stop()
            self._live = None

    def abandon(self) -> None:
        """Switch back without waiting, in case the terminal accepts no output."""
        if self._live is not None and sys.platform != "win32":
            with contextlib.suppress(OSError):
                # O_NONBLOCK on standard output itself would also apply to the shell.
                name = os.ttyname(self._console.file.fileno())
                terminal = os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                os.write(terminal, _RESTORE)

    def repaint(self) -> None:
        """Paint all of the next frame, because something else may have written to the screen."""
        self._size = (0, 0)

    def paint(self, lines: Sequence[Text], size: tuple[int, int], *, changed: bool) -> None:  # noqa: ARG002 - another screen needs it
        """Show a frame of at most ``size`` (columns, rows); write only lines that differ."""
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
                    excess = Segment.get_line_length(old) - Segment.get_line_length(new)
                    padding = [Segment(" " * excess)] if excess > 0 else []
                    console.update_screen_lines([new + padding], 0, y)
        self._shown = frame
        _limit_text_cache()

    def _segments(self, line: Text) -> list[Segment]:
        options = self._console.options.update(no_wrap=True, overflow="ignore")
        return [s for s in self._console.render(line, options) if s.text != "\n"]


class PlainScreen(Screen):
    """A terminal without cursor movement: every new frame is printed below the last one."""

    def enter(self) -> None:
        """Do nothing: there is no alternate screen to enter, and so none to leave."""

    def paint(self, lines: Sequence[Text], size: tuple[int, int], *, changed: bool) -> None:  # noqa: ARG002 - another screen needs it
        """Print a frame if anything but its countdowns has changed."""
        if changed:
            for line in lines:
                self._console.print(line, no_wrap=True, overflow="ignore", crop=False)
        _limit_text_cache()


def _limit_text_cache() -> None:
    """Empty Rich's cache of text widths before it has its 4,096 texts.

    Most are old countdowns. They would add 1 MiB within an hour, scattered over the heap, so that
    Python could not return the memory of a finished read to the system.
    """
    if cached_cell_len.cache_info().currsize > _MAX_CACHED_TEXTS:
        cached_cell_len.cache_clear()
