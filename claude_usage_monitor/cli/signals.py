"""Signals of live mode: noted in the handler, acted on by the loop, never in mid-drawing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

# A terminal that takes no more output (a stalled link, XOFF) would hold us in a write for ever.
_PATIENCE_SECONDS = 0.7

_LEAVING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_REPAINTING = ("SIGWINCH", "SIGCONT")


class Signals:
    """While entered, signals set flags and call ``wake``.

    ``leaving`` is the exit code once a signal asked to leave. If the loop does not get there, for
    its terminal takes no output, the process is ended after ``last_resort``.
    """

    def __init__(self, wake: Callable[[], None], last_resort: Callable[[], None]) -> None:
        self._wake = wake
        self._last_resort = last_resort
        self._before: dict[int, object] = {}
        self.leaving: int | None = None
        self.repaint = False
        self.stop = False

    def __enter__(self) -> Self:
        for names, handler in (
            (_LEAVING, self._leave),
            (_REPAINTING, self._repaint),
            (("SIGTSTP",), self._stop),
        ):
            for number in (getattr(signal, name, None) for name in names):
                if number is not None:
                    self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() returned

    def suspend(self) -> None:
        """Stop as SIGTSTP does by itself, until SIGCONT.

        The kernel knows when nobody could continue us, as in ``xterm -e``, and then ignores it.
        """
        self.stop = False
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, ours)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.leaving is None:
            self.leaving = 0 if number == signal.SIGINT else 128 + number
            watchdog = threading.Timer(_PATIENCE_SECONDS, self._give_up)
            watchdog.daemon = True
            watchdog.start()
        self._wake()

    def _give_up(self) -> None:
        self._last_resort()
        os._exit(self.leaving or 0)

    def _repaint(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.repaint = True
        self._wake()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop = True
        self._wake()
