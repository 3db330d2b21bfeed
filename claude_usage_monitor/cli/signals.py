"""Signals that end the process, and those that a terminal sends to live mode."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # the enums of `signal` take 0.7 ms
import contextlib
import time
from collections.abc import Callable, Iterator
from types import FrameType

from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.light_typing import NoReturn
from claude_usage_monitor.monitor.login.shutdown import shutting_down

_END_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_REPAINT_SIGNALS = ("SIGWINCH", "SIGCONT")
_LEAVE_TIMEOUT = 0.7  # seconds to leave live mode: its terminal may accept no output
_INTERRUPT_INTERVAL = 0.25  # seconds between two interruptions of a write


class TerminalStalled(BaseException):
    """Raised in the main thread when live mode has not ended in time after a signal."""


class EndSignals:
    """Records the first signal that ends the process; later ones change nothing.

    ``exit_code`` is the exit code for that signal, ``None`` until it arrives. The first signal sets
    `shutting_down`, so that no login refresh starts any more, and raises SystemExit in the main
    thread, at most once per process. The process still waits for a refresh that was already sent
    and stores the new login, however many signals follow.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._react: Callable[[], None] = self._raise

    def install(self) -> None:
        """Handle the signals from now on, except ignored ones, such as SIGHUP after ``nohup``."""
        for number in _numbers(_END_SIGNALS):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def shield(self) -> None:
        """Prevent signals from interrupting the code that follows."""
        self._react = _do_nothing

    @contextlib.contextmanager
    def reaction(self, react: Callable[[], None]) -> Iterator[None]:
        """Inside the context, call ``react`` for the first signal instead of raising SystemExit."""
        before, self._react = self._react, react
        try:
            yield
        finally:
            self._react = before

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.exit_code is None:
            self.exit_code = ExitCode.SIGNAL + number
            shutting_down.set()
            self._react()

    def _raise(self) -> NoReturn:
        raise SystemExit(self.exit_code)


end_signals = EndSignals()


class LiveSignals:
    """Flags that signal handlers set for live mode's loop: no signal interrupts drawing."""

    def __init__(self, wake: Callable[[], None], abandon: Callable[[], None]) -> None:
        self._wake = wake
        self._abandon = abandon
        self._leave_by: float | None = None  # monotonic seconds, once a signal ends live mode
        self.repaint = False
        self.suspend = False

    @property
    def exit_code(self) -> int | None:
        """The exit code after a signal that ends live mode; 0 for Ctrl+C, a normal way to leave."""
        code = end_signals.exit_code
        return ExitCode.OK if code == ExitCode.INTERRUPTED else code

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals inside the context.

        If the loop has not ended in time, its terminal accepts no output or drawing hangs: then
        ``abandon`` restores the terminal, and TerminalStalled is raised in the main thread.
        """
        handlers = {
            **dict.fromkeys(_numbers(_REPAINT_SIGNALS), self._on_repaint),
            **dict.fromkeys(_numbers(("SIGTSTP",)), self._on_suspend),
            **dict.fromkeys(_numbers(("SIGALRM",)), self._on_timeout),
        }
        before = {number: signal.signal(number, handlers[number]) for number in handlers}
        try:
            with end_signals.reaction(self._on_end):
                yield
        finally:
            _set_timer(0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def interrupting_writes(self) -> Iterator[None]:
        """Inside the context, interrupt a write that the terminal does not accept.

        Python runs signal handlers between two system calls of the main thread. A signal that
        arrives just before a write, or on another thread, would wait until the write ends.
        """
        _set_timer(_INTERRUPT_INTERVAL)
        try:
            yield
        finally:
            if self._leave_by is None:
                _set_timer(0)

    def stop_process(self) -> None:
        """Stop as SIGTSTP does by default, until SIGCONT.

        The kernel ignores the signal if no shell could resume the process (``xterm -e``).
        """
        self.suspend = False
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)

    def _on_end(self) -> None:
        self._leave_by = time.monotonic() + _LEAVE_TIMEOUT
        _set_timer(_INTERRUPT_INTERVAL)
        self._wake()

    def _on_timeout(self, _number: int, _frame: FrameType | None) -> None:
        if self._leave_by is not None and time.monotonic() >= self._leave_by:
            _set_timer(0)
            self._abandon()
            raise TerminalStalled

    def _on_repaint(self, _number: int, _frame: FrameType | None) -> None:
        self.repaint = True
        self._wake()

    def _on_suspend(self, _number: int, _frame: FrameType | None) -> None:
        self.suspend = True
        self._wake()


def _numbers(names: tuple[str, ...]) -> list[int]:
    """Return the numbers of the signals with these names that the platform supports."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _set_timer(interval: float) -> None:
    """Send SIGALRM every ``interval`` seconds from now on; 0 stops it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, interval, interval)


def _do_nothing() -> None:
    return
